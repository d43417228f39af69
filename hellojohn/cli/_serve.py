"""``hellojohn emulator``: an emulator in the foreground, and what its user pastes into a client."""

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from rich.console import Console

from hellojohn._config import is_loopback
from hellojohn.cli._plain import plain
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator, RequestLine

_ASIDE = "dim"
_CODE = "cyan"


def serve(emulator: Emulator, *, host: str, console: Console) -> None:
    """Run ``emulator`` until the process gets a signal to stop.

    Raises:
        ConfigurationError: It cannot listen on its address.
    """
    with _told_to_stop() as told, emulator:
        with console:  # one write, so that a reader such as head -1 cannot end in the middle
            _introduce(emulator, console)
            if not is_loopback(host):
                _warn(console)
        _wait(told)
    console.print("\nStopped.", style=_ASIDE)


def request_log(console: Console) -> Callable[[RequestLine], None]:
    """Return a function that prints a line for a request. A line that cannot be printed is left out."""

    def show(line: RequestLine) -> None:
        status = "cut" if line.status is None else line.status
        text = f"{line.method} {plain(line.path)}  {status}  {line.milliseconds:.0f} ms"
        with suppress(OSError, SystemExit):  # rich exits if the reader of a pipe has ended
            console.print(text, style=_ASIDE, highlight=False, markup=False, soft_wrap=True)

    return show


@contextmanager
def _told_to_stop() -> Generator[SimpleQueue[int]]:
    """Take Ctrl-C and SIGTERM as words, while the block lasts: they come into the queue."""
    told: SimpleQueue[int] = SimpleQueue()
    # A handler may interrupt any line of this thread: a queue of this kind takes that, an event may not.
    before = {
        number: signal.signal(number, lambda received, _: told.put(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(told: SimpleQueue[int]) -> None:
    while True:
        with suppress(Empty):
            told.get(timeout=1.0)  # on Windows, a thread that waits does not hear of Ctrl-C
            return


def _introduce(emulator: Emulator, console: Console) -> None:
    sections = {
        "A user to sign in with": f"{DEMO_EMAIL}\n{DEMO_PASSWORD}",
        "Environment variables, of which the secret key is for servers only": _variables(emulator),
        "Python": _python(emulator),
    }
    console.print(f"HelloJohn's {emulator.api} API is at", emulator.url, style="bold", highlight=False)
    for title, text in sections.items():
        console.print(f"\n{title}:\n", style=_ASIDE)
        console.print(text, style=_CODE, highlight=False, markup=False, soft_wrap=True)
    console.print("\nUsers and sessions are in memory and end with it: Ctrl-C.", style=_ASIDE)


def _variables(emulator: Emulator) -> str:
    key = (
        f"CLIENT_ID={emulator.client_id}"
        if emulator.client_id
        else f"PUBLISHABLE_KEY={emulator.publishable_key}"
    )
    return "\n".join(
        (
            f"export HELLOJOHN_API_URL={emulator.url}",
            f"export HELLOJOHN_TENANT_ID={emulator.tenant_id}",
            f"export HELLOJOHN_{key}",
            f"export HELLOJOHN_SECRET_KEY={emulator.secret_key}",
            f"export API_URL={emulator.url}  # stands for your own API",
        )
    )


def _python(emulator: Emulator) -> str:
    known = f'publishable_key="{emulator.publishable_key}"'
    path = "/resource"
    if emulator.client_id:
        known, path = f'client_id="{emulator.client_id}", api="v2"', "/v2/me"
    return "\n".join(
        (
            "from hellojohn import HelloJohn",
            f'hj = HelloJohn(api_url="{emulator.url}", tenant_id="{emulator.tenant_id}",',
            f"               {known})",
            f'hj.auth.sign_in("{DEMO_EMAIL}", "{DEMO_PASSWORD}")',
            f'print(hj.client(base_url="{emulator.url}").get("{path}").json())',
        )
    )


def _warn(console: Console) -> None:
    console.print(
        "\nOther machines can reach it, with keys that everybody knows. There, the SDK takes https only:"
        " put a TLS proxy before it.",
        style="yellow",
    )

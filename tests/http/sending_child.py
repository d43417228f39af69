"""A program that sends one request in a process that the tests stop or starve. Prints what became of it.

Usage: sending_child.py URL WHAT [ARGUMENT...], where WHAT is one of the functions below.
"""

import contextlib
import json
import logging
import os
import resource
import signal
import socket
import sys
import threading

from hellojohn._errors import HelloJohnError
from hellojohn._http import Sender
from hellojohn._secret import Secret
from hellojohn._wire import ApiRequest, ApiResponse

REFRESH = ApiRequest("POST", "/auth/x", {"refresh_token": Secret("refresh-1")}, reads_until_deadline=True)
GET = ApiRequest("GET", "/auth/me", bearer=Secret("access-1"))


def tell(**facts: object) -> None:
    """Print a line for the test."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def tell_of(answer: object) -> None:
    """Print an answer."""
    if isinstance(answer, ApiResponse):
        tell(status=answer.status, body=answer.body.decode("latin-1"), headers=dict(answer.headers))
    else:
        tell(detail=str(answer))


def await_line() -> None:
    """Wait for the test to write a line."""
    if not sys.stdin.readline():
        os._exit(1)


def stopped(url: str, deadline: str, kind: str) -> None:
    """Send a request; the test stops this process before the answer."""
    signal.signal(signal.SIGUSR1, lambda *_: None)
    sender = Sender(url, timeout=float(deadline), verify=False)
    tell(prepared=True)
    tell_of(sender.send(REFRESH if kind == "refresh" else GET, deadline=float(deadline)))


def stopped_before(url: str, deadline: str) -> None:
    """Stop this process between the search for the address and the connect."""
    resolve = socket.getaddrinfo

    def stop(*args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), signal.SIGSTOP)
        return resolve(*args, **kwargs)  # type: ignore[call-overload]

    socket.getaddrinfo = stop  # type: ignore[assignment]
    sender = Sender(url, verify=False)
    tell_of(sender.send(REFRESH, deadline=float(deadline)))


def starve() -> list[int]:
    """Use up every file descriptor, as an app does that leaks them; return those that it took."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    return taken


def starved_after(url: str, log: str, level: str, **settings: object) -> None:
    """Send a request; when the test says so, the process has run out of file descriptors."""
    handler = logging.FileHandler(log, delay=True)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(level)
    sender = Sender(url, **settings)  # type: ignore[arg-type]
    sender.prepare()

    def starve_when_told() -> None:
        await_line()
        starve()
        tell(starved=True)

    threading.Thread(target=starve_when_told, daemon=True).start()
    loaded = set(sys.modules)
    answer = sender.send(REFRESH, deadline=10.0)
    later = sorted(set(sys.modules) - loaded)
    tell(imported=later)
    tell_of(answer)


def starved_before(url: str) -> None:
    """Prepare and send without a file descriptor left, then with some again."""
    sender = Sender(url)
    taken = starve()
    try:
        sender.prepare()
    except HelloJohnError as error:
        tell(error=f"{type(error).__name__}: {error}")
    tell_of(sender.send(REFRESH, deadline=10.0))
    for number in taken:
        os.close(number)
    sender.prepare()
    tell(prepared=True)


def starved_while_connecting(url: str) -> None:
    """Prepare, then send without a file descriptor left for the socket."""
    sender = Sender(url)
    sender.prepare()
    starve()
    tell_of(sender.send(REFRESH, deadline=10.0))


if __name__ == "__main__":
    url, what, *arguments = sys.argv[1:]
    globals()[what](url, *arguments)

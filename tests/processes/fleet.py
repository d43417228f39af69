"""Real child processes that share one session through a store, with a clock that all of them share."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from hellojohn import HelloJohn, TokenStore
from hellojohn.emulator import Emulator

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(
    [
        "pytest",  # every child imports the main module, which here is pytest's
        *(
            "hellojohn._public",
            "hellojohn._session.retry",
            "hellojohn.stores.file",
            "hellojohn.stores.keyring",
        ),
        *("httpcore", "keyring.backends.SecretService", "secretstorage", "tests.processes.dying", "valkey"),
    ]
)
PATIENCE = 60.0


class SharedClock:
    """A clock that every process reads and the test puts forward."""

    def __init__(self) -> None:
        self._ahead = CHILDREN.Value("d", 0.0)

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self._ahead.value

    def advance(self, seconds: float) -> None:
        """Move the clock forward, for all processes."""
        self._ahead.value += seconds


@dataclass(frozen=True)
class Place:
    """Where the session is stored. A child process can open the same store."""

    kind: str
    where: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def store(self) -> TokenStore:
        """Open the store in this process."""
        os.environ.update(self.environment)
        return _OPENERS[self.kind](self.where)


@dataclass(frozen=True)
class World:
    """The objects with which a child process uses the shared session."""

    place: Place
    clock: SharedClock
    settings: Mapping[str, Any]

    def client(self, **more: Any) -> HelloJohn:
        """Return a client of the shared session."""
        return HelloJohn(**self.settings, clock=self.clock, **{"store": self.place.store(), **more})

    @property
    def url(self) -> str:
        """The address of the protected API."""
        return self.settings["api_url"]


def world_of(emulator: Emulator, place: Place, clock: SharedClock) -> World:
    """Return what children need to use a running emulator and a store."""
    settings = {
        "api": emulator.api,
        "api_url": emulator.url,
        "tenant_id": emulator.tenant_id,
        "client_id": emulator.client_id,
        "publishable_key": emulator.publishable_key,
    }
    return World(place, clock, settings)


class Fleet:
    """Processes that send one request each on command."""

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def send_all(self) -> list[object]:
        """Have every process send a request at once, and return the results."""
        for pipe in self._pipes:
            pipe.send("go")
        return [self._answer(pipe) for pipe in self._pipes]

    @staticmethod
    def _answer(pipe: Connection) -> object:
        assert pipe.poll(PATIENCE), "a process did not answer"
        return pipe.recv()


@contextmanager
def fleet(world: World, size: int) -> Iterator[Fleet]:
    """Start ``size`` processes with one client each."""
    pairs = [CHILDREN.Pipe() for _ in range(size)]
    children = [CHILDREN.Process(target=_serve, args=(world, theirs), daemon=True) for _, theirs in pairs]
    try:
        for child in children:
            child.start()
        pipes = [ours for ours, _ in pairs]
        assert [Fleet._answer(pipe) for pipe in pipes] == ["ready"] * size
        yield Fleet(pipes)
        for pipe in pipes:
            pipe.send("stop")
        for child in children:
            child.join(PATIENCE)
    finally:
        for child in children:
            child.kill()


def _serve(world: World, pipe: Connection) -> None:
    with world.client() as hj, hj.client(base_url=world.url) as api:
        hj.auth.session()
        pipe.send("ready")
        while pipe.recv() == "go":
            pipe.send(_tried(lambda: api.get("/resource").status_code))


def _tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the test compares it
        return repr(error)


def _open_file(where: str) -> TokenStore:
    from hellojohn import FileStore  # noqa: PLC0415 - as the kind asks

    return FileStore(where)


def _open_keyring(where: str) -> TokenStore:
    from hellojohn import KeyringStore  # noqa: PLC0415 - as the kind asks

    return KeyringStore(where)


def _open_redis(where: str) -> TokenStore:
    import valkey  # noqa: PLC0415 - as the kind asks

    from hellojohn import RedisStore  # noqa: PLC0415 - as the kind asks

    return RedisStore(valkey.Valkey(unix_socket_path=where), lease=_LEASE)


_LEASE = 1.0
_OPENERS: dict[str, Callable[[str], TokenStore]] = {
    "file": _open_file,
    "keyring": _open_keyring,
    "redis": _open_redis,
}

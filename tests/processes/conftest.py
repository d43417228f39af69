"""The real stores in which processes share a session."""

from collections.abc import Iterator

import keyring.backend
import keyring.core
import pytest

from hellojohn.emulator import Emulator
from tests.processes.fleet import Place, SharedClock, World, world_of

DEMO = ("demo@example.com", "correct horse battery staple")


DURABLE = ("file", "keyring", "redis")


@pytest.fixture(params=DURABLE)
def place(request, tmp_path) -> Place:
    """Return each durable store in turn. A name that ends in ``-v2`` goes with the other dialect."""
    match request.param.removesuffix("-v2"):
        case "file":
            return Place("file", str(tmp_path / "sessions"))
        case "keyring":
            environment = request.getfixturevalue("gnome_keyring")
            request.getfixturevalue("fresh_keyring_library")
            return Place("keyring", f"hellojohn-{request.node.name}", environment)
        case _:
            server = request.getfixturevalue("own_valkey")
            return Place("redis", str(server.unix_socket_path))


@pytest.fixture
def fresh_keyring_library(monkeypatch) -> Iterator[None]:
    """Let the keyring library look for backends again: it caches them for the process."""
    cached = vars(keyring.backend.get_all_keyring)
    before = cached.pop("saved_result", None)
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    yield
    cached.pop("saved_result", None)
    if before is not None:
        cached["saved_result"] = before


@pytest.fixture
def clock() -> SharedClock:
    """Return a clock that children share."""
    return SharedClock()


@pytest.fixture
def emulator(request, clock) -> Iterator[Emulator]:
    """Return a running service on that clock, on v2 where the name of the test's store says so."""
    callspec = getattr(request.node, "callspec", None)
    is_v2 = callspec is not None and str(callspec.params.get("place")).endswith("-v2")
    with Emulator(api="v2" if is_v2 else "v1", clock=clock) as emulator:
        yield emulator


@pytest.fixture
def world(emulator, place, clock, monkeypatch) -> World:
    """Return a world in which a session was signed in."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    world = world_of(emulator, place, clock)
    with world.client() as hj:
        hj.auth.sign_in(*DEMO, remember_me=True)
    return world

"""Failures of a Valkey server that holds sessions and locks: none of them signs a user out."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

import httpx
import pytest
import valkey

from hellojohn import HelloJohn, RedisStore, ServiceUnavailable
from hellojohn.emulator import Emulator
from tests.counts import count
from tests.processes.conftest import DEMO
from tests.processes.fleet import CHILDREN, PATIENCE, Place, World, world_of
from tests.processes.load import PROCESSES, Load

TROUBLES = count(30)
OUTAGE = 0.6
LEASE = 6.0
SHORT_LEASE = 1.0
TWO_HOURS = 7_200.0


@pytest.fixture
def place(own_valkey) -> Place:
    """Return a server that keeps every write that it has confirmed."""
    own_valkey.stop()
    own_valkey._config.update({"appendonly": "yes", "appendfsync": "always"})
    own_valkey.start()
    return Place("redis", str(own_valkey.unix_socket_path))


@pytest.fixture
def server(place) -> Iterator[valkey.Valkey]:
    """Return the connection of the server's operator."""
    with valkey.Valkey(unix_socket_path=place.where) as server:
        yield server


@contextmanager
def _client(world: World, lease: float = LEASE) -> Iterator[HelloJohn]:
    with (
        valkey.Valkey(unix_socket_path=world.place.where, socket_timeout=5) as server,
        world.client(store=RedisStore(server, lease=lease)) as hj,
    ):
        yield hj


@contextmanager
def _api(world: World) -> Iterator[httpx.Client]:
    with _client(world) as hj, hj.client(base_url=world.url) as api:
        yield api


# Under load


class Trouble:
    """A failure of the server, and its end."""

    def __init__(self, server: valkey.Valkey, process) -> None:
        """Change nothing yet."""
        self.server = server
        self.process = process

    def end(self) -> None:
        """End it, unless it ends by itself."""


class Restart(Trouble):
    """The server is killed, or stopped by its operator, and started again."""

    def strike(self, number: int) -> None:
        """Stop it."""
        (self.process.terminate if number % 4 < 2 else self.process.stop)()

    def end(self) -> None:
        """Start it, after a while."""
        time.sleep(OUTAGE)  # any length below the lease will do
        self.process.start()


class FullMemory(Trouble):
    """The server takes no more writes."""

    def strike(self, number: int) -> None:
        """Allow it less than it has."""
        self.server.config_set("maxmemory", "1")

    def end(self) -> None:
        """Set no limit, after a while."""
        time.sleep(OUTAGE)
        self.server.config_set("maxmemory", "0")


class CutConnections(Trouble):
    """All connections are closed at once."""

    def strike(self, number: int) -> None:
        """Cut them."""
        self.server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class LostLock(Trouble):
    """The lock disappears while it is held, as after a failover, and a waiting process takes it."""

    def strike(self, number: int) -> None:
        """Delete it."""
        assert self.server.delete(*self.server.keys("*:lock")) == 1


@pytest.fixture(params=[Restart, FullMemory, CutConnections, LostLock])
def trouble(request, server, own_valkey) -> Trouble:
    """Return each kind in turn."""
    return request.param(server, own_valkey)


@pytest.mark.timeout(900)
def test_a_failure_during_a_refresh_signs_nobody_out(world, emulator, trouble, report):
    """Only the server's word, the session's own deadline or sign_out ends a session."""
    load = Load()
    with load.from_clients(_api, world):
        for number in range(TROUBLES):
            with emulator.hold("token/refresh", when=("before", "after")[number % 2]) as refresh:
                world.clock.advance(TWO_HOURS)
                refresh.wait_arrived()
                trouble.strike(number)
            trouble.end()
            load.wait_served()
    assert load.unexpected == []
    assert (emulator.rotations, emulator.reuses) == (TROUBLES, 0)
    report(
        f"Valkey, {type(trouble).__name__} in the middle of {TROUBLES} refreshes, {PROCESSES} processes busy:"
        f" {emulator.rotations} refreshes, 0 reused tokens, 0 sign-outs, only typed errors"
    )


# Step by step


def test_next_holder_of_a_lost_lock_does_not_refresh(world, emulator, server):
    """At most one request with a given refresh token is in flight, even after the lock is lost."""
    with _client(world) as first, _client(world) as second, ThreadPoolExecutor() as pool:
        second.auth.session()
        world.clock.advance(TWO_HOURS)
        with emulator.hold("token/refresh") as refresh:
            token = pool.submit(first.auth.access_token)
            refresh.wait_arrived()
            server.delete(*server.keys("*:lock"))
            with pytest.raises(ServiceUnavailable) as later:
                second.auth.access_token()
        assert 0 < later.value.retry_after <= LEASE
        assert token.result() == second.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_holder_that_was_stopped_past_its_lease(place, clock):
    """A process that wakes after its lease keeps what another process has saved, and uses that."""
    with Emulator(port=0, clock=clock, reuse_grace="10s") as emulator:
        world = world_of(emulator, place, clock)
        with _client(world, SHORT_LEASE) as hj:
            hj.auth.sign_in(*DEMO)
            clock.advance(TWO_HOURS)
            with _asking(world) as (sleeper, tokens):
                with emulator.hold("token/refresh", when="after") as refresh:
                    refresh.wait_arrived()
                    os.kill(sleeper, signal.SIGSTOP)
                token = hj.auth.access_token()
                os.kill(sleeper, signal.SIGCONT)
                assert tokens.poll(PATIENCE)
                assert tokens.recv() == token
            hj.auth.refresh()
        assert emulator.reuses == 0


@contextmanager
def _asking(world: World) -> Iterator[tuple[int, Connection]]:
    tokens, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=_ask, args=(world, theirs), daemon=True)
    child.start()
    try:
        yield child.pid, tokens
    finally:
        child.kill()


def _ask(world: World, pipe) -> None:
    with _client(world, SHORT_LEASE) as hj:
        pipe.send(_patiently(hj))


def _patiently(hj: HelloJohn) -> str:
    while True:
        try:
            return hj.auth.access_token()
        except ServiceUnavailable:
            time.sleep(0.01)

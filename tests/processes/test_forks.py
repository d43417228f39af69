"""Forks with a session: the workers of a preloaded server, and a fork in the middle of a refresh."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest

from hellojohn import HelloJohn, MemoryStore, TokenStore
from hellojohn.emulator import Emulator
from tests.counts import count
from tests.processes.conftest import DEMO
from tests.processes.fleet import CHILDREN, PATIENCE, Place, World
from tests.stores.forking import in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")

ROOT = Path(__file__).parents[2]
WORKERS = 4
ROUNDS = count(200)
TWO_HOURS = 7_200.0


# Workers


class Time:
    """The time that a file keeps: whoever touches it moves it, for every process."""

    def __init__(self, file: Path) -> None:
        """Begin now."""
        file.touch()
        self._file = file

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self._file.stat().st_mtime

    def advance(self) -> None:
        """Let every access token expire."""
        later = self() + TWO_HOURS
        os.utime(self._file, (later, later))


@contextmanager
def _gunicorn(**settings: str) -> Iterator[str]:
    """Run the preloaded app; yield its address, which listens from the start."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        options = ("--preload", "--no-control-socket", "--log-level=warning", f"--bind=fd://{number}")
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, "tests.processes.app_preloaded:app"],
            cwd=ROOT,
            env={**os.environ, "WEB_CONCURRENCY": str(WORKERS), **settings},
            pass_fds=[number],
        )
        with server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.terminate()


@pytest.mark.timeout(600)
def test_preloaded_workers_share_the_session_that_they_were_forked_with(tmp_path, report):
    """At most one request with a given refresh token is in flight, across processes that share a store."""
    time = Time(tmp_path / "clock")
    with Emulator(port=0, clock=time) as emulator:
        causes = (time.advance, emulator.reject_access_tokens)
        settings = {
            "CLOCK": str(tmp_path / "clock"),
            "SESSIONS": str(tmp_path / "sessions"),
            "HELLOJOHN_API_URL": emulator.url,
            "HELLOJOHN_TENANT_ID": emulator.tenant_id,
            "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        }
        with _gunicorn(**settings) as site, ThreadPoolExecutor(WORKERS) as pool:
            for done in range(1, ROUNDS + 1):  # the first refresh was before the fork
                answers = list(pool.map(_ask, [site] * WORKERS))
                assert [status for _, status in answers] == ["200"] * WORKERS
                assert len({worker for worker, _ in answers}) == WORKERS
                assert (emulator.rotations, emulator.reuses) == (done, 0)
                causes[done % 2]()
    report(f"gunicorn --preload, {WORKERS} workers x {ROUNDS} expiries: {done} refreshes, 0 reused tokens")


def _ask(site: str) -> list[str]:
    return httpx.get(site, timeout=PATIENCE).text.split()


# A fork in the middle of a refresh


@pytest.fixture
def place(tmp_path) -> Place:
    """Return a store whose lock a child inherits."""
    return Place("file", str(tmp_path / "sessions"))


class Parent:
    """A process with a refresh in flight, which forks a child when it is told."""

    def __init__(self, pipe: Connection) -> None:
        """Talk to it through ``pipe``."""
        self._pipe = pipe

    def fork(self) -> None:
        """Let it fork; return when the child asks for another token."""
        self._pipe.send("fork")
        assert self.result() == "the child asks"

    def has_result(self, patience: float) -> bool:
        """Return whether somebody has got something by then."""
        return self._pipe.poll(patience)

    def result(self) -> str:
        """Return what the child has got, and the second time what the parent has got."""
        assert self.has_result(PATIENCE), "somebody hangs"
        return self._pipe.recv()


@contextmanager
def _parent(world: World, open_store: Callable[[], TokenStore]) -> Iterator[Parent]:
    ours, theirs = CHILDREN.Pipe()
    process = CHILDREN.Process(target=_be_parent, args=(world, open_store, theirs))
    process.start()
    try:
        yield Parent(ours)
        process.join(PATIENCE)
        assert process.exitcode == 0
    finally:
        process.kill()


def _be_parent(world: World, open_store: Callable[[], TokenStore], pipe: Connection) -> None:
    with world.client(store=open_store()) as hj, ThreadPoolExecutor(1) as pool:
        if hj.auth.session() is None:
            hj.auth.sign_in(*DEMO)
        refresh = pool.submit(hj.auth.refresh)
        pipe.recv()
        pipe.send(in_forked_child(lambda: _of_child(hj, pipe)))
        refresh.result()
        pipe.send(hj.auth.access_token())


def _of_child(hj: HelloJohn, pipe: Connection) -> str:
    pipe.send("the child asks")
    hj.auth.refresh()
    return hj.auth.access_token()


def test_a_child_forked_in_the_middle_of_a_refresh_takes_its_result_over(world, emulator):
    """It waits for its parent's lock, though it has inherited the descriptor, and then asks nobody."""
    with emulator.hold("token/refresh") as refresh, _parent(world, world.place.store) as parent:
        refresh.wait_arrived()
        parent.fork()
        assert not parent.has_result(0.3)
        refresh.release()
        child, own = parent.result(), parent.result()
    assert child == own
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_a_child_forked_with_a_session_in_memory_is_told_what_to_do(world, emulator):
    """It cannot share the refresh, says so at once, and harms nobody: the parent's session goes on."""
    with emulator.hold("token/refresh") as refresh, _parent(world, MemoryStore) as parent:
        refresh.wait_arrived()
        parent.fork()
        child = parent.result()
        refresh.release()
        own = parent.result()
    assert child.startswith("StoreUnavailable")
    assert "Share a FileStore or a RedisStore" in child
    assert own
    assert (emulator.rotations, emulator.reuses) == (1, 0)

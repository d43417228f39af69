"""Forks with a session: the workers of a preloaded server, and a session that cannot be shared."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest

from hellojohn import HelloJohn, MemoryStore
from hellojohn.emulator import Emulator
from tests.counts import count
from tests.processes.conftest import DEMO
from tests.processes.fleet import CHILDREN, PATIENCE
from tests.stores.forking import in_forked_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")

ROOT = Path(__file__).parents[2]
WORKERS = 4
ROUNDS = count(100, share=20)
TWO_HOURS = 7_200.0


# Workers


class FileClock:
    """A clock whose time is the modification time of a file, for every process."""

    def __init__(self, file: Path) -> None:
        """Start at the present time."""
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
    """Run the preloaded app and yield its address. It accepts connections at once."""
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
def test_preloaded_workers_share_one_session(tmp_path, report):
    """At most one request with a given refresh token is in flight, across processes that share a store."""
    clock = FileClock(tmp_path / "clock")
    with Emulator(port=0, clock=clock) as emulator:
        causes = (clock.advance, emulator.reject_access_tokens)
        settings = {
            "CLOCK": str(tmp_path / "clock"),
            "SESSIONS": str(tmp_path / "sessions"),
            "HELLOJOHN_API_URL": emulator.url,
            "HELLOJOHN_TENANT_ID": emulator.tenant_id,
            "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        }
        with _gunicorn(**settings) as site, ThreadPoolExecutor(WORKERS) as pool:
            for done in range(1, ROUNDS + 1):  # the app refreshed once before the fork
                answers = list(pool.map(_ask, [site] * WORKERS))
                assert [status for _, status in answers] == ["200"] * WORKERS
                assert len({worker for worker, _ in answers}) == WORKERS
                assert (emulator.rotations, emulator.reuses) == (done, 0)
                causes[done % 2]()
    report(f"gunicorn --preload, {WORKERS} workers x {ROUNDS} expiries: {done} refreshes, 0 reused tokens")


def _ask(site: str) -> list[str]:
    return httpx.get(site, timeout=PATIENCE).text.split()


# A session in memory


def test_forked_child_with_a_session_in_memory(emulator):
    """The child gets an error that names the fix, even during a refresh, and the parent's session goes on."""
    where = (emulator.url, emulator.tenant_id, emulator.publishable_key)
    pipe, theirs = CHILDREN.Pipe()
    parent = CHILDREN.Process(target=_fork_during_a_refresh, args=(*where, theirs))
    with emulator.hold("token/refresh") as refresh:
        parent.start()
        refresh.wait_arrived()
        pipe.send("fork")
        of_child = _result(pipe)
    of_parent = _result(pipe)
    parent.join(PATIENCE)
    assert of_child.startswith("StoreUnavailable: ")
    assert "Share a FileStore or a RedisStore between the processes" in of_child
    assert (of_parent, parent.exitcode) == ("refreshed twice", 0)
    assert (emulator.rotations, emulator.reuses) == (2, 0)


def _result(pipe: Connection) -> str:
    assert pipe.poll(PATIENCE), "a process does not answer"
    return pipe.recv()


def _fork_during_a_refresh(url: str, tenant: str, key: str, pipe: Connection) -> None:
    client = HelloJohn(api_url=url, tenant_id=tenant, publishable_key=key, store=MemoryStore())
    with client as hj, ThreadPoolExecutor(1) as pool:
        hj.auth.sign_in(*DEMO)
        refresh = pool.submit(hj.auth.refresh)
        pipe.recv()
        pipe.send(in_forked_child(lambda: str(hj.auth.refresh())))
        refresh.result()
        hj.auth.refresh()
        pipe.send("refreshed twice")

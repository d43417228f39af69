"""A process that ends, is interrupted or forks in the middle of a refresh loses no session."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hellojohn._owner import EXIT_WAIT

from hellojohn import HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import FileStore
from tests.engine.crowd import settings
from tests.engine.ending_child import work
from tests.engine.rig import in_thread
from tests.processes.fleet import CHILDREN

CHILD = Path(__file__).with_name("ending_child.py")
LONG, STALE = "2h", "58m"


@pytest.fixture
def hj(emulator: Emulator, tmp_path) -> Iterator[HelloJohn]:
    """A client that is signed in, with its session in files."""
    with HelloJohn(**settings(emulator, FileStore(tmp_path / "sessions"))) as client:
        client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield client


def _child(emulator: Emulator, tmp_path: Path, way: str = "") -> subprocess.Popen[str]:
    ahead = f"{emulator.clock() - time.time():.3f}"
    command = [sys.executable, str(CHILD), emulator.url, str(tmp_path / "sessions"), ahead, way]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _survives(emulator: Emulator, hj: HelloJohn, *, rotations: int) -> None:
    """Check that the session goes on, from what the child left in the store."""
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (rotations, 0)
    emulator.advance(LONG)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (rotations + 1, 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_during_a_refresh_loses_nothing(emulator, hj, tmp_path, when):
    """The caller gets its ``KeyboardInterrupt``, and the refresh is stored before the process ends."""
    emulator.advance(LONG)
    with emulator.hold("token/refresh", when=when) as hold:
        child = _child(emulator, tmp_path)
        hold.wait_arrived()
        child.send_signal(signal.SIGINT)
        _read_interrupt(child)
    assert child.communicate(timeout=20)[1] == ""
    assert child.returncode != 0
    _survives(emulator, hj, rotations=1)


def _read_interrupt(child: subprocess.Popen[str]) -> None:
    """Read the child's traceback, which it prints before it waits for its refresh."""
    while not (line := child.stderr.readline()).startswith("KeyboardInterrupt"):
        assert line, "the child ended without an interrupt"


def test_ending_with_a_background_refresh_under_way_stores_it(emulator, hj, tmp_path):
    """A script's last request started it; the interpreter waits for the answer, and not for the service."""
    emulator.advance(STALE)
    with emulator.hold("token/refresh", when="after") as hold:
        child = _child(emulator, tmp_path)
        hold.wait_arrived()
        assert child.stdout.readline() == "begins\n"
        assert child.stdout.readline() == "ends\n"
    out, errors = child.communicate(timeout=20)
    assert (child.returncode, out, errors) == (0, "", "")
    emulator.advance(LONG)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


@pytest.mark.parametrize("context", [multiprocessing.get_context("fork"), CHILDREN], ids=["fork", "server"])
def test_a_worker_of_multiprocessing_that_ends_with_a_refresh_under_way_stores_it(
    emulator, hj, tmp_path, context
):
    """Such a child ends without atexit: it has finalizers of its own, and they wait as well."""
    emulator.advance(STALE)
    where = (emulator.url, str(tmp_path / "sessions"), f"{emulator.clock() - time.time():.3f}")
    with emulator.hold("token/refresh", when="after") as hold:
        with _no_warning_of_forks():
            child = context.Process(target=work, args=where)
            child.start()
        hold.wait_arrived()
    child.join(20)
    assert child.exitcode == 0
    emulator.advance(LONG)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


def test_an_exit_is_not_held_up_by_a_service_that_does_not_answer(emulator, hj, tmp_path):
    """One attempt is waited for, and no other is begun; what was in doubt is told by the next refresh."""
    emulator.advance(STALE)
    with emulator.hold("token/refresh") as hold:
        child = _child(emulator, tmp_path, "impatient")
        hold.wait_arrived()
        child.stdout.readline()
        child.stdout.readline()
        ended = time.monotonic()
        child.communicate(timeout=20)
        assert time.monotonic() - ended < 10
        assert emulator.calls("token/refresh") == 1
    assert child.returncode == 0
    assert hj._engine.context.storage.load(hj._account.key).refresh_started_at is not None


def test_the_exit_waits_no_longer_than_one_refresh_may_take(hj):
    """The promise of the documents, in the code's own numbers."""
    assert hj._engine.context.storage.refresh_time >= EXIT_WAIT


def test_a_fork_in_the_middle_of_a_refresh_hands_its_result_to_the_child(emulator, hj):
    """The child waits for its parent's refresh, not for itself, and adopts what it finds."""
    emulator.advance(LONG)
    begins, begun = os.pipe()
    with emulator.hold("token/refresh", when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        pid = _forked(lambda: _refreshed(hj, begun))
        os.read(begins, 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert isinstance(refreshing(), str)
    os.close(begins)
    os.close(begun)
    _survives(emulator, hj, rotations=1)


def test_children_of_one_parent_share_one_refresh(emulator, hj):
    """A server that forks its workers from one that is signed in: one expiry, one refresh."""
    hj.auth.access_token()
    emulator.advance(LONG)
    pids = [_forked(lambda: bool(hj.auth.access_token())) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    _survives(emulator, hj, rotations=1)


def test_a_child_delivers_its_own_events_although_its_parent_was_delivering(emulator, hj):
    """The parent was forked inside a callback: the child's events must not wait for a thread it has not."""
    told = []

    def fork_once(event) -> None:
        told.append(event.type)
        if len(told) == 1:
            pid = _forked(lambda: _signs_out(hj, told))
            told.append(os.waitpid(pid, 0)[1])

    hj.on(fork_once)
    emulator.advance(LONG)
    hj.auth.refresh()
    assert told == ["TOKEN_REFRESHED", 0]


def _signs_out(hj: HelloJohn, told: list[object]) -> bool:
    told.append("child")
    hj.auth.sign_out()
    return told == ["TOKEN_REFRESHED", "child", "SIGNED_OUT"]


def _refreshed(hj: HelloJohn, begun: int) -> bool:
    os.write(begun, b"!")
    return bool(hj.auth.access_token())


@contextmanager
def _no_warning_of_forks() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
        yield


def _forked(action) -> int:
    """Fork; the child ends with 0 if ``action`` returns true."""
    with _no_warning_of_forks():
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if action() else 2
        finally:
            os._exit(code)
    return pid

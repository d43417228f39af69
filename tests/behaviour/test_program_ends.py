"""A program that ends, is interrupted or forks in the middle of a refresh loses no session."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hellojohn import FileStore, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.behaviour.ending_program import work
from tests.both_faces import EventLog, emulated, in_thread

PROGRAM = "tests.behaviour.ending_program"
ROOT = Path(__file__).parents[2]
EXPIRED, STALE = "2h", "58m"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")


@pytest.fixture
def hj(emulator: Emulator, tmp_path) -> Iterator[HelloJohn]:
    """Return a client that is signed in, with its session in files."""
    with HelloJohn(**emulated(emulator, store=FileStore(tmp_path / "sessions"))) as client:
        client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield client


def start(emulator: Emulator, tmp_path: Path, way: str = "") -> subprocess.Popen[str]:
    """Start the program."""
    command = [sys.executable, "-m", PROGRAM, emulator.url, str(tmp_path / "sessions"), ahead(emulator), way]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def ahead(emulator: Emulator) -> str:
    """Return by how many seconds the emulator's clock is ahead."""
    return f"{emulator.clock() - time.time():.3f}"


def survives(emulator: Emulator, hj: HelloJohn, *, rotations: int) -> None:
    """Check that the session goes on from the stored record."""
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (rotations, 0)
    emulator.advance(EXPIRED)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (rotations + 1, 0)


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("when", ["before", "after"])
def test_interrupted_program_stores_its_refresh(emulator, hj, tmp_path, when):
    """After Ctrl-C the caller gets KeyboardInterrupt, and the refresh is stored before the process ends."""
    emulator.advance(EXPIRED)
    with emulator.hold("token/refresh", when=when) as hold:
        program = start(emulator, tmp_path)
        hold.wait_arrived()
        program.send_signal(signal.SIGINT)
        while not (line := program.stderr.readline()).startswith("KeyboardInterrupt"):
            assert line, "the program ended without an interrupt"
    assert program.communicate(timeout=20)[1] == ""
    assert program.returncode != 0
    survives(emulator, hj, rotations=1)


def test_ending_program_stores_a_background_refresh(emulator, hj, tmp_path):
    """A program whose last request began a refresh waits for the answer before it ends."""
    emulator.advance(STALE)
    with emulator.hold("token/refresh", when="after") as hold:
        program = start(emulator, tmp_path)
        hold.wait_arrived()
        assert program.stdout.readline() == "begins\n"
        assert program.stdout.readline() == "ends\n"
    out, errors = program.communicate(timeout=20)
    assert (program.returncode, out, errors) == (0, "", "")
    emulator.advance(EXPIRED)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


def test_no_refresh_begins_at_the_very_end(emulator, hj, tmp_path):
    """An exit handler that runs after the SDK's own gets the token, or an error, and begins no refresh."""
    emulator.advance(STALE)
    program = start(emulator, tmp_path, "at exit")
    assert program.communicate(timeout=20) == ("", "")
    assert (program.returncode, emulator.calls("token/refresh")) == (0, 0)
    emulator.advance(EXPIRED)
    survives(emulator, hj, rotations=1)


def test_ending_program_does_not_try_again(emulator, hj, tmp_path):
    """An ending program waits for one attempt of a refresh, and begins no other."""
    emulator.advance(STALE)
    emulator.fail("token/refresh", status=500, times=None)
    with emulator.hold("token/refresh") as hold:
        program = start(emulator, tmp_path)
        hold.wait_arrived()
        program.stdout.readline()
        program.stdout.readline()
    begun = time.monotonic()
    assert program.communicate(timeout=20) == ("", "")
    assert time.monotonic() - begun < 5
    assert (program.returncode, emulator.calls("token/refresh")) == (0, 1)
    emulator.clear_failures()
    emulator.advance(EXPIRED)
    survives(emulator, hj, rotations=1)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_ending_worker_stores_a_background_refresh(emulator, hj, tmp_path, method):
    """A multiprocessing worker ends without atexit, and waits for its refresh nevertheless."""
    emulator.advance(STALE)
    arguments = (emulator.url, str(tmp_path / "sessions"), ahead(emulator))
    with emulator.hold("token/refresh", when="after") as hold:
        with no_warning_about_forks():
            worker = multiprocessing.get_context(method).Process(target=work, args=arguments)
            worker.start()
        hold.wait_arrived()
    worker.join(20)
    assert worker.exitcode == 0
    emulator.advance(EXPIRED)
    assert hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


# ---------------------------------------------------------------- forks


def test_child_of_a_fork_adopts_the_parents_refresh(emulator, hj):
    """A child that was forked during a refresh waits for its parent's result, and adopts it."""
    emulator.advance(EXPIRED)
    begins, begun = os.pipe()

    def child() -> bool:
        os.write(begun, b"!")
        return bool(hj.auth.access_token())

    with emulator.hold("token/refresh", when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        pid = forked(child)
        os.read(begins, 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert isinstance(refreshing(), str)
    os.close(begins)
    os.close(begun)
    survives(emulator, hj, rotations=1)


def test_children_of_one_parent_share_one_refresh(emulator, hj):
    """Workers that were forked from a signed-in process cost one refresh per expiry."""
    hj.auth.access_token()
    emulator.advance(EXPIRED)
    pids = [forked(lambda: bool(hj.auth.access_token())) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    survives(emulator, hj, rotations=1)


def test_child_of_a_fork_in_a_callback_delivers_its_events(emulator, hj):
    """A child that was forked inside a callback has a thread for its own events."""
    seen: list[object] = []
    ended = threading.Event()

    def child() -> bool:
        log = EventLog(hj)
        hj.auth.sign_out()
        return log.names() == ["SIGNED_OUT"]

    def fork_once(event) -> None:
        seen.append(event.type)
        if len(seen) == 1:
            seen.append(os.waitpid(forked(child), 0)[1])
            ended.set()

    hj.on(fork_once)
    emulator.advance(EXPIRED)
    hj.auth.refresh()
    assert ended.wait(60)  # refresh() waits only a moment for callbacks
    assert seen == ["TOKEN_REFRESHED", 0]


@contextmanager
def no_warning_about_forks() -> Iterator[None]:
    """Ignore the warning about a fork of a process with threads, which is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def forked(action: Callable[[], bool]) -> int:
    """Fork. The child ends with 0 if ``action`` returns true."""
    with no_warning_about_forks():
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if action() else 2
        finally:
            os._exit(code)
    return pid

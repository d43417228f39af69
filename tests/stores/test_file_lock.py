"""The locks of FileStore: between threads, processes and forks, and when the lock file is removed."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn.stores import FileStore, _file_lock
from tests.stores.fakes import Clock
from tests.stores.forking import in_forked_child


@pytest.fixture
def store(tmp_path) -> FileStore:
    """Return a store in a folder that does not exist yet."""
    return FileStore(tmp_path / "sessions")


def _lock_file(store: FileStore):
    return store._file("k").with_suffix(".lock")


_HOLD = """
import sys
from hellojohn.stores import FileStore
with FileStore(sys.argv[1]).lock("k", 10):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_a_killed_process(store):
    """The killed holder blocks no other process, and leaves nothing to clean up."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _HOLD, store.path], stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked, match=r"\.lock for 0\.02 s"), store.lock("k", 0.02):
            pytest.fail("locked twice")
        process.send_signal(signal.SIGKILL)
        process.wait()
        with store.lock("k", 0):
            pass


def test_the_lock_file_stays(store):
    """Unlinking it would let two holders in: one on the old file, one on the new."""
    with store.lock("k", 1):
        inode = _lock_file(store).stat().st_ino
    with store.lock("k", 1):
        assert _lock_file(store).stat().st_ino == inode


@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
def test_a_file_removed_while_it_is_locked_does_not_count(store, monkeypatch, again):
    """Another program tidied up between opening and locking: the lock would exclude nothing."""
    real, file, tidied = _file_lock.lock_descriptor, _lock_file(store), iter([True, False])

    def tidy_first(descriptor: int, *, blocking: bool) -> bool:
        if next(tidied):
            file.unlink()
            if again:
                file.touch(0o600)
        return real(descriptor, blocking=blocking)

    monkeypatch.setattr(_file_lock, "lock_descriptor", tidy_first)
    with store.lock("k", 1):
        monkeypatch.undo()
        assert file.exists()
        with pytest.raises(StoreLocked), store.lock("k", 0):
            pytest.fail("two holders")
    assert next(tidied, None) is None


@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
@pytest.mark.parametrize("act", ["save", "delete", "save the value"])
def test_a_holder_whose_lock_file_was_removed_saves_nothing(store, again, act):
    """Another holder may have taken a new lock file and saved since."""
    store.save("k", "theirs")
    with store.lock("k", 1) as value:
        _lock_file(store).unlink()
        if again:
            _lock_file(store).touch(0o600)
        acts = {
            "save": lambda: store.save("k", "mine"),
            "delete": lambda: store.delete("k"),
            "save the value": lambda: value.save("mine"),
        }
        with pytest.raises(StoreLocked, match=r"was lost.*Nothing was written"):
            acts[act]()
    assert store.load("k") == "theirs"


def test_a_released_lock_saves_nothing_more(store):
    """The next holder may have saved since."""
    with store.lock("k", 1) as value:
        value.save("text", release=True)
        with store.lock("k", 0):
            pass
        for save in (lambda: value.save("late"), lambda: store.save("k", "late")):
            with pytest.raises(StoreLocked, match="has been released"):
                save()
    assert store.load("k") == "text"


def test_a_file_system_without_locks_is_reported(store, monkeypatch):
    """Going on without a lock would let two processes use one refresh token."""

    def refuse(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOSYS, "Function not implemented")

    opened = len(_file_lock._opened)
    monkeypatch.setattr(_file_lock, "lock_descriptor", refuse)
    with pytest.raises(StoreUnavailable, match="Function not implemented"), store.lock("k", 1):
        pytest.fail("locked")
    assert len(_file_lock._opened) == opened


def test_waiters_look_less_and_less_often(store, monkeypatch):
    """Each look opens a file; many waiters of a slow refresh must not keep the disk busy."""
    with store.lock("k", 1):
        clock = Clock()
        monkeypatch.setattr(_file_lock, "time", clock)
        with pytest.raises(StoreLocked), store.lock("k", 5.0):
            pytest.fail("locked twice")
    assert 100 < clock.looks < 120
    assert clock.now == pytest.approx(1005.0)


# Forks


def test_a_child_forked_inside_a_lock_does_not_hold_it(store):
    """Only the parent goes on; the child neither writes nor releases in its name."""

    def try_to_lock() -> str:
        with store.lock("k", 0.02):
            return "locked"

    with store.lock("k", 1) as value:
        assert in_forked_child(try_to_lock).startswith("StoreLocked: ")
        assert in_forked_child(lambda: str(store.save("k", "the child's"))).startswith("StoreLocked: ")
        assert in_forked_child(lambda: str(value.save("the child's"))).startswith("StoreLocked: ")
        with pytest.raises(StoreLocked), store.lock("k", 0):
            pytest.fail("the child released the parent's lock")
    assert in_forked_child(try_to_lock) == "locked"
    assert store.load("k") is None


def test_a_child_does_not_keep_a_lock_that_the_parent_released(store):
    """An inherited descriptor must not keep the lock alive."""
    go, released = os.pipe()
    held, forked = threading.Event(), threading.Event()

    def lock_after_the_parent() -> str:
        os.read(go, 1)
        with store.lock("k", 0):
            return "locked"

    def hold() -> None:
        with store.lock("k", 1):
            held.set()
            forked.wait()
        os.write(released, b"x")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    os.register_at_fork(after_in_parent=forked.set)
    assert in_forked_child(lock_after_the_parent) == "locked"
    holder.join()


def test_a_child_that_outlives_a_killed_parent_can_lock(store):
    """A worker is not blocked by the descriptor that it inherited from its master."""
    code = """
import os, signal, sys
from hellojohn.stores import FileStore
store = FileStore(sys.argv[1])
with store.lock("k", 1):
    parent = os.getpid()
    if os.fork() == 0:
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            pass
        with store.lock("k", 0):
            print("locked", flush=True)
        os._exit(0)
    signal.pause()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, store.path], stdout=subprocess.PIPE, timeout=20, check=False
    )
    assert done.stdout == b"locked\n"


def test_an_idle_child_does_not_keep_the_lock_of_a_killed_parent(store):
    """The child never uses the store, so the descriptor must be closed at the fork."""
    code = """
import os, signal, sys
from hellojohn.stores import FileStore
with FileStore(sys.argv[1]).lock("k", 1):
    if os.fork() == 0:
        print("ready", flush=True)
        sys.stdin.read()
        os._exit(0)
    signal.pause()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code, store.path], stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        parent.wait()
        with store.lock("k", 5):
            pass


def test_a_lock_may_be_left_on_another_thread(store):
    """A generator that held it may be collected on any thread; its first thread holds it no more."""
    holder = store.lock("k", 1)
    holder.__enter__()
    thread = threading.Thread(target=holder.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert store._held.find("k") is None
    with store.lock("k", 0):
        pass

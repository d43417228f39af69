"""A lock file: excludes threads and processes, and ends with its holder. Knows no store.

Each use opens its own descriptor, so that threads exclude each other as processes do. The file is never
unlinked: a waiter would go on waiting for a file that later processes cannot see. The locking call is that of
filelock.
"""

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

from hellojohn._errors import StoreLocked
from hellojohn.stores._private_files import PrivateFolder, explained

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.005, 0.05, 1.3
_CLOSED = -1


class LockFile:
    """One use of a lock file."""

    def __init__(self, folder: PrivateFolder, path: Path) -> None:
        """Note the file ``path`` in ``folder``; nothing is opened yet."""
        self._folder = folder
        self._path = path
        self._descriptor = _CLOSED

    def acquire(self) -> bool:
        """Try once, and return whether this is the holder now.

        Raises:
            StoreUnavailable: The file cannot be opened or locked, or others could reach it.
        """
        with explained("lock", self._path), _gate:
            self._descriptor = self._folder.open(self._path, os.O_RDWR | os.O_CREAT)
            _opened.add(self)
            locked = False
            try:
                locked = lock_descriptor(self._descriptor, blocking=False) and self._is_in_place()
            finally:
                if not locked:
                    self.abandon()
        return locked

    def refuse_lost(self) -> None:
        """Raise ``StoreLocked`` if this is not the holder any more."""
        if self._descriptor == _CLOSED:
            msg = f"The lock {self._path} has been released, or is held by the parent of this process."
            raise StoreLocked(msg)
        if not self._is_in_place():
            msg = f"The lock {self._path} was lost: its file was removed. Nothing was written."
            raise StoreLocked(msg)

    def release(self) -> None:
        """Release the lock if it is held; a second call does nothing."""
        with _gate:
            if self._descriptor != _CLOSED:
                # A subprocess between fork and exec still shares the descriptor: closing it is not enough.
                with suppress(OSError):
                    unlock_descriptor(self._descriptor)
                self.abandon()

    def abandon(self) -> None:
        """Close the descriptor without unlocking: after a fork, the parent still holds the lock."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        _opened.discard(self)
        with suppress(OSError):
            os.close(descriptor)

    def _is_in_place(self) -> bool:
        """Return whether other processes would open the same file: a removed file excludes nothing."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.lstat())
        except FileNotFoundError:
            return False


@contextmanager
def file_lock(folder: PrivateFolder, path: Path, timeout: float) -> Generator[LockFile]:
    """Hold the lock of ``path``, a file in ``folder``, waiting up to ``timeout`` seconds.

    Raises:
        StoreLocked: Another holder had it for the whole wait.
        StoreUnavailable: The file cannot be opened or locked, or others could reach it.
    """
    deadline, pause = time.monotonic() + timeout, _FIRST_PAUSE
    lock = LockFile(folder, path)
    try:
        while not lock.acquire():
            if (left := deadline - time.monotonic()) <= 0:
                msg = f"Another thread or process has held {path} for {timeout:g} s. Try again."
                raise StoreLocked(msg)
            time.sleep(min(pause, left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        yield lock
    finally:
        lock.release()


_opened: set[LockFile] = set()
# A fork between opening a descriptor and noting it would leave the child with a share of the lock. The gate
# is re-entrant because a collected generator may release its lock while this thread is inside.
_gate = threading.RLock()


def _abandon_inherited() -> None:
    for lock in tuple(_opened):
        lock.abandon()
    _gate.release()


# The child must close the descriptors even if it never uses a store: while it has one, the lock of a killed
# parent stays. So this cannot wait for the child's first call, as the other stores do.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.acquire, after_in_parent=_gate.release, after_in_child=_abandon_inherited
    )

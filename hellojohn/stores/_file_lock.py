"""A lock file: excludes threads and processes, dies with its holder, and is not inherited through fork.

Each use opens a descriptor of its own, so that threads exclude each other just as processes do. The file is
never unlinked: a waiter would go on waiting on a file that nobody else can see. The locking call itself is
filelock's. This module knows no store.
"""

import os
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

from hellojohn._errors import StoreLocked
from hellojohn.stores._private_files import explained, open_private

_POLL = 0.005
_CLOSED = -1


@contextmanager
def file_lock(path: Path, timeout: float) -> Generator[None]:
    """Hold the lock of ``path``, a file in a private folder, waiting up to ``timeout`` seconds.

    Raises:
        StoreLocked: Somebody else held it for the whole wait.
        StoreUnavailable: The file cannot be opened or locked, or others could reach it.
    """
    deadline = time.monotonic() + timeout
    with closing(_LockFile(path)) as lock:
        while not lock.acquire():
            if (left := deadline - time.monotonic()) <= 0:
                msg = f"Another thread or process has held {path} for {timeout:g} s. Try again."
                raise StoreLocked(msg)
            time.sleep(min(_POLL, left))
        yield


class _LockFile:
    """One use of a lock file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _CLOSED

    def acquire(self) -> bool:
        """Try once."""
        with explained("lock", self._path), _gate:
            self._descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
            _opened.add(self)
            locked = False
            try:
                locked = lock_descriptor(self._descriptor, blocking=False) and self._is_in_place()
            finally:
                if not locked:
                    self.abandon()
        return locked

    def close(self) -> None:
        """Release the lock if it is held; again is no error."""
        with _gate:
            if self._descriptor != _CLOSED:
                # A subprocess on its way to exec still shares the descriptor: closing it here is not enough.
                with suppress(OSError):
                    unlock_descriptor(self._descriptor)
                self.abandon()

    def abandon(self) -> None:
        """Close the descriptor and leave the lock to whoever shares it: the parent of a fork."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        _opened.discard(self)
        with suppress(OSError):
            os.close(descriptor)

    def _is_in_place(self) -> bool:
        """Tell whether others will meet this file: one that was unlinked or replaced locks nobody out."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.lstat())
        except FileNotFoundError:
            return False


_opened: set[_LockFile] = set()
# No fork may come between opening a descriptor and noting it: the child would share a lock unawares.
# Re-entrant because a collected generator may close its lock while this thread is inside.
_gate = threading.RLock()


def _abandon_inherited() -> None:
    for lock in tuple(_opened):
        lock.abandon()
    _gate.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_gate.acquire, after_in_parent=_gate.release, after_in_child=_abandon_inherited
    )

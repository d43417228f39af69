"""The locks that each thread holds. Knows no store."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

from hellojohn._errors import StoreLocked

L = TypeVar("L")


class HeldLocks(threading.local, Generic[L]):
    """The locks that the current thread holds, by key."""

    def __init__(self) -> None:
        """Start with none; called once for each thread."""
        self._locks: dict[str, tuple[L, int]] = {}

    def find(self, key: str) -> L | None:
        """Return the lock that this thread holds on ``key``, or ``None``.

        Raises:
            StoreLocked: The process was forked while this thread held the lock. The parent still holds it.
        """
        held = self._locks.get(key)
        if held is None:
            return None
        lock, pid = held
        refuse_in_child(pid, key)
        return lock

    @contextmanager
    def noted(self, key: str, lock: L) -> Generator[None]:
        """Note that this thread holds ``lock`` on ``key``."""
        # The lock may be left on another thread. And another lock may be noted already: one whose lease ran
        # out while this thread was suspended, or that of a parent process.
        locks = self._locks
        outer = locks.get(key)
        locks[key] = lock, os.getpid()
        try:
            yield
        finally:
            locks.pop(key, None)
            if outer is not None:
                locks[key] = outer


def refuse_in_child(pid: int, key: str) -> None:
    """Refuse to use a lock in a child of the process that took it.

    Raises:
        StoreLocked: Another process, ``pid``, took the lock of ``key``.
    """
    if os.getpid() != pid:
        msg = f"This process was forked inside the lock of {key!r}, which its parent still holds."
        raise StoreLocked(msg)


class ProcessLock:
    """A lock among the threads of a process. A forked child gets another one, which is free."""

    def __init__(self) -> None:
        """Start without any process."""
        self._locks: dict[int, threading.Lock] = {}

    def current(self) -> threading.Lock:
        """Return the lock of the current process."""
        return self._locks.setdefault(os.getpid(), threading.Lock())

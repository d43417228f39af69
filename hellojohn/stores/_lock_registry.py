"""Which locks the present thread holds in the present process. Imports no store."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from hellojohn._errors import StoreLocked


class _Hold(NamedTuple):
    pid: int
    token: str


def refuse_in_child(pid: int, key: str) -> None:
    """Refuse to use a lock in a child of the process that took it.

    Raises:
        StoreLocked: The process ``pid`` took the lock of ``key``, and this is another process.
    """
    if os.getpid() != pid:
        msg = f"This process was forked inside the lock of {key!r}, which its parent still holds."
        raise StoreLocked(msg)


class HeldLocks(threading.local):
    """A thread's own record of the locks it holds, each with the token that proves it."""

    def __init__(self) -> None:
        """Start with none; called once for each thread."""
        self._holds: dict[str, _Hold] = {}

    def holds(self, key: str) -> bool:
        """Return whether this thread is inside the lock of ``key``.

        Raises:
            StoreLocked: It was when its process was forked: the lock is still the parent's.
        """
        return self.token(key) is not None

    def token(self, key: str) -> str | None:
        """Return the token of the lock that this thread holds on ``key``, or ``None``.

        Raises:
            StoreLocked: The process was forked inside the lock: it is still the parent's.
        """
        hold = self._holds.get(key)
        if hold is None:
            return None
        refuse_in_child(hold.pid, key)
        return hold.token

    @contextmanager
    def noted(self, key: str, token: str = "") -> Generator[None]:
        """Note the lock of ``key`` as held by this thread."""
        mine = self._holds  # another thread may be the one to leave
        outer = mine.get(key)  # a lease that ran out while this thread slept, or a parent's
        mine[key] = _Hold(os.getpid(), token)
        try:
            yield
        finally:
            mine.pop(key, None)
            if outer:
                mine[key] = outer

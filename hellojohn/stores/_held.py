"""Which locks the present thread holds in the present process. Imports nothing of the package."""

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager


class HeldLocks(threading.local):
    """A thread's own record of the locks it holds; in a forked child it holds none."""

    def __init__(self) -> None:
        """Start with none; called once for each thread."""
        self._pids: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether this thread took the lock of ``key`` in this process."""
        return self._pids.get(key) == os.getpid()

    @contextmanager
    def noted(self, key: str) -> Generator[None]:
        """Note the lock of ``key`` as held by this thread."""
        mine = self._pids  # another thread may be the one to leave
        mine[key] = os.getpid()
        try:
            yield
        finally:
            del mine[key]

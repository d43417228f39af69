"""Turns at the system keyring, for the threads and processes of one user. Knows no session.

Turns are fair. A thread or process that uses the keyring again and again would otherwise be faster than those
that have to wake up or to poll. So the one that is next holds the queue, and the others wait for the queue.
"""

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from hellojohn.stores._file_lock import file_lock
from hellojohn.stores._lock_registry import ProcessLock
from hellojohn.stores._private_files import PrivateFolder

LONGEST = 5.0
"""Seconds to wait for a turn. The keyring may be asking the user of another process for a password."""

# GNOME Keyring 42 aborts, and starts again locked, if a connection comes while it forgets the last one. Each
# call makes a connection. Without a pause, 3 of 4 runs of 2,000 calls ended so; with 2 or 5 ms, none of 8.
_PAUSE = 0.005

_thread_queue, _thread_turn = ProcessLock(), ProcessLock()


class Turns:
    """Takes turns with all threads of this process, and with all processes that use the same folder."""

    def __init__(self, folder: PrivateFolder) -> None:
        """Keep lock files in ``folder``; nothing is created yet."""
        self._folder = folder

    @contextmanager
    def take(self) -> Generator[None]:
        """Exclude the others for a moment; go on without that if it takes too long or cannot be had."""
        with ExitStack() as turn:
            with _acquired(_thread_queue):
                turn.enter_context(_acquired(_thread_turn))
            with suppress(OSError):
                self._folder.make()
                with self._file("queue"):
                    turn.enter_context(self._file("turn"))
            try:
                yield
            finally:
                time.sleep(_PAUSE)

    def _file(self, name: str) -> AbstractContextManager[object]:
        return file_lock(self._folder, self._folder.path / f"keyring-{name}.lock", LONGEST)


@contextmanager
def _acquired(process_lock: ProcessLock) -> Generator[None]:
    lock = process_lock.current()
    acquired = lock.acquire(timeout=LONGEST)
    try:
        yield
    finally:
        if acquired:
            lock.release()

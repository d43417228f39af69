"""The lock for modules that are loaded late, on threads of the SDK. A fork waits for it.

Without it, a child that is forked while a thread loads a module would keep half of that module for good.
"""

import os
import threading

_LONGEST = 10.0  # seconds; a module may wait for one that the forking thread is loading


class _Loading:
    """Hold it around imports and the first use of OpenSSL, and around nothing else."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._forking = False

    def __enter__(self) -> None:
        """Begin to load."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Everything is loaded."""
        self._lock.release()

    def before_fork(self) -> None:
        """Wait for the thread that loads."""
        self._forking = self._lock.acquire(timeout=_LONGEST)

    def after_in_parent(self) -> None:
        """Let threads load again."""
        if self._forking:
            self._lock.release()

    def after_in_child(self) -> None:
        """Let threads load again; forget the parent's, if it went on without this lock."""
        if self._forking:
            self._lock.release()
        else:
            self._lock = threading.RLock()


loading = _Loading()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=loading.before_fork,
        after_in_parent=loading.after_in_parent,
        after_in_child=loading.after_in_child,
    )

"""The order of operations: the sign-in or sign-out that was asked for last wins."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Overtaken(Exception):
    """A later sign-in or sign-out came first: this operation must not write any more."""


class Writes:
    """The mutex of all writes of an account in this process, and how many there were.

    A sign-in may write while a refresh of this process holds the store's lock. The count tells the refresh.
    """

    __slots__ = ("count", "mutex")

    def __init__(self) -> None:
        self.mutex: threading.Lock = threading.Lock()
        self.count: int = 0


class Turn:
    """The right of one operation to write, which ends when a later operation takes its place.

    All writes of an account in this process go through one mutex, so that a check of the order and the write
    that follows cannot be separated by another write.
    """

    __slots__ = ("_writes", "is_current", "order")

    def __init__(self, order: int, writes: Writes, is_current: Callable[[], bool]) -> None:
        """Take the number of the operation, the writes of the account, and the check of the order."""
        self.order: int = order
        self._writes = writes
        self.is_current: Callable[[], bool] = is_current

    def writes_so_far(self) -> int:
        """Return how many writes of the account there were in this process."""
        return self._writes.count

    @contextmanager
    def writing(self, *, if_still: int | None = None) -> Generator[None]:
        """Hold the mutex for a write.

        Args:
            if_still: How many writes there were when the record to change was read, if another write makes
                this one wrong.

        Raises:
            Overtaken: A later operation has taken this one's place, or has written.
        """
        with self._writes.mutex:
            if not self.is_current() or if_still not in (None, self._writes.count):
                raise Overtaken
            try:
                yield
            finally:
                self._writes.count += 1

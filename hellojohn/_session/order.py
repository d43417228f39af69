"""The order of operations: the sign-in or sign-out that was asked for last wins."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Overtaken(Exception):
    """A later sign-in or sign-out came first: this operation must not write any more."""


class Turn:
    """The right of one operation to write, which ends when a later operation takes its place.

    All writes of an account in this process go through one mutex, so that a check of the order and the write
    that follows cannot be separated by another write.
    """

    __slots__ = ("_mutex", "is_current", "order")

    def __init__(self, order: int, mutex: threading.Lock, is_current: Callable[[], bool]) -> None:
        """Take the number of the operation, the mutex of the account, and the check of the order."""
        self.order = order
        self._mutex = mutex
        self.is_current = is_current

    @contextmanager
    def writing(self) -> Generator[None]:
        """Hold the mutex for a write.

        Raises:
            Overtaken: A later operation has taken this one's place.
        """
        with self._mutex:
            if not self.is_current():
                raise Overtaken
            yield

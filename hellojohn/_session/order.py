"""The order of operations: the sign-in or sign-out that was asked for last wins."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from hellojohn._session.account_storage import AccountStorage


class Overtaken(Exception):
    """A later sign-in or sign-out came first: this operation must not write any more."""


class Turn:
    """The right of one operation to write, which ends when a later operation takes its place.

    All writes of an account in this process go through one mutex, so that a check of the order and the write
    that follows cannot be separated by another write.
    """

    __slots__ = ("_storage", "is_current", "order")

    def __init__(self, order: int, storage: AccountStorage, is_current: Callable[[], bool]) -> None:
        """Take the number of the operation, the account's place in the store, and the check of the order."""
        self.order: int = order
        self._storage = storage
        self.is_current: Callable[[], bool] = is_current

    @contextmanager
    def reading(self) -> Generator[int]:
        """Hold the mutex for a read that may quarantine the record. Yields how many writes there were.

        Raises:
            Overtaken: A later operation has taken this one's place.
        """
        with self._storage.mutex:
            if not self.is_current():
                raise Overtaken
            yield self._storage.writes

    @contextmanager
    def writing(self, *, if_still: int | None = None) -> Generator[None]:
        """Hold the mutex for a write.

        Args:
            if_still: How many writes there were when the record to change was read, if another write makes
                this one wrong.

        Raises:
            Overtaken: A later operation has taken this one's place, or has written.
        """
        with self._storage.mutex:
            if not self.is_current() or if_still not in (None, self._storage.writes):
                raise Overtaken
            try:
                yield
            finally:
                self._storage.writes += 1

    @contextmanager
    def cleaning_up(self) -> Generator[None]:
        """Hold the mutex to remove what this operation left in the store before its turn ended."""
        with self._storage.mutex:
            try:
                yield
            finally:
                self._storage.writes += 1

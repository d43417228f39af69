"""The place of one account in the store: its lock, and the order of this process's writes to it."""

import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

from hellojohn._errors import StoreLocked
from hellojohn._session.storage import LockedSession, SessionStorage
from hellojohn._waiting import Completion

_LOCK_TRY = 0.25


class AccountStorage:
    """Where one account is stored.

    All writes of the account in this process go through one mutex. A sign-in may write while a refresh of
    this process holds the store's lock. The refresh notices it by the count of writes, and keeps the lock
    until the sign-in has written.

    Attributes:
        mutex: Held for every write.
        writes: How many writes there were in this process.
    """

    __slots__ = ("_holding", "_key", "_sharing", "_storage", "mutex", "writes")

    def __init__(self, storage: SessionStorage, key: str) -> None:
        """Take the store, and its key for the account."""
        self._storage = storage
        self._key = key
        self._holding: set[LockedSession] = set()
        self._sharing: set[Completion] = set()
        self.mutex: threading.Lock = threading.Lock()
        self.writes: int = 0

    @contextmanager
    def locked(self, wait: float) -> Generator[LockedSession]:
        """Hold the store's lock for a refresh or a save."""
        taking = self._storage.locked(
            self._key, wait, is_outdated=self._written_since_now(), is_shared=lambda: bool(self._sharing)
        )
        with taking as locked:
            with self.mutex:
                self._holding.add(locked)
            try:
                yield locked
            finally:
                with self.mutex:  # nobody begins to share it any more
                    self._holding.discard(locked)
                for sharing in tuple(self._sharing):
                    sharing.wait(self._storage.lock_wait)

    @contextmanager
    def locked_or_shared(self, wait: float) -> Generator[LockedSession]:
        """Hold the store's lock for a sign-in or a sign-out, which must not wait for a refresh.

        If a refresh of this account in this process holds the lock, it is shared, unless its lease may be
        over: all writes of the account go through one mutex, and the refresh finds its turn over.

        Raises:
            StoreLocked: The lock was held for ``wait`` seconds, and could not be shared.
        """
        storage = self._storage
        wait = min(wait, storage.lock_wait)
        ends_at = storage.timing.monotonic() + wait
        with ExitStack() as stack:
            locked = None
            while locked is None:
                left = ends_at - storage.timing.monotonic()
                turn = max(min(left, _LOCK_TRY), 0.0)
                taking = storage.locked(self._key, turn, is_outdated=self._written_since_now())
                try:
                    locked = stack.enter_context(taking)
                except StoreLocked:
                    locked = stack.enter_context(self._shared())
                    if locked is None and left <= _LOCK_TRY:
                        what = "Another thread or process has held the session's lock"
                        raise StoreLocked(f"{what} for {wait:g} s. Try again.") from None
            yield locked

    @contextmanager
    def _shared(self) -> Generator[LockedSession | None]:
        """Share the lock that a refresh of this process holds; yield ``None`` if none holds it.

        A lease that may be over is not shared: another process may have the lock by now. This is checked
        again before each write.
        """
        sharing, place = Completion(), None
        with self.mutex:
            usable = (locked for locked in self._holding if not (locked.released or locked.is_lease_over()))
            held = next(usable, None)
            if held is not None:
                self._sharing.add(sharing)
                place = self._storage.unlocked(self._key, is_lost=held.is_lease_over)
        try:
            yield place
        finally:
            self._sharing.discard(sharing)
            sharing.complete()

    def _written_since_now(self) -> Callable[[], bool]:
        """Return a function that returns whether there were writes since this call."""
        before = self.writes
        return lambda: self.writes != before

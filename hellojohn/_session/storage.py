"""Records in a token store: the only caller of a ``TokenStore``.

It encodes and checks records, and quarantines damaged ones.
"""

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from hellojohn._clock import Timing, within_time
from hellojohn._errors import StoreCorrupt, StoreError, StoreLocked, StoreUnavailable
from hellojohn._limits import (
    KEPT_AFTER_END,
    KEPT_WITHOUT_END,
    LEASE_END,
    LEASE_SHARE,
    LOCK_SPARE,
    REFRESH_DEADLINE,
)
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn._session.conflicts import RULES, Bringing, compare
from hellojohn._session.failures import guarded
from hellojohn._session.record import EndedRecord, SessionRecord, Stored
from hellojohn._session.record_format import dump, parse
from hellojohn.stores._capabilities import describe, enter_lock, lease_of, quarantine, saver, without_lock
from hellojohn.stores._protocol import LockedValue, TokenStore

logger = logger_of("hellojohn")


def _never() -> bool:
    return False


class Replaced(NamedTuple):
    """How ``LockedSession.replace`` ended.

    Attributes:
        saved: Whether the new session was saved.
        stored: The content of the store before.
        to_revoke: A session to sign out at the service, if there is one.
    """

    saved: bool
    stored: Stored | None
    to_revoke: SessionRecord | None


class SessionStorage:
    """The sessions of one service and tenant in one store.

    Attributes:
        leased: Whether a lock is a lease, which its holder can lose.
        lease: The seconds that a lease lasts; infinity for other locks.
        refresh_time: The seconds that a refresh may take under the lock.
        lock_wait: The seconds to wait for the lock: longer than a live holder needs and a dead holder's lease
            lasts.
    """

    def __init__(self, store: TokenStore, *, api_url: str, tenant_id: str, timing: Timing) -> None:
        """Use the sessions in ``store`` that ``api_url`` issued for ``tenant_id``."""
        self._store = store
        self._save = saver(store)
        self._origin = (api_url, tenant_id)
        self.timing = timing
        self.lease: float = lease_of(store) or math.inf
        self.leased: bool = math.isfinite(self.lease)
        self.refresh_time: float = min(REFRESH_DEADLINE, self.lease * LEASE_SHARE)
        self.lock_wait: float = LOCK_SPARE + (self.lease if self.leased else REFRESH_DEADLINE)

    def peek(self, key: str) -> Stored | None:
        """Read a record without the lock, and change nothing.

        Raises:
            StoreCorrupt: The text is not a record of this service and tenant.
            StoreError: The store failed.
        """
        text = guarded("load", lambda: self._store.load(key))
        return None if text is None else self.read(text)

    def read(self, text: object) -> Stored:
        """Read and check the text of a record.

        Raises:
            StoreCorrupt: It is not a record of this service and tenant.
            StoreUnavailable: It is no text at all: the store is wrong, and not what it holds.
        """
        if not isinstance(text, str):
            what = f"The token store's load() returned {type(text).__name__}"
            raise StoreUnavailable(f"{what}. It must return a str, or None.")
        record = parse(text)
        if (record.api_url, record.tenant_id) != self._origin:
            raise StoreCorrupt("The stored session belongs to another service or tenant.")
        return record

    def unlocked(self, key: str, *, is_lost: Callable[[], bool] = _never) -> "LockedSession":
        """Return the session's place without the lock: this process holds it already, or must not wait.

        ``is_lost`` returns whether the lock may be another process's by now. Then nothing is written.
        """
        return LockedSession(self, key, without_lock(self._store, key), is_lost=is_lost)

    @contextmanager
    def locked(
        self,
        key: str,
        wait: float = math.inf,
        *,
        is_outdated: Callable[[], bool] = _never,
        is_shared: Callable[[], bool] = _never,
    ) -> "Generator[LockedSession]":
        """Hold the store's lock of ``key``.

        Args:
            key: The store's key for a session.
            wait: The seconds to wait for the lock, if they are less than ``lock_wait``.
            is_outdated: Returns whether this process has written since it asked for the lock. A text that
                came with the lock is then not used.
            is_shared: Returns whether another operation shares the lock. Then no save gives it back.

        Raises:
            StoreLocked: Another holder kept it for that long.
            StoreError: The store failed.
        """
        wait = min(wait, self.lock_wait)
        leave, value = guarded("lock", lambda: enter_lock(self._store, key, wait))
        try:
            yield LockedSession(self, key, value, is_outdated=is_outdated, is_shared=is_shared)
        finally:
            # A lock that was lost undoes nothing that was saved under it, so this failure is only logged.
            try:
                leave()
            except Exception as error:  # noqa: BLE001 - a store is a plug-in
                logger.warning("The token store did not release its lock (%s).", type(error).__name__)

    def save(self, key: str, record: Stored) -> None:
        """Write a record without the lock."""
        guarded("save", lambda: self._save(key, dump(record), self.life(record)))

    def delete(self, key: str) -> None:
        """Remove a record."""
        guarded("delete", lambda: self._store.delete(key))

    def quarantine(self, key: str, problem: StoreCorrupt) -> StoreCorrupt:
        """Move a damaged text out of the way, log where it is, and return the error that says so."""
        place = guarded("quarantine", lambda: quarantine(self._store, key))
        where = f"It was quarantined as {place}" if place else "It is gone"
        logger.error("%s %s.", problem, where)
        return StoreCorrupt(f"{problem} {where}. Sign in again.")

    def life(self, record: Stored) -> float:
        """Return the seconds after which a store may forget a record.

        Not every answer says when the session ends. Then the life is counted from this save, and each refresh
        lengthens it. A session lives no longer than was asked for.
        """
        if isinstance(record, EndedRecord):
            return KEPT_AFTER_END
        ends_at = record.session_ends_at
        if ends_at is None:
            return math.ceil((record.duration or KEPT_WITHOUT_END) + KEPT_AFTER_END)
        return math.ceil(max(ends_at - within_time(self.timing.clock()), 0.0) + KEPT_AFTER_END)

    def describe(self) -> Mapping[str, str]:
        """Return the store's description of itself, and its class."""
        kind = {"store": type(self._store).__name__}
        try:
            facts = guarded("describe", lambda: dict(describe(self._store)))
            return {**kind, **{str(name): str(fact) for name, fact in facts.items()}}
        except StoreError as error:
            return {**kind, "advice": str(error)}


class LockedSession:
    """The session under one key, while the lock is held.

    Attributes:
        key: The store's key for it.
        damaged: Whether a damaged text was quarantined, under this lock or before, and nothing has been saved
            in its place.
        report: The error about a text that was quarantined under this lock.
        released: Whether the last save has given the lock back.
    """

    def __init__(
        self,
        storage: SessionStorage,
        key: str,
        value: LockedValue,
        *,
        is_outdated: Callable[[], bool] = _never,
        is_shared: Callable[[], bool] = _never,
        is_lost: Callable[[], bool] = _never,
    ) -> None:
        """Made by ``SessionStorage.locked`` and ``SessionStorage.unlocked``, whose arguments these are."""
        self._storage = storage
        self.key: str = key
        self._value = value
        self._monotonic_start = storage.timing.monotonic()
        self._wall_start = storage.timing.clock()
        self._text: Secret | None = None  # what was last read or written here is not parsed again
        self._record: Stored | None = None
        self.damaged: bool = False
        self.report: StoreCorrupt | None = None
        self.released: bool = False
        self._is_outdated = is_outdated
        self._is_shared = is_shared
        self._is_lost = is_lost
        self._is_first = True

    def load(self, *, quarantine_unreadable: bool = False) -> Stored | None:
        """Read the record; quarantine a damaged one and return ``None``.

        Args:
            quarantine_unreadable: Also quarantine what another key or a later version could read.

        Raises:
            StoreCorrupt: Another key or a later version can read the text. It was left alone.
            StoreError: The store failed.
        """
        if self._is_first and self._is_outdated():
            with suppress(StoreCorrupt):
                guarded("load", self._value.load)
        self._is_first = False
        try:
            text = guarded("load", self._value.load)
            if text is None:
                return None
            if self._text is None or text != self._text.reveal():
                self._record = self._storage.read(text)
                self._text = Secret(text)
        except StoreCorrupt as error:
            if error.readable_elsewhere and not quarantine_unreadable:
                raise
            problem = error
        else:
            self.damaged = False
            return self._record
        self.damaged = True  # before the move, which a store may carry out and report as failed
        self.report = self._storage.quarantine(self.key, problem)
        return None

    def replace(self, new: SessionRecord, bringing: Bringing, *, last: bool = False) -> Replaced:
        """Save a session if the table of ``conflicts`` says so for the present content of the store.

        Args:
            new: The session.
            bringing: Where it comes from.
            last: Whether nothing else is written under this lock, which a store may use to release it.

        Raises:
            StoreError: The store failed. The session may have been saved.
        """
        stored = self.load(quarantine_unreadable=bringing is Bringing.SIGN_IN)
        rule = RULES[bringing, compare(stored, new, damaged=self.damaged)]
        if rule.save:
            self.save(new, last=last)
        old = stored if rule.revoke_old and isinstance(stored, SessionRecord) else None
        return Replaced(rule.save, stored, new if rule.revoke_new else old)

    def save(self, record: Stored, *, last: bool = False) -> None:
        """Write a record that was derived from what ``load`` has just returned."""
        self._check_lock()
        life, text = self._storage.life(record), dump(record)
        release = last and not self._is_shared()
        guarded("save", lambda: self._value.save(text.reveal(), expires_in=life, release=release))
        self.released = release
        self.damaged = False
        self._text, self._record = text, record

    def delete(self) -> None:
        """Remove the record."""
        self._check_lock()
        self._storage.delete(self.key)

    def time_left(self) -> float:
        """Return the seconds that a refresh may still take before it could outlive a lease."""
        return self._storage.refresh_time - self._elapsed() if self._storage.leased else math.inf

    def is_lease_over(self) -> bool:
        """Return whether the lock may belong to another process by now."""
        return self._storage.leased and self._elapsed() >= self._storage.lease * LEASE_END

    def _check_lock(self) -> None:
        if self._is_lost():
            raise StoreLocked("The lock was lost while this process was suspended. Try again.")

    def _elapsed(self) -> float:
        """Return the seconds since the lock was taken.

        Some systems stop the monotonic clock while a process is suspended, so the wall clock is read as well.
        """
        timing = self._storage.timing
        elapsed, by_wall = timing.monotonic() - self._monotonic_start, timing.clock() - self._wall_start
        return max(elapsed, by_wall) if math.isfinite(by_wall) else elapsed

"""One refresh, from the record under the store's lock to the saved next generation. It knows no caller.

    outcome           what happens under the lock
    ----------------  --------------------------------------------------------------------------------------
    success           the next generation is saved
    not sent          everything is kept, ``ServiceUnavailable``
    retry later       the same; the wait is noted in the record, for every client that shares the store
    unknown           everything is kept, the attempt stays open, ``ServiceUnavailable(ambiguous=True)``
    doubtful end      the service is asked whether it works at all, then the refresh is sent once more
    session ended     a note of the reason takes the session's place in the store, ``SessionExpired``
    misconfigured     everything is kept, ``ApiError``
    foreign response  everything is kept, ``ServiceUnavailable``

Between the answer and the save stand only loaded code and the save. Everything that could fail for lack of a
module, a file descriptor or a thread is done before the refresh is sent.
"""

import math
import random
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hellojohn._clock import within_time
from hellojohn._errors import ExpiryReason, HelloJohnError, SessionExpired, StoreError, StoreLocked
from hellojohn._limits import (
    COOLDOWN,
    LONGEST_COOLDOWN,
    LONGEST_SAVE_PAUSE,
    SAVE_ATTEMPTS,
    SAVE_PAUSE,
)
from hellojohn._logs import logger_of
from hellojohn._session.conflicts import Bringing
from hellojohn._session.endings import NOT_ENOUGH_TIME, ended_elsewhere, expired, no_answer, try_later
from hellojohn._session.exchange import Exchange, Service, leave_reason
from hellojohn._session.freshness import Freshness, TokenSnapshot
from hellojohn._session.order import Overtaken, Turn
from hellojohn._session.record import SessionRecord, Stored, next_generation
from hellojohn._session.storage import LockedSession, SessionStorage
from hellojohn._wire import Outcome, OutcomeKind

logger = logger_of("hellojohn")


class Refreshed(NamedTuple):
    """How a refresh ended. Without a record and without a reason, a later operation has overtaken it.

    Attributes:
        record: The session as it is now, or as it was when it ended.
        expired: Why the session has ended.
        error: Why the refresh brought no new token. The session is kept.
        rotated: Whether the service issued a new pair.
        saved: Whether the store has ``record``.
        lock_lost: Whether it was not saved because the lock was lost.
        to_revoke: A session to sign out at the service.
    """

    record: SessionRecord | None = None
    expired: SessionExpired | None = None
    error: HelloJohnError | None = None
    rotated: bool = False
    saved: bool = True
    lock_lost: bool = False
    to_revoke: SessionRecord | None = None


class TokenSource(Protocol):
    """Where the next token of an account comes from: a refresh token, or a service's secret."""

    @property
    def saves(self) -> bool:
        """Whether a refresh brings a session that must be saved, so that ``close`` waits for it."""
        ...

    def refresh(
        self, locked: LockedSession, known: SessionRecord, turn: Turn, *, forced: bool, after_refusal: bool
    ) -> Refreshed:
        """Get a newer token than the known one, as ``Refresher.refresh`` does."""
        ...


class Refresher(NamedTuple):
    """What every refresh of one client's sessions needs.

    Attributes:
        service: The auth service.
        storage: The sessions.
        snapshot: Computes when a record's state changes.
        idle_timeout: The idle timeout in seconds, if it is known and the service ends idle sessions.
    """

    service: Service
    storage: SessionStorage
    snapshot: Callable[[SessionRecord], TokenSnapshot]
    idle_timeout: float | None

    @property
    def saves(self) -> bool:
        """A refresh token is replaced with every use: the new pair is the only copy of the session."""
        return True

    def refresh(
        self, locked: LockedSession, known: SessionRecord, turn: Turn, *, forced: bool, after_refusal: bool
    ) -> Refreshed:
        """Get a newer pair than the known one: adopt the store's, or ask the service.

        Args:
            locked: The session's place in the store.
            known: The generation that is not good enough.
            turn: The right to write.
            forced: Ask although the last refresh has just failed.
            after_refusal: Whether the API has refused the known token.

        Raises:
            StoreError: The store failed before anything was sent.
            Overtaken: A later operation came first, and nothing was sent.
        """
        now = self._now()  # before the load: what happens meanwhile must not make the session look idle
        with turn.reading() as writes:
            stored = locked.load()
        if stored is None and locked.damaged:
            stored = known  # the copy in memory is the only one now
        if not isinstance(stored, SessionRecord):
            return Refreshed(expired=ended_elsewhere(known, stored))
        if stored.is_same_session(known) and known.is_newer_than(stored):
            stored = known  # the store has lost a write: its refresh token was replaced since
        if stored.is_same_session(known) and (known.last_used_at or 0.0) > (stored.last_used_at or 0.0):
            stored = stored.changed(last_used_at=known.last_used_at)
        state = self.snapshot(stored).freshness(now)
        if state is Freshness.OVER:
            return self._end(locked, stored, turn, now)
        if state is not Freshness.EXPIRING and stored.is_newer_than(known):
            return Refreshed(stored)
        wait = self._guard_left(stored, now) or (None if forced else cooldown_left(stored, now))
        if wait is not None:
            return Refreshed(stored, error=try_later(wait))
        exchange = Exchange(self.service, self.storage, locked, stored, turn)
        if not exchange.begin(writes):
            return self._keep(exchange, NOT_ENOUGH_TIME)
        after_refusal = after_refusal and not stored.is_newer_than(known)  # what was refused is this token
        return self._conclude(exchange, exchange.run(), after_refusal=after_refusal)

    def _conclude(self, exchange: Exchange, outcome: Outcome, *, after_refusal: bool) -> Refreshed:
        """Follow the table for an outcome."""
        match outcome.kind:
            case OutcomeKind.SUCCESS:
                assert outcome.tokens is not None  # noqa: S101 - as SUCCESS means
                now = exchange.arrived_at
                new = next_generation(exchange.record, outcome.tokens, now=now, after_refusal=after_refusal)
                return self._save(exchange, new)
            case OutcomeKind.SESSION_ENDED:
                return self._ended(exchange, outcome)
            case OutcomeKind.RETRY_LATER:
                wait = random_cooldown() if outcome.retry_after is None else outcome.retry_after
                return self._keep(exchange, try_later(wait), wait)
            case _:
                error = no_answer(outcome, ambiguous=exchange.attempts.ambiguous)
                return self._keep(exchange, error, random_cooldown())

    def _now(self) -> float:
        return self.storage.timing.clock()

    def _guard_left(self, record: SessionRecord, now: float) -> float | None:
        """Return how long another holder of the lock may still be sending this token.

        A moment further ahead than a lease comes from a clock that is wrong, and counts for nothing.
        """
        until = record.refresh_not_before
        return until - now if until is not None and now < until <= now + self.storage.lease else None

    def _end(self, locked: LockedSession, record: SessionRecord, turn: Turn, now: float) -> Refreshed:
        """End a session whose time is over by the client's own count."""
        over = self.snapshot(record).over_at <= within_time(now)
        reason = ExpiryReason.DURATION_ELAPSED if over else ExpiryReason.IDLE
        with turn.writing():
            if not locked.damaged:  # else the record that was there may have been another session's
                leave_reason(locked, record, reason, None)
        return Refreshed(record, expired=expired(record, reason, None), to_revoke=record)

    def _save(self, exchange: Exchange, new: SessionRecord) -> Refreshed:
        """Save the new pair, the only copy of the session, as often as the lock allows."""
        number = 0
        while True:
            number += 1
            try:
                with exchange.turn.writing():
                    saved, stored, to_revoke = exchange.locked.replace(new, Bringing.REFRESH, last=True)
            except Overtaken:
                exchange.sign_out_first()
                return Refreshed(to_revoke=new)
            except StoreError as error:
                logger.warning("The refreshed session was not saved (attempt %d): %s", number, str(error))
                lock_lost = isinstance(error, StoreLocked)
            else:
                return Refreshed(new, rotated=True) if saved else _replaced(new, stored, to_revoke)
            # Under a lease, other processes cannot send the old token while this one tries on.
            patient = self.storage.leased and not lock_lost and exchange.wanted() and exchange.left() > 0
            if number >= SAVE_ATTEMPTS and not patient:
                return Refreshed(new, rotated=True, saved=False, lock_lost=lock_lost)
            self.storage.timing.sleep(min(SAVE_PAUSE * 2.0 ** (number - 1), LONGEST_SAVE_PAUSE))

    def _ended(self, exchange: Exchange, outcome: Outcome) -> Refreshed:
        record, locked = exchange.record, exchange.locked
        reason = self._reason(record, outcome, in_doubt=exchange.in_doubt)
        try:
            with exchange.turn.writing():
                stored = locked.load()
                if _is_gone(locked, stored):
                    return _replaced(record, stored, None)
                if isinstance(stored, SessionRecord) and stored.is_newer_than(record):
                    return Refreshed(stored)
                if stored is not None:
                    leave_reason(locked, record, reason, outcome.code)
        except Overtaken:
            exchange.sign_out_first()
            return Refreshed()
        except StoreError as error:
            logger.warning("An ended session was not removed from the store: %s", str(error))
        return Refreshed(record, expired=expired(record, reason, outcome.code))

    def _reason(self, record: SessionRecord, outcome: Outcome, *, in_doubt: bool) -> ExpiryReason:
        reason = outcome.reason or ExpiryReason.REJECTED
        if in_doubt and outcome.token_was_used:
            return ExpiryReason.REFRESH_OUTCOME_UNKNOWN
        idle_at = math.inf if self.idle_timeout is None else record.refreshed_at + self.idle_timeout
        if reason is ExpiryReason.EXPIRED and idle_at <= self._now() < (record.server_ends_at or math.inf):
            return ExpiryReason.IDLE
        return reason

    def _keep(self, exchange: Exchange, error: HelloJohnError, wait: float | None = None) -> Refreshed:
        """Note a failed refresh in the record. If that fails, the attempt stays open, which is safe."""
        record, locked = exchange.kept, exchange.locked
        until = record.cooldown_until
        if wait is not None:
            until = within_time(self._now() + min(wait, LONGEST_COOLDOWN))
        noted = record.changed(cooldown_until=until, refresh_not_before=None)
        try:
            with exchange.turn.writing():
                stored = locked.load()
                if _is_gone(locked, stored):
                    return _replaced(record, stored, None)
                if isinstance(stored, SessionRecord) and stored.is_newer_than(record):
                    return Refreshed(stored)
                locked.save(noted, last=True)
        except Overtaken:
            return Refreshed(error=error, to_revoke=record if exchange.sign_out_first() else None)
        except StoreError as failure:
            logger.warning("A failed refresh was not noted in the store: %s", str(failure))
        return Refreshed(noted, error=error)


def cooldown_left(record: SessionRecord, now: float) -> float | None:
    """Return the seconds in which no refresh is tried; ``None`` if one may be tried now.

    A moment further ahead than the longest cooldown comes from a clock that is wrong, and counts for nothing.
    """
    until = record.cooldown_until
    return until - now if until is not None and now < until <= now + LONGEST_COOLDOWN else None


def random_cooldown() -> float:
    """Return the wait after a failure, spread so that clients do not come back in step."""
    return random.uniform(COOLDOWN / 2, COOLDOWN)  # noqa: S311 - spreads load, guards nothing


def _replaced(record: SessionRecord, stored: Stored | None, to_revoke: SessionRecord | None) -> Refreshed:
    """Use the record that another process has stored since."""
    if isinstance(stored, SessionRecord):
        return Refreshed(stored, to_revoke=to_revoke)
    return Refreshed(record, expired=ended_elsewhere(record, stored), to_revoke=to_revoke)


def _is_gone(locked: LockedSession, stored: Stored | None) -> bool:
    """Return whether another process has taken a session out of the store, and not damage."""
    return not isinstance(stored, SessionRecord) and not (stored is None and locked.damaged)

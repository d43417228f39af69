"""One refresh, from the store's lock to the saved record. Runs on an owner thread, knows no caller.

outcome        what is done under the lock
-------------  ------------------------------------------------------------------------------------
done           the next generation is saved
not sent       nothing was asked: everything is kept, ``ServiceUnavailable``
later          the service's wait is noted in the record for all who share it, ``ServiceUnavailable``
unknown        everything is kept, the intent stays open, ``ServiceUnavailable(ambiguous=True)``
over           the record is deleted if it is still the refused one, ``SessionExpired``
misconfigured  everything is kept, ``ApiError``
not ours       everything is kept, ``ServiceUnavailable``
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from hellojohn._errors import (
    ExpiryReason,
    HelloJohnError,
    ServiceUnavailable,
    SessionExpired,
    StoreError,
    StoreLocked,
)
from hellojohn._freshness import Freshness, Schedule
from hellojohn._grants import refreshed
from hellojohn._record import Record
from hellojohn._retry import Attempts
from hellojohn._timing import Timing, within_time
from hellojohn._vault import Held
from hellojohn._wire import Answer, ApiRequest, Dialect, Outcome, OutcomeKind

_COOLDOWN = 5.0
_LONGEST_COOLDOWN = 3_600.0
_SAVES = 3
_LONGEST_PAUSE = 1.0
_USABLE = (Freshness.FRESH, Freshness.STALE)

logger = logging.getLogger("hellojohn")


class Result(NamedTuple):
    """How a refresh ended.

    Attributes:
        record: The session as it is now; ``None`` when it is over.
        ended: Why it is over.
        error: Why those who needed a new token get none, though the session is kept.
        rotated: Whether this refresh brought a new generation.
        unsaved: Whether the store would not take it: memory holds the only copy.
        lost: Whether that was for want of the lock, which was lost on the way: under a new one, it may.
        goodbye: A session that must still be signed out at the service.
    """

    record: Record | None = None
    ended: SessionExpired | None = None
    error: HelloJohnError | None = None
    rotated: bool = False
    unsaved: bool = False
    lost: bool = False
    goodbye: Record | None = None


@dataclass(frozen=True, slots=True)
class Refresher:
    """What a refresh works with; ``time_left`` tells the seconds until the process or its connections end."""

    dialect: Dialect
    send: Callable[[ApiRequest, float], Answer]
    timing: Timing
    idle_timeout: float | None
    time_left: Callable[[], float]

    def refresh(self, held: Held, known: Record, *, wanted: Callable[[], bool]) -> Result:
        """Get a token other than the known one: adopt it if the store has one, else ask the service.

        Raises:
            StoreError: The store failed before anything was asked; nothing has changed.
        """
        record = held.load()
        if record is None:
            return Result(ended=_over(known, ExpiryReason.SIGNED_OUT))
        now = self.timing.clock()
        state = Schedule.of(record, idle_timeout=self.idle_timeout).state(now)
        if state is Freshness.OVER:
            return self._end(held, record)
        if record.access_token != known.access_token and state in _USABLE:
            return Result(record)
        if record.retry_at is not None and now < record.retry_at <= now + _LONGEST_COOLDOWN:
            return Result(record, error=_later(record.retry_at - now))
        return self._ask(held, record, wanted)

    def end(self, held: Held, known: Record) -> Result:
        """End the session whose deadline has passed, unless another has been signed in since."""
        record = held.load()
        if record is None:
            return Result(ended=_over(known, ExpiryReason.SIGNED_OUT))
        state = Schedule.of(record, idle_timeout=self.idle_timeout).state(self.timing.clock())
        return self._end(held, record) if state is Freshness.OVER else Result(record)

    def _end(self, held: Held, record: Record) -> Result:
        _delete_quietly(held)
        return Result(ended=_over(record, ExpiryReason.DURATION_ELAPSED), goodbye=record)

    def _ask(self, held: Held, record: Record, wanted: Callable[[], bool]) -> Result:
        cut_off = record.intent_at is not None
        intent = self._intent(held, record)
        held.save(intent)
        time_left = min(held.time_left(), self.time_left())
        if time_left < held.refresh_time / 2:
            return _not_begun(held, record)
        call = self.dialect.refresh(record.refresh_token)
        attempts = Attempts(self.timing, deadline=time_left, wanted=wanted)
        arrived_at = 0.0

        def attempt(seconds: float) -> Outcome:
            nonlocal arrived_at
            answer = self.send(call, seconds)
            arrived_at = self.timing.clock()
            return self.dialect.outcome(answer)

        try:
            outcome = attempts.make(attempt)
        except HelloJohnError:  # the call cannot even be made
            _noted(held, record)
            raise
        open_question = cut_off or attempts.ambiguous
        kept = record.changed(intent_at=intent.intent_at) if open_question else record
        match outcome.kind:
            case OutcomeKind.SUCCESS:
                return self._save(held, record, _next(record, outcome, arrived_at), attempts)
            case OutcomeKind.SESSION_ENDED:
                return self._over(held, record, outcome, open_question=open_question)
            case OutcomeKind.RETRY_LATER:
                return self._later(held, kept, outcome)
            case _:
                return _keep(held, kept, outcome, ambiguous=attempts.ambiguous)

    def _intent(self, held: Held, record: Record) -> Record:
        """Note that a refresh has begun, and for how long others must not ask even if the lock is lost."""
        now = within_time(self.timing.clock())
        intent = record if record.intent_at is not None else record.changed(intent_at=now)
        return intent.changed(retry_at=within_time(now + held.time_left())) if held.leased else intent

    def _save(self, held: Held, record: Record, new: Record, attempts: Attempts) -> Result:
        lost = False
        for number in count(1):
            try:
                ours = to_save(held, new, record)
                if ours is None:
                    return self._replaced(held, new)
                new = ours
                held.save(new)
                return Result(new, rotated=True)
            except StoreError as error:
                logger.warning("The refreshed session was not saved (attempt %d): %s", number, str(error))
                lost = isinstance(error, StoreLocked)
            if not _may_save_again(held, attempts, number, lost=lost):
                break
            self.timing.sleep(min(0.05 * 2.0 ** (number - 1), _LONGEST_PAUSE))
        return Result(new, rotated=True, unsaved=True, lost=lost)

    def _replaced(self, held: Held, record: Record) -> Result:
        """The record was deleted or replaced while the service was asked: that wins."""
        other = held.find()
        if other is None:
            return Result(ended=_over(record, ExpiryReason.SIGNED_OUT), goodbye=record)
        return Result(other, goodbye=None if other.is_of_same_session(record) else record)

    def _over(self, held: Held, record: Record, outcome: Outcome, *, open_question: bool) -> Result:
        if to_save(held, record) is None:
            return self._replaced(held, record)._replace(goodbye=None)
        _delete_quietly(held)
        reason = self._reason(record, outcome, open_question=open_question)
        return Result(ended=_over(record, reason, outcome.code))

    def _reason(self, record: Record, outcome: Outcome, *, open_question: bool) -> ExpiryReason:
        reason = outcome.reason or ExpiryReason.REJECTED
        refused = reason in (ExpiryReason.REJECTED, ExpiryReason.REUSE_DETECTED)
        if refused and open_question:
            return ExpiryReason.REFRESH_OUTCOME_UNKNOWN
        if reason is ExpiryReason.EXPIRED and self._was_idle(record):
            return ExpiryReason.IDLE
        return reason

    def _was_idle(self, record: Record) -> bool:
        now = self.timing.clock()
        idle = self.idle_timeout is not None and now >= record.refreshed_at + self.idle_timeout
        return idle and (record.ends_at is None or now < record.ends_at)

    def _later(self, held: Held, kept: Record, outcome: Outcome) -> Result:
        wait = _COOLDOWN if outcome.retry_after is None else outcome.retry_after
        until = within_time(self.timing.clock() + min(wait, _LONGEST_COOLDOWN))
        return _noted(held, kept.changed(retry_at=until), _later(wait))


def _next(record: Record, outcome: Outcome, arrived_at: float) -> Record:
    assert outcome.grant is not None  # noqa: S101 - what DONE means
    return refreshed(record, outcome.grant, now=arrived_at)


def _may_save_again(held: Held, attempts: Attempts, number: int, *, lost: bool) -> bool:
    """A lease keeps the others out for some time: the store may be back before they can burn a token."""
    worth_waiting = held.leased and not lost and attempts.wanted() and attempts.left() > 0
    return number < _SAVES or worth_waiting


def _keep(held: Held, kept: Record, outcome: Outcome, *, ambiguous: bool) -> Result:
    error = outcome.error
    if error is None or isinstance(error, ServiceUnavailable):
        message = str(error or "The service gave no usable answer to a refresh. Try again later.")
        error = ServiceUnavailable(f"{message} The session is kept.", ambiguous=ambiguous)
    return _noted(held, kept, error)


def _noted(held: Held, record: Record, error: HelloJohnError | None = None) -> Result:
    """Note what was learnt; if that fails, an intent stays open too long, which is safe."""
    ours: Record | None = None
    try:
        ours = to_save(held, record)
        if ours is not None:
            held.save(ours)
    except StoreError as failure:
        logger.warning("The outcome of a refresh was not noted in the store: %s", str(failure))
        return Result(ours or record, error=error, unsaved=ours is not None and ours.is_spent)
    return Result(ours or record, error=error)


def _delete_quietly(held: Held) -> None:
    """Delete a session that is over; if that fails, whoever loads it is told so once more."""
    try:
        held.delete()
    except StoreError as error:
        logger.warning("A session that is over was not deleted from the store: %s", str(error))


def to_save(held: Held, record: Record, *before: Record) -> Record | None:
    """Return what the store shall have of a session that it holds; ``None`` if another word came first.

    A save that failed may have been carried out all the same: it may hold the record, or one from ``before``.
    """
    tokens = [ours.refresh_token for ours in (record, *before)]
    return _unless_replaced(held, record, lambda stored: stored.refresh_token in tokens, emptied=False)


def copy_to_save(held: Held, unsaved: Record) -> Record | None:
    """Return what the store shall have of a session that it would not take; ``None`` if it has moved on.

    A copy that is spent had its place emptied under an earlier lock.
    """
    return _unless_replaced(held, unsaved, lambda stored: stored.is_before(unsaved), emptied=unsaved.is_spent)


def _unless_replaced(
    held: Held, record: Record, is_ours: Callable[[Record], bool], *, emptied: bool
) -> Record | None:
    """Return the record as it may be saved, if the store has ours, or had what was set aside.

    That may have hidden anything, and the record may be the only one left: whoever loads it asks the service
    first, and a refusal is no proof of theft.
    """
    stored = held.find()
    if stored is not None:
        return record if is_ours(stored) else None
    return record.spent() if emptied or held.emptied else None


def take_back(held: Held, saved: Record | None, before: Record) -> None:
    """Remove what a refresh has saved after a sign-out that did not wait for the lock."""
    if saved is not None and saved.is_of_same_session(before) and to_save(held, saved) is not None:
        held.delete()


def _not_begun(held: Held, record: Record) -> Result:
    """A token is not sent that may be another's by the time it arrives, or whose answer nobody may hear."""
    why = "The refresh was not begun, for want of time: the store is slow, or the program ends."
    return _noted(held, record, ServiceUnavailable(f"{why} Try again. The session is kept."))


def _later(wait: float) -> ServiceUnavailable:
    message = f"The service cannot refresh now. Try again in {wait:.0f} s. The session is kept."
    return ServiceUnavailable(message, retry_after=wait)


def _over(record: Record, reason: ExpiryReason, code: str | None = None) -> SessionExpired:
    message = f"The session is over ({reason}): send the user to sign-in."
    return SessionExpired(message, reason=reason, session_id=record.session_id, code=code)

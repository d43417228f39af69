"""The requests of one refresh, from the note that it begins to its final outcome."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from hellojohn._clock import within_time
from hellojohn._errors import ExpiryReason, StoreError
from hellojohn._limits import REFRESH_START_SHARE, SECOND_LOOK_DEADLINE
from hellojohn._logs import logger_of
from hellojohn._session.endings import NOT_ENOUGH_TIME
from hellojohn._session.order import Turn
from hellojohn._session.record import SessionRecord, ended
from hellojohn._session.retry import Attempts, Retrier
from hellojohn._session.storage import LockedSession, SessionStorage
from hellojohn._wire import Answer, ApiRequest, Dialect, Outcome, OutcomeKind

logger = logger_of("hellojohn")


class Service(NamedTuple):
    """The auth service, as the engine sees it.

    Attributes:
        dialect: Builds the requests and reads the answers.
        send: Sends one request within so many seconds. It never raises for a network.
        load: Loads and opens what ``send`` and ``dialect`` need, so that nothing fails later.
        retrier: Repeats attempts.
        time_left: Returns the seconds until the client or the program ends.
    """

    dialect: Dialect
    send: Callable[[ApiRequest, float], Answer]
    load: Callable[[], None]
    retrier: Retrier
    time_left: Callable[[], float]

    def prepare(self) -> None:
        """Load all modules and open all resources for a refresh. Call it before taking the lock."""
        self.load()
        self.retrier.prepare()


class Exchange:
    """The requests of one refresh, between the note that it begins and the final outcome.

    Attributes:
        record: The generation that is refreshed.
        locked: Its place in the store.
        turn: The right to write.
        arrived_at: When the last answer arrived, by the wall clock.
        attempts: The attempts.
    """

    def __init__(
        self,
        service: "Service",
        storage: SessionStorage,
        locked: LockedSession,
        record: SessionRecord,
        turn: Turn,
    ) -> None:
        self._service = service
        self._storage = storage
        self._request = service.dialect.refresh(record.refresh_token)
        self._started = record
        self.record = record
        self.locked = locked
        self.turn = turn
        self.arrived_at = 0.0
        self._ends_at = storage.timing.monotonic() + storage.refresh_time
        self.attempts = Attempts(self._attempt, left=self.left, wanted=self.wanted)

    def begin(self, writes: int) -> bool:
        """Note in the store that a refresh begins; return whether there is time for it.

        ``writes`` is how many writes there were when the record was read.

        Under a lease, the note keeps others from sending the token as long as this process may be sending it,
        even if the lock is lost.
        """
        storage, record = self._storage, self.record
        now = within_time(storage.timing.clock())
        self._started = record.changed(
            refresh_started_at=now if record.refresh_started_at is None else record.refresh_started_at,
            refresh_not_before=within_time(now + self.locked.time_left()) if storage.leased else None,
        )
        with self.turn.writing(if_still=writes):
            self.locked.save(self._started)
        return self.left() >= storage.refresh_time * REFRESH_START_SHARE

    def run(self) -> Outcome:
        """Send the refresh until an outcome is final."""
        return self._service.retrier.run(self.attempts)

    def left(self) -> float:
        """Return the seconds that are left for the refresh, under the lock, and until the program ends."""
        left = self._ends_at - self._storage.timing.monotonic()
        return min(left, self.locked.time_left(), self._service.time_left())

    def wanted(self) -> bool:
        """Return whether another attempt makes sense."""
        return self.turn.is_current() and self._service.time_left() == math.inf

    @property
    def in_doubt(self) -> bool:
        """Whether the service may have rotated this token without an answer that arrived."""
        return self.attempts.ambiguous or self.record.refresh_started_at is not None

    @property
    def kept(self) -> SessionRecord:
        """The record to keep after a failure: an attempt in doubt stays open."""
        return self._started if self.in_doubt else self.record

    def sign_out_first(self) -> bool:
        """End the session in the store for the sign-out that overtook the refresh.

        Another process may get the lock before the sign-out does. It must not present the token once more,
        nor take the note that this refresh began for an answer that was lost.

        Returns:
            Whether the session was there. If not, the sign-out or a later sign-in has been there.
        """
        try:
            with self.turn.cleaning_up():
                # Not load(), which quarantines: a damaged text may be a later session's.
                stored = self._storage.peek(self.locked.key)
                if isinstance(stored, SessionRecord) and stored.is_same_session(self.record):
                    leave_reason(self.locked, self.record, ExpiryReason.SIGNED_OUT, None)
                    return True
        except StoreError as error:
            logger.warning("An overtaken refresh did not look at the store again: %s", str(error))
        return False

    def _attempt(self) -> Outcome:
        if self.left() <= 0:  # the process may have been suspended since the last check
            return Outcome(OutcomeKind.NOT_SENT, error=NOT_ENOUGH_TIME)
        outcome = self._ask()
        return self._second_look(outcome) if outcome.kind is OutcomeKind.DOUBTFUL_END else outcome

    def _ask(self) -> Outcome:
        answer = self._service.send(self._request, self.left())
        self.arrived_at = self._storage.timing.clock()
        return self._service.dialect.outcome(answer)

    def _second_look(self, doubtful: Outcome) -> Outcome:
        """Find out whether the service works at all, before its word that the session ended is believed."""
        dialect, record, now = self._service.dialect, self.record, self._storage.timing.clock()
        final = replace(doubtful, kind=OutcomeKind.SESSION_ENDED)
        ends_at = record.server_ends_at  # an end that the client keeps explains no refusal
        if ends_at is not None and now >= ends_at:
            return final
        look = dialect.second_look(record.access_token if now < record.token_expires_at else None)
        answer = self._service.send(look, min(SECOND_LOOK_DEADLINE, self.left()))
        if not dialect.is_serving(answer):
            return Outcome(OutcomeKind.RETRY_LATER, code=doubtful.code)
        outcome = self._ask()
        return final if outcome.kind is OutcomeKind.DOUBTFUL_END else outcome


def leave_reason(
    locked: LockedSession, record: SessionRecord, reason: ExpiryReason, code: str | None
) -> None:
    """Put a note of the reason in the session's place. If that fails, the next client asks the service."""
    try:
        locked.save(ended(record, reason, code), last=True)
    except StoreError as error:
        logger.warning("An ended session was not removed from the store: %s", str(error))

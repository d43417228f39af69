"""One account: its state, the order of its operations and its single flight. It holds the only lock.

Requests read ``state`` without the lock. Nothing here blocks: the work of an operation is in ``acquire`` and
``operations``.
"""

import math
import threading
from collections.abc import Callable
from typing import TypeVar

from hellojohn._clock import Clock
from hellojohn._errors import SessionExpired
from hellojohn._limits import EVENT_WAIT
from hellojohn._models import AuthEvent, AuthEventType, Session
from hellojohn._session.account_storage import AccountStorage
from hellojohn._session.context import EngineContext
from hellojohn._session.failures import fresh_copy
from hellojohn._session.flight import INTERRUPTED, NESTED, Flight, Kind, Result, result_of
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.order import Turn
from hellojohn._session.record import SessionRecord, to_session
from hellojohn._session.state import AccountState, Change, Phase
from hellojohn._session.workers import Lane
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import Flow, WaitFor

T = TypeVar("T")


class Account(PartOfClient):
    """One session of the store, as this process knows it.

    Attributes:
        name: Which session.
        key: The store's key for it.
        context: What all accounts of the client share.
        clock: The wall clock, here because the hot path reads it.
        state: The present state.
        storage: Its place in the store.
        lock: Guards changes of the state and the single flight.
        flight: The operation that is under way, if there is one.
        last_error: Why the last refresh failed; ``None`` after a success.
        used_at: When a request last used the session.
        refused_at: When a refusal last caused a refresh of this session, by the monotonic clock.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "clock",
        "context",
        "flight",
        "key",
        "last_error",
        "lock",
        "name",
        "refused_at",
        "state",
        "storage",
        "used_at",
    )

    def __init__(self, name: str, key: str, context: EngineContext) -> None:
        """Start without knowledge: the first use reads the store."""
        self.name: str = name
        self.key: str = key
        self.context: EngineContext = context
        self.clock: Clock = context.clock
        self.state: AccountState = AccountState()
        self.last_error: Exception | None = None
        self.used_at: float = 0.0
        self.refused_at: float = -math.inf
        self._asked = 0
        self.reset()

    def reset(self) -> None:
        """Forget running operations, in a forked child: they run in the parent."""
        self.lock: threading.RLock = threading.RLock()  # for refuse_nested()
        self.flight: Flight[None] | None = None
        self.storage: AccountStorage = AccountStorage(self.context.storage, self.key)
        if self.state.phase is Phase.SIGNING_OUT:
            self.state = self.state.after(Change.SIGNED_OUT)

    # ---------------------------------------------------------------- order and state

    def ask_to_sign_in(self) -> Turn:
        """Note that a sign-in was asked for now; return its turn. Any later sign-in or sign-out ends it."""
        with self.lock:
            self._asked += 1
            order = self._asked
        return Turn(order, self.storage, lambda: self._asked == order)

    def ask_to_sign_out(self) -> tuple[Turn, SessionRecord | None, bool]:
        """Note that a sign-out was asked for now, and show no session any more.

        Returns:
            Its turn, which a later sign-in ends when it succeeds, the session that was shown, and whether
            ``SIGNED_OUT`` was emitted for it, now or by a sign-out that is still running.
        """
        with self.lock:
            self._asked += 1
            order, before = self._asked, self.state
            record = None if before.snapshot is None else before.snapshot.record
            state = before.after(Change.SIGN_OUT_ASKED, order=order, announced=before.announced)
            self.state = state
            self.flight = None  # it was overtaken: new callers must not wait for it
            if record is not None:
                self.emit(AuthEventType.SIGNED_OUT, record)
                # Only now: a Ctrl-C in between must not suppress the event of the next sign-out.
                self.state = state = state._replace(announced=True)
        turn = Turn(order, self.storage, lambda: self.state.is_sign_out_due(order, before.shown))
        return turn, record, state.announced

    def turn(self) -> Turn:
        """Return the turn of a refresh or a save. A sign-out, or a sign-in that succeeds, ends it."""
        order = self.state.order
        return Turn(order, self.storage, lambda: self.state.order == order)

    def apply(
        self,
        change: Change,
        turn: Turn,
        record: SessionRecord | None = None,
        *,
        expired: SessionExpired | None = None,
        damaged: bool = False,
        event: AuthEventType | None = None,
    ) -> bool:
        """Change the state and emit the events of the change, unless a later operation came first.

        Call it while the store's lock is held, so that all processes see the same order.

        Args:
            change: What happened.
            turn: The operation's turn.
            record: The session from now on, or the one that has ended, if that was not shown.
            expired: Why the session has ended.
            damaged: Whether the store lost the session because its text was damaged.
            event: What to emit.

        Returns:
            Whether the change was applied, or would have been if the client were not closed.
        """
        with self.lock:
            before = self.state
            later = turn.order < before.order if change is Change.SIGNED_IN else turn.order != before.order
            if later:
                return False
            snapshot, ends = None, change is Change.ENDED
            if record is not None and not ends:
                snapshot = self.context.snapshot(record, unsaved=change is Change.NOT_SAVED)
            after = before.after(change, order=turn.order, snapshot=snapshot, ended=expired, damaged=damaged)
            if after is before:
                return True
            self.state = after._replace(shown=record.sign_in_id) if ends and record else after
            if change is Change.SIGNED_IN:
                self.flight, self.refused_at = None, -math.inf
            self.context.note_unsaved(self, unsaved=after.phase is Phase.UNSAVED)
            old = None if before.snapshot is None else before.snapshot.record
            replaced = record is not None and before.shown not in (None, record.sign_in_id)
            if replaced and change is not Change.SIGNED_IN:
                self.emit(AuthEventType.SESSION_REPLACED, record)
            if event is not None:
                self.emit(event, record or old, expired)
            return True

    def note_use(self, snapshot: TokenSnapshot) -> TokenSnapshot:
        """Count the last request as use of a session that seems idle. Call it with ``lock`` held."""
        record = snapshot.record
        if self.used_at <= max(record.refreshed_at, record.last_used_at or 0.0):
            return snapshot
        noted = self.context.snapshot(record.used(self.used_at), unsaved=self.state.phase is Phase.UNSAVED)
        self.state = self.state._replace(snapshot=noted)
        return noted

    def close(self) -> None:
        """Let every later use fail."""
        with self.lock:
            self.state = self.state.after(Change.CLOSED)

    def emit(
        self, kind: AuthEventType, record: SessionRecord | None, expired: SessionExpired | None = None
    ) -> None:
        """Queue an event, if the app listens."""
        if not self.context.events.wanted:
            return
        session = None if record is None else self.to_session(record)
        reason = None if expired is None else expired.reason
        self.context.events.emit(AuthEvent(kind, session, reason, self.name))

    def to_session(self, record: SessionRecord) -> Session:
        """Return the public form of a record."""
        record = record.used(self.used_at) if self.context.ends_idle else record
        return to_session(record, idle_timeout=self.context.idle_timeout, clock=self.clock)

    # ---------------------------------------------------------------- flights

    def join(self, kind: Kind, operation: Callable[[], None], *, forced: bool = False) -> Flight[None]:
        """Return the flight that is under way, or a new one. Call it with ``lock`` held."""
        if self.flight is None or self.flight.done:  # Ctrl-C may leave one that has landed
            self.flight = self._new_flight(operation, kind, forced=forced)
        return self.flight

    def perform(
        self, operation: Callable[[], T], lane: Lane, *, ask: Callable[[], object] | None = None
    ) -> Flow[T]:
        """Run an operation on a worker thread, beside the single flight, and return its result.

        Args:
            operation: The operation.
            lane: Which threads run it.
            ask: Takes the operation's place in the order. The operation runs even if a Ctrl-C interrupts its
                caller.
        """
        refuse_nested(self)
        flight = self._new_flight(operation, "operation", lane=lane)
        try:
            if ask is not None:
                ask()
            yield WaitFor(flight)
        except BaseException:
            if ask is not None:
                flight.start(blocking=False)
            raise
        yield from self.events_delivered()
        if flight.result is None:
            raise fresh_copy(INTERRUPTED)
        return flight.result.get()

    def events_delivered(self) -> Flow[None]:
        """Wait a moment until the app's callbacks have seen the events so far."""
        reached = self.context.events.flushed()
        if reached is not None:
            yield WaitFor(reached, EVENT_WAIT)

    def _new_flight(
        self, operation: Callable[[], T], kind: Kind, *, lane: Lane | None = None, forced: bool = False
    ) -> Flight[T]:
        context = self.context
        context.check_open()
        return Flight[T](
            lambda flight: self._run(flight, operation),
            kind,
            context.workers,
            context.flights,
            lane=lane,
            forced=forced,
            saves=context.source.saves,
        )

    def _run(self, flight: Flight[T], operation: Callable[[], T]) -> None:
        """Run an operation and land its flight, even if it raises."""
        result: Result[T] = Result(error=INTERRUPTED)
        try:
            result = result_of(operation)
        finally:
            with self.lock:
                if self.flight is flight:
                    self.flight = None
            flight.land(result)
            self.context.events.deliver()


def is_busy(account: Account) -> bool:
    """Return whether a flight is under way, and has not landed."""
    return account.flight is not None and not account.flight.done


def refuse_nested(account: Account) -> None:
    """Refuse a call that a signal handler makes while this thread has the lock: a flight needs it too.

    Raises:
        ServiceUnavailable: This is such a call.
    """
    if account.lock._is_owned():  # type: ignore[attr-defined] # noqa: SLF001 - as threading.Condition asks it
        raise fresh_copy(NESTED)

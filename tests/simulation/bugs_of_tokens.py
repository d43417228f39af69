"""Bugs against invariants 1 and 2: a refresh token is sent once, and its answer is stored before use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hellojohn._session import retry
from hellojohn._session.conflicts import RULES, Bringing, Held, Rule
from hellojohn._session.context import EngineContext
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import Refreshed, Refresher
from hellojohn._session.retry import Attempts
from hellojohn._session.storage import LockedSession, SessionStorage
from hellojohn._wire import ApiRequest, OutcomeKind
from hellojohn._wire.v1 import V1
from hellojohn.stores._capabilities import without_lock
from tests.simulation.planting import breaks


@breaks("[136]:")
def _no_lock() -> None:
    """Refresh without the store's lock."""

    @contextmanager
    def locked(self: SessionStorage, key: str, *_: object, **__: object) -> Iterator[LockedSession]:
        yield LockedSession(self, key, without_lock(self._store, key))

    SessionStorage.locked = locked


@breaks("[13]:")
def _no_second_look() -> None:
    """Refresh the session in memory, without reading the store under the lock."""
    original = Refresher.refresh

    def blindly(self: Refresher, locked: LockedSession, known: SessionRecord, *rest: Any, **more: Any) -> Any:
        def load() -> SessionRecord:
            del locked.load
            return known

        locked.load = load
        return original(self, locked, known, *rest, **more)

    Refresher.refresh = blindly


@breaks("1:|[a-z_]+ raised")
def _no_adoption() -> None:
    """Refresh although another process has just done so."""
    original = Refresher.refresh

    def again(self: Refresher, locked: LockedSession, known: SessionRecord, *rest: Any, **more: Any) -> Any:
        stored = locked.load()
        return original(self, locked, stored if isinstance(stored, SessionRecord) else known, *rest, **more)

    Refresher.refresh = again


@breaks("1: .* knows the successor", "not-saved-and-let-go")
def _unsaved_is_dropped() -> None:
    """Let go of an account whose session is only in its memory."""
    EngineContext.note_unsaved = lambda _self, _account, *, unsaved: None


@breaks("[13]:", "signed-out-elsewhere-while-unsaved")
def _unsaved_always_wins() -> None:
    """Save an unsaved session again, without reading the store first."""
    for held in Held:
        RULES[Bringing.UNSAVED_COPY, held] = Rule(save=True)


@breaks("1: .* overtakes", "slow-answer")
def _slow_answers_are_given_up() -> None:
    """Read the answer to a refresh for ten seconds only."""
    original = V1.refresh

    def hurried(self: V1, token: Any) -> ApiRequest:
        request = original(self, token)
        object.__setattr__(request, "reads_until_deadline", False)
        return request

    V1.refresh = hurried


def _repeats_after(kind: OutcomeKind) -> None:
    original = Attempts.repeats
    Attempts.repeats = lambda self, outcome: original(self, outcome) or outcome.kind is kind


@breaks("1: .* whose answer was gateway", "gateway-timeout")
def _a_gateway_is_asked_again() -> None:
    """Ask again at once after a gateway's time-out."""
    _repeats_after(OutcomeKind.UNKNOWN)


@breaks("1: .* whose answer was torn", "torn-answer")
def _a_torn_answer_is_asked_again() -> None:
    """Ask again at once after an answer that broke off."""
    _repeats_after(OutcomeKind.UNKNOWN)


@breaks("1: .* s after a lost answer", "lost-answer")
def _no_pause_after_a_lost_answer() -> None:
    """Ask again without a pause: the service may still be at work."""
    retry.REPEAT_PAUSE = 0.2


@breaks("1: .* after two lost answers", "lost-answer")
def _a_lost_answer_is_repeated_for_ever() -> None:
    """Ask again as often as the deadline allows."""
    _repeats_after(OutcomeKind.UNKNOWN)


@breaks("2:")
def _no_save() -> None:
    """Use the new token, and do not store it."""
    Refresher._save = lambda _self, _exchange, new: Refreshed(new, rotated=True)


@breaks("2:")
def _save_after_use() -> None:
    """Store the new token after requests can use it."""
    original, save = SessionStorage.locked, LockedSession.save

    @contextmanager
    def late(self: SessionStorage, *arguments: Any, **named: Any) -> Iterator[LockedSession]:
        with original(self, *arguments, **named) as locked:
            pending: list[Any] = []
            locked.save = lambda record, **_: pending.append(record)
            yield locked
            for record in pending:
                save(locked, record)

    SessionStorage.locked = late

"""One account's session in memory: what a request may use at once, and what it has to wait for.

The heart of the engine. An ``Account`` holds the current ``View`` and at most one flight; the table of
``_freshness`` decides. Nothing here blocks: ``acquire`` yields the points at which its caller must wait.
"""

import math
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar

from hellojohn._errors import ConfigurationError, NotSignedIn, ServiceUnavailable, SessionExpired, StoreError
from hellojohn._flight import Flight, Kind, Landing, Steps, Wait
from hellojohn._freshness import Freshness
from hellojohn._models import AuthEvent, AuthEventType, Clock, Session
from hellojohn._quiet import Quiet
from hellojohn._record import Record
from hellojohn._refresh import Result, copy_to_save, take_back
from hellojohn._services import Services
from hellojohn._vault import Held
from hellojohn._view import View

T = TypeVar("T")

_ROUNDS = 4


class Account:
    """One session of the store, as this process knows it.

    Attributes:
        name: Which session.
        key: The store's key for it.
        view: What requests use while it is fresh; ``None`` before the first look and without a session.
        clock: The injected wall clock, here because the hot path reads it.
        last_error: What the latest refresh failed with; ``None`` after a success.
        epoch: Grows with every sign-in and sign-out, so that nothing begun before undoes them.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_flight",
        "_leaving",
        "_lock",
        "_quiet",
        "_unlocked_at",
        "_unsaved",
        "clock",
        "epoch",
        "key",
        "last_error",
        "name",
        "services",
        "view",
    )

    def __init__(self, name: str, key: str, services: Services) -> None:
        """Know nothing yet: the first use reads the store."""
        self.name: str = name
        self.key: str = key
        self.services: Services = services
        self.clock: Clock = services.clock
        self.view: View | None = None
        self.epoch: int = 0
        self.last_error: Exception | None = None
        self._ended: SessionExpired | None = None
        self._unsaved: Record | None = None
        self._unlocked_at = 0
        self._quiet = Quiet()
        self.reset()

    def reset(self) -> None:
        """Forget what was under way, as a forked child must."""
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._leaving = 0

    # ------------------------------------------------------------------ what callers ask for

    def acquire(self, rejected: View | None = None, *, full: bool = False) -> Steps[View]:
        """Get a view whose token can be sent.

        Args:
            rejected: A view whose token was refused, or shall be replaced: any other token will do.
            full: Wait for the events of a refresh as well.

        Raises:
            SignInRequired: There is no session, or it is over.
            ServiceUnavailable: A token was needed and could not be had; the session is kept.
            StoreError: The same, because of the store.
            ApiError: The same, because of the settings.
        """
        view = yield from self._usable(rejected, full=full)
        if self._must_notice(view):
            yield Wait[View](self._make_flight(self._notice), full=True)
        return view

    def load(self) -> Steps[View | None]:
        """Get the view without asking the service; ``None`` when there is no session, or it is over."""
        for _ in range(_ROUNDS):
            with self._lock:
                if self.view is not None or self._leaving:
                    break
                wait = self._join("load", self._load)
            yield wait
            landing = wait.landing
            if landing is not None and landing.over:
                break
            if landing is not None:
                landing.check()
        view = self.view
        over = view is not None and view.schedule.state(self.clock()) is Freshness.OVER
        return None if over else view

    def operate(self, operation: Callable[[], T]) -> Steps[T]:
        """Carry ``operation`` out on an owner thread and get its result."""
        results: list[T] = []

        def carry_out() -> Landing:
            results.append(operation())
            return Landing()

        wait = Wait[T](self._make_flight(carry_out), full=True)
        yield wait
        if wait.landing is not None:
            wait.landing.check()
        if not results:  # a store or a transport raised what no program catches, such as SystemExit
            raise ServiceUnavailable("The operation was cut off before its end: try again.")
        return results[0]

    def public(self, record: Record) -> Session:
        """Return the public face of a record."""
        return record.session(idle_timeout=self.services.idle_timeout, clock=self.clock)

    # ------------------------------------------------------------------ what operations report

    def show(
        self,
        record: Record | None,
        *,
        ended: SessionExpired | None = None,
        unsaved: bool = False,
        signed_in: bool = False,
        epoch: int | None = None,
    ) -> bool:
        """Let requests use ``record``, unless another epoch has begun; return whether that was so.

        During a sign-out, only what was signed in since is shown. Call it while the store's lock is held, so
        that the order here is the order there.
        """
        with self._lock:
            if epoch not in (None, self.epoch):
                return False
            self.epoch += signed_in
            if self._leaving and not signed_in:
                record, unsaved = None, False
            self._show(record, ended, unsaved=unsaved)
            return True

    def _show(self, record: Record | None, ended: SessionExpired | None, *, unsaved: bool) -> None:
        self._ended = ended
        self._unsaved = record if unsaved else None
        self.services.note(self, unsaved=unsaved)
        self.view = None if record is None else self._look(record)

    @contextmanager
    def leaving(self) -> Generator[Record | None]:
        """Show no session meanwhile, whatever the store still says; yield what was shown."""
        with self._lock:
            self.epoch += 1
            self._leaving += 1
            view, self.view = self.view, None
        try:
            yield None if view is None else view.record
        finally:
            with self._lock:
                self._leaving -= 1

    def forget(self, *, locked: bool = True) -> None:
        """Show no session any more, and begin a new epoch: whatever was begun before has lost its say.

        Without the store's lock, whoever has it must undo what it has saved meanwhile.
        """
        with self._lock:
            self.epoch += 1
            if not locked:
                self._unlocked_at = self.epoch
            self._show(None, None, unsaved=False)

    def emit(self, kind: AuthEventType, record: Record | None, reason: SessionExpired | None = None) -> None:
        """Queue an event; it is delivered when the operation has landed."""
        session = None if record is None else self.public(record)
        why = None if reason is None else reason.reason
        self.services.events.emit(AuthEvent(kind, session, why, self.name))

    # ------------------------------------------------------------------ decisions

    def _usable(self, rejected: View | None, *, full: bool) -> Steps[View]:
        brought: View | None = None
        for _ in range(_ROUNDS):
            step = self._decide(rejected)
            if isinstance(step, View):
                return step
            step.full = full
            yield step
            view = self._landed(step)
            if view is not None and (brought is not None or not view.is_of_same_token(rejected)):
                return view
            brought = view  # the rejected token once more, from a flight that began before: ask again, once
        raise ServiceUnavailable("The session changes faster than it can be used: try again.")

    def _landed(self, step: "Wait[View]") -> View | None:
        """Return what can be used after a wait; ``None`` to decide again."""
        landing = step.landing
        failed = landing is None or landing.error is not None
        if failed and step.fallback is not None and not (landing and landing.over):
            return step.fallback
        if landing is None:
            return None
        landing.check()
        view = self.view if step.flight.kind == "refresh" else None
        return None if view is None or view.record.is_spent else view

    def _decide(self, rejected: View | None) -> "View | Wait[View]":
        """Return what can be used now, or what has to be waited for."""
        background: Wait[View] | None = None
        with self._lock:
            view = self.view
            if view is None:
                if self._leaving:
                    raise NotSignedIn(self.services.nobody(self.name))
                return self._join("load", self._load)
            now = self.clock()
            state = view.schedule.state(now)
            if state is Freshness.OVER:
                return self._join("end", lambda: self._end(view))
            if view.is_of_same_token(rejected):
                return self._join("refresh", lambda: self._refresh(view))
            if state is Freshness.EXPIRING:
                return self._expiring(view, now)
            if self._flight is None and not self._quiet.holds(now):
                background = self._in_background(view, state)
        if background is not None:
            background.flight.start(blocking=False)
        return view

    def _expiring(self, view: View, now: float) -> "View | Wait[View]":
        fallback = view if now < view.schedule.dead_at else None
        if fallback is not None and self._quiet.holds(now):
            return view
        return self._join("refresh", lambda: self._refresh(view), fallback=fallback)

    def _in_background(self, view: View, state: Freshness) -> "Wait[View] | None":
        if self._unsaved is not None:
            return self._join("save", self.save)
        stale = state is Freshness.STALE and self.services.background_refresh
        return self._join("refresh", lambda: self._refresh(view)) if stale else None

    def _must_notice(self, view: View) -> bool:
        now = self.clock()
        if view.noticed or not view.schedule.ends_soon(now):
            return False
        with self._lock:
            current = self.view
            if current is None or current.noticed or not current.schedule.ends_soon(now):
                return False
            self.view = self._look(current.record, noticed=True)
            return True

    # ------------------------------------------------------------------ flights

    def _join(
        self, kind: Kind, operation: Callable[[], Landing], *, fallback: View | None = None
    ) -> "Wait[View]":
        """Join the flight that is up, or make one. Call it under the lock."""
        if self._flight is None:
            self._flight = self._make_flight(operation, kind)
        return Wait(self._flight, fallback=fallback)

    def _make_flight(self, operation: Callable[[], Landing], kind: Kind = "operation") -> Flight:
        if self.services.closed:
            raise ConfigurationError("This client was closed: make a new one.")
        services = self.services
        return Flight(lambda this: self._carry_out(this, operation), kind, services.owner, services.flights)

    def _carry_out(self, flight: Flight, operation: Callable[[], Landing]) -> None:
        """Carry out, land, tell; whatever is raised on the way, nobody is left waiting."""
        landing = Landing()
        try:
            try:
                landing = Landing.of(operation)
            finally:
                self._land(flight, landing)
            with self.services.owner.lending():
                self.services.events.deliver()
        finally:
            flight.finish()
        if landing.goodbye is not None:
            self.services.say_goodbye(landing.goodbye)

    def _land(self, flight: Flight, landing: Landing) -> None:
        try:
            with self._lock:
                if self._flight is flight:
                    self._flight = None
                if flight.kind in ("refresh", "save"):
                    self.last_error = landing.error
                if landing.error is not None and flight.kind in ("refresh", "save"):
                    self._quiet.begin(landing.error, self.clock())
        finally:
            flight.land(landing)

    # ------------------------------------------------------------------ operations of the flights

    def _load(self) -> Landing:
        epoch = self.epoch
        record = self.services.vault.load(self.key)
        with self._lock:
            if record is not None and self.epoch == epoch and not (self.view or self._leaving):
                self._ended = None
                self.view = self._look(record)
        return Landing(
            error=(self._ended or NotSignedIn(self.services.nobody(self.name))) if record is None else None
        )

    def _refresh(self, view: View) -> Landing:
        with self.services.vault.locked(self.key) as held:
            if self.view is None:
                return Landing()  # a sign-out was faster
            epoch = self.epoch
            self._save_into(held, epoch)
            result = self.services.refresher.refresh(
                held, view.record, wanted=lambda: self.epoch == epoch and not self.services.ending
            )
            landing = self._settle(held, result, epoch, view.record)
        if result.lost:
            Landing.of(self.save)  # if it fails again, the next use of the session tries once more
        return landing

    def _end(self, view: View) -> Landing:
        with self.services.vault.locked(self.key) as held:
            if self.view is None:
                return Landing()  # a sign-out was faster
            epoch = self.epoch
            with suppress(StoreError):
                self._save_into(held, epoch)
            result = self.services.refresher.end(held, view.record)
            return self._settle(held, result, epoch, view.record)

    def _notice(self) -> Landing:
        view = self.view
        if view is not None and view.noticed:  # else another session has taken its place
            self.emit(AuthEventType.SESSION_EXPIRING, view.record)
        return Landing()

    def save(self, patience: float = math.inf) -> Landing:
        """Try once more to save what the store would not take, with so many seconds to wait for the lock."""
        with self.services.vault.locked(self.key, patience) as held:
            self._save_into(held, self.epoch)
        return Landing()

    def _save_into(self, held: Held, epoch: int) -> None:
        """Save what the store would not take before, unless the store has moved on."""
        unsaved = self._unsaved
        if unsaved is None:
            return
        copy = copy_to_save(held, unsaved)
        if copy is None:
            self.show(held.find(), epoch=epoch)
        else:
            self.show(copy, unsaved=True, epoch=epoch)
            held.save(copy)
            if not self.show(copy, epoch=epoch) and self._unlocked_at > epoch:
                take_back(held, copy, unsaved)

    def _settle(self, held: Held, result: Result, epoch: int, before: Record) -> Landing:
        """Show what a refresh brought, unless a sign-in or sign-out has overtaken it."""
        if not self.show(result.record, ended=result.ended, unsaved=result.unsaved, epoch=epoch):
            if self._unlocked_at > epoch:
                take_back(held, result.record, before)
            return Landing(goodbye=result.goodbye)
        if result.record is None:
            self.emit(AuthEventType.SESSION_EXPIRED, before, result.ended)
        elif result.rotated:
            self.emit(AuthEventType.TOKEN_REFRESHED, result.record)
        return Landing(error=result.ended or result.error, goodbye=result.goodbye)

    def _look(self, record: Record, *, noticed: bool = False) -> View:
        current = self.view
        known = current is not None and current.noticed and current.record.ends_with(record)
        return View(
            record,
            idle_timeout=self.services.idle_timeout,
            background_refresh=self.services.background_refresh,
            noticed=noticed or known,
            watched=self._unsaved is not None,
        )

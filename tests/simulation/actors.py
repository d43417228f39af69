"""The callers: what an application does with a client, one task for each call."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from hellojohn._auth import _Steps
from hellojohn._errors import ConfigurationError, ServiceUnavailable, StoreError
from hellojohn._flight import Flight, Steps, Wait
from hellojohn._secret import Secret
from hellojohn._sign import sign_out, user
from tests.simulation.facts import Facts
from tests.simulation.invariants import Call, Judge
from tests.simulation.plan import Chance
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.server import EMAIL, PASSWORD, Server

T = TypeVar("T")

_BOX = (None, True, False)


class Callers:
    """Makes calls, and has what they bring judged."""

    def __init__(
        self, scheduler: Scheduler, chance: Chance, facts: Facts, server: Server, judge: Judge
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._facts = facts
        self._server = server
        self._judge = judge
        self.calls: dict[str, Callable[[Call], None]] = {
            "use": self._use,
            "sign_in": self._sign_in,
            "sign_out": self._sign_out,
            "refresh": self._refresh,
            "session": self._session,
            "access_token": self._access_token,
            "user": self._user,
            "come_back": self._come_back,
        }

    def start(self, what: str, home: Process, name: str) -> Task:
        """Make a call in a process, on the account of that name."""

        def carry_out() -> None:
            now, changes = self._scheduler.turns, self._facts.changes
            call = Call(what, home, home.account(name), now, home.wall(), changes, since=now)
            try:
                self.calls[what](call)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
                self._judge.error(call, error)

        return self._scheduler.start(f"{home}.{what}", carry_out, home)

    # ------------------------------------------------------------------ the calls

    def _use(self, call: Call) -> None:
        account = call.account
        view = account.view
        if view is None or not view.fresh_from <= account.clock() < view.fresh_until:
            view = self._drive(call, account.acquire())
        self._judge.use(call, view)
        self._scheduler.pause()
        access = view.record.access_token.reveal()
        if self._server.accepts(access):
            return
        self._facts.demanded.add(access)
        self._judge.use(call, self._drive(call, account.acquire(view)), rejected=view)

    def _sign_in(self, call: Call) -> None:
        steps = _Steps(call.account, call.home.settings).sign_in(
            EMAIL,
            Secret("wrong") if self._chance.happens(0.1) else PASSWORD,
            remember_me=self._chance.one_of(*_BOX),
            session_options=None,
            captcha_token=None,
        )
        self._drive(call, steps)

    def _sign_out(self, call: Call) -> None:
        steps = sign_out(call.account, everywhere=self._chance.happens(0.2))
        try:
            self._drive(call, steps, on_flight=lambda flight: self._watch(call, flight))
        except (StoreError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 - it is judged, and the session is gone all the same
            self._judge.error(call, error)

    def _refresh(self, call: Call) -> None:
        self._forcing(call, _Steps(call.account, call.home.settings).refresh())

    def _forcing(self, call: Call, steps: Steps[Any]) -> None:
        """Carry out what may want a new token although the old one is fresh."""
        try:
            self._drive(call, steps)
        finally:
            self._facts.forced[call.account.key] = self._scheduler.turns

    def _session(self, call: Call) -> None:
        view = call.account.view
        session = self._drive(call, _Steps(call.account, call.home.settings).session())
        if session is None:
            over = view is not None and view.schedule.over_at <= call.home.wall()
            if not over:
                self._judge.nobody(call)
        else:
            self._judge.session(call, self._facts.sessions[session.id or ""])

    def _access_token(self, call: Call) -> None:
        token = self._drive(call, _Steps(call.account, call.home.settings).access_token())
        self._judge.session(call, self._facts.by_access[token.reveal()].session)

    def _user(self, call: Call) -> None:
        self._forcing(call, user(call.account))

    def _come_back(self, call: Call) -> None:
        """Use the session after all trouble is over: what the server honours must be there."""
        call.copy = self._judge.only_copy(call.account, call.home.store.texts.get(call.account.key))
        error: Exception | None = None
        for _ in range(4):
            try:
                self._judge.use(call, self._drive(call, call.account.acquire()))
            except ServiceUnavailable as failure:
                error = failure
                self._scheduler.sleep(min(failure.retry_after or 70.0, 3_601.0))
            else:
                return
        assert error is not None
        raise error

    def _watch(self, call: Call, flight: Flight) -> None:
        home, key, began = call.home, call.account.key, self._scheduler.turns
        home.signing_out[key] += 1
        self._facts.parting(key, call.account.view)

        def end(_: object) -> None:
            home.signing_out[key] -= 1
            home.touched[key] = self._scheduler.turns
            if flight.landing is not None and not isinstance(flight.landing.error, StoreError):
                home.signed_out[key] = (began, self._scheduler.turns)

        flight.done.add_done_callback(end)

    # ------------------------------------------------------------------ waiting

    def _drive(
        self,
        call: Call,
        steps: Steps[T],
        *,
        on_flight: Callable[[Flight], None] | None = None,
    ) -> T:
        """Carry out steps as ``drive`` does, on a thread, or as ``run_async`` does, in an event loop."""
        blocking = self._chance.happens(0.5)
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            call.since = min(call.since, call.home.seen(step.flight))
            self._scheduler.pause(stoppable=blocking)
            if on_flight is not None:
                on_flight(step.flight)
            self._wait(step, blocking=blocking)

    def _wait(self, step: Wait[Any], *, blocking: bool) -> None:
        step.flight.start(blocking=blocking)
        self._until(step.flight.landed, step._patience)
        if step._waits_for_events():
            self._until(step.flight.done, None)

    def _until(self, future: Future[Any], patience: float | None) -> None:
        if future.done():
            return
        wake = self._scheduler.waker()
        future.add_done_callback(lambda _: wake())
        self._scheduler.park(None if patience is None else self._scheduler.now + patience, stoppable=True)

"""One process: an engine of its own, with its own memory, on the shared store."""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from hellojohn._account import Account
from hellojohn._config import Settings, read_settings
from hellojohn._engine import Engine
from hellojohn._flight import Flight
from hellojohn._session.freshness import Freshness, Schedule
from hellojohn._models import AuthEvent
from hellojohn._owner import Owner
from hellojohn._session.record import SessionRecord
from hellojohn._clock import Timing
from hellojohn._view import View
from hellojohn._wire import Answer, ApiRequest
from hellojohn._wire.v1 import V1
from hellojohn.emulator.policy import seconds
from tests.simulation.facts import Facts, Pair, Session
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import API, KEY, TENANT
from tests.simulation.store import VirtualStore

T = TypeVar("T")

_SETTINGS = read_settings(tenant_id=TENANT, publishable_key=KEY, api_url=API)


class VirtualOwner(Owner):
    """Carries each operation out as a task of its own."""

    def __init__(self, start: Callable[[Callable[[], object]], None]) -> None:
        self.exits_at = math.inf
        self._start = start

    def run(self, work: Callable[[], T]) -> "Future[T]":
        """Start ``work``; nobody waits for its future but through the flight."""
        self._start(work)
        return Future()


class TurnLock:
    """A lock of an account: to take it and to give it back are scheduling points, if that is wanted."""

    def __init__(self, scheduler: Scheduler, facts: Facts, *, fine: bool) -> None:
        self._facts = facts
        self._pause = scheduler.pause if fine else lambda: None
        self._taken = False

    def __enter__(self) -> None:
        """Take it."""
        self._pause()
        if self._taken:
            self._facts.wrong("two tasks are inside one account's lock")
        self._taken = True

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._taken = False
        self._pause()


class Process:
    """An engine and what runs in it.

    Attributes:
        alive: Whether it has neither crashed nor been closed.
        store: The store that it shares with the others.
        offset: How far its wall clock is ahead of the true time.
        latest: The latest time its wall clock has shown before it was set back.
        signed_out: When the last sign-out of a key began and when it returned, in turns.
        signing_out: How many sign-outs of a key are under way.
        touched: When the last of them came to its end, in turns.
    """

    def __init__(
        self,
        name: str,
        *,
        scheduler: Scheduler,
        facts: Facts,
        network: Network,
        store: VirtualStore,
        plan: Plan,
        offset: float,
    ) -> None:
        self.name = name
        self.alive = True
        self.offset = offset
        self.latest = 0.0
        self.signed_out: dict[str, tuple[int, int]] = {}
        self.signing_out: Counter[str] = Counter()
        self.touched: Counter[str] = Counter()
        self._scheduler = scheduler
        self._facts = facts
        self._network = network
        self.store = store
        self._fine = plan.fine
        self._kept: list[Account] = []
        self._flights: dict[int, int] = {}
        self._seen: dict[str, View | None] = {}
        self.settings = _settings(plan, self.wall)
        self.engine = Engine(
            self.settings,
            store=store,
            dialect=V1(TENANT, KEY),
            send=self._send,
            after_fork=lambda: None,
            timing=Timing(clock=self.wall, monotonic=scheduler.clock, sleep=scheduler.sleep),
            owner=VirtualOwner(self._own),
        )
        self.engine.events.on(self._hear)

    def __repr__(self) -> str:
        """Show the name."""
        return self.name

    def wall(self) -> float:
        """Return what its wall clock shows."""
        return self._scheduler.now + self.offset

    def set_clock(self, by: float) -> None:
        """Set its wall clock by so many seconds."""
        self.latest = max(self.latest, self.wall())
        self.offset += by

    def account(self, name: str) -> Account:
        """Return an account, with a lock whose turns are taken, and keep it until ``drop``."""
        account = self.engine.account(name)
        if not isinstance(account._lock, TurnLock):
            account._lock = TurnLock(self._scheduler, self._facts, fine=self._fine)  # type: ignore[assignment]
        self._kept.append(account)
        return account

    def drop(self) -> None:
        """Keep no account that nobody uses."""
        self._kept.clear()

    def accounts(self) -> list[Account]:
        """Return the accounts in its memory."""
        return list(self.engine._accounts.values())

    def seen(self, flight: Flight) -> int:
        """Return in which turn a flight was first seen; 0 when it is too late to know."""
        if flight.landed.done():
            return 0
        turn = self._flights.get(id(flight))
        if turn is None:
            turn = self._flights[id(flight)] = self._scheduler.turns
            flight.landed.add_done_callback(partial(_forget, self._flights, id(flight)))
        return turn

    def close(self) -> bool:
        """Shut the client down in good order, as a task of the process; return whether that ended."""
        self.engine.context.closes_at = sys.maxsize  # nobody here goes by the real time that is left
        for flight in tuple(self.engine.context.flights):
            wake = self._scheduler.waker()
            flight.start(blocking=False)
            flight.landed.add_done_callback(lambda _, wake=wake: wake())
            self._scheduler.park(self._scheduler.now + 20.0)
        if self.engine.context.flights:
            return False
        self.engine.close()
        return True

    def check_views(self) -> None:
        """Judge what requests may use from now on (invariants 2 and 3)."""
        for account in self.accounts():
            view = account.view
            if view is None:
                continue
            if self._seen.get(account.key) is not view:
                self._seen[account.key] = view
                self.check_saved(view)
            pair = self._facts.by_access[view.record.access_token.reveal()]
            if self.has_signed_out(account.key, pair.session):
                self._facts.wrong(f"3: {self} shows {pair.session}, which was signed out before")
            if not view.record.is_spent and self._has_saved_as_spent(pair):
                self._facts.wrong(f"3: {self} shows {pair} as good, and has saved it as spent")

    def _has_saved_as_spent(self, pair: Pair) -> bool:
        task = pair.spent_by
        return task is not None and task.home is self and task not in self._scheduler.tasks

    def has_signed_out(self, key: str, session: Session) -> bool:
        """Return whether a session that may not come back was signed out here."""
        began, _ = self.signed_out.get(key, (0, 0))
        since = session.came_back or session.saved_at
        return not session.torn and since is not None and since < began

    def check_saved(self, view: View) -> None:
        """Judge whether a token may be used: its refresh token must be safe."""
        pair = self._facts.by_access[view.record.access_token.reveal()]
        if pair.saved_at is None and not (pair.parent is not None and pair.parent.failed):
            self._facts.wrong(f"2: the access token of {pair} can be used, and {pair} is not stored")

    def state(self, record: Mapping[str, Any]) -> Freshness:
        """Return how this process sees a record now."""
        found = Record.loads(json.dumps(record))
        return Schedule.of(found, idle_timeout=self.engine.context.idle_timeout).state(self.wall())

    def _own(self, work: Callable[[], object]) -> None:
        flight = getattr(work, "__self__", None)
        if isinstance(flight, Flight):
            self.seen(flight)

        def carry_out() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - an operation must not raise at all
                self._facts.wrong(f"an operation raised {error!r}")

        self._scheduler.start(f"{self.name}.owner", carry_out, self)

    def _send(self, call: ApiRequest, deadline: float) -> Answer:
        return self._network.send(self, call, deadline)

    def _hear(self, event: AuthEvent) -> None:
        self._scheduler.note("event", event.type.value)
        self._scheduler.pause()


def _forget(flights: dict[int, int], number: int, _: object) -> None:
    flights.pop(number, None)


def _settings(plan: Plan, clock: Callable[[], float]) -> Settings:
    known = plan.idle if plan.knows_idle else None
    return replace(
        _SETTINGS,
        idle_timeout=None if known is None else timedelta(seconds=seconds(known)),
        remember_me_duration=timedelta(hours=12),
        session_duration=timedelta(hours=1),
        background_refresh=plan.background,
        clock=clock,
    )

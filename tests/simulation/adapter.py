"""The one module that knows the engine's private parts: it puts a client on virtual threads, clocks and sockets.

Every waiting point of the engine becomes a scheduling point of the simulation. What is judged comes from the
public API, from the texts in the store and from the wire; ``shown`` and ``read`` say what they mean.
"""

import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hellojohn import ExpiryReason, HelloJohn, _auth, _client
from hellojohn._account import Account
from hellojohn._engine import Engine
from hellojohn._flight import Steps, Wait
from hellojohn._owner import Owner
from hellojohn._timing import Timing
from hellojohn._transport import flow as transport_flow
from hellojohn._wire import Answer, ApiRequest
from tests.simulation.plan import Chance
from tests.simulation.scheduler import Scheduler, Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as a store keeps it.

    Attributes:
        access_token, refresh_token: The pair.
        generation: How many pairs there were.
        refreshed_at: When the pair arrived.
        ttl: The access token's life.
        created_at: When the session began.
        client_ends_at: When the client ends it, if it must.
        server_ends_at: When the service ends it, if it said so.
        attempt_open: Whether a refresh has begun whose outcome is not known.
        cooldown_until: No refresh is tried before, because one has failed.
        refresh_not_before: No other process sends the token before, because one may be sending it.
    """

    access_token: str
    refresh_token: str
    generation: int
    refreshed_at: float
    ttl: float
    created_at: float
    client_ends_at: float | None
    server_ends_at: float | None
    attempt_open: bool
    cooldown_until: float | None
    refresh_not_before: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What a store keeps of a session that has ended."""

    session_id: str | None
    reason: ExpiryReason


def read(text: str) -> Stored | Ended | None:
    """Read a text from a store; ``None`` if it is neither."""
    fields = json.loads(text)
    return Stored(
        access_token=fields["access_token"],
        refresh_token=fields["refresh_token"],
        generation=fields["generation"],
        refreshed_at=fields["refreshed_at"],
        ttl=fields["ttl"],
        created_at=fields["created_at"],
        client_ends_at=fields["deadline"],
        server_ends_at=fields["ends_at"],
        attempt_open=fields["intent_at"] is not None,
        cooldown_until=fields["retry_at"],
        refresh_not_before=None,
    )


class Home(Protocol):
    """What a process gives to the engine."""

    scheduler: Scheduler
    chance: Chance
    fine: bool
    facts: Any

    def wall(self) -> float:
        """Return the wall clock."""
        ...

    def monotonic(self) -> float:
        """Return the monotonic clock."""
        ...

    def send(self, request: ApiRequest, seconds: float) -> Answer:
        """Send a request."""
        ...

    def start_worker(self, work: Callable[[], object]) -> Task:
        """Run an operation."""
        ...


def open_client(home: Home, **options: Any) -> HelloJohn:
    """Make a public client that lives in a process of the simulation."""
    _making.append(home)
    try:
        return HelloJohn(**options)
    finally:
        _making.pop()


def shown(client: HelloJohn) -> dict[str, str | None]:
    """Return the access tokens that requests of a client carry now, by key."""
    accounts = client._engine._accounts.values()
    return {
        account.key: None if account.view is None else account.view.record.access_token.reveal()
        for account in accounts
    }


def run_in(scheduler: Scheduler) -> None:
    """Let the engine wait in a scheduler from now on."""
    _running[0] = scheduler


_making: list[Home] = []
_running: list[Scheduler | None] = [None]


class _Owner(Owner):
    """Carries each operation out as a task of its own."""

    def __init__(self, home: Home) -> None:
        self.exits_at = math.inf
        self._home = home

    def run(self, work: Callable[[], T]) -> "Future[T]":
        """Start ``work``."""
        self._home.start_worker(work)
        return Future()


class _TurnLock:
    """A lock of an account: to take it and to give it back are scheduling points, if that is wanted."""

    def __init__(self, home: Home) -> None:
        self._facts = home.facts
        self._pause = home.scheduler.pause if home.fine else lambda: None
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


class _Engine(Engine):
    """An engine in virtual time."""

    def __init__(self, settings: Any, **parts: Any) -> None:
        self._home = home = _making[-1]
        timing = Timing(clock=home.wall, monotonic=home.monotonic, sleep=home.scheduler.sleep)
        super().__init__(settings, **{**parts, "send": home.send}, timing=timing, owner=_Owner(home))

    def account(self, name: str) -> Account:
        """Return an account with a lock whose turns are taken."""
        account = super().account(name)
        if not isinstance(account._lock, _TurnLock):
            account._lock = _TurnLock(self._home)
        return account

    def close(self) -> None:
        """Wait in virtual time for what the engine waits for."""
        self.services.closes_at = sys.maxsize
        scheduler = self._home.scheduler
        for flight in tuple(self.services.flights):
            wake = scheduler.waker()
            flight.start(blocking=False)
            flight.landed.add_done_callback(lambda _, wake=wake: wake())
            scheduler.park(scheduler.now + 20.0)
        if not self.services.flights:
            super().close()


class _Sender:
    """Sends nothing: the engine's requests go through the simulated network."""

    def __init__(self, *_: object, **__: object) -> None:
        self.reset_after_fork = self.close = lambda: None

    def send(self, *_: object, **__: object) -> Answer:
        """Never called."""
        raise AssertionError


def _drive(steps: Steps[T]) -> T:
    """Carry out steps as a thread does, or as a task of an event loop does."""
    scheduler = _running[0]
    assert scheduler is not None
    assert scheduler.current is not None
    home: Any = scheduler.current.home
    blocking = home.chance.happens(0.5)
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        scheduler.pause(stoppable=blocking)
        _wait(scheduler, step, blocking=blocking)


def _wait(scheduler: Scheduler, step: Wait[Any], *, blocking: bool) -> None:
    step.flight.start(blocking=blocking)
    _until(scheduler, step.flight.landed, step._patience)
    if step._waits_for_events():
        _until(scheduler, step.flight.done, None)


def _until(scheduler: Scheduler, future: Future[Any], patience: float | None) -> None:
    if future.done():
        return
    wake = scheduler.waker()
    future.add_done_callback(lambda _: wake())
    scheduler.park(None if patience is None else scheduler.now + patience, stoppable=True)


_client.Engine = _Engine
_client.Sender = _Sender
_auth.drive = transport_flow.drive = _client.drive = _drive

"""The one module that knows the engine's private parts.

It puts a client on virtual threads, clocks and sockets.

Every waiting point of the engine becomes a scheduling point of the simulation. The judged facts come from the
public API, from the texts in the store and from the wire; ``shown`` and ``read`` say what they mean.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import tenacity

from hellojohn import ExpiryReason, HelloJohn, _assembly, _http, _waiting
from hellojohn._clock import Timing
from hellojohn._session import context, engine, events, flight
from hellojohn._session.account import Account
from hellojohn._session.exchange import Exchange
from hellojohn._session.workers import Job, WorkerPool
from hellojohn._transport import origins
from hellojohn._waiting import Completion, WaitFor
from hellojohn._wire import Answer, ApiRequest
from tests.simulation.plan import Chance
from tests.simulation.scheduler import Scheduler, Task


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
        last_used_at: The last use that the client has noted, where it ends idle sessions.
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
    last_used_at: float | None

    @property
    def active_at(self) -> float:
        """The last refresh or use that it knows of."""
        return max(self.refreshed_at, self.last_used_at or 0.0)


@dataclass(frozen=True, slots=True)
class Ended:
    """The record of an ended session in a store."""

    session_id: str | None
    reason: ExpiryReason


def read(text: str) -> Stored | Ended | None:
    """Read a text from a store; ``None`` if it is neither."""
    fields = json.loads(text)
    ended = fields.get("ended")
    if ended is not None:
        return Ended(ended["session_id"], ExpiryReason(ended["reason"]))
    return Stored(
        access_token=fields["access_token"],
        refresh_token=fields["refresh_token"],
        generation=fields["generation"],
        refreshed_at=fields["refreshed_at"],
        ttl=fields["ttl"],
        created_at=fields["created_at"],
        client_ends_at=fields["client_ends_at"],
        server_ends_at=fields["server_ends_at"],
        attempt_open=fields["refresh_started_at"] is not None,
        cooldown_until=fields["cooldown_until"],
        refresh_not_before=fields["refresh_not_before"],
        last_used_at=fields["last_used_at"],
    )


class Home(Protocol):
    """The clocks and functions that a process gives to the engine."""

    scheduler: Scheduler
    chance: Chance
    fine: bool
    facts: Any
    has_changed: bool

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
    found: dict[str, str | None] = {}
    for reference in client._parts.engine._accounts.valuerefs():
        account = reference()
        if account is not None:
            snapshot = account.state.snapshot
            found[account.key] = None if snapshot is None else snapshot.record.access_token.reveal()
    return found


def run_in(scheduler: Scheduler) -> None:
    """Let the engine wait in a scheduler from now on."""
    _running[0] = scheduler


_making: list[Home] = []
_running: list[Scheduler] = [Scheduler()]


class _Pool(WorkerPool):
    """Runs each operation as a separate task."""

    def __init__(self, home: Home) -> None:
        self.exits_at = math.inf
        self._home = home

    def submit(self, job: Job) -> None:
        """Start the job."""
        self._home.start_worker(job.run)

    def retire(self) -> None:
        """Leave the tasks alone: each ends by itself."""


class _TurnLock:
    """The lock of an account: to take it and to give it back are scheduling points, if that is wanted."""

    def __init__(self, home: Home) -> None:
        self._facts = home.facts
        self._pause = home.scheduler.pause if home.fine else lambda: None
        self._taken = False

    def _is_owned(self) -> bool:
        """Return that no task interrupts itself."""
        return False

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


class _Mutex:
    """The lock of an account's writes, which a task holds while the store works."""

    def __init__(self, home: Home) -> None:
        self._scheduler = home.scheduler
        self._taken = False
        self._waiting: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        """Take it."""
        while self._taken:
            self._waiting.append(self._scheduler.waker())
            self._scheduler.park()
        self._taken = True

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._taken = False
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()


class _Account(Account):
    """An account that tells its process when its state changes: only then are its tokens judged."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute."""
        super().__setattr__(name, value)
        if name == "state":
            self.context.workers._home.has_changed = True  # type: ignore[attr-defined]


class _Engine(engine.Engine):
    """An engine in virtual time."""

    def __init__(self, settings: Any, **parts: Any) -> None:
        self._home = home = _making[-1]
        timing = Timing(clock=home.wall, monotonic=home.monotonic, sleep=home.scheduler.sleep)
        super().__init__(settings, **{**parts, "send": home.send}, timing=timing, workers=_Pool(home))

    def account(self, name: str) -> Account:
        """Return an account whose locks are taken in turns."""
        account = super().account(name)
        if not isinstance(account, _Account):
            account.__class__ = _Account  # only now, since making one sets all of its attributes
            account.lock = _TurnLock(self._home)
            account.storage.mutex = _Mutex(self._home)
            self._home.has_changed = True
        return account


class _Sender:
    """Sends nothing: the engine's requests go through the simulated network."""

    def __init__(self, *_: object, **__: object) -> None:
        self.prepare = self.close = lambda: None


class _TaskLocal:
    """What ``threading.local`` is to a thread: attributes that each task has for itself."""

    def __init__(self) -> None:
        self.__dict__["values"] = WeakKeyDictionary()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][_running[0].current][name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__["values"].setdefault(_running[0].current, {})[name] = value


def _wait(self: Completion, timeout: float | None) -> None:
    """Wait for a signal as a task of the simulation."""
    if self.done:
        return
    scheduler = _running[0]
    wake = scheduler.waker()
    self.when_done(wake)
    try:
        scheduler.park(None if timeout is None else scheduler.now + timeout, stoppable=True)
    finally:
        self.forget(wake)


def _block(wait: WaitFor) -> None:
    """Wait as a thread does, or as a task of an event loop does."""
    scheduler = _running[0]
    blocking = _home().chance.happens(0.5)
    scheduler.pause(stoppable=blocking)
    wait.completion.start(blocking=blocking)
    wait.completion.wait(wait.timeout)


def _sign_out_first(self: Exchange) -> bool:
    """Clean up for a sign-out: what the task finds is not noted by its process."""
    task = _running[0].current
    assert task is not None, "only a task refreshes"
    task.overtaken = True
    try:
        return _signing_out_first(self)
    finally:
        task.overtaken = False


_signing_out_first = Exchange.sign_out_first


def _home() -> Home:
    task = _running[0].current
    assert task is not None, "only a task can call a client"
    home: Any = task.home
    return home  # type: ignore[no-any-return]


def _replace(place: Any, name: str, by: object) -> None:
    """Put something in the place of a name that the engine uses, which must not have moved unnoticed."""
    if name not in vars(place):
        msg = f"{place.__name__} has no {name!r} any more: find where the engine looks it up now."
        raise AttributeError(msg)
    setattr(place, name, by)


@cache
def install() -> None:
    """Let the engine of this process run in the simulation from now on. It has no other use after that."""
    _replace(Completion, "wait", _wait)
    _replace(_waiting, "_block", _block)
    _replace(Exchange, "sign_out_first", _sign_out_first)
    for module in (context, engine):
        _replace(module, "time", SimpleNamespace(monotonic=lambda: _home().monotonic()))
    own_ident = {"get_ident": lambda: id(_running[0].current)}
    for module in (events, flight):
        _replace(module, "threading", SimpleNamespace(**vars(module.threading) | own_ident))
    _replace(tenacity, "threading", SimpleNamespace(local=_TaskLocal))
    _replace(_assembly, "Engine", _Engine)
    _replace(engine, "check_account", cache(engine.check_account))
    _replace(origins, "_read_origin", cache(origins._read_origin))  # it costs as much as a turn
    _replace(_http, "Sender", _Sender)

"""One process: a client with its memory and clocks, on the shared store."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import httpx

from hellojohn import AuthEvent, ExpiryReason, HelloJohn
from hellojohn._duration import parse_duration
from hellojohn._wire import Answer, ApiRequest
from tests.simulation import adapter
from tests.simulation.adapter import Stored
from tests.simulation.facts import Facts, Session
from tests.simulation.plan import Chance, Plan
from tests.simulation.scheduler import Scheduler, Stop, Task
from tests.simulation.server import API, KEY, TENANT
from tests.simulation.server_v2 import CLIENT
from tests.simulation.store import VirtualStore

_STALE_SHARE, _LONGEST_STALE, _CLOCK_SLACK = 1 / 5, 300.0, 60.0

_DIALECTS = {"v1": {"publishable_key": KEY}, "v2": {"api": "v2", "client_id": CLIENT}}
Send = Callable[[object, ApiRequest, float], Answer]


class Clocks(NamedTuple):
    """The readings of the clocks of a process, and in which turn they were read."""

    monotonic: float
    wall: float
    turn: int


class Heard(NamedTuple):
    """One thing that an application learnt.

    It is an event, or that the application uses a session (``USED``), has let go of the account
    (``DROPPED``), or found no session (``NONE``). ``since`` is when the call began.
    """

    turn: int
    name: str
    what: str
    session: Session | None = None
    reason: ExpiryReason | None = None
    since: int = 0


class Process:
    """A client and what runs in its process.

    Attributes:
        alive: Whether it has neither crashed nor been closed.
        closed: Whether ``close`` has returned.
        frozen: Whether it is suspended.
        offset: How far its wall clock is ahead of the true time.
        latest: The latest time its wall clock has shown before it was set back.
        suspended: How many seconds it was suspended.
        heard: The events and uses of the application, in order.
        has_changed: Whether the state of an account has changed since its tokens were judged.
        client: The public client.
        accounts: The client bound to each account that the application uses, and its auth hook.
    """

    def __init__(
        self,
        name: str,
        *,
        scheduler: Scheduler,
        chance: Chance,
        facts: Facts,
        send: Send,
        store: VirtualStore,
        plan: Plan,
        offset: float,
    ) -> None:
        self.name = name
        self.alive = True
        self.closed = False
        self.frozen = False
        self.offset = offset
        self.latest = 0.0
        self.heard: list[Heard] = []
        self.has_changed = False
        self.scheduler = scheduler
        self.chance = chance
        self.facts = facts
        self.fine = plan.fine
        self._idle = None if plan.idle is None or not plan.knows_idle else plan.idle
        self._background = plan.background
        self._send = send
        self._lost = 0.0
        self.suspended = 0.0
        self.accounts: dict[str, tuple[HelloJohn, httpx.Auth]] = {}
        self._remembered: list[tuple[int, Session, float]] = []
        self._shown: dict[str, str | None] = {}
        self.client = adapter.open_client(
            self,
            api_url=API,
            tenant_id=TENANT,
            **_DIALECTS[plan.api],
            store=store,
            clock=self.wall,
            idle_timeout=self._idle,
            remember_me_duration=timedelta(hours=12),
            session_duration=timedelta(hours=1),
            background_refresh=plan.background,
        )
        self.client.on(self._hear)

    def __repr__(self) -> str:
        """Show the name."""
        return self.name

    # ------------------------------------------------------------------ clocks

    def wall(self) -> float:
        """Return what its wall clock shows."""
        return self.scheduler.now + self.offset

    def monotonic(self) -> float:
        """Return what its monotonic clock shows. On some systems it stops while the process is suspended."""
        return self.scheduler.now - self._lost

    def clocks(self) -> Clocks:
        """Return what both clocks show."""
        return Clocks(self.monotonic(), self.wall(), self.scheduler.turns)

    def elapsed_since(self, moment: Clocks | None) -> float:
        """Return the seconds that have passed by the clock that shows more of them."""
        if moment is None:
            return 0.0
        return max(self.monotonic() - moment.monotonic, self.wall() - moment.wall)

    def set_clock(self, by: float) -> None:
        """Set its wall clock by so many seconds."""
        self.latest = max(self.latest, self.wall())
        self.offset += by

    def was_suspended(self, seconds: float, *, counted: bool) -> None:
        """Note a suspension, which its monotonic clock may have missed."""
        self.suspended += seconds
        if not counted:
            self._lost += seconds

    def latest_wall(self) -> float:
        """Return the latest time that its wall clock has shown."""
        return max(self.latest, self.wall())

    # ------------------------------------------------------------------ the application's side

    def account(self, name: str) -> tuple[HelloJohn, httpx.Auth]:
        """Return the client bound to an account and its auth hook, and keep them until ``drop``."""
        kept = self.accounts.get(name)
        if kept is None:
            client = self.client.for_account(name)
            kept = self.accounts[name] = (client, client.httpx_auth(origins=[API]))
        return kept

    def drop(self) -> None:
        """Let go of all accounts, as a back end does at the end of each request."""
        for name in self.accounts:
            self.heard.append(Heard(self.scheduler.turns, name, "DROPPED"))
        self.accounts.clear()
        self._remembered.clear()

    def uses(self, name: str, session: Session, *, since: int) -> None:
        """Note that the application uses a session, in a call that began in a turn."""
        self.heard.append(Heard(self.scheduler.turns, name, "USED", session, since=since))
        if name not in self.accounts:  # it was let go of during the call, and may be gone at its end
            self.heard.append(Heard(self.scheduler.turns, name, "DROPPED"))

    def remember(self, name: str, session: Session, wall: float) -> None:
        """Note that a request used a session; the moment may have been a little later."""
        if name in self.accounts:  # else it was let go of during the call, and may be gone at its end
            self._remembered.append((self.scheduler.turns, session, wall))

    def remembered(self, session: Session, *, before: float = math.inf) -> float:
        """Return when a session was last used by an account that is still there, before a turn."""
        uses = (wall for turn, used, wall in self._remembered if used is session and turn < before)
        return max(uses, default=0.0)

    def ended(self, name: str) -> None:
        """Note that a call of the application found no session."""
        self.heard.append(Heard(self.scheduler.turns, name, "NONE"))

    def heard_endings(self) -> list[Heard]:
        """Return the events that a session has ended."""
        return [entry for entry in self.heard if entry.what == "SESSION_EXPIRED"]

    def _hear(self, event: AuthEvent) -> None:
        session = None if event.session is None else self.facts.sessions.get(event.session.id or "")
        self.scheduler.note("event", (event.type.value, event.account, session))
        self.heard.append(Heard(self.scheduler.turns, event.account, event.type.value, session, event.reason))
        if event.type.value == "SESSION_EXPIRING" and session is not None:
            session.announced += 1
        if event.reason is ExpiryReason.IDLE and session is not None:
            self.facts.on_idle(self, session)
        self.scheduler.pause()

    # ------------------------------------------------------------------ for the engine

    def send(self, request: ApiRequest, seconds: float) -> Answer:
        """Send a request."""
        return self._send(self, request, seconds)

    def start_worker(self, work: Callable[[], object]) -> Task:
        """Run an operation of the engine as a task of this process."""

        def carry_out() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - an operation must not raise at all
                self.facts.wrong(f"an operation raised {error!r}")

        caller = self.scheduler.current
        if caller is not None and caller.doomed:
            raise Stop
        task = self.scheduler.start(f"{self.name}.worker", carry_out, self)
        operation = None if caller is None or caller.call is None else caller.call.operation
        if operation is not None and operation.submitted is None:
            operation.submitted, operation.worker = self.scheduler.turns, task
        return task

    # ------------------------------------------------------------------ seen from outside

    def oldest_turn(self) -> int:
        """Return when the oldest of its tasks began: it may have read the store at any time since."""
        return min((task.began for task in self.scheduler.tasks if task.home is self), default=0)

    def changed_tokens(self) -> dict[str, str | None]:
        """Return the tokens that requests use from now on, by key, where they have changed."""
        self.has_changed = False
        shown = adapter.shown(self.client)
        changed = {key: token for key, token in shown.items() if self._shown.get(key) != token}
        self._shown = shown
        return changed

    def shown(self) -> dict[str, str | None]:
        """Return the tokens that requests use now, by key."""
        shown = adapter.shown(self.client)
        assert self.has_changed or shown.items() <= self._shown.items(), "a change was not seen"
        return shown

    def is_fresh(self, record: Stored) -> bool:
        """Return whether this process has no cause to refresh a token, by its own clock."""
        now, ttl = self.wall(), record.ttl
        idle = math.inf if self._idle is None else parse_duration(self._idle, name="idle").total_seconds()
        until = record.refreshed_at + min(ttl - min(ttl * _STALE_SHARE, _LONGEST_STALE), idle / 2)
        return record.refreshed_at - _CLOCK_SLACK <= now < until

    def is_over(self, record: Stored) -> bool:
        """Return whether the client must have ended a session by its own clock, now or before it was set."""
        return (record.client_ends_at or math.inf) <= self.latest_wall()

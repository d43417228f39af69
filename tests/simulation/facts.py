"""The facts of the world: every session, every token, and every sign-in and sign-out that was asked for.

It sees both ends of the wire and the store itself, which no client can. It judges nothing: ``wire_rules``,
``store_rules``, ``call_rules``, ``event_rules`` and ``end_rules`` do.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hellojohn import ExpiryReason
from tests.simulation.adapter import Stored
from tests.simulation.scheduler import Scheduler, Task

if TYPE_CHECKING:
    from tests.simulation.call import Call

ANYBODY, JUNK = "anybody", "junk"

ENDINGS: Mapping[str, ExpiryReason] = {
    "session_expired": ExpiryReason.EXPIRED,
    "refresh_token_expired": ExpiryReason.EXPIRED,
    "session_revoked": ExpiryReason.REVOKED,
    "refresh_token_reused": ExpiryReason.REUSE_DETECTED,
    "refresh_token_invalid": ExpiryReason.REJECTED,
    "account_disabled": ExpiryReason.USER_DISABLED,
    "SESSION_EXPIRED": ExpiryReason.EXPIRED,
    "UNAUTHORIZED": ExpiryReason.REVOKED,
    "REFRESH_TOKEN_REUSE": ExpiryReason.REVOKED,
    "user_disabled": ExpiryReason.USER_DISABLED,
}
"""The codes that end a session, of both dialects."""

WAS_USED = frozenset({"refresh_token_reused", "refresh_token_invalid", "UNAUTHORIZED", "REFRESH_TOKEN_REUSE"})
"""Those that may only mean that an answer to the token was lost."""


@dataclass(eq=False)
class Pair:
    """A refresh token and the access token that came with it.

    Attributes:
        label: Its name in a trace.
        session: Its session.
        parent: The pair it replaced.
        access: The access token.
        issued_at: When the service issued it.
        presented: How often a client sent the refresh token to refresh.
        waiting: How many clients wait for an answer to it.
        rotated: Whether the service has replaced it.
        refused: Whether a clean answer to it ended the session.
        stolen: Whether the refresh token was used behind the client's back.
        saved_at: The turn in which a store first held it.
        doubt: Whether a client may rightly not know what became of its refresh.
        unknown: Whether a client cannot know it.
        unguarded: Whether a task that had lost the lock sent it.
        cut_off: Whether an attempt may have been left open, though nothing was sent.
        failed: Whether the store failed while its successor was on the way.
        returned: Whether it came back from memory after junk had taken its place.
        known_to: The processes that have learnt its successor.
        causes: Whether its access token was refused when it was presented, and whether there was no
            other cause.
        after_refusal: Whether a refusal by the API was among the causes of the refresh that brought it.
        only_refusal: Whether it was the only cause.
    """

    label: str
    session: "Session"
    parent: "Pair | None"
    access: str
    issued_at: float
    presented: int = 0
    waiting: int = 0
    rotated: bool = False
    refused: bool = False
    stolen: bool = False
    saved_at: int | None = None
    doubt: bool = False
    unknown: bool = False
    unguarded: bool = False
    cut_off: bool = False
    failed: bool = False
    returned: bool = False
    known_to: set[object] = field(default_factory=set)
    causes: tuple[bool, bool] = (False, False)
    after_refusal: bool = False
    only_refusal: bool = False

    def __repr__(self) -> str:
        """Show the label."""
        return self.label


@dataclass(eq=False)
class Session:
    """A session of the service.

    Attributes:
        id: Its id.
        label: Its name in a trace.
        user: Whose it is.
        asked: The sign-in that asked for it.
        said: What clean answers said of its end.
        saved_at: The turn in which a store first held it.
        deadline: When the client must end it, by its own clock.
        ends_at: When it ends, as far as a client that has its record knows.
        created_at: When it began, by the same clock.
        left: Who took its record out of the store: processes, ``JUNK``, or ``ANYBODY`` for what cannot
            be told
            apart from a sign-out.
        ended_at: In which turn a sign-out took it out of the store for good.
        came_back: The last turn in which it came back from behind junk that may have hidden its sign-out.
        torn: Whether a lock was lost or done without while another process held it: no order is promised.
        excused: Whether a crash, a failing store or junk touched it, so that a note or a request may be
            missing.
        goodbyes: How many requests to sign it out were made.
        announced: How often its near end was announced.
        active_at: The last use or refresh that the store knows of, by a client's clock.
        idled: Whether a client has rightly ended it because it was idle.
    """

    id: str
    label: str
    user: str
    asked: "Operation | None" = None
    said: set[ExpiryReason] = field(default_factory=set)
    saved_at: int | None = None
    deadline: float | None = None
    ends_at: float | None = None
    created_at: float = 0.0
    left: set[object] = field(default_factory=set)
    ended_at: int | None = None
    came_back: int | None = None
    torn: bool = False
    excused: bool = False
    goodbyes: int = 0
    announced: int = 0
    active_at: float | None = None
    idled: bool = False

    def __repr__(self) -> str:
        """Show the label."""
        return self.label

    @property
    def key(self) -> str | None:
        """The key of the account that it was asked for on."""
        return None if self.asked is None else self.asked.key


@dataclass(eq=False)
class Operation:
    """A sign-in or a sign-out, from the moment it was asked for. Moments are turns.

    Attributes:
        call: The call that asked for it.
        what: ``sign_in`` or ``sign_out``.
        home: The process.
        key: The account's key.
        started: When the call began.
        submitted: When it was certainly asked for: its work was handed to a worker.
        worker: The task that carries it out.
        heard: When its answer arrived: the service's to a sign-in.
        session: The session that it brought.
        confirmed: Whether the service has confirmed a sign-out; ``None`` if it was not asked.
        troubled: Whether the store failed it.
        done: When it ended.
    """

    call: "Call"
    what: str
    home: object
    key: str
    started: int
    submitted: int | None = None
    worker: Task | None = None
    heard: int | None = None
    session: Session | None = None
    confirmed: bool | None = None
    troubled: bool = False
    done: int | None = None

    def __repr__(self) -> str:
        """Show the kind and the caller."""
        return f"{self.what} of {self.home}"


class Facts:
    """The book of one schedule."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.violations: list[str] = []
        self.pairs: dict[str, Pair] = {}
        self.by_access: dict[str, Pair] = {}
        self.live: dict[str, Pair] = {}
        self.sessions: dict[str, Session] = {}
        self.operations: list[Operation] = []
        self._running: list[Operation] = []
        self.records: dict[str, Stored] = {}
        self.last: dict[str, Session] = {}
        self.present_since: dict[str, int] = {}
        self.same_since: dict[str, int] = {}
        self.changes = 0
        self.demanded: set[str] = set()
        self.forced: dict[str, int] = {}
        self.unlocked: set[Task | None] = set()
        self.blind: dict[tuple[object, str], int] = {}
        self.open: dict[Task | None, Pair] = {}
        self.failed_at: dict[str, float] = {}
        self.used_at: dict[str, float] = {}
        self.on_idle: Callable[[Any, Session], object] = lambda _home, _session: None

    def wrong(self, what: str) -> None:
        """Report a violation."""
        self.scheduler.note("VIOLATION", what)
        self.violations.append(what)

    # ------------------------------------------------------------------ sign-ins and sign-outs

    def asks(self, call: "Call") -> Operation:
        """Note that a sign-in or a sign-out is asked for now."""
        operation = Operation(call, call.what, call.home, call.key, self.scheduler.turns)
        self.operations.append(operation)
        self._running.append(operation)
        return operation

    def settle(self) -> None:
        """Note which operations have ended: their callers may not be there any more to hear of it."""
        if not self._running:
            return
        for operation in tuple(self._running):
            if operation.call.over is not None and operation.worker not in self.scheduler.tasks:
                operation.done = self.scheduler.turns
                self._running.remove(operation)

    def of_account(self, home: object, key: str) -> Iterator[Operation]:
        """Return the operations asked for on an account of a process, in order."""
        return (found for found in self.operations if found.home is home and found.key == key)

    def later(self, operation: Operation) -> Iterator[Operation]:
        """Return the operations certainly asked for later, on the same account of the same process."""
        asked = operation.submitted
        if asked is None:
            return iter(())
        found = self.of_account(operation.home, operation.key)
        return (other for other in found if other.started > asked and other.submitted is not None)

    def is_sign_out_known(self, key: str, session: Session) -> bool:
        """Return whether a sign-out may have ended a session, wherever it was asked for."""
        began = 0 if session.asked is None else session.asked.started
        return any(
            found.what == "sign_out" and found.key == key and (found.done is None or found.done >= began)
            for found in self.operations
        )

    def operation_of(self, task: Task | None) -> Operation | None:
        """Return the sign-in or sign-out that a task carries out."""
        for owner in (task, None if task is None else task.parent):
            if owner is not None and owner.call is not None:
                operation: Operation | None = owner.call.operation
                return operation
        return None

    def used(self, call: "Call", session: Session) -> None:
        """Note that a request is made as the user of a session, which counts as use."""
        self.active(call.key, call.home.wall())
        call.home.remember(call.name, session, call.wall)

    def active(self, key: str, moment: float) -> None:
        """Note a use or a refresh; it may have been a little earlier."""
        self.used_at[key] = max(self.used_at.get(key, 0.0), moment)

    # ------------------------------------------------------------------ the service

    def began(self, session_id: str, user: str, mark: str | None) -> None:
        """Note a new session, and the sign-in that it belongs to."""
        session = self.sessions[session_id] = Session(session_id, f"s{len(self.sessions) + 1}", user)
        if mark is not None:
            session.asked = self.operations[int(mark)]
            session.asked.session = session

    def issued(self, session_id: str, refresh: str, access: str, given: str | None) -> None:
        """Note a new pair, and the refresh token that was given for it."""
        session = self.sessions[session_id]
        parent = None if given is None else self.pairs[given]
        live = self.live.get(session_id)
        pair = Pair(f"r{len(self.pairs) + 1}", session, parent, access, self.scheduler.now)
        if parent is not None and live is not None:
            parent.rotated = live.rotated = True
            # A request that was given up arrives late, in the grace window.
            live.stolen = live.stolen or live is not parent
            pair.after_refusal, pair.only_refusal = parent.causes
        self.pairs[refresh] = self.by_access[access] = self.live[session_id] = pair

    def pair_of(self, record: Stored) -> Pair:
        """Return the pair that a record holds."""
        return self.pairs[record.refresh_token]

    # ------------------------------------------------------------------ the store

    def left(self, key: str, who: object, *, signed_out: bool = False) -> None:
        """Note that the record of ``key`` has left the store."""
        record = self.records.pop(key, None)
        if record is not None:
            self.changes += 1
            session = self.pair_of(record).session
            session.left.add(who)
            session.ended_at = self.scheduler.turns if signed_out else None
            self.scheduler.note("removes", self.pair_of(record))
        self.open.pop(self.scheduler.current, None)

    def blinded(self, key: str) -> None:
        """Note that a process found junk.

        The process has the only copy of its session, and cannot know the record that was there.
        """
        task = self.scheduler.current
        home = None if task is None else task.home
        # A closed client shows nothing, and a refresh that goes on in it has its copy nevertheless.
        if home is not None and (home.closed or home.shown().get(key) is not None):  # type: ignore[attr-defined]
            self.blind[home, key] = self.scheduler.turns
        self.excuse(key)

    def seen(self, key: str) -> None:
        """Note that a process has found a record under the lock: if it is gone later, another removed it."""
        task = self.scheduler.current
        if task is not None:
            self.blind.pop((task.home, key), None)

    @contextmanager
    def still_blind(self, key: str, *, after: bool) -> Iterator[None]:
        """Keep the facts that a process cannot know, over a save; ``after`` means that the save failed."""
        task = self.scheduler.current
        since = self.blind.get((task.home, key)) if task is not None and after else None
        yield
        if task is not None and since is not None:
            self.blind[task.home, key] = since

    def is_blind(self, home: object, key: str, session: Session) -> bool:
        """Return whether a process found junk, and has not got this session from the store since then."""
        since = self.blind.get((home, key))
        return since is not None and not (session.saved_at is not None and session.saved_at > since)

    def has_answer(self) -> bool:
        """Return whether the present task has got a new pair that is not stored yet."""
        task = self.scheduler.current
        pair = self.open.get(task)
        return task is not None and pair is not None and task.home in pair.known_to

    # ------------------------------------------------------------------ what goes wrong

    def excuse(self, key: str) -> None:
        """Trouble touched the sessions of an account: notes and requests about them may be missing."""
        for session in self.sessions.values():
            if session.key in (key, None):
                session.excused = True

    def overlooked(self, key: str) -> None:
        """A sign-out without the lock removes a session that was saved since it has read the store."""
        self.pair_of(self.records[key]).session.excused = True

    def failed(self, key: str) -> None:
        """The store failed the present task: the refresh that it carries out may be in doubt."""
        pair = self.open.get(self.scheduler.current)
        if pair is not None:
            pair.doubt = pair.failed = True
        operation = self.operation_of(self.scheduler.current)
        if operation is not None:
            operation.troubled = True
        self.failed_at[key] = self.scheduler.now
        self.excuse(key)
        self._cut_off(key)

    def crashed(self, home: object, keys: list[str]) -> None:
        """A process is gone, with all that was in its memory only."""
        for task, pair in tuple(self.open.items()):
            if task is not None and task.home is home:
                pair.doubt = pair.unknown = True
                del self.open[task]
        for key in keys:
            self.excuse(key)
            self._cut_off(key)

    def lost_lock(self, key: str, task: Task) -> None:
        """A living holder lost its lock: no order can be promised for this session any more."""
        self.unlocked.add(task)
        pair = self.open.get(task)
        if pair is not None:
            self.unguard(pair)
        self.locked_out(key, task)
        self._cut_off(key)

    def locked_out(self, key: str, task: Task | None) -> None:
        """A task goes on without the lock that another task has: they may overtake each other."""
        pair = self.open.get(task)
        if pair is not None:
            pair.session.torn = True
        if key in self.last:
            self.last[key].torn = True
        self.excuse(key)

    def unguard(self, pair: Pair) -> None:
        """A pair was sent without the lock."""
        pair.doubt = pair.failed = pair.unguarded = pair.session.torn = True

    def _cut_off(self, key: str) -> None:
        record = self.records.get(key)
        if record is not None and record.attempt_open:
            self.pair_of(record).cut_off = True

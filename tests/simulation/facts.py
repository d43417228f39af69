"""What the world knows: every token, every session, what was said about them and what was heard.

It sees both sides of the wire and the store itself, which no client can. What it finds to be against the
rules it reports at once; ``invariants`` judges what callers are told.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hellojohn._errors import ExpiryReason
from hellojohn._view import View
from tests.simulation.scheduler import Scheduler, Task

_OVER = {
    "session_expired": ExpiryReason.EXPIRED,
    "refresh_token_expired": ExpiryReason.EXPIRED,
    "session_revoked": ExpiryReason.REVOKED,
    "refresh_token_reused": ExpiryReason.REUSE_DETECTED,
    "refresh_token_invalid": ExpiryReason.REJECTED,
}
_REFUSED = (ExpiryReason.REUSE_DETECTED, ExpiryReason.REJECTED)


@dataclass(eq=False)
class Pair:
    """A refresh token and the access token that came with it.

    Attributes:
        label: What it is called in a trace.
        session: Whose it is.
        parent: The pair it replaced.
        access: The access token.
        refused: Whether a clean answer to it ended the session.
        stolen: Whether the refresh token was used behind the client's back.
        presented: How often a client sent the refresh token to refresh.
        waiting: How many clients wait for an answer to it.
        rotated: Whether the server has replaced it.
        saved_at: The turn in which a store first held it.
        doubt: Whether a client may rightly not know what became of its refresh.
        unknown: Whether a client cannot know it.
        unguarded: Whether it was sent by somebody who had lost the lock.
        cut_off: Whether an intent may have been left open, though nothing was sent.
        failed: Whether the store failed while its successor was on the way.
        spent_by: The task that saved it as spent, for the junk in its place may have hidden a sign-out.
        known_to: The processes that have learnt its successor.
    """

    label: str
    session: "Session"
    parent: "Pair | None"
    access: str
    presented: int = 0
    waiting: int = 0
    refused: bool = False
    stolen: bool = False
    rotated: bool = False
    saved_at: int | None = None
    doubt: bool = False
    unknown: bool = False
    unguarded: bool = False
    cut_off: bool = False
    failed: bool = False
    spent_by: Task | None = None
    known_to: set[object] = field(default_factory=set)

    def __repr__(self) -> str:
        """Show the label."""
        return self.label


@dataclass(eq=False)
class Session:
    """A session of the server.

    Attributes:
        id: Its id.
        label: What it is called in a trace.
        said: What clean answers said of its end.
        saved_at: The turn in which a store first held it.
        deadline: When the client must end it, by its own clock.
        left: Who took its record out of the store: processes, or ``"anybody"`` for what nobody can tell apart
            from a sign-out.
        ended_at: In which turn a sign-out took it out of the store for good.
        came_back: The last turn in which it came back from behind junk that may have hidden its sign-out.
        parting: Whether a sign-out of it has begun.
        torn: Whether a lock was lost or done without while another process held it: no order is promised.
    """

    id: str
    label: str
    saved_at: int | None = None
    deadline: float | None = None
    said: set[ExpiryReason] = field(default_factory=set)
    left: set[object] = field(default_factory=set)
    ended_at: int | None = None
    came_back: int | None = None
    parting: bool = False
    torn: bool = False

    def __repr__(self) -> str:
        """Show the label."""
        return self.label


class Facts:
    """The book of one schedule."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.violations: list[str] = []
        self.pairs: dict[str, Pair] = {}
        self.by_access: dict[str, Pair] = {}
        self.live: dict[str, Pair] = {}
        self.sessions: dict[str, Session] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.present_since: dict[str, int] = {}
        self.same_since: dict[str, int] = {}
        self.changes = 0
        self.demanded: set[str] = set()
        self.forced: dict[str, int] = {}
        self.on_present: list[Callable[[Pair], None]] = []
        self._unlocked: set[Task | None] = set()
        self._last: dict[str, Session] = {}
        self._heard_at: dict[Task | None, int] = {}
        self._blind: set[Task | None] = set()
        self._open: dict[Task | None, Pair] = {}

    def wrong(self, what: str) -> None:
        """Report a violation."""
        self.scheduler.note("VIOLATION", what)
        self.violations.append(what)

    # ------------------------------------------------------------------ the server

    def issued(self, session_id: str, refresh: str, access: str, given: str | None) -> None:
        """Note a new pair, and the refresh token that was given for it."""
        session = self.sessions.get(session_id) or Session(session_id, f"s{len(self.sessions) + 1}")
        self.sessions[session_id] = session
        parent = None if given is None else self.pairs[given]
        live = self.live.get(session_id)
        if parent is not None and live is not None:
            parent.rotated = live.rotated = True
            live.stolen = (
                live.stolen or live is not parent
            )  # a request that was given up has come late, in the grace window
        pair = Pair(f"r{len(self.pairs) + 1}", session, parent, access)
        self.pairs[refresh] = self.by_access[access] = self.live[session_id] = pair

    # ------------------------------------------------------------------ the network

    def presents(self, home: object, refresh: str) -> Pair:
        """Judge a refresh that leaves a client (invariant 1)."""
        pair = self.pairs[refresh]
        self.scheduler.note("presents", pair)
        if self.scheduler.current in self._unlocked:
            self._unguard(pair)
        if pair.waiting and not pair.unguarded:
            self.wrong(f"1: two requests with {pair} are in flight at once")
        if pair.rotated and not (pair.doubt or pair.stolen):
            self.wrong(f"1: {pair} was rotated, and is presented again without any doubt about it")
        if home in pair.known_to and not (pair.session.parting or pair.session.torn):
            self.wrong(f"1: {home} knows the successor of {pair}, and presents it again")
        pair.presented += 1
        pair.waiting += 1
        self._open[self.scheduler.current] = pair
        for judge in self.on_present:
            judge(pair)
        return pair

    def heard(self, home: object, pair: Pair, code: str | None) -> None:
        """Note what a client was told: a code, ``"done"``, or ``None`` for nothing that can be relied on."""
        self._heard_at[self.scheduler.current] = self.scheduler.turns
        if code is None:
            pair.doubt = pair.unknown = True
        elif code == "done":
            pair.known_to.add(home)
            self._blind.discard(self.scheduler.current)
        elif code in _OVER:
            reason = _OVER[code]
            pair.refused = True
            said, refused = pair.session.said, reason in _REFUSED
            if refused and (pair.doubt or pair.cut_off):
                said.add(ExpiryReason.REFRESH_OUTCOME_UNKNOWN)
            if not refused or not pair.unknown or pair.session.torn:
                said.add(reason)

    # ------------------------------------------------------------------ the store

    def stored(self, key: str, text: str) -> None:
        """Judge a save (invariant 3), and note it."""
        record: dict[str, Any] = json.loads(text)
        new, old = self.pairs[record["refresh_token"]], self.records.get(key)
        self.scheduler.note("saves", (new, "intent" if record["refresh_started_at"] is not None else ""))
        self._judge_save(new, record, old)
        if new.saved_at is None:
            new.saved_at = self.scheduler.turns
        if new.session.saved_at is None:
            new.session.saved_at = self.scheduler.turns
        new.session.deadline = record["deadline"]
        new.cut_off = new.cut_off or not record["ttl"]
        if old is None:
            self.present_since[key] = self.same_since[key] = self.scheduler.turns
            self.changes += 1
        elif self.pair_of(old).session is not new.session:
            self.pair_of(old).session.left.add("anybody")
            self.same_since[key] = self.scheduler.turns
            self.changes += 1
        self.records[key] = record
        self._last[key] = new.session
        opened = self._open.get(self.scheduler.current)
        if opened is not None and (opened is new.parent or record["refresh_started_at"] is None):
            del self._open[self.scheduler.current]

    def _judge_save(self, new: Pair, record: dict[str, Any], old: dict[str, Any] | None) -> None:
        session = new.session
        there = old is not None and self.pair_of(old).session is session
        heard_at = self._heard_at.get(self.scheduler.current, -1)
        blind = self.scheduler.current in self._blind
        if not (there or blind) and (session.ended_at or math.inf) < heard_at:
            self.wrong(f"3: {new} of {session} is saved, and was signed out before the answer came")
        if session.torn:
            return
        returns = (blind and (new.saved_at or new.parent)) or (old is None and not record["ttl"])
        if returns:
            self._judge_return(new, record)
        if session.ended_at is not None:
            self.wrong(f"3: {new} of {session} is saved after the session was signed out")
        if old is None:
            if new.saved_at is not None and not returns and "anybody" not in session.left:
                self.wrong(f"3: {new} of {session} is saved, though the session has left the store")
        elif self.pair_of(old).session is not session:
            if record["generation"] > 1:
                self.wrong(f"3: {new} replaces {self.pair_of(old)} of another session")
        elif record["generation"] < old["generation"]:
            self.wrong(f"1: {new} replaces its successor {self.pair_of(old)}")

    def _judge_return(self, new: Pair, record: dict[str, Any]) -> None:
        """Judge what is saved in the place of junk, which may have hidden a sign-out."""
        if record["ttl"] > 0:
            self.wrong(f"3: {new} comes back as good, and junk may have hidden a sign-out")
        new.spent_by = self.scheduler.current
        new.session.came_back, new.session.ended_at = self.scheduler.turns, None

    def left(self, key: str, who: object, *, signed_out: bool = False) -> None:
        """Note that the record of ``key`` has left the store."""
        record = self.records.pop(key, None)
        if record is not None:
            self.changes += 1
            session = self.pair_of(record).session
            session.left.add(who)
            session.ended_at = self.scheduler.turns if signed_out else None
            self.scheduler.note("removes", self.pair_of(record))
        self._open.pop(self.scheduler.current, None)

    def blinded(self) -> None:
        """Note that the present task found junk: what was there before, nobody can tell."""
        self._blind.add(self.scheduler.current)

    def has_answer(self) -> bool:
        """Return whether the present task has got a new pair that is not stored yet."""
        task = self.scheduler.current
        pair = self._open.get(task)
        return task is not None and pair is not None and task.home in pair.known_to

    def pair_of(self, record: Mapping[str, Any]) -> Pair:
        """Return the pair that a record holds."""
        return self.pairs[record["refresh_token"]]

    def parting(self, key: str, view: View | None) -> None:
        """Note that a sign-out begins."""
        record = self.records.get(key)
        if record is not None:
            self.pair_of(record).session.parting = True
        if view is not None:
            self.by_access[view.record.access_token.reveal()].session.parting = True

    # ------------------------------------------------------------------ what goes wrong

    def failed(self, key: str) -> None:
        """The store failed the present task: what it was about may be in doubt."""
        pair = self._open.get(self.scheduler.current)
        if pair is not None:
            pair.doubt = pair.failed = True
        self._cut_off(key)

    def crashed(self, home: object, keys: list[str]) -> None:
        """A process is gone, and with it what it alone knew."""
        for task, pair in tuple(self._open.items()):
            if task is not None and task.home is home:
                pair.doubt = pair.unknown = True
                del self._open[task]
        for key in keys:
            self._cut_off(key)

    def lost_lock(self, key: str, task: Task) -> None:
        """A lock was lost by its living holder: no order can be promised for this session any more."""
        self._unlocked.add(task)
        pair = self._open.get(task)
        if pair is not None:
            self._unguard(pair)
        self.locked_out(key, task)
        self._cut_off(key)

    def locked_out(self, key: str, task: Task | None) -> None:
        """Somebody goes on without the lock that the task has: they may overtake each other."""
        pair = self._open.get(task)
        if pair is not None:
            pair.session.torn = True
        if key in self._last:
            self._last[key].torn = True

    def _unguard(self, pair: Pair) -> None:
        pair.doubt = pair.failed = pair.unguarded = pair.session.torn = True

    def _cut_off(self, key: str) -> None:
        record = self.records.get(key)
        if record is not None and record["refresh_started_at"] is not None:
            self.pair_of(record).cut_off = True

"""What a caller may be told: judged against all that the world knows.

The invariants that need no caller are judged where they can break: in ``facts``, ``store`` and ``process``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import hellojohn
from hellojohn._account import Account
from hellojohn._errors import (
    ConfigurationError,
    ExpiryReason,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    StoreError,
)
from hellojohn._session.freshness import Freshness
from hellojohn._view import View
from tests.simulation.facts import Facts, Pair, Session
from tests.simulation.plan import Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import Server
from tests.simulation.store import NEWER

_PUBLIC = tuple(
    thing
    for thing in (getattr(hellojohn, name) for name in hellojohn.__all__)
    if isinstance(thing, type) and issubclass(thing, hellojohn.HelloJohnError)
)

_FORCING = (".refresh-", ".user-")


@dataclass(eq=False)
class Call:
    """A call that somebody makes, from its first moment.

    Attributes:
        what: The call's name.
        home: The process it is made in.
        account: The account it is made on.
        began: In which turn.
        wall: What the process's clock showed then.
        changes: How many sessions had come and gone then.
        since: In which turn the oldest flight began that it has joined.
        copy: What the process alone had of a session then, with nothing in the store but junk.
    """

    what: str
    home: Process
    account: Account
    began: int
    wall: float
    changes: int
    since: int
    copy: Mapping[str, Any] | None = None


class Judge:
    """Judges what callers are told."""

    def __init__(self, scheduler: Scheduler, facts: Facts, server: Server, plan: Plan) -> None:
        self._scheduler = scheduler
        self._facts = facts
        self._server = server
        self._plan = plan

    def use(self, call: Call, view: View, rejected: View | None = None) -> None:
        """Judge a token that a caller is about to use."""
        call.home.check_saved(view)
        access = view.record.access_token.reveal()
        pair = self._facts.by_access[access]
        self._scheduler.note("uses", pair)
        self.session(call, pair.session)
        if rejected is not None and access == rejected.record.access_token.reveal():
            self._facts.wrong(f"{call.what}: a refused token is handed out again")
        if view.record.is_spent:
            self._facts.wrong(f"3: {pair} is used, and the service was not asked whether it was signed out")
        if self._plan.calm and call.wall >= view.schedule.dead_at:
            self._facts.wrong(f"{call.what}: a token is handed out after its end")

    def session(self, call: Call, session: Session) -> None:
        """Judge the session that a caller is about to use (invariant 3)."""
        _, returned = call.home.signed_out.get(call.account.key, (0, 0))
        if call.began >= returned and call.home.has_signed_out(call.account.key, session):
            self._facts.wrong(f"3: {call.what} uses {session}, which was signed out before")

    def lives(self, call: Call) -> bool:
        """Return whether the server honours a session that the store has, or this process alone knows."""
        home, record = call.home, self._facts.records.get(call.account.key) or call.copy
        if record is None or (record["deadline"] or math.inf) <= max(home.latest, home.wall()):
            return False
        pair = self._facts.pair_of(record)
        token = self._server.live_token(pair.session.id)
        live = None if token is None else self._facts.pairs[token]
        return live is pair or (live is not None and live.parent is pair and home in pair.known_to)

    def only_copy(self, account: Account, place: str | None) -> Mapping[str, Any] | None:
        """Return what memory alone has of a session, whose place has junk, or had when that was set aside."""
        unsaved = account._unsaved
        if unsaved is None or account.key in self._facts.records or place == NEWER:
            return None
        gone = place is None and not unsaved.is_spent
        return None if gone else cast("Mapping[str, Any]", json.loads(unsaved.dumps()))

    def error(self, call: Call, error: Exception) -> None:
        """Judge an error: its kind, and whether it tells the truth."""
        self._scheduler.note("raises", repr(error))
        if call.what == "come_back" and self.lives(call):
            self._facts.wrong(f"3: the session that the server honours is lost: {error!r}")
        if not isinstance(error, _PUBLIC):
            self._facts.wrong(f"{call.what} raised {error!r}, which is not in the public tree")
        if isinstance(error, SessionExpired):
            self._expired(call, error)
        elif isinstance(error, NotSignedIn):
            self.nobody(call)
        elif isinstance(error, ConfigurationError):
            if not call.home.engine.context.closed:
                self._facts.wrong(f"{call.what} raised {error!r} on a client that is open")
        elif self._plan.calm and self._is_failure(call, error):
            self._facts.wrong(f"{call.what} raised {error!r} though nothing fails")

    def nobody(self, call: Call) -> None:
        """Judge the word that there is no session (invariant 3)."""
        key, home = call.account.key, call.home
        record = self._facts.records.get(key)
        since = self._facts.same_since if call.what == "session" else self._facts.present_since
        if record is None or since[key] >= call.since:
            return
        over = record["deadline"] is not None and record["deadline"] <= max(home.latest, home.wall())
        over = over or self._facts.pair_of(record).refused
        if not over and not home.signing_out[key] and home.touched[key] < call.began:
            self._facts.wrong(f"3: {call.what} finds no session, and one was there all the time")

    def asked(self, pair: Pair) -> None:
        """Judge a refresh in a schedule without faults: one for each expiry, and none without a cause."""
        if pair.presented > 1:
            self._facts.wrong(f"1: {pair} is presented twice though nothing fails")
        for key, record in self._facts.records.items():
            if self._facts.pair_of(record) is pair and not self._is_wanted(key, pair):
                self._wants_a_cause(pair, record)

    def _wants_a_cause(self, pair: Pair, record: Mapping[str, Any]) -> None:
        task = self._scheduler.current
        home = None if task is None else task.home
        if isinstance(home, Process) and home.state(record) is Freshness.FRESH:
            self._facts.wrong(f"1: {pair} is refreshed though it is fresh and nobody wanted another")

    def _is_wanted(self, key: str, pair: Pair) -> bool:
        """Return whether somebody may have asked for another token than the pair's."""
        forcing = any(call in str(task) for task in self._scheduler.tasks for call in _FORCING)
        forced = self._facts.forced.get(key, -1) >= (pair.saved_at or 0)
        return forcing or forced or pair.access in self._facts.demanded

    def _is_failure(self, call: Call, error: Exception) -> bool:
        """Whoever meets one sign-in and sign-out after the other may be told so, and try again."""
        unsteady = self._facts.changes > call.changes
        return isinstance(error, StoreError) or (isinstance(error, ServiceUnavailable) and not unsteady)

    def _expired(self, call: Call, error: SessionExpired) -> None:
        session = self._facts.sessions.get(error.session_id or "")
        if session is None:
            self._facts.wrong(f"{call.what}: {error!r} names no session")
        elif not self._is_true(call, session, error.reason):
            said = ", ".join(sorted(session.said)) or "that nothing ended it"
            self._facts.wrong(f"3: {call.what} is told {error.reason}, and the truth is: {said} ({session})")

    def _is_true(self, call: Call, session: Session, reason: ExpiryReason) -> bool:
        match reason:
            case ExpiryReason.SIGNED_OUT:
                key, home = call.account.key, call.home
                asked = session.torn or home.signing_out[key] or home.touched[key] > (session.saved_at or 0)
                return (
                    bool(asked)
                    or session.ended_at is not None
                    or any(who is not home for who in session.left)
                )
            case ExpiryReason.DURATION_ELAPSED:
                latest = max(call.home.latest, call.home.wall())
                return session.deadline is not None and session.deadline <= latest
            case ExpiryReason.IDLE:
                return ExpiryReason.EXPIRED in session.said and self._was_idle(session)
            case _:
                return reason in session.said

    def _was_idle(self, session: Session) -> bool:
        pairs = [pair for pair in self._facts.pairs.values() if pair.session is session]
        if self._plan.skew or self._plan.setback or any(pair.doubt or pair.stolen for pair in pairs):
            return True
        last = self._server.rules.session(session.id).last_active_at
        idle = self._server.idle
        return idle is not None and self._scheduler.now > last + idle

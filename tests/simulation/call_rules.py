"""Judges the results of calls against the facts of the world."""

import math

import hellojohn
from hellojohn import (
    AccountDisabled,
    ConfigurationError,
    ExpiryReason,
    InvalidCredentials,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInSuperseded,
    StoreCorrupt,
    StoreError,
)
from tests.simulation.call import Call
from tests.simulation.facts import ANYBODY, JUNK, Facts, Pair, Session
from tests.simulation.idle_rules import IdleRules
from tests.simulation.plan import Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import Server
from tests.simulation.store import VirtualStore, is_readable_elsewhere
from tests.simulation.store_rules import LONGEST_COOLDOWN, is_signed_out_at, overtaken_by
from tests.simulation.wire_rules import LONGEST_STORM, WireRules

PUBLIC = tuple(
    thing
    for thing in (getattr(hellojohn, name) for name in hellojohn.__all__)
    if isinstance(thing, type) and issubclass(thing, hellojohn.HelloJohnError)
)

CLOSE_LIMIT = 20.0
"""Closing waits for one refresh at most."""

OPERATION_LIMIT = 3.0
"""What a sign-in or a sign-out may take besides its request and the locks of other processes."""

MOST_TOKENS = 3
_SLACK = 0.1


class CallRules:
    """Judges what calls return and raise."""

    def __init__(
        self,
        facts: Facts,
        server: Server,
        store: VirtualStore,
        *,
        wire: WireRules,
        idle: IdleRules,
        plan: Plan,
    ) -> None:
        self._facts = facts
        self._idle = idle
        self._server = server
        self._store = store
        self._wire = wire
        self._plan = plan
        self._scheduler: Scheduler = facts.scheduler

    # ------------------------------------------------------------------ tokens and sessions

    def check_shown(self, home: Process) -> None:
        """Judge what requests of a process use from now on (invariants 2 and 3)."""
        for key, token in home.changed_tokens().items():
            if token is not None:
                self._check_saved(token)
                self._check_current(home, key, self._facts.by_access[token].session)

    def check_all_shown(self, home: Process) -> None:
        """Judge the session that a process shows again, whether or not it has changed."""
        for key, token in home.shown().items():
            if token is not None:
                self._check_current(home, key, self._facts.by_access[token].session)

    def _check_saved(self, token: str) -> None:
        pair = self._facts.by_access[token]
        if pair.saved_at is None and not (pair.parent is not None and pair.parent.failed):
            self._facts.wrong(f"2: the access token of {pair} can be used, and {pair} is not stored")

    def _check_current(self, home: Process, key: str, session: Session) -> None:
        if is_signed_out_at(self._facts, home, key, session, before=self._scheduler.turns):
            self._facts.wrong(f"3: {home} shows {session}, although a sign-out was asked for")
        later = overtaken_by(self._facts, session)
        if later is not None and later.home is home:
            self._facts.wrong(f"3: {home} shows {session}, though a {later} was asked for before it came")

    def token(self, call: Call, token: str) -> None:
        """Judge a token that a request is about to carry."""
        self._check_saved(token)
        pair = self._facts.by_access[token]
        self._scheduler.note("uses", pair)
        self.session(call, pair.session)
        self._check_patience(call)
        if call.tokens:
            before = self._facts.by_access[call.tokens[-1]]
            if token == call.tokens[-1]:
                self._facts.wrong(f"{call.what}: a refused token is sent again")
            if before.session.user != pair.session.user:
                self._facts.wrong(f"8: a request made as {before.session.user} is repeated as another user")
        self._facts.used(call, pair.session)
        if self._plan.calm and call.at >= self._expires_at(pair):
            self._facts.wrong(f"{call.what}: a token is handed out after its end")
        call.tokens.append(token)

    def refused(self, call: Call) -> None:
        """Judge a 401 that the application gets: a newer token must have been tried, or be of no use."""
        pair = self._facts.by_access[call.tokens[-1]]
        age = call.at - self._arrived_at(pair)  # when the client heard of the 401, and could decide at once
        if len(call.tokens) >= MOST_TOKENS or self._plan.skew or self._plan.setback or pair.saved_at is None:
            return
        if pair.after_refusal and age < LONGEST_STORM + _SLACK:
            return
        record, shown = self._facts.records.get(call.key), call.home.shown().get(call.key)
        stored = None if record is None else self._facts.pair_of(record).session
        known = None if shown is None else self._facts.by_access[shown].session
        if all(self._is_same_user(pair.session, session) for session in (stored, known)):
            self._facts.wrong(f"10: a refused token, {pair}, is handed back without a try of another")

    def _arrived_at(self, pair: Pair) -> float:
        """Return when a pair arrived, as far as the store knows."""
        kept = (record for record in self._facts.records.values() if self._facts.pair_of(record) is pair)
        return next((record.refreshed_at for record in kept), pair.issued_at)

    def _is_same_user(self, session: Session, other: Session | None) -> bool:
        """Return whether a client knows that two sessions are of one user."""
        return other is session or (self._plan.nested and other is not None and other.user == session.user)

    def session(self, call: Call, session: Session) -> None:
        """Judge the session that a call is about to use (invariant 3)."""
        self._idle.judge_use(call.home, call.key, session, call.wall)
        call.home.uses(call.name, session, since=call.began)
        if is_signed_out_at(self._facts, call.home, call.key, session, before=call.began):
            self._facts.wrong(f"3: {call.what} uses {session}, which was signed out before")
        if call.after_close:
            self._facts.wrong(f"18: {call.what} works after close()")

    def signed_in(self, call: Call, session: Session) -> None:
        """Judge the session that a sign-in returns."""
        if session.asked is not call.operation:
            self._facts.wrong(f"3: a sign-in returns {session}, which another sign-in asked for")
        later = overtaken_by(self._facts, session)
        if later is not None:
            self._facts.wrong(
                f"3: a sign-in returns {session}, though a {later} was asked for before it came"
            )
        if session.saved_at is None:
            self._facts.wrong(f"2: a sign-in returns {session}, which is not stored")

    def signed_out(self, call: Call, result: object) -> None:
        """Judge the result of a sign-out: whether the service confirmed it (row 19)."""
        if call.after_close:
            self._facts.wrong("18: sign_out works after close()")
        assert call.operation is not None
        if result is not (call.operation.confirmed is not False):
            told = call.operation.confirmed
            self._facts.wrong(f"19: sign_out returned {result}, and the service has confirmed: {told}")

    def no_session(self, call: Call) -> None:
        """Judge the answer that no user is signed in (invariant 3)."""
        call.home.ended(call.name)
        facts, key, home = self._facts, call.key, call.home
        record = facts.records.get(key)
        since = facts.same_since if call.what == "session" else facts.present_since
        if record is None or since[key] >= call.since or not home.alive:
            return
        pair = facts.pair_of(record)
        if home.is_over(record) or self._idle.is_over(home, pair.session) or pair.refused:
            return
        if self._has_unsaved_end(call):
            return
        if any(
            found.what == "sign_out" and (found.done is None or found.done >= call.began)
            for found in facts.of_account(home, key)
        ):
            return
        facts.wrong(f"3: {call.what} finds no session, and one was there all the time")

    def _has_unsaved_end(self, call: Call) -> bool:
        """Return whether memory alone has a session that is over: a request must end it first."""
        home, token = call.home, call.home.shown().get(call.key)
        if token is None:
            return False
        pair = self._facts.by_access[token]
        failed = pair.saved_at is None or (pair.parent is not None and pair.parent.failed)
        if not failed and not self._facts.is_blind(home, call.key, pair.session):
            return False
        deadline = math.inf if pair.session.deadline is None else pair.session.deadline
        if self._idle.was_set_back(home, pair.session):
            return True
        return deadline <= home.latest_wall() or self._idle.is_over(home, pair.session)

    # ------------------------------------------------------------------ the session that must be there

    def lives(self, call: Call) -> bool:
        """Return whether the service honours a session that the store has, or this process alone knows."""
        home, record = call.home, self._facts.records.get(call.key)
        pair = call.copy if record is None else self._facts.pair_of(record)
        if pair is None or (pair.session.deadline or math.inf) <= home.latest_wall():
            return False
        if self._idle.is_over(home, pair.session):
            return False
        token = self._server.live_token(pair.session.id)
        live = None if token is None else self._facts.pairs[token]
        return live is pair or (live is not None and live.parent is pair and home in pair.known_to)

    def only_copy(self, call: Call) -> Pair | None:
        """Return what memory alone has of a session.

        The session's place has junk, or had when that was quarantined.
        """
        token, place = call.home.shown().get(call.key), self._store.texts.get(call.key)
        if token is None or is_readable_elsewhere(place):
            return None
        pair = self._facts.by_access[token]
        quarantined = place is None and self._facts.is_blind(call.home, call.key, pair.session)
        return pair if quarantined or self._store.is_junk(call.key) else None

    # ------------------------------------------------------------------ errors

    def error(self, call: Call, error: Exception) -> None:
        """Judge an error: its kind, and whether its message is true."""
        self._scheduler.note("raises", repr(error))
        facts = self._facts
        self._check_patience(call)
        if call.after_close and not isinstance(error, ConfigurationError):
            facts.wrong(f"18: {call.what} after close() raised {error!r}")
        if call.what == "come_back" and self.lives(call):
            facts.wrong(f"3: the session that the service honours is lost: {error!r}")
        if not isinstance(error, PUBLIC):
            facts.wrong(f"{call.what} raised {error!r}, which is not in the public tree")
        self._judge_kind(call, error)
        if self._plan.calm and self._is_failure(call, error):
            facts.wrong(f"{call.what} raised {error!r} though nothing fails")

    def _judge_kind(self, call: Call, error: Exception) -> None:
        """Judge whether an error of this kind may be raised."""
        wrong = self._facts.wrong
        match error:
            case SignInSuperseded():
                self._superseded(call)
            case SessionExpired():
                session = self._facts.sessions.get(error.session_id or "")
                if session is not None and error.reason is ExpiryReason.IDLE:
                    self._idle.ends(call.home, session)
                self.expired(call.home, call.name, call.key, error.session_id, error.reason)
                call.home.ended(call.name)
            case NotSignedIn():
                self.no_session(call)
            case ConfigurationError() if call.home.alive:
                wrong(f"{call.what} raised {error!r} on a client that is open")
            case StoreCorrupt() if call.operation is not None:
                wrong(f"11: {call.what} raised {error!r}: it must quarantine what it cannot read")
            case AccountDisabled() if call.what != "sign_in":
                wrong(f"14: {call.what} raised {error!r}: the session has ended by user_disabled")
            case ServiceUnavailable():
                self._unavailable(call, error)

    def _superseded(self, call: Call) -> None:
        operation = call.operation
        others = () if operation is None else self._facts.of_account(operation.home, operation.key)
        if not any(
            other is not operation and (other.submitted is None or other.submitted >= call.began)
            for other in others
        ):
            self._facts.wrong(f"3: {call.what} was superseded, and nothing was asked for later")

    def _unavailable(self, call: Call, error: ServiceUnavailable) -> None:
        """An explicit refresh may always ask, and no call waits long without asking (row 12)."""
        if error.retry_after is None or self._wire.sends != call.sends or not call.home.alive:
            return
        if call.operation is not None or call.what == "user":  # the service itself may have said so
            return
        if error.retry_after > max(LONGEST_COOLDOWN, self._store.lease or 0.0) + _SLACK:
            self._facts.wrong(f"12: {call.what} has to wait {error.retry_after:.0f} s without asking")
        if call.what == "refresh" and self._store.lease is None:
            self._facts.wrong(f"12: refresh() raised {error!r} without asking")

    def _is_failure(self, call: Call, error: Exception) -> bool:
        """A call that meets one sign-in and sign-out after the other may raise ServiceUnavailable."""
        parting = any(found.what == "sign_out" and found.done is None for found in self._facts.operations)
        unsteady = parting or self._facts.changes > call.changes
        wrong_password = isinstance(error, InvalidCredentials) and call.what != "sign_in"
        return (
            isinstance(error, StoreError)
            or wrong_password
            or (isinstance(error, ServiceUnavailable) and not unsteady and call.patience is None)
        )

    def expired(
        self, home: Process, name: str, key: str, session_id: str | None, reason: ExpiryReason | None
    ) -> None:
        """Judge the word that a session has ended: every client gives the same, true reason."""
        session = self._facts.sessions.get(session_id or "")
        if session is None or reason is None:
            self._facts.wrong(f"{home} says that {name} has ended ({reason}), and names no session")
        elif not self._is_true(home, key, session, reason):
            said = ", ".join(sorted(session.said)) or "that nothing ended it"
            self._facts.wrong(f"14: {home} says {reason}, and the truth is: {said} ({session})")

    def _is_true(self, home: Process, key: str, session: Session, reason: ExpiryReason) -> bool:
        match reason:
            case ExpiryReason.SIGNED_OUT:
                gone = JUNK in session.left and not self._facts.is_blind(home, key, session)
                known = self._facts.is_sign_out_known(key, session)
                return session.torn or gone or known or ANYBODY in session.left
            case ExpiryReason.DURATION_ELAPSED:
                return session.deadline is not None and any(
                    session.deadline <= other.latest_wall() for other in self.homes
                )
            case ExpiryReason.IDLE if self._idle.timeout is not None:
                return session.idled
            case ExpiryReason.IDLE:
                return ExpiryReason.EXPIRED in session.said and self._was_idle(session)
            case _:
                return reason in session.said

    homes: tuple[Process, ...] = ()
    """All processes that there ever were: any of them may have left the reason of an end."""

    def _was_idle(self, session: Session) -> bool:
        pairs = [pair for pair in self._facts.pairs.values() if pair.session is session]
        if self._plan.skew or self._plan.setback or any(pair.doubt or pair.stolen for pair in pairs):
            return True
        idle = self._server.idle
        return idle is not None and self._scheduler.now > self._server.idle_since(session.id) + idle

    # ------------------------------------------------------------------ how long it took

    def lasted(self, call: Call) -> float:
        """Return the seconds that a call has taken, without those that the machine is to blame for."""
        return self._scheduler.now - call.at - (self.lost(call.home) - call.lost)

    def lost(self, home: Process) -> float:
        """Return the seconds that a process has lost to a slow machine and to suspensions."""
        return self._scheduler.stalled + home.suspended

    def _check_patience(self, call: Call) -> None:
        waited = self.lasted(call) - call.waited
        if call.patience is not None and waited > call.patience + _SLACK:
            limit = f"{call.patience:.1f} s"
            self._facts.wrong(f"8: a request waited {waited:.1f} s for a token, and its limit was {limit}")

    def took(self, call: Call) -> None:
        """Judge how long a sign-in or a sign-out took: it does not wait behind a refresh (row 8)."""
        took = self.lasted(call) - call.waited
        if call.operation is not None and took > OPERATION_LIMIT and not call.operation.troubled:
            self._facts.wrong(f"8: {call.what} took {took:.1f} s besides its request")

    def closed(self, home: Process, took: float) -> None:
        """Judge how long closing took (invariant 7)."""
        if took > CLOSE_LIMIT + _SLACK:
            self._facts.wrong(f"7: closing {home} took {took:.1f} s")

    def _expires_at(self, pair: Pair) -> float:
        """Return when an access token expires, by the clocks of a schedule without faults."""
        kept = (record for record in self._facts.records.values() if self._facts.pair_of(record) is pair)
        return next((record.refreshed_at + record.ttl for record in kept), math.inf)

    # ------------------------------------------------------------------ schedules without faults

    def asked(self, pair: Pair) -> None:
        """Judge a refresh in a schedule without faults: one for each expiry, and none without a cause."""
        signed_out = self._facts.is_sign_out_known(pair.session.key or "", pair.session)
        asked_again = pair.refused and self._plan.api == "v2"  # it does not believe the first refusal
        if pair.presented > 1 and not (signed_out or asked_again):
            self._facts.wrong(f"1: {pair} is presented twice though nothing fails")
        home = None if self._scheduler.current is None else self._scheduler.current.home
        for record in self._facts.records.values():
            mine = self._facts.pair_of(record) is pair and isinstance(home, Process) and home.is_fresh(record)
            if mine and not self._wire.is_forced(pair) and pair.access not in self._facts.demanded:
                self._facts.wrong(f"1: {pair} is refreshed though it is fresh and no call wanted another")

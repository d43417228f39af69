"""Bugs to plant in the engine, each against one rule. The simulation must find all of them."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from hellojohn import AuthEventType, ExpiryReason
from hellojohn._session import acquire, operations, refresh, retry, storage, tasks
from hellojohn._session.account import Account
from hellojohn._session.account_storage import AccountStorage
from hellojohn._session.conflicts import RULES, Bringing, Held, Rule
from hellojohn._session.context import EngineContext
from hellojohn._session.engine import Engine
from hellojohn._session.exchange import Exchange
from hellojohn._session.flight import Flight, Result
from hellojohn._session.freshness import Freshness, TokenSnapshot
from hellojohn._session.order import Turn
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import Refreshed, Refresher
from hellojohn._session.retry import Attempts
from hellojohn._session.state import Change
from hellojohn._session.storage import LockedSession, SessionStorage
from hellojohn._transport import flow as transport
from hellojohn._wire import Answer, ApiRequest, ApiResponse, Outcome, OutcomeKind
from hellojohn._wire.outcome import Ending
from hellojohn._wire.v1 import V1, codes
from hellojohn._wire.v2 import V2
from hellojohn._wire.v2 import codes as codes_of_v2
from hellojohn.stores._capabilities import without_lock

BUGS: dict[str, "Bug"] = {}


class Bug(NamedTuple):
    """A bug, and how the simulation shows that it saw this one.

    Attributes:
        plant: Plants it, for as long as this process lives.
        violation: How the violation begins, as a pattern: a rule's number, or words.
        schedule: The directed schedule that leads to it; ``None`` if random ones do.
        api: The dialect in which it shows.
    """

    plant: Callable[[], None]
    violation: str
    schedule: str | None
    api: str


def plant(name: str | None) -> None:
    """Plant the bug of that name, if one is named."""
    if name is not None:
        BUGS[name].plant()


def _breaks(
    violation: str, schedule: str | None = None, *, api: str = "v1"
) -> Callable[[Callable[[], None]], None]:
    def add(plant: Callable[[], None]) -> None:
        BUGS[plant.__name__.strip("_").replace("_", "-")] = Bug(plant, violation, schedule, api)

    return add


def _change_records(**changes: Any) -> None:
    """Let every record be written with some fields changed."""
    dump = storage.dump

    def dumping(record: Any) -> Any:
        return dump(record.changed(**changes) if isinstance(record, SessionRecord) else record)

    storage.dump = dumping


# ---------------------------------------------------------------------- invariant 1


@_breaks("[136]:")
def _no_lock() -> None:
    """Refresh without the store's lock."""

    @contextmanager
    def locked(self: SessionStorage, key: str, _wait: float = 0.0) -> Iterator[LockedSession]:
        yield LockedSession(self, key, without_lock(self._store, key))

    SessionStorage.locked = locked


@_breaks("[13]:")
def _no_second_look() -> None:
    """Refresh the session in memory, without reading the store under the lock."""
    original = Refresher.refresh

    def blindly(self: Refresher, locked: LockedSession, known: SessionRecord, *rest: Any, **more: Any) -> Any:
        def load() -> SessionRecord:
            del locked.load
            return known

        locked.load = load
        return original(self, locked, known, *rest, **more)

    Refresher.refresh = blindly


@_breaks("1:|[a-z_]+ raised")
def _no_adoption() -> None:
    """Refresh although another process has just done so."""
    original = Refresher.refresh

    def again(self: Refresher, locked: LockedSession, known: SessionRecord, *rest: Any, **more: Any) -> Any:
        stored = locked.load()
        return original(self, locked, stored if isinstance(stored, SessionRecord) else known, *rest, **more)

    Refresher.refresh = again


@_breaks("1: .* knows the successor", "not-saved-and-let-go")
def _unsaved_is_dropped() -> None:
    """Let go of an account whose session is only in its memory."""
    EngineContext.note_unsaved = lambda _self, _account, *, unsaved: None


@_breaks("[13]:", "signed-out-elsewhere-while-unsaved")
def _unsaved_always_wins() -> None:
    """Save an unsaved session again, without reading the store first."""
    for held in Held:
        RULES[Bringing.UNSAVED_COPY, held] = Rule(save=True)


@_breaks("1: .* overtakes", "slow-answer")
def _slow_answers_are_given_up() -> None:
    """Read the answer to a refresh for ten seconds only."""
    original = V1.refresh

    def hurried(self: V1, token: Any) -> ApiRequest:
        request = original(self, token)
        object.__setattr__(request, "reads_until_deadline", False)
        return request

    V1.refresh = hurried


def _repeats_after(kind: OutcomeKind) -> None:
    original = Attempts.repeats
    Attempts.repeats = lambda self, outcome: original(self, outcome) or outcome.kind is kind


@_breaks("1: .* whose answer was gateway", "gateway-timeout")
def _a_gateway_is_asked_again() -> None:
    """Ask again at once after a gateway's time-out."""
    _repeats_after(OutcomeKind.UNKNOWN)


@_breaks("1: .* whose answer was torn", "torn-answer")
def _a_torn_answer_is_asked_again() -> None:
    """Ask again at once after an answer that broke off."""
    _repeats_after(OutcomeKind.UNKNOWN)


@_breaks("1: .* s after a lost answer", "lost-answer")
def _no_pause_after_a_lost_answer() -> None:
    """Ask again without a pause: the service may still be at work."""
    retry.REPEAT_PAUSE = 0.2


@_breaks("1: .* after two lost answers", "lost-answer")
def _a_lost_answer_is_repeated_for_ever() -> None:
    """Ask again as often as the deadline allows."""
    _repeats_after(OutcomeKind.UNKNOWN)


# ---------------------------------------------------------------------- invariant 2


@_breaks("2:")
def _no_save() -> None:
    """Use the new token, and do not store it."""
    Refresher._save = lambda _self, _exchange, new: Refreshed(new, rotated=True)


@_breaks("2:")
def _save_after_use() -> None:
    """Store the new token after requests can use it."""
    original, save = SessionStorage.locked, LockedSession.save

    @contextmanager
    def late(self: SessionStorage, *arguments: Any) -> Iterator[LockedSession]:
        with original(self, *arguments) as locked:
            pending: list[Any] = []
            locked.save = lambda record, **_: pending.append(record)
            yield locked
            for record in pending:
                save(locked, record)

    SessionStorage.locked = late


# ---------------------------------------------------------------------- invariant 3


@_breaks("3: .* before the answer came", "signed-out-elsewhere-during-a-refresh")
def _save_without_compare() -> None:
    """Assume that no process has signed out while the service was asked."""
    for held in Held:
        RULES[Bringing.REFRESH, held] = Rule(save=True)


def _is_always_current(turn: Turn) -> Turn:
    turn.is_current = lambda: True
    return turn


@_breaks("3:|P. says that .* names no session")
def _no_order() -> None:
    """Let an operation that began before a sign-out show its session after it."""
    original, turn = Account.apply, Account.turn

    def applying(self: Account, change: Any, turn: Turn, *arguments: Any, **options: Any) -> bool:
        turn.order = self.state.order
        return original(self, change, turn, *arguments, **options)

    Account.apply = applying
    Account.turn = lambda self: _is_always_current(turn(self))


@_breaks("3: .* asked for before it came", "sign-in-after-a-sign-in-given-up")
def _an_earlier_sign_in_wins() -> None:
    """Keep the session of a sign-in although another was asked for later."""
    original = Account.ask_to_sign_in
    Account.ask_to_sign_in = lambda self: _is_always_current(original(self))


@_breaks("3: .* asked for before it came", "sign-out-after-a-sign-in-given-up")
def _a_late_sign_in_undoes_a_sign_out() -> None:
    """Keep the session of a sign-in although a sign-out was asked for later."""
    original = Account.ask_to_sign_in

    def asking(self: Account) -> Turn:
        turn = _is_always_current(original(self))
        turn.order = 1_000_000
        return turn

    Account.ask_to_sign_in = asking


@_breaks("1: .* knows the successor|3: .* is lost", "sign-in-fails-during-a-refresh")
def _a_pending_sign_in_drops_a_refresh() -> None:
    """Drop the result of a refresh because of a sign-in that fails."""
    original = Account.ask_to_sign_in

    def asking(self: Account) -> Turn:
        turn = original(self)
        self.state = self.state._replace(order=turn.order)
        return turn

    Account.ask_to_sign_in = asking


@_breaks("[13]:")
def _sign_out_keeps_the_record() -> None:
    """Sign out at the service and in memory only."""
    SessionStorage.delete = lambda _self, _key: None


def _ends(when: Callable[[Answer, Outcome], bool], reason: ExpiryReason) -> None:
    original = V1.outcome

    def ending(self: V1, answer: Answer) -> Outcome:
        found = original(self, answer)
        return Outcome(OutcomeKind.SESSION_ENDED, reason=reason) if when(answer, found) else found

    V1.outcome = ending


@_breaks("3:", "long-retry-after")
def _a_503_ends_the_session() -> None:
    """Take a service that is away for the end of the session."""
    _ends(lambda answer, _: isinstance(answer, ApiResponse) and answer.status == 503, ExpiryReason.EXPIRED)


@_breaks("3:|14:", "caught-by-a-proxy")
def _a_proxy_ends_the_session() -> None:
    """Take a proxy's 401 for the service's."""
    _ends(lambda _, found: found.kind is OutcomeKind.FOREIGN_RESPONSE, ExpiryReason.REVOKED)


@_breaks("3:")
def _a_lost_answer_ends_the_session() -> None:
    """Give a session up because an answer was lost."""
    _ends(lambda _, found: found.kind is OutcomeKind.UNKNOWN, ExpiryReason.REFRESH_OUTCOME_UNKNOWN)


@_breaks("3:")
def _a_dead_token_ends_the_session() -> None:
    """End the session with its access token."""
    original = TokenSnapshot.freshness

    def ending(self: TokenSnapshot, now: float) -> Freshness:
        return Freshness.OVER if now >= self.token_expires_at else original(self, now)

    TokenSnapshot.freshness = ending


@_breaks("3:|14:")
def _no_open_attempt() -> None:
    """Begin a refresh without a note of it, and lie about its end after a crash."""
    _change_records(refresh_started_at=None)


@_breaks("3:|14:")
def _no_doubt() -> None:
    """Forget that an earlier attempt may have been carried out."""
    original = Attempts.once

    def forgetting(self: Attempts) -> Outcome:
        outcome = original(self)
        self.ambiguous = False
        return outcome

    Attempts.once = forgetting


@_breaks("3:")
def _sign_out_fails_silently() -> None:
    """Say that a sign-out is done though the store kept the session."""
    original = operations._remove

    def silent(*arguments: Any) -> tuple[Any, ...]:
        stored, _, had_lock = original(*arguments)
        return stored, None, had_lock

    operations._remove = silent


@_breaks("16:", "sign-in-again")
def _a_replaced_session_stays_alive() -> None:
    """Leave the session alive that a sign-in has replaced."""
    RULES[Bringing.SIGN_IN, Held.OTHER] = Rule(save=True)


@_breaks("16:", "sign-in-overtaken")
def _a_dropped_session_stays_alive() -> None:
    """Do not sign out a session that the client has dropped."""
    EngineContext.revoke = lambda _self, _record: None


# ---------------------------------------------------------------------- invariant 6, and damaged records


@_breaks("6:")
def _junk_is_dropped() -> None:
    """Delete a corrupt record."""

    def dropping(self: SessionStorage, key: str, problem: Any) -> Any:
        self.delete(key)
        return problem

    SessionStorage.quarantine = dropping


@_breaks("6:")
def _junk_is_overwritten() -> None:
    """Say that it was quarantined, and leave it for the next save to replace."""
    SessionStorage.quarantine = lambda _self, _key, problem: problem


@_breaks("14: .* signed_out", "refresh-over-junk")
def _junk_takes_the_copy_in_memory() -> None:
    """Give the session in memory up because its record was damaged."""
    for bringing in Bringing:
        RULES[bringing, Held.DAMAGED] = Rule(save=False)
    original = Refresher.refresh

    def giving_up(self: Refresher, locked: LockedSession, *rest: Any, **more: Any) -> Any:
        locked.load()
        locked.damaged = False
        return original(self, locked, *rest, **more)

    Refresher.refresh = giving_up


def _unreadable_stays() -> None:
    original = LockedSession.load
    LockedSession.load = lambda self, **_: original(self)


@_breaks("11: sign_in", "sign-in-over-a-later-version")
def _no_sign_in_over_what_cannot_be_read() -> None:
    """Refuse to sign in over a record of a later version."""
    _unreadable_stays()


@_breaks("11: sign_out", "sign-out-with-a-lost-key")
def _no_sign_out_of_what_cannot_be_read() -> None:
    """Refuse to sign out of a record whose key was lost."""
    _unreadable_stays()


# ---------------------------------------------------------------------- identity, events, reasons


@_breaks("5:", "replaced-by-another-process")
def _replaced_in_silence() -> None:
    """Go on with another session without an event."""
    original = Account.emit

    def silent(self: Account, kind: Any, *arguments: Any) -> None:
        if kind.value != "SESSION_REPLACED":
            original(self, kind, *arguments)

    Account.emit = silent


@_breaks("8: a request made as", "repeated-as-another")
def _repeated_as_another_user() -> None:
    """Repeat a refused request with the token of another user."""
    transport.may_repeat = lambda refused, newer: newer.record.is_newer_than(refused.record)


@_breaks("2:|8: user asked as", "asked-as-another")
def _asked_as_another_user() -> None:
    """Ask the service about another user than before."""
    SessionRecord.is_same_session = lambda _self, _other: True


@_breaks("14: .* after SIGNED_OUT", "sign-out-after-the-lock")
def _a_late_event() -> None:
    """Announce a sign-in after the store's lock was given back."""
    apply, keep = Account.apply, operations._keep

    def silent(self: Account, change: Change, *arguments: Any, event: Any = None, **options: Any) -> bool:
        shown = None if change is Change.SIGNED_IN else event
        return apply(self, change, *arguments, event=shown, **options)

    def keeping(account: Account, turn: Turn, record: SessionRecord, *more: Any) -> None:
        keep(account, turn, record, *more)
        account.emit(AuthEventType.SIGNED_IN, record)

    Account.apply, operations._keep = silent, keeping


@_breaks("14:", "revoked-for-all")
def _no_reason_is_left() -> None:
    """Delete the record of a session that has ended, and leave no reason."""
    refresh._leave_reason = lambda locked, *_: locked.delete()


@_breaks("14: .* user_disabled", "user-disabled")
def _a_disabled_user_is_an_error() -> None:
    """Take a disabled account for a wrong setting."""
    del codes.ENDINGS["account_disabled"]  # type: ignore[attr-defined]


@_breaks("9: the near end", "near-end")
def _announced_by_each_account() -> None:
    """Forget with the account that the near end was announced."""
    _change_records(end_announced=False)


# ---------------------------------------------------------------------- outages, storms, clocks


@_breaks("9: .* within the cooldown", "outage")
def _no_cooldown() -> None:
    """Forget with the account that a refresh has just failed."""
    _change_records(cooldown_until=None)


@_breaks("12:", "long-retry-after")
def _a_long_cooldown() -> None:
    """Believe a service that asks for an hour."""
    refresh.LONGEST_COOLDOWN = 3_600.0


@_breaks("12: refresh", "long-retry-after")
def _an_explicit_refresh_waits() -> None:
    """Refuse an explicit refresh during a cooldown."""
    original = Refresher.refresh

    def waiting(self: Refresher, *arguments: Any, forced: bool, after_refusal: bool) -> Any:
        return original(self, *arguments, forced=False, after_refusal=after_refusal)

    Refresher.refresh = waiting


@_breaks("12: use has to wait", "wrong-clock")
def _every_clock_is_believed() -> None:
    """Wait as long as another host's clock says."""

    def believing(record: SessionRecord, now: float) -> float | None:
        until = record.cooldown_until
        return until - now if until is not None and now < until else None

    acquire.cooldown_left = refresh.cooldown_left = believing


@_breaks("10: .* because of another", "always-refused")
def _a_storm() -> None:
    """Refresh each time an API refuses a token."""
    TokenSnapshot.came_from_recent_refusal = lambda _self, _now: False


@_breaks("10: a refused token", "adopted-and-refused")
def _an_adopted_token_is_the_last() -> None:
    """Hand the 401 back when a token that another process has brought is refused as well."""
    transport.REPEATS = 1


@_breaks("6: P1 sends", "suspended-with-the-lock")
def _no_clock_is_checked() -> None:
    """Send a refresh however long ago the lock was taken."""
    Exchange.left = lambda self: self._storage.refresh_time


@_breaks("6: P1 sends", "suspended-with-its-clock")
def _one_clock_is_checked() -> None:
    """Trust a monotonic clock that stands still while the process is suspended."""

    def by_one_clock(self: LockedSession) -> float:
        elapsed = self._storage.timing.monotonic() - self._monotonic_start
        return self._storage.refresh_time - elapsed

    LockedSession.time_left = by_one_clock


# ---------------------------------------------------------------------- outages that look like ends


@_breaks("3: .* nothing has ended it", "outage-that-looks-like-an-end", api="v2")
def _the_first_refusal_is_believed() -> None:
    """Believe the first SESSION_EXPIRED of a server whose database may be away."""
    Exchange._second_look = lambda _self, doubtful: dataclasses.replace(
        doubtful, kind=OutcomeKind.SESSION_ENDED
    )


@_breaks("3: .* nothing has ended it", "outage-that-looks-like-an-end", api="v2")
def _every_look_finds_the_database() -> None:
    """Take any answer to the second look for a sign that the database is there."""
    V2.is_serving = lambda _self, _answer: True


@_breaks("3: .* nothing has ended it", "outage-ends-during-the-second-look", api="v2")
def _the_refresh_is_not_asked_again() -> None:
    """Believe the first SESSION_EXPIRED when the second look finds the database, which may have come back."""
    ask = Exchange._ask

    def asking(self: Exchange) -> Outcome:
        outcome = ask(self)
        self._ask = lambda: outcome
        return outcome

    Exchange._ask = asking


@_breaks("3: .* ended by revoked", "unknown-outcome-of-v2", api="v2")
def _a_used_token_of_v2_was_revoked() -> None:
    """Say that a session was revoked when an answer to its token was lost before."""
    used = "UNAUTHORIZED: refresh token is revoked"
    codes_of_v2.ENDINGS[used] = Ending(ExpiryReason.REVOKED)  # type: ignore[index]


# ---------------------------------------------------------------------- waiting, closing, liveness


@_breaks("8: sign_out took", "sign-out-behind-a-refresh")
def _a_sign_out_waits_for_a_refresh() -> None:
    """Let a sign-out wait for a refresh of the same process."""
    AccountStorage.locked_or_shared = AccountStorage.locked


@_breaks("8: sign_in took", "sign-in-behind-a-refresh")
def _a_sign_in_waits_for_a_refresh() -> None:
    """Let a sign-in wait for a refresh of the same process."""
    AccountStorage.locked_or_shared = AccountStorage.locked


@_breaks("8: a request waited", "bounded-request")
def _timeouts_are_ignored() -> None:
    """Let a request wait for a token as long as a refresh may take."""
    transport._patience = lambda _request: None


@_breaks("18:", "use-after-close")
def _close_is_forgotten() -> None:
    """Let a closed client go on with a fresh token."""
    Account.close = lambda _self: None


@_breaks("19:", "sign-out-confirmed")
def _confirmed_whatever_happened() -> None:
    """Say that the service has confirmed every sign-out."""
    original = operations._tell
    operations._tell = lambda *arguments, **options: (True, original(*arguments, **options)[1])


@_breaks("liveness:")
def _a_failure_never_lands() -> None:
    """Forget the waiting callers when an operation fails."""
    land = Flight.land

    def landing(self: Flight[Any], result: Result[Any]) -> None:
        if result.error is None:
            land(self, result)

    Flight.land = landing


@_breaks("7:|[a-z_]+ raised StoreLocked")
def _the_lock_is_kept() -> None:
    """Leave the lock behind."""
    enter = storage.enter_lock
    storage.enter_lock = lambda *arguments: (lambda: None, enter(*arguments)[1])


@_breaks("(1|2|3|16):|[a-z_]+ raised|use: a token")
def _the_caller_carries_it_out() -> None:
    """Refresh inside the caller, so that its end is the refresh's."""
    Flight.start = lambda self, *, blocking: self._run()


@_breaks("7:")
def _a_timer_goes_on() -> None:
    """Refresh from a timer, wanted or not."""
    original = tasks.refresh_now

    def starting(account: Account, *arguments: Any, **options: Any) -> None:
        account.context.workers._home.start_worker(lambda: _tick(account))
        original(account, *arguments, **options)

    tasks.refresh_now = acquire.refresh_now = starting


def _tick(account: Account) -> None:
    while not account.context.closing:
        account.context.storage.timing.sleep(60.0)


@_breaks("use: a refused")
def _a_refused_token_is_handed_out() -> None:
    """Hand out the token that was refused."""
    acquire._is_newer = lambda _snapshot, _refused: True
    transport.may_repeat = lambda _refused, _newer: True


@_breaks("[a-z_]+ raised")
def _a_stores_own_error_comes_out() -> None:
    """Let any exception of a store out."""
    storage.guarded = lambda _method, call: call()


@_breaks("7: close")
def _close_raises() -> None:
    """Let close() raise the error of a save."""
    original = Engine.close

    def raising(self: Engine) -> None:
        original(self)
        raise RuntimeError("not saved")

    Engine.close = raising

"""Bugs against invariant 3: only the service and the operation asked for last end a session."""

from collections.abc import Callable
from typing import Any

from hellojohn import ExpiryReason
from hellojohn._session import operations
from hellojohn._session.account import Account
from hellojohn._session.conflicts import RULES, Bringing, Held, Rule
from hellojohn._session.context import EngineContext
from hellojohn._session.exchange import Exchange
from hellojohn._session.freshness import Freshness, TokenSnapshot
from hellojohn._session.order import Turn
from hellojohn._session.retry import Attempts
from hellojohn._session.storage import SessionStorage
from hellojohn._wire import Answer, ApiResponse, Outcome, OutcomeKind
from hellojohn._wire.v1 import V1
from tests.simulation.planting import breaks, change_records


@breaks("3: .* before the answer came", "signed-out-elsewhere-during-a-refresh")
def _save_without_compare() -> None:
    """Assume that no process has signed out while the service was asked."""
    for held in Held:
        RULES[Bringing.REFRESH, held] = Rule(save=True)


def _is_always_current(turn: Turn) -> Turn:
    turn.is_current = lambda: True
    return turn


@breaks("3:|P. says that .* names no session")
def _no_order() -> None:
    """Let an operation that began before a sign-out show its session after it."""
    original, turn = Account.apply, Account.turn

    def applying(self: Account, change: Any, turn: Turn, *arguments: Any, **options: Any) -> bool:
        turn.order = self.state.order
        return original(self, change, turn, *arguments, **options)

    Account.apply = applying
    Account.turn = lambda self: _is_always_current(turn(self))


@breaks("3: .* asked for before it came", "sign-in-after-a-sign-in-given-up")
def _an_earlier_sign_in_wins() -> None:
    """Keep the session of a sign-in although another was asked for later."""
    original = Account.ask_to_sign_in
    Account.ask_to_sign_in = lambda self: _is_always_current(original(self))


@breaks("3: .* asked for before it came", "sign-out-after-a-sign-in-given-up")
def _a_late_sign_in_undoes_a_sign_out() -> None:
    """Keep the session of a sign-in although a sign-out was asked for later."""
    original = Account.ask_to_sign_in

    def asking(self: Account) -> Turn:
        turn = _is_always_current(original(self))
        turn.order = 1_000_000
        return turn

    Account.ask_to_sign_in = asking


@breaks("1: .* knows the successor|3: .* (is lost|nothing has ended it)", "sign-in-fails-during-a-refresh")
def _a_pending_sign_in_drops_a_refresh() -> None:
    """Drop the result of a refresh because of a sign-in that fails."""
    original = Account.ask_to_sign_in

    def asking(self: Account) -> Turn:
        turn = original(self)
        self.state = self.state._replace(order=turn.order)
        return turn

    Account.ask_to_sign_in = asking


@breaks("1: .* presented again without any doubt", "sign-out-behind-another-process")
def _an_overtaken_refresh_leaves_its_token() -> None:
    """Leave the token of a refresh to the process that gets the lock before the sign-out does."""
    Exchange.sign_out_first = lambda _self: False


@breaks("[13]:")
def _sign_out_keeps_the_record() -> None:
    """Sign out at the service and in memory only."""
    SessionStorage.delete = lambda _self, _key: None


def _ends(when: Callable[[Answer, Outcome], bool], reason: ExpiryReason) -> None:
    original = V1.outcome

    def ending(self: V1, answer: Answer) -> Outcome:
        found = original(self, answer)
        return Outcome(OutcomeKind.SESSION_ENDED, reason=reason) if when(answer, found) else found

    V1.outcome = ending


@breaks("3:", "long-retry-after")
def _a_503_ends_the_session() -> None:
    """Take a service that is away for the end of the session."""
    _ends(lambda answer, _: isinstance(answer, ApiResponse) and answer.status == 503, ExpiryReason.EXPIRED)


@breaks("3:|14:", "caught-by-a-proxy")
def _a_proxy_ends_the_session() -> None:
    """Take a proxy's 401 for the service's."""
    _ends(lambda _, found: found.kind is OutcomeKind.FOREIGN_RESPONSE, ExpiryReason.REVOKED)


@breaks("3:")
def _a_lost_answer_ends_the_session() -> None:
    """Give a session up because an answer was lost."""
    _ends(lambda _, found: found.kind is OutcomeKind.UNKNOWN, ExpiryReason.REFRESH_OUTCOME_UNKNOWN)


@breaks("3:")
def _a_dead_token_ends_the_session() -> None:
    """End the session with its access token."""
    original = TokenSnapshot.freshness

    def ending(self: TokenSnapshot, now: float) -> Freshness:
        return Freshness.OVER if now >= self.token_expires_at else original(self, now)

    TokenSnapshot.freshness = ending


@breaks("3:|14:")
def _no_open_attempt() -> None:
    """Begin a refresh without a note of it, and lie about its end after a crash."""
    change_records(refresh_started_at=None)


@breaks("3:|14:")
def _no_doubt() -> None:
    """Forget that an earlier attempt may have been carried out."""
    original = Attempts.once

    def forgetting(self: Attempts) -> Outcome:
        outcome = original(self)
        self.ambiguous = False
        return outcome

    Attempts.once = forgetting


@breaks("3:")
def _sign_out_fails_silently() -> None:
    """Say that a sign-out is done though the store kept the session."""
    original = operations._remove

    def silent(*arguments: Any) -> tuple[Any, ...]:
        stored, _, had_lock = original(*arguments)
        return stored, None, had_lock

    operations._remove = silent


@breaks("16:", "sign-in-again")
def _a_replaced_session_stays_alive() -> None:
    """Leave the session alive that a sign-in has replaced."""
    RULES[Bringing.SIGN_IN, Held.OTHER] = Rule(save=True)


@breaks("16:", "sign-in-overtaken")
def _a_dropped_session_stays_alive() -> None:
    """Do not sign out a session that the client has dropped."""
    EngineContext.revoke = lambda _self, _record: None

"""The calls of an app that do not sign in or out: the session, a token, the user, other questions."""

from collections.abc import Callable
from typing import TypeVar, cast

from hellojohn._errors import ConfigurationError, HelloJohnError, ServiceUnavailable
from hellojohn._limits import CALL_DEADLINE, LONGEST_STORM
from hellojohn._models import Session, User
from hellojohn._secret import Secret
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire, load, load_unless_over, may_repeat
from hellojohn._session.failures import fresh_copy
from hellojohn._session.flight import Result
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.workers import Lane
from hellojohn._waiting import Flow
from hellojohn._wire import Answer, ApiRequest, Conversation, Dialect, SignedIn, converse

T = TypeVar("T")


def session(account: Account) -> Flow[Session | None]:
    """Return the session without asking the service."""
    snapshot = yield from load_unless_over(account)
    return None if snapshot is None else account.to_session(snapshot.record)


def refresh(account: Account) -> Flow[Session]:
    """Refresh now, or join the refresh that is under way."""
    snapshot = yield from load(account)
    if snapshot is None:
        snapshot = yield from acquire(account)
    snapshot = yield from acquire(account, snapshot, forced=True)
    yield from account.events_delivered()
    return account.to_session(snapshot.record)


def access_token(account: Account, *, refused: Secret | None) -> Flow[Secret]:
    """Return a token that is good now, and not the refused one."""
    if refused is not None and not isinstance(cast("object", refused.reveal()), str):
        raise ConfigurationError("refused must be the text of the access token that was refused.")
    snapshot = yield from acquire(account)
    account.used_at = account.clock()
    if refused is not None and snapshot.record.access_token == refused:
        newer = yield from acquire(account, snapshot)
        if not newer.record.is_newer_than(snapshot.record):
            raise ServiceUnavailable(
                "The refused token is only a moment old, and the next one would be refused as well. Check the"
                " clock and the settings of the service that refuses it.",
                retry_after=LONGEST_STORM,
            )
        snapshot = newer
    return snapshot.record.access_token


def user(account: Account) -> Flow[User]:
    """Ask the service who is signed in."""
    dialect = account.context.service.dialect
    return ask_as_user(account, lambda who: _me(dialect, who))


def ask(account: Account, conversation: Conversation[T]) -> Flow[T]:
    """Have a conversation with the service that needs no session."""
    return account.perform(lambda: have_conversation(account, conversation), Lane.NETWORK)


def ask_as_user(account: Account, build: Callable[[SignedIn], Conversation[T]]) -> Flow[T]:
    """Have a conversation with the service as the signed-in user. A refused token is replaced once.

    The whole conversation is repeated: the refused request did nothing, and the requests before it only read.
    """
    snapshot = yield from acquire(account)
    account.used_at = account.clock()
    asked = build(_who(snapshot))
    result, refused = yield from account.perform(lambda: _attempt(account, asked), Lane.NETWORK)
    if refused:
        newer = yield from acquire(account, snapshot)
        if may_repeat(snapshot, newer):
            return (yield from ask(account, build(_who(newer))))
    return result.get()


def have_conversation(
    account: Account, conversation: Conversation[T], note: Callable[[Answer], object] | None = None
) -> T:
    service = account.context.service
    service.load()

    def send(request: ApiRequest) -> Answer:
        answer = service.send(request, CALL_DEADLINE)
        if note is not None:
            note(answer)
        return answer

    return converse(conversation, send)


def _attempt(account: Account, conversation: Conversation[T]) -> tuple[Result[T], bool]:
    """Have a conversation; return how it ended, and whether that was because the token was refused."""
    answers: list[Answer] = []
    try:
        return Result(have_conversation(account, conversation, answers.append)), False
    except HelloJohnError as error:
        is_token_refused = account.context.service.dialect.is_token_refused
        return Result(error=fresh_copy(error)), bool(answers) and is_token_refused(answers[-1])


def _who(snapshot: TokenSnapshot) -> SignedIn:
    return SignedIn(snapshot.record.access_token, snapshot.record.user)


def _me(dialect: Dialect, who: SignedIn) -> Conversation[User]:
    """Ask who is signed in; if the answer cannot say it, ask in the way that can."""
    answer = yield dialect.me(who.access_token)
    more = dialect.me_after(answer, who.access_token)
    return dialect.read_user(answer if more is None else (yield more), who.user)

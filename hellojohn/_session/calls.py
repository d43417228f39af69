"""What an app asks: for its session, a token, its user, and for anything the service can say."""

from collections.abc import Callable
from typing import TypeVar, cast

from hellojohn._errors import ConfigurationError, ServiceUnavailable
from hellojohn._limits import CALL_DEADLINE, LONGEST_STORM
from hellojohn._models import Session, User
from hellojohn._secret import Secret
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire, load
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.workers import Lane
from hellojohn._waiting import Flow
from hellojohn._wire import Answer, Conversation, SignedIn, converse

T = TypeVar("T")


def session(account: Account) -> Flow[Session | None]:
    """Return the session without asking the service."""
    snapshot = yield from load(account)
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
    """Ask the service who is signed in. A refused token is replaced once."""
    snapshot = yield from acquire(account)
    answers = yield from account.perform(lambda: _ask_user(account, snapshot), Lane.NETWORK)
    if account.context.service.dialect.is_token_refused(answers[0]):
        newer = yield from acquire(account, snapshot)
        # A request made as one user is not repeated as another.
        if newer.record.is_newer_than(snapshot.record) and newer.record.is_same_session(snapshot.record):
            answers = yield from account.perform(lambda: _ask_user(account, newer), Lane.NETWORK)
    return account.context.service.dialect.read_user(answers[-1])


def ask(account: Account, conversation: Conversation[T]) -> Flow[T]:
    """Have a conversation with the service that needs no session."""
    return account.perform(lambda: have_conversation(account, conversation), Lane.NETWORK)


def ask_as_user(account: Account, build: Callable[[SignedIn], Conversation[T]]) -> Flow[T]:
    """Have a conversation with the service as the signed-in user."""
    snapshot = yield from acquire(account)
    record = snapshot.record
    who = SignedIn(record.access_token, "" if record.user is None else record.user.id)
    return (yield from ask(account, build(who)))


def have_conversation(account: Account, conversation: Conversation[T]) -> T:
    service = account.context.service
    service.load()
    return converse(conversation, lambda request: service.send(request, CALL_DEADLINE))


def _ask_user(account: Account, snapshot: TokenSnapshot) -> list[Answer]:
    """Ask who is signed in; if the answer cannot say it, ask in the way that can."""
    service, token = account.context.service, snapshot.record.access_token
    answers = [service.send(service.dialect.me(token), CALL_DEADLINE)]
    more = service.dialect.me_after(answers[0], token)
    return answers if more is None else [*answers, service.send(more, CALL_DEADLINE)]

"""Sign-in and sign-out of an account.

Each runs on a worker thread, so that a caller who gives up loses no session and brings none back.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from hellojohn._clock import as_moment
from hellojohn._errors import (
    ExpiryReason,
    HelloJohnError,
    MfaRequired,
    ServiceUnavailable,
    SignInSuperseded,
    StoreError,
    StoreLocked,
)
from hellojohn._limits import SIGN_OUT_DEADLINE, SIGN_OUT_LOCK_WAIT
from hellojohn._logs import logger_of
from hellojohn._models import AuthEventType, Session
from hellojohn._secret import Secret
from hellojohn._session.account import Account, refuse_nested
from hellojohn._session.calls import have_conversation
from hellojohn._session.conflicts import Bringing
from hellojohn._session.exchange import leave_reason
from hellojohn._session.order import Overtaken, Turn
from hellojohn._session.record import SessionRecord, Stored, signed_in
from hellojohn._session.state import Change
from hellojohn._session.storage import LockedSession
from hellojohn._session.tasks import locked
from hellojohn._session.workers import Lane
from hellojohn._waiting import Flow
from hellojohn._wire import Conversation, TokenResponse

logger = logger_of("hellojohn")


class SignInRequest(NamedTuple):
    """A sign-in of any kind.

    Attributes:
        conversation: The requests to send.
        duration: The session's duration that it asks for; ``None`` for the tenant's default.
        remember_me: The user's choice, if there was one.
        with_device: Builds the same sign-in with the token of a remembered device, if it can use one.
    """

    conversation: Conversation[TokenResponse]
    duration: timedelta | None = None
    remember_me: bool | None = None
    with_device: Callable[[Secret], Conversation[TokenResponse]] | None = None


def sign_in(account: Account, wanted: SignInRequest) -> Flow[Session]:
    """Send a sign-in, a sign-up or a second factor, and keep the session that it brings.

    Raises:
        SignInSuperseded: A later sign-in or sign-out was asked for. The session was signed out again.
        HelloJohnError: The service refused or did not answer, or the session could not be stored.
    """
    ask = cache(account.ask_to_sign_in)
    return (yield from account.perform(lambda: _sign_in(account, ask(), wanted), Lane.SIGN_IN, ask=ask))


def sign_out(account: Account, *, everywhere: bool) -> Flow[bool]:
    """End the session here and at the service; return whether the service confirmed it.

    Raises:
        StoreError: The store did not remove the session. The service was still asked to end it.
        HelloJohnError: With ``everywhere`` only: the service did not confirm.
    """
    ask = cache(account.ask_to_sign_out)

    def operation() -> bool:
        turn, shown, announced = ask()
        return _sign_out(account, turn, shown, announced=announced, everywhere=everywhere)

    refuse_nested(account)  # here, because this error below would mean that no thread can be started
    try:
        return (yield from account.perform(operation, Lane.SIGN_IN, ask=ask))
    except ServiceUnavailable:
        account.apply(Change.SIGNED_OUT, ask()[0])  # if no thread could be started, nothing was signed out
        raise


# -------------------------------------------------------------------- sign-in


def _sign_in(account: Account, turn: Turn, wanted: SignInRequest) -> Session:
    context = account.context
    dialect = context.service.dialect
    device = None if wanted.with_device is None else context.devices.load(account.key)
    conversation = wanted.conversation
    if wanted.with_device is not None and device is not None:
        conversation = wanted.with_device(device)
    try:
        tokens = have_conversation(account, conversation)
    except MfaRequired as error:
        lives = dialect.challenge_ttl
        expires_at = None if lives is None else as_moment(account.clock() + lives)
        error.challenge = error.challenge.asking(wanted.duration, wanted.remember_me, expires_at)
        account.emit(AuthEventType.MFA_REQUIRED, None)
        raise
    record = signed_in(
        tokens,
        api_url=context.api_url,
        tenant_id=context.tenant_id,
        now=account.clock(),
        duration=wanted.duration,
        remember_me=wanted.remember_me,
        server_ends_sessions=dialect.ends_sessions,
    )
    _keep(account, turn, record)
    if tokens.device_token is not None:
        context.devices.save(account.key, tokens.device_token)
    return account.to_session(record)


def _keep(account: Account, turn: Turn, record: SessionRecord) -> None:
    """Save a new session and show it. A session that is not saved is signed out at the service again."""
    context, replaced = account.context, None
    try:
        # In one step: no reader of this client takes the new session for another process's.
        with locked(account, context.storage.lock_wait, shared=True) as place, turn.writing():
            replaced = _replace(place, record)
            shown = account.apply(Change.SIGNED_IN, turn, record, event=AuthEventType.SIGNED_IN)
            if not shown:  # a sign-out was asked for during the save: no other process may use the session
                leave_reason(place, record, ExpiryReason.SIGNED_OUT, None)
    except Overtaken:
        shown = False
    except StoreError:
        context.revoke(record)
        raise
    # A service that answers a second sign-in with the same session must not be asked to end it.
    if replaced is not None and (replaced.session_id is None or replaced.session_id != record.session_id):
        context.revoke(replaced)
    if not shown:
        context.revoke(record)
        raise SignInSuperseded(
            "A later sign-in or sign-out was asked for before this sign-in was complete. Its session was"
            " signed out again."
        )


def _replace(place: LockedSession, record: SessionRecord) -> SessionRecord | None:
    """Save a new session; return the one that it replaces.

    A save that failed may have been carried out, so the store is asked once more.
    """
    try:
        return place.replace(record, Bringing.SIGN_IN).to_revoke
    except StoreError:
        if _holds(place, record):
            return None
        raise


def _holds(place: LockedSession, record: SessionRecord) -> bool:
    """Return whether the store has a session, also if it does not say: it must not be signed out then."""
    try:
        return place.load() == record
    except StoreError:
        return False


# -------------------------------------------------------------------- sign-out


def _sign_out(
    account: Account, turn: Turn, shown: SessionRecord | None, *, announced: bool, everywhere: bool
) -> bool:
    stored, failure, had_lock = _remove(account, turn)
    record = _latest(stored, shown)
    account.apply(Change.SIGNED_OUT, turn)
    if everywhere:
        account.context.devices.forget(account.key)
    confirmed, refusal = True, None
    if record is not None:
        if not announced:
            account.emit(AuthEventType.SIGNED_OUT, record)
        confirmed, refusal = _tell(account, record, everywhere=everywhere)
        if not had_lock:
            _remove_again(account, turn, record)
    problem = failure or refusal
    if problem is not None:
        raise problem
    return confirmed


def _remove(account: Account, turn: Turn) -> tuple[Stored | None, StoreError | None, bool]:
    """Remove the session from the store, under the lock if possible, and return it.

    A store whose lock fails may still delete, for example one whose memory or disk is full.
    """
    stored: Stored | None = None
    has_lock = False
    try:
        with locked(account, SIGN_OUT_LOCK_WAIT, shared=True) as place, turn.writing():
            has_lock = True
            stored = place.load(quarantine_unreadable=True)
            place.delete()
            return stored, None, True
    except Overtaken:  # a later sign-in has replaced it
        return stored, None, True
    except StoreError as error:
        if has_lock and not isinstance(error, StoreLocked):
            return stored, error.with_traceback(None), True
        logger.warning("A sign-out works without the lock of the store: %s", str(error))
    return *_remove_without_lock(account, turn), False


def _remove_without_lock(account: Account, turn: Turn) -> tuple[Stored | None, StoreError | None]:
    """Remove the session without the lock. A process that holds the lock finds it gone."""
    place, stored = account.context.storage.unlocked(account.key), None
    try:
        with turn.writing():
            stored = place.load(quarantine_unreadable=True)
            place.delete()
    except Overtaken:
        return None, None
    except StoreError as error:
        return stored, error.with_traceback(None)
    return stored, None


def _remove_again(account: Account, turn: Turn, record: SessionRecord) -> None:
    """Remove a record that the holder of the lock saved at the moment of the sign-out."""
    storage = account.context.storage
    try:
        with turn.writing():
            stored = storage.peek(account.key)
            if stored is not None and stored.is_same_session(record):
                storage.delete(account.key)
                account.context.revoke(stored if isinstance(stored, SessionRecord) else None)
    except (Overtaken, StoreError):
        return


def _latest(stored: Stored | None, shown: SessionRecord | None) -> SessionRecord | None:
    """Return the session to sign out: a later generation that could not be saved is only in memory."""
    if not isinstance(stored, SessionRecord):
        return shown
    if shown is None or stored.is_newer_than(shown) or not stored.is_same_session(shown):
        return stored
    return shown


def _tell(account: Account, record: SessionRecord, *, everywhere: bool) -> tuple[bool, HelloJohnError | None]:
    """Sign a session out at the service; return whether it confirmed, and what to raise."""
    service = account.context.service
    request = service.dialect.sign_out(record.refresh_token, record.access_token, everywhere=everywhere)
    try:
        service.dialect.read_done(service.send(request, SIGN_OUT_DEADLINE))
    except HelloJohnError as error:
        logger.warning("The service did not confirm a sign-out (%s).", type(error).__name__)
        return False, error.with_traceback(None) if everywhere else None
    return True, None

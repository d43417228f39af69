"""Sign-in and sign-out, and the one question about the user: operations on an account, in steps.

Each runs on an owner thread once begun, so that no caller's end loses a session or revives one.
"""

from dataclasses import dataclass
from datetime import timedelta

from hellojohn._account import Account
from hellojohn._config import check_flag
from hellojohn._duration import format_duration
from hellojohn._errors import (
    ApiError,
    HelloJohnError,
    MfaRequired,
    StoreError,
    StoreLocked,
)
from hellojohn._flight import Steps
from hellojohn._grants import signed_in
from hellojohn._models import AuthEventType, Session, User
from hellojohn._record import Record
from hellojohn._vault import Held
from hellojohn._view import View
from hellojohn._wire import Answer, ApiRequest, TokenResponse

CALL_DEADLINE = 30.0
SIGN_OUT_DEADLINE = 10.0
_REFUSED = ("token_expired", "invalid_token")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for at sign-in.

    Attributes:
        duration: The session's duration; ``None`` for the tenant's default.
        remember_me: The user's choice, where it was one.
    """

    duration: timedelta | None = None
    remember_me: bool | None = None

    def as_text(self) -> str | None:
        """Return the duration as the API takes it."""
        return None if self.duration is None else format_duration(self.duration)


def sign_in(account: Account, call: ApiRequest, wish: Wish) -> Steps[Session]:
    """Send a sign-in, a sign-up or a second factor, and keep the session that it grants."""
    return account.operate(lambda: _sign_in(account, call, wish))


def sign_out(account: Account, *, everywhere: bool) -> Steps[None]:
    """End the session here whatever happens, then tell the service."""
    check_flag(everywhere, "everywhere")
    return account.operate(lambda: _sign_out(account, everywhere=everywhere))


def user(account: Account) -> Steps[User]:
    """Ask the service who is signed in; a refused token is replaced once."""
    view = yield from account.acquire()
    answer = yield from account.operate(lambda: _ask_user(account, view))
    if isinstance(answer, ApiError) and answer.code in _REFUSED:
        view = yield from account.acquire(view)
        answer = yield from account.operate(lambda: _ask_user(account, view))
    if isinstance(answer, User):
        return answer
    raise answer


def _ask_user(account: Account, view: View) -> User | HelloJohnError:
    services = account.services
    answer = services.send(services.dialect.me(view.record.access_token), CALL_DEADLINE)
    try:
        return services.dialect.read_user(answer)
    except HelloJohnError as error:
        return error.with_traceback(None)


def _sign_in(account: Account, call: ApiRequest, wish: Wish) -> Session:
    services = account.services
    answer = services.send(call, CALL_DEADLINE)
    arrived_at = account.clock()
    record = signed_in(
        _granted(account, answer, wish),
        api_url=services.api_url,
        tenant_id=services.tenant_id,
        now=arrived_at,
        asked=wish.duration,
        remember_me=wish.remember_me,
        limited=services.dialect.limits_sessions,
    )
    _keep(account, record)
    account.emit(AuthEventType.SIGNED_IN, record)
    return account.public(record)


def _keep(account: Account, record: Record) -> None:
    """Save a new session and show it; one that the store does not have is signed out at the service again.

    A save that failed may have been carried out: only a look tells, and if that fails too, the session lives.
    """
    services, in_doubt = account.services, False
    try:
        with services.vault.locked(account.key) as held:
            held.find()
            try:
                held.save(record)
            except StoreError:
                saved = _is_saved(held, record)
                in_doubt = saved is None
                if not saved:
                    raise
            account.show(record, signed_in=True)
    except StoreError:
        if not in_doubt:
            services.say_goodbye(record)
        raise


def _is_saved(held: Held, record: Record) -> bool | None:
    """Return whether the store has the record; ``None`` if it does not say."""
    try:
        return held.find() == record
    except StoreError:
        return None


def _granted(account: Account, answer: Answer, wish: Wish) -> TokenResponse:
    try:
        return account.services.dialect.read_grant(answer)
    except MfaRequired as error:
        error.challenge = error.challenge._replace(duration=wish.duration, remember_me=wish.remember_me)
        account.emit(AuthEventType.MFA_REQUIRED, None)
        raise


def _sign_out(account: Account, *, everywhere: bool) -> None:
    with account.leaving() as shown:
        record, failure = _forget(account, shown)
    refusal = None
    if record is not None:
        account.emit(AuthEventType.SIGNED_OUT, record)
        refusal = _tell(account, record, everywhere=everywhere)
    problem = failure or refusal
    if problem is not None:
        raise problem


def _forget(account: Account, shown: Record | None) -> tuple[Record | None, StoreError | None]:
    """Delete the session from the store, under its lock if that can be had; return what it was."""
    vault, record = account.services.vault, shown
    try:
        with vault.locked(account.key) as held:
            record = _newest(held.find(), record)
            held.delete()
            account.forget()
            return record, None
    except StoreLocked:
        stored, failure = _delete_unlocked(account)
        record = _newest(stored, record)
    except StoreError as error:
        account.forget(locked=False)
        failure = error.with_traceback(None)
    account.forget()
    return record, failure


def _delete_unlocked(account: Account) -> tuple[Record | None, StoreError | None]:
    """Delete the session in the face of a stuck lock; its holder will find it gone and save nothing."""
    vault = account.services.vault
    account.forget(locked=False)
    record = None
    try:
        record = vault.read(account.key)
        vault.delete(account.key)
    except StoreError as error:
        return record, error.with_traceback(None)
    return record, None


def _newest(stored: Record | None, shown: Record | None) -> Record | None:
    """Return the later generation: a refreshed session that could not be saved is only shown."""
    if stored is None or shown is None:
        return stored or shown
    return shown if stored.is_before(shown) else stored


def _tell(account: Account, record: Record, *, everywhere: bool) -> HelloJohnError | None:
    """Tell the service; whether it heard matters to the other sessions only."""
    dialect = account.services.dialect
    call = dialect.sign_out(record.refresh_token, record.access_token, everywhere=everywhere)
    answer = account.services.send(call, SIGN_OUT_DEADLINE)
    try:
        dialect.read_done(answer)
    except HelloJohnError as error:
        return error.with_traceback(None) if everywhere else None
    return None

"""Never run: type checkers must accept every line of it. What a caller does with errors and values."""

from datetime import datetime, timedelta
from typing import assert_type

from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    ExpiryReason,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    RateLimited,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreError,
    TokenInvalid,
)
from hellojohn._models import AuthEvent, Session, SessionOptions, User


def tell(error: HelloJohnError) -> str:
    """Branch on an error and use what it carries."""
    match error:
        case MfaRequired():
            return assert_type(error.challenge, MfaChallenge).id
        case RateLimited(retry_after=wait) | ServiceUnavailable(retry_after=wait):
            return f"{wait:.0f}" if wait else "later"
        case ApiError():
            assert_type(error.status, int | None)
            return error.code or error.message
        case SessionExpired():
            return assert_type(error.reason, ExpiryReason).value
        case SignInRequired() | TokenInvalid() | StoreError() | ConfigurationError():
            return str(error)
        case _:
            return "unexpected"


def show(session: Session) -> timedelta | None:
    """Read a session."""
    assert_type(session.user, User)
    assert_type(session.expires_at, datetime | None)
    assert_type(session.remember_me, bool | None)
    return session.time_left()


def hear(event: AuthEvent) -> ExpiryReason | None:
    """Read an event."""
    assert_type(event.session, Session | None)
    return event.reason


def ask() -> tuple[SessionOptions, ...]:
    """Write a duration either way."""
    return SessionOptions(duration="8h"), SessionOptions(duration=timedelta(hours=8))

"""Describes the result of a call in the words of the conformance table."""

from collections.abc import Callable, Iterator
from typing import Any

from hellojohn import (
    HelloJohnError,
    MfaRequired,
    OAuthRequest,
    PasswordPolicy,
    RateLimited,
    ServiceUnavailable,
    Session,
    SessionExpired,
    SessionInfo,
    SessionPolicy,
    TokenClaims,
    TotpEnrollment,
    User,
    Verification,
)

_VALUES: dict[type, str] = {
    Session: "the session",
    OAuthRequest: "the address for the browser",
    SessionInfo: "the session's facts",
    User: "the user",
    str: "a token",
    PasswordPolicy: "the rules",
    TotpEnrollment: "the secret and its URI",
    SessionPolicy: "the settings",
    TokenClaims: "the claims",
}


def outcome_of(call: Callable[[], object], *, waits: bool) -> str:
    """Make a call, and describe its result or its error.

    Args:
        call: The call.
        waits: Whether the service named the wait. Otherwise the SDK picks one, by chance.
    """
    try:
        return describe(call())
    except HelloJohnError as error:
        return ", ".join(_error(error, waits=waits))


def describe(result: Any) -> str:
    """Return a result in a few words."""
    if isinstance(result, tuple | list):
        return f"a list of {len(result)}"
    if isinstance(result, Verification):
        return "valid, with claims" if result.valid else "not valid"
    return _WORDS[result] if result in (None, True, False) else _VALUES[type(result)]


_WORDS = {None: "done", True: "confirmed", False: "not confirmed"}


def _error(error: HelloJohnError, *, waits: bool) -> Iterator[str]:
    name = type(error).__name__
    if isinstance(error, SessionExpired):
        yield f"`{name}`: {error.reason}"
    elif isinstance(error, MfaRequired):
        yield f"`{name}` with the challenge"
    else:
        yield f"`{name}`"
    if waits and isinstance(error, ServiceUnavailable | RateLimited):
        yield f"wait {error.retry_after:.0f} s"
    if isinstance(error, ServiceUnavailable) and error.ambiguous:
        yield "ambiguous"

"""The browser's part of a sign-in (RFC 8252, PKCE): the request that starts it, and its callback.

Sends nothing.
"""

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from hellojohn._clock import as_moment
from hellojohn._errors import ApiError, ChallengeExpired, ConfigurationError, ValidationFailed
from hellojohn._limits import COMPLETED_OAUTH_REQUESTS, LONGEST_CALLBACK, OAUTH_REQUEST_LIFE
from hellojohn._secret import Secret
from hellojohn._wire import Dialect, OAuthCode

__all__ = ["SCOPES", "OAuthRequest"]

SCOPES = ("openid", "profile", "email")
"""What a sign-in with a browser asks for by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthRequest:
    """A sign-in that a browser completes. Send the browser to ``url``.

    Its repr hides the secrets. Serialised, it carries them: keep it in the browser session on the server, and
    pass it to ``auth.complete_oauth`` once.

    Attributes:
        url: The address at which the browser begins.
        redirect_uri: The address that it comes back to.
        expires_at: When the request ends (UTC).
        provider: The provider; ``None`` for the server's own login page.
        state: The value that the callback must repeat.
        code_verifier: The proof that this client asked for the code.
        nonce: The value that an ID token must repeat.
        duration: The session's duration that is asked for, as it goes over the wire.
        remember_me: The user's choice, if there was one.
    """

    url: str = field(repr=False)
    redirect_uri: str
    expires_at: datetime
    provider: str | None = None
    state: str = field(repr=False)
    code_verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    duration: str | timedelta | None = None
    remember_me: bool | None = None


def start(
    dialect: Dialect,
    *,
    provider: str | None,
    redirect_uri: str,
    scopes: tuple[str, ...],
    duration: str | timedelta | None,
    remember_me: bool | None,
    now: float,
) -> OAuthRequest:
    """Return a new request, with secrets of 256 bits.

    Raises:
        NotSupported: The server has no such sign-in.
        ConfigurationError: An argument is malformed.
    """
    state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    digest = hashlib.sha256(verifier.encode()).digest()
    url = dialect.oauth.authorize_url(
        provider=provider,
        redirect_uri=redirect_uri,
        state=state,
        nonce=nonce,
        code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        scopes=scopes,
    )
    return OAuthRequest(
        url=url,
        redirect_uri=redirect_uri,
        expires_at=as_moment(now + OAUTH_REQUEST_LIFE),
        provider=provider,
        state=state,
        code_verifier=verifier,
        nonce=nonce,
        duration=duration,
        remember_me=remember_me,
    )


def read_callback(request: OAuthRequest, callback_url: Secret, *, now: float) -> OAuthCode:
    """Return the code that a browser brought back.

    Raises:
        ChallengeExpired: The request has ended, or the sign-in was refused in the browser.
        ValidationFailed: The address is not the callback of this request.
        ConfigurationError: An argument has the wrong type.
    """
    address: object = callback_url.reveal()
    is_text = isinstance(address, str)
    del address
    if not isinstance(request, OAuthRequest) or not is_text:
        raise ConfigurationError("complete_oauth takes the OAuthRequest and the address as text.")
    if now >= request.expires_at.timestamp():
        raise ChallengeExpired("The browser took too long to sign in. Start over.")
    found = _code_in(request, read_query(callback_url.reveal()))
    if isinstance(found, ApiError):
        raise found
    return found


def _code_in(request: OAuthRequest, fields: dict[str, str]) -> OAuthCode | ApiError:
    """Return the code, or the error to raise: not from here, where the code is in a variable."""
    if not is_state(request, fields):
        return ValidationFailed("The address does not belong to this sign-in. Start over.")
    if "error" in fields:
        return not_completed(fields["error"])
    if not fields.get("code"):
        return ValidationFailed("The address holds no code. Start over.")
    return OAuthCode(
        code=Secret(fields["code"]),
        code_verifier=Secret(request.code_verifier),
        redirect_uri=request.redirect_uri,
        nonce=request.nonce,
        provider=request.provider,
    )


_FIXES = {
    "invalid_scope": "The client lacks a scope that was asked for: by default openid, profile or email."
    " Add it to the client at the server, or name the scopes that the client has (scopes=).",
}

# Of this process. It has no lock, which a fork could leave held: each of its operations is atomic.
_completed: OrderedDict[bytes, object] = OrderedDict()


def claim(request: OAuthRequest) -> None:
    """Let a request be completed once. A server may end the session of a code that is sent twice.

    Raises:
        ChallengeExpired: It was completed before.
    """
    mine = object()
    if _completed.setdefault(_key(request), mine) is not mine:
        raise ChallengeExpired("This sign-in was completed before. Start over.")
    while len(_completed) > COMPLETED_OAUTH_REQUESTS:
        _completed.popitem(last=False)


def release(request: OAuthRequest) -> None:
    """Let a request be completed after all: its code was not used."""
    _completed.pop(_key(request), None)


def _key(request: OAuthRequest) -> bytes:
    return hashlib.sha256(request.state.encode()).digest()


def read_query(address: str) -> dict[str, str]:
    """Return the fields of an address's query, each with one value; a repeated one counts as missing."""
    if len(address) > LONGEST_CALLBACK:
        return {}
    try:
        parsed = parse_qs(urlsplit(address).query, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items() if len(values) == 1}


def is_state(request: OAuthRequest, fields: dict[str, str]) -> bool:
    """Return whether a callback repeats the state, in constant time."""
    return hmac.compare_digest(fields.get("state", "").encode(), request.state.encode())


def not_completed(error: str) -> ChallengeExpired:
    """Return the exception for an error code of the browser's address."""
    code = shown(error)
    message = f"The sign-in was not completed in the browser ({code}). {_FIXES.get(code, 'Start over.')}"
    return ChallengeExpired(message)


def shown(text: str) -> str:
    """Return an error code of the browser's address as it may be shown."""
    return text[:64] if text.isascii() and text.replace("_", "").replace("-", "").isalnum() else "an error"

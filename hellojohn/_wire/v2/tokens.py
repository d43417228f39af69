"""v2: read the answer to anything that signs in, and the user of a token."""

import re
from collections.abc import Mapping
from dataclasses import replace

from hellojohn._errors import MfaChallenge, MfaRequired
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.errors import refusal
from hellojohn._wire.failures import Meaning, read_challenge
from hellojohn._wire.reading import Fields, text
from hellojohn._wire.tokens import read_tokens, success, user, with_identity
from hellojohn._wire.v2.codes import CODES
from hellojohn._wire.values import Answer, ApiResponse, TokenResponse

_DEVICE_COOKIE = "__Host-hj-trusted"
_SET_COOKIE = re.compile(rf"(?:^|[,\s]){_DEVICE_COOKIE}=([!#-+\--:<-\[\]-~]+)")  # the characters of RFC 6265


def signed_in(answer: Answer, *, otherwise: Meaning | None = None) -> TokenResponse:
    """Read tokens with a refresh token, and who signed in.

    Raises:
        MfaRequired: A second factor is needed. The server says so with a success.
        HelloJohnError: The answer has no tokens; ``errors.refusal`` has the arguments.
    """
    challenge = _challenge(answer)
    if challenge is not None:
        raise MfaRequired(
            "A second factor is needed: call auth.verify_mfa(error.challenge, code).",
            status=200,
            code="mfa_required",
            challenge=challenge,
        )
    tokens = read_tokens(answer)
    if tokens is None or tokens.refresh_token is None:
        raise refusal(answer, CODES, fixed_path=True, otherwise=otherwise)
    return replace(with_identity(tokens), device_token=_device_token(answer))


def is_without_tokens(answer: Answer) -> bool:
    """Return whether an answer to a sign-up has a new user and no tokens."""
    content = success(answer) or {}
    return text(content.get("user_id")) is not None and "access_token" not in content


def device_cookie(token: Secret) -> Mapping[str, Secret]:
    """Return the header that spares a remembered device the second factor."""
    return {"Cookie": Secret(f"{_DEVICE_COOKIE}={token.reveal()}")}


def read_user(content: Fields) -> User | None:
    """Read a user as ``/userinfo``, ``/v2/me`` and an ID token describe one."""
    profile = {name: value for name, value in content.items() if name not in _OF_THE_TOKEN}
    return user({"username": content.get("preferred_username"), **profile, "id": content.get("sub")})


def with_known(shown: User, known: User | None) -> User:
    """Fill in what the server leaves out for a token without the scopes: as of sign-in, for the same user."""
    if known is None or known.id != shown.id:
        return shown
    verified = shown.email_verified
    if shown.email is None and verified is None:
        verified = known.email_verified
    return replace(
        shown,
        email=shown.email or known.email,
        name=shown.name or known.name,
        username=shown.username or known.username,
        email_verified=verified,
    )


_OF_THE_TOKEN = frozenset(
    {
        *("sub", "tid", "aud", "azp", "amr", "acr", "exp", "iat", "iss", "nbf", "scp", "scope", "jti", "sid"),
        *("nonce", "at_hash", "c_hash", "auth_time", "preferred_username"),
    }
)


def _challenge(answer: Answer) -> MfaChallenge | None:
    content = success(answer) or {}
    if content.get("mfa_required") is not True or not isinstance(answer, ApiResponse):
        return None
    return read_challenge({**content, "challenge_id": content.get("mfa_token")}, answer.secrets)


def _device_token(answer: Answer) -> Secret | None:
    cookies = answer.headers.get("set-cookie", "") if isinstance(answer, ApiResponse) else ""
    found = _SET_COOKIE.search(cookies)
    return None if found is None else Secret(found[1])

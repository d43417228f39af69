"""``Verification``: the service's word about a token, which sees a revocation at once (v1)."""

from collections.abc import Callable
from dataclasses import dataclass

from hellojohn._details import SessionInfo
from hellojohn._errors import ServiceUnavailable, TokenInvalid
from hellojohn._limits import LONGEST_TOKEN, REMOTE_CHECK_DEADLINE
from hellojohn._secret import Secret
from hellojohn._wire import Answer, ApiRequest, Conversation, RemoteCheck, converse
from hellojohn.verify._claims import TokenClaims, read_claims
from hellojohn.verify._token_text import payload_of

Send = Callable[[ApiRequest, float], Answer]
"""Sends a request of the wire within so many seconds. It never raises for a network."""

CheckToken = Callable[[Secret], Conversation[RemoteCheck]]
"""The dialect's question whether a token is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The service's word about a token.

    Attributes:
        valid: Whether the token is valid now.
        session: The session, if the token is valid and the service describes it.
        claims: The token's claims, if it is valid.
    """

    valid: bool
    session: SessionInfo | None = None
    claims: TokenClaims | None = None


_NOT_VALID = Verification(valid=False)


def ask(check_token: CheckToken, send: Send, token: Secret) -> Verification:
    """Ask the service about a token. Blocks.

    Raises:
        ServiceUnavailable: No usable answer came.
        ApiError: The service refused to answer, such as for a wrong key.
        NotSupported: The server has no such check.
        ConfigurationError: The secret key is missing.
    """
    conversation = check_token(token)
    if len(token.reveal()) > LONGEST_TOKEN or not token.is_sendable():
        return _NOT_VALID
    found = converse(conversation, lambda request: send(request, REMOTE_CHECK_DEADLINE))
    if not found.valid:
        return _NOT_VALID
    return Verification(valid=True, session=found.session, claims=_claims(found, token))


def _claims(found: RemoteCheck, token: Secret) -> TokenClaims:
    """Return the claims of the answer, or those of the token, for which the service has vouched."""
    listed = found.claims or {}
    try:
        return read_claims(dict(listed) if "sub" in listed and "exp" in listed else payload_of(token))
    except TokenInvalid:
        pass
    raise ServiceUnavailable("HelloJohn's answer cannot be understood: the token's claims are missing.")

"""The wire: builds requests to HelloJohn and reads its answers. Pure: it sends nothing and reads no clock."""

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn._wire.conversation import Conversation, converse, single
from hellojohn._wire.dialect import Dialect, signing_up
from hellojohn._wire.failures import Codes, read_failure
from hellojohn._wire.tokens import read_tokens
from hellojohn._wire.topics import OAuthCode, RemoteCheck, SessionPage, SignedIn
from hellojohn._wire.values import (
    Answer,
    ApiRequest,
    ApiResponse,
    Delivery,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)

__all__ = [
    "Answer",
    "ApiRequest",
    "ApiResponse",
    "Conversation",
    "Delivery",
    "Dialect",
    "OAuthCode",
    "Outcome",
    "OutcomeKind",
    "RemoteCheck",
    "SessionPage",
    "SignedIn",
    "TokenResponse",
    "TransportFailure",
    "converse",
    "make_dialect",
    "prepare",
    "signing_up",
    "single",
]

_SAMPLES = (
    ApiResponse(
        200,
        {"date": "Sun, 15 Jun 2025 15:06:40 GMT"},
        b'{"access_token": "e30.e30.", "refresh_token": "x", "refresh_token_expires_at": "2025-06-16"}',
    ),
    ApiResponse(401, {}, b'{"error": {"code": "session_revoked", "message": "x"}}'),
)


def make_dialect(
    api: str,
    *,
    base_url: str,
    tenant_id: str,
    client_id: str | None,
    publishable_key: Secret | None,
    secret_key: Secret | None,
) -> Dialect:
    """Return the dialect of ``api``, which is ``"v1"`` or ``"v2"``. Only that dialect is loaded."""
    if api == "v2":
        if client_id is None:
            raise ConfigurationError(
                "client_id is missing: pass client_id=... or set HELLOJOHN_CLIENT_ID. The open-source server"
                " (v2) needs it."
            )
        from hellojohn._wire.v2 import V2  # noqa: PLC0415

        return V2(tenant_id, client_id, secret_key, base_url=base_url)
    from hellojohn._wire.v1 import V1  # noqa: PLC0415

    return V1(tenant_id, publishable_key, secret_key, base_url=base_url)


def prepare() -> None:
    """Load everything that reading an answer could import: a codec, the parsers of JSON and dates.

    Call it before a refresh is sent: an import that fails after the answer would lose the session.
    """
    for sample in _SAMPLES:
        read_tokens(sample)
        read_failure(sample, Codes({}))

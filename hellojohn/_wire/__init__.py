"""The wire: builds requests to HelloJohn and reads its answers. Pure: it sends nothing and reads no clock."""

from hellojohn._secret import Secret
from hellojohn._wire.dialect import Dialect
from hellojohn._wire.v1 import V1
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
    "V1",
    "Answer",
    "ApiRequest",
    "ApiResponse",
    "Delivery",
    "Dialect",
    "Outcome",
    "OutcomeKind",
    "TokenResponse",
    "TransportFailure",
    "make_dialect",
    "prepare",
]


def make_dialect(
    api: str,
    *,
    base_url: str,
    tenant_id: str,
    client_id: str | None,
    publishable_key: Secret | None,
    secret_key: Secret | None,
) -> Dialect:
    """Return the dialect of ``api``, which is ``"v1"`` or ``"v2"``."""
    return V1(tenant_id, publishable_key, secret_key)


def prepare() -> None:
    """Load everything that reading an answer could import: a codec, the parsers of JSON and dates.

    Call it before a refresh is sent: an import that fails after the answer would lose the session.
    """
    V1("").outcome(_SAMPLE)


_SAMPLE = ApiResponse(
    200,
    {"date": "Sun, 15 Jun 2025 15:06:40 GMT"},
    b'{"access_token": "e30.e30.", "refresh_token": "x", "refresh_token_expires_at": "2025-06-15T16:06:40Z"}',
)

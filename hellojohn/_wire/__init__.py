"""The wire: builds requests and reads answers. Pure; sends nothing."""

from hellojohn._wire._types import (
    Answer,
    ApiRequest,
    ApiResponse,
    Delivery,
    Dialect,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)
from hellojohn._secret import Secret
from hellojohn._wire.v1 import V1

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
]


def make_dialect(api, *, base_url, tenant_id, client_id, publishable_key, secret_key):
    return V1(tenant_id, publishable_key or Secret(""))


def prepare() -> None:
    import jwt  # noqa

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

"""The wire: builds requests and reads answers. Pure; sends nothing."""

from hellojohn.wire._types import (
    Answer,
    Call,
    Dialect,
    Fault,
    Grant,
    Lost,
    Outcome,
    OutcomeKind,
    Reply,
)
from hellojohn.wire.v1 import V1

__all__ = [
    "V1",
    "Answer",
    "Call",
    "Dialect",
    "Fault",
    "Grant",
    "Lost",
    "Outcome",
    "OutcomeKind",
    "Reply",
]

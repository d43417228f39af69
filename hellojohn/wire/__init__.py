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

__all__ = [
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

"""Time as the engine sees it, injected and held to sense. Imports nothing of the engine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, datetime's own limit, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall clock for tokens, and a monotonic clock with its sleep for waits inside one operation."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def within_time(seconds: float) -> float:
    """Clamp a moment to what a record and a ``datetime`` can hold: a clock may say anything."""
    return min(max(seconds, 0.0), LAST_MOMENT) if math.isfinite(seconds) else LAST_MOMENT


def as_moment(seconds: float) -> datetime:
    """Return seconds since the epoch as a UTC time."""
    return datetime.fromtimestamp(within_time(seconds), UTC)

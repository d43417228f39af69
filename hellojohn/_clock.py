"""Clocks: the injected ones that the engine reads, and how their values become dates."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

Clock = Callable[[], float]

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999, the last moment of ``datetime``, in seconds since the epoch."""


class Timing(NamedTuple):
    """The clocks of the engine: wall time for tokens, monotonic time and its sleep for waits."""

    clock: Clock = time.time
    monotonic: Clock = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def unfailing(clock: Clock) -> Clock:
    """Return a clock that gives the machine's time where ``clock`` raises or gives no number.

    A refresh reads the clock between the answer and the save, where nothing may fail.
    """

    def read() -> float:
        with suppress(Exception):
            now: object = clock()
            if isinstance(now, int | float):
                return now
        return time.time()

    return read


def within_time(seconds: float) -> float:
    """Clamp a moment to the range that a record and a ``datetime`` can hold."""
    return min(max(seconds, 0.0), LAST_MOMENT) if math.isfinite(seconds) else LAST_MOMENT


def as_moment(seconds: float) -> datetime:
    """Return seconds since the epoch as a UTC time."""
    return datetime.fromtimestamp(within_time(seconds), UTC)

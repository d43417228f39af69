"""A clock that can be moved. It never sleeps and knows no rule of the service."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from hellojohn._duration import parse_duration


def system_time() -> float:
    """Return this machine's time. Looked up at each call, so that tools such as freezegun can replace it."""
    return time.time()


class MovableClock:
    """The time of a base clock plus an offset, in seconds since the epoch. Safe to share between threads."""

    def __init__(self, base: Callable[[], float]) -> None:
        """Start in step with ``base``."""
        self._base = base
        self._offset = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time."""
        return self._base() + self._offset

    def advance(self, by: str | timedelta) -> None:
        """Move the clock by text such as ``31d`` or by a ``timedelta``, which alone can move it back."""
        step = by if isinstance(by, timedelta) else parse_duration(by, name="advance")
        with self._lock:
            self._offset += step.total_seconds()

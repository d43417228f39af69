"""Time as the engine sees it, injected. Imports nothing of the engine."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall clock for tokens, and a monotonic clock with its sleep for waits inside one operation."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

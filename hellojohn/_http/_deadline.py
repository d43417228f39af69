"""A time limit for all that one thread does in a ``with`` block. It only tells; imports nothing of ours."""

import math
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager


class _Limit(threading.local):
    until = math.inf


_limit = _Limit()


@contextmanager
def time_limit(seconds: float | None) -> Generator[None]:
    """Let this thread's time run out ``seconds`` from now; ``None`` sets no limit. Blocks do not nest."""
    _limit.until = math.inf if seconds is None else time.monotonic() + seconds
    try:
        yield
    finally:
        _limit.until = math.inf


def time_left() -> float:
    """Return the seconds this thread has left: infinite outside a block, not above zero when it is over."""
    return _limit.until - time.monotonic()

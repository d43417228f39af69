"""One attempt to send a request: how much time it has left, and how far it got.

httpx hands no context down to the sockets, so the attempt is kept per thread while it runs. It does no
input or output.
"""

import math
import re
import threading
import time
from types import TracebackType
from typing import Protocol, Self

from hellojohn._limits import LARGEST_BODY, LARGEST_HEAD, OVERTIME

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")


class _Closable(Protocol):
    def close(self) -> None: ...


class _Thread(threading.local):
    exchange: "Exchange | None" = None


_thread = _Thread()


def running() -> "Exchange | None":
    """Return the attempt that this thread is making, if any."""
    return _thread.exchange


class Exchange:
    """One attempt, from the first connect to the last byte of the answer.

    Attributes:
        on_new_connection: No kept connection may be used.
        limited: A connection that reports to this attempt was opened or written to.
        opened: The connection that was opened for this attempt; ``None`` while it uses a kept one.
        sent: The first byte of the request went to the socket. A proxy's negotiation does not count.
        found_closed: A kept connection turned out to be closed before any byte of the answer.
    """

    def __init__(self, seconds: float | None, *, on_new_connection: bool = False) -> None:
        """Give the attempt ``seconds`` from now; ``None`` sets no limit."""
        seconds = math.inf if seconds is None else seconds
        self._ends_at = time.monotonic() + seconds
        # A suspended machine stops the monotonic clock, while the lock's lease runs on elsewhere.
        self._latest_send = time.time() + seconds
        self._overtime_ends_at: float | None = None
        self._received: list[bytes] = []
        self._size = 0
        self.on_new_connection = on_new_connection
        self.limited = False
        self.opened: _Closable | None = None
        self.sent = False
        self.found_closed = False

    def __enter__(self) -> Self:
        """Make this the attempt of the calling thread."""
        self._outer, _thread.exchange = _thread.exchange, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the thread back to the attempt around this one."""
        _thread.exchange = self._outer

    def again(self) -> "Exchange":
        """Return a second attempt, on a new connection and with the time that is left."""
        left = self.time_left()
        return Exchange(None if math.isinf(left) else left, on_new_connection=True)

    def time_left(self) -> float:
        """Return the seconds left: infinite without a limit, not above zero when it is over."""
        return self._ends_at - time.monotonic()

    def time_to_send(self) -> float:
        """Return the seconds in which the request may still leave, by both clocks."""
        return min(self.time_left(), self._latest_send - time.time())

    def end_within(self, seconds: float) -> None:
        """Bring the end forward to ``seconds`` from now, unless it is sooner."""
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)

    def is_over(self) -> bool:
        """Whether the time is up, the moment in which late bytes are read included.

        That moment begins when it is first asked for: a stopped process may wake long after the deadline.
        """
        now = time.monotonic()
        if now < self._ends_at:
            return False
        if self._overtime_ends_at is None:
            self._overtime_ends_at = now + OVERTIME
        return now >= self._overtime_ends_at

    def close_unused(self) -> None:
        """Close the connection if nothing was sent on it: httpcore forgets that after a SOCKS refusal."""
        if self.opened is not None and not self.sent:
            self.opened.close()

    def note_received(self, data: bytes) -> None:
        """Keep the bytes that a socket received; none mean that the connection is closed."""
        if not data:
            self.note_closed()
        elif self.sent and self._size < LARGEST_HEAD + LARGEST_BODY:
            self._received.append(data)
            self._size += len(data)

    def note_closed(self) -> None:
        """Note that the connection is closed."""
        self.found_closed = self.sent and self.opened is None and not self._received

    def after_head(self) -> bytes:
        """Return all bytes that followed the head of the answer, even those beyond its framing."""
        rest = b"".join(self._received)
        while rest.startswith(b"HTTP/1."):
            head, *parts = _END_OF_HEAD.split(rest, maxsplit=1)
            rest = parts[0] if parts else b""
            if head[9:10] != b"1":  # not an interim answer, such as "HTTP/1.1 100 Continue"
                return rest
        return b""

"""Events: delivered in order, once each, with no lock held. Knows nothing of sessions."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from inspect import iscoroutinefunction

from hellojohn._models import AuthEvent

Callback = Callable[[AuthEvent], object]
logger = logging.getLogger("hellojohn")


class Events:
    """A queue of events and those who want them.

    ``emit`` may be called under any lock: it only queues. ``deliver`` calls the callbacks, with no lock held.
    One thread delivers at a time, so that the order is the order of ``emit``; a callback may call the client.
    """

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._callbacks: tuple[Callback, ...] = ()
        self._queue: deque[tuple[AuthEvent, tuple[Callback, ...]]] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget who is delivering, as a forked child must."""
        self._lock = threading.Lock()
        self._delivering = False

    def on(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` with every event from now on, until the returned function is called."""
        if not callable(callback) or iscoroutinefunction(callback):
            msg = (
                "on() takes a plain function of one event. It is called on a thread of the SDK's: from"
                " there, reach an event loop with loop.call_soon_threadsafe."
            )
            raise TypeError(msg)
        entry = _Subscription(callback)
        with self._lock:
            self._callbacks = (*self._callbacks, entry)
        return lambda: self._off(entry)

    def emit(self, event: AuthEvent) -> None:
        """Queue ``event`` for those who listen now."""
        self._queue.append((event, self._callbacks))

    def deliver(self) -> None:
        """Deliver what is queued, unless another thread is at it already."""
        while (entry := self._take()) is not None:
            event, callbacks = entry
            try:
                for callback in callbacks:
                    _call(callback, event)
            finally:
                self._delivering = False

    def _take(self) -> tuple[AuthEvent, tuple[Callback, ...]] | None:
        with self._lock:
            if self._delivering or not self._queue:
                return None
            self._delivering = True
            return self._queue.popleft()

    def _off(self, entry: Callback) -> None:
        with self._lock:
            self._callbacks = tuple(callback for callback in self._callbacks if callback is not entry)


class _Subscription:
    """One call of ``on``: the same function may be registered twice."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def __call__(self, event: AuthEvent) -> None:
        self._callback(event)


def _call(callback: Callback, event: AuthEvent) -> None:
    try:
        callback(event)
    except Exception:
        logger.exception("An event callback failed on %s; the client goes on.", event.type)

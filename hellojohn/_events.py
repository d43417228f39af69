"""Events: delivered in order, once each, with no lock held. Knows nothing of sessions."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction

from hellojohn._models import AuthEvent

Callback = Callable[[AuthEvent], object]
logger = logging.getLogger("hellojohn")


class _Subscription:
    """One call of ``on``: the same function may be registered twice."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self.ended = False

    def tell(self, event: AuthEvent) -> None:
        """Call the callback, unless the subscription has ended since the event."""
        if self.ended:
            return
        try:
            self._callback(event)
        except KeyboardInterrupt:
            raise
        except BaseException:
            logger.exception("An event callback failed on %s; the client goes on.", event.type)


class Events:
    """A queue of events and those who want them.

    ``emit`` may be called under any lock: it only queues. ``deliver`` calls the callbacks, with no lock held.
    One thread delivers at a time, so that the order is the order of ``emit``; a callback may call the client.
    """

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._subscriptions: tuple[_Subscription, ...] = ()
        self._queue: deque[tuple[AuthEvent, tuple[_Subscription, ...]]] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget who is delivering, as a forked child must."""
        self._lock = threading.Lock()
        self._delivering = False

    def on(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` with every event from now on, until the returned function is called."""
        if not callable(callback) or _is_async(callback):
            msg = (
                "on() takes a plain function of one event. It is called on a thread of the SDK's: from"
                " there, reach an event loop with loop.call_soon_threadsafe."
            )
            raise TypeError(msg)
        subscription = _Subscription(callback)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return lambda: self._off(subscription)

    def emit(self, event: AuthEvent) -> None:
        """Queue ``event`` for those who listen now."""
        self._queue.append((event, self._subscriptions))

    def deliver(self) -> None:
        """Deliver what is queued, unless another thread is at it already."""
        while (entry := self._take()) is not None:
            event, subscriptions = entry
            try:
                for subscription in subscriptions:
                    subscription.tell(event)
            finally:
                self._delivering = False

    def _take(self) -> tuple[AuthEvent, tuple[_Subscription, ...]] | None:
        with self._lock:
            if self._delivering or not self._queue:
                return None
            self._delivering = True
            return self._queue.popleft()

    def _off(self, subscription: _Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)
        subscription.ended = True


def _is_async(callback: Callback) -> bool:
    """Return whether a call would only make something to await, which nobody would."""
    called = (callback, type(callback).__call__)
    return any(iscoroutinefunction(function) or isasyncgenfunction(function) for function in called)

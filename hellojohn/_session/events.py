"""Events for the app's callbacks: in order, once each, on one thread at a time, with no lock held."""

import threading
from collections import deque
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import NamedTuple

from hellojohn._logs import logger_of
from hellojohn._models import AuthEvent
from hellojohn._session.workers import Job, Lane, NoThreadError, WorkerPool
from hellojohn._waiting import Completion

Callback = Callable[[AuthEvent], None]
logger = logger_of("hellojohn")


class Subscription:
    """One call of ``on``. The same function may be registered twice."""

    __slots__ = ("_callback", "active")

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self.active = True

    def call(self, event: AuthEvent) -> None:
        """Call the callback, unless the subscription has ended since the event."""
        if not self.active:
            return
        try:
            self._callback(event)
        except BaseException:  # an app's callback must not end the thread that serves the others
            logger.exception("An event callback failed on %s. The client goes on.", event.type)


class _Delivery(NamedTuple):
    """An event with the subscriptions of its moment, or a caller that waits until its turn comes."""

    event: AuthEvent | None
    subscriptions: tuple[Subscription, ...]
    reached: Completion | None


class Events:
    """The queue of one client's events.

    ``emit`` may be called under any lock: it only queues. ``deliver`` has a thread call the callbacks. Only
    one thread does so at a time, so the order is the order of ``emit``. A callback may call the client.
    """

    def __init__(self, workers: WorkerPool) -> None:
        """Start without subscriptions."""
        self._workers = workers
        self._subscriptions: tuple[Subscription, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Drop the queued events, in a forked child: the parent delivers them."""
        self._lock = threading.RLock()  # as that of the workers
        self._queue: deque[_Delivery] = deque()
        self._thread: int | None = None
        self._delivering = False

    def on(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` with every event from now on, until the returned function is called.

        Raises:
            TypeError: ``callback`` is not a plain function.
        """
        if not callable(callback) or _is_async(callback):
            msg = (
                "on() takes a plain function of one event. It is called on a thread of the SDK. Reach an"
                " event loop from there with loop.call_soon_threadsafe."
            )
            raise TypeError(msg)
        subscription = Subscription(callback)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return lambda: self._off(subscription)

    @property
    def wanted(self) -> bool:
        """Whether anything listens."""
        return bool(self._subscriptions)

    def emit(self, event: AuthEvent) -> None:
        """Queue an event for the present subscriptions."""
        if self._subscriptions:
            self._queue.append(_Delivery(event, self._subscriptions, None))

    def deliver(self) -> None:
        """Have a thread call the callbacks of the queued events."""
        with self._lock:
            if self._delivering or not self._queue:
                return
            self._delivering = True
        submitted = False
        try:
            self._workers.submit(Job(self._run, Lane.EVENTS, must_finish=False))
            submitted = True
        except NoThreadError:
            logger.warning("No thread can be started to deliver events.")
        finally:
            if not submitted:
                with self._lock:
                    self._delivering = False

    def flushed(self) -> Completion | None:
        """Return a signal for when all events queued so far are delivered; ``None`` if that is now.

        A callback does not wait for itself.
        """
        with self._lock:
            if not (self._queue or self._delivering) or self._thread == threading.get_ident():
                return None
            reached = Completion()
            self._queue.append(_Delivery(None, (), reached))
        self.deliver()
        return reached

    def _run(self) -> None:
        self._thread = threading.get_ident()
        while (delivery := self._take()) is not None:
            if delivery.event is not None:
                for subscription in delivery.subscriptions:
                    subscription.call(delivery.event)
            if delivery.reached is not None:
                delivery.reached.complete()

    def _take(self) -> _Delivery | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._delivering = False
            self._thread = None
            return None

    def _off(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)
        subscription.active = False


def _is_async(callback: object) -> bool:
    """Return whether a call would only create a coroutine, which nothing would await."""
    called = (callback, type(callback).__call__)
    return any(iscoroutinefunction(function) or isasyncgenfunction(function) for function in called)

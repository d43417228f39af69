"""One signal, and the two ways to wait for it: blocking and awaiting.

A caller's code is a ``Flow``: a generator that yields a ``WaitFor`` wherever it must wait and returns the
result. ``run`` blocks at these points; ``run_async`` awaits, under asyncio and trio. A caller may give up at
any time: the work runs elsewhere and goes on.
"""

import math
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Completion:
    """A signal that is given once. Any number of callers can wait for it or have a function called."""

    __slots__ = ("_callbacks", "_lock", "done")

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close a client while it is held
        self._callbacks: list[Callable[[], None]] = []
        self.done: bool = False

    def complete(self) -> None:
        """Give the signal."""
        with self._lock:
            self.done = True
        # Ctrl-C may come at any point, and the signal is then given again. So each stays until it was called.
        while (callback := next(iter(self._callbacks), None)) is not None:
            with suppress(RuntimeError):  # a lock that was released before
                callback()
            self.forget(callback)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the signal is given, or now if it was. It must not block or raise."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback()

    def forget(self, callback: Callable[[], None]) -> None:
        """Do not call ``callback`` any more."""
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def wait(self, timeout: float | None) -> None:
        """Block this thread until the signal is given, for ``timeout`` seconds at most."""
        given = threading.Lock()  # an Event would take several times as long
        given.acquire()
        self.when_done(given.release)
        try:
            given.acquire(timeout=-1 if timeout is None else max(0.0, min(timeout, threading.TIMEOUT_MAX)))
        finally:
            self.forget(given.release)

    def start(self, *, blocking: bool) -> None:
        """Begin what gives the signal. A plain signal has nothing to begin."""


class WaitFor:
    """A point at which a caller waits.

    Attributes:
        completion: What to wait for.
        timeout: Seconds to wait at most; ``None`` to wait until it is done.
    """

    __slots__ = ("completion", "timeout")

    def __init__(self, completion: Completion, timeout: float | None = None) -> None:
        self.completion = completion
        self.timeout = timeout


Flow = Generator[WaitFor, None, T]


def run(flow: Flow[T]) -> T:
    """Carry out a flow, blocking this thread where it waits."""
    while True:
        try:
            wait = next(flow)
        except StopIteration as stop:
            return cast("T", stop.value)
        try:
            _block(wait)
        except BaseException:  # Ctrl-C: the flow must know now, not when the traceback is gone
            flow.close()
            raise


async def run_async(flow: Flow[T]) -> T:
    """Carry out a flow, awaiting where it waits."""
    while True:
        try:
            wait = next(flow)
        except StopIteration as stop:
            return cast("T", stop.value)
        wait.completion.start(blocking=False)
        if wait.completion.done:
            continue
        if in_trio():
            await _await_in_trio(wait)
        else:
            await _await_in_asyncio(wait)


def in_trio() -> bool:
    """Return whether this code runs in a trio task."""
    # While another thread is importing trio, the module is there without its parts.
    lowlevel: Any = getattr(sys.modules.get("trio"), "lowlevel", None)
    if not hasattr(lowlevel, "current_task"):
        return False
    try:
        lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def _block(wait: WaitFor) -> None:
    wait.completion.start(blocking=True)
    if not wait.completion.done:
        wait.completion.wait(wait.timeout)


async def _await_in_asyncio(wait: WaitFor) -> None:
    import asyncio  # noqa: PLC0415 - a program that blocks does not need it

    # A plain future and a timer, because wait_for of Python 3.11 can lose a cancellation.
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def release() -> None:
        if not future.done():
            future.set_result(None)

    def release_from_thread() -> None:
        with suppress(RuntimeError):  # the loop is closed, and its caller gone
            loop.call_soon_threadsafe(release)

    timer = None if wait.timeout is None else loop.call_later(max(wait.timeout, 0.0), release)
    wait.completion.when_done(release_from_thread)
    try:
        await future
    finally:
        wait.completion.forget(release_from_thread)
        if timer is not None:
            timer.cancel()


async def _await_in_trio(wait: WaitFor) -> None:
    trio: Any = sys.modules["trio"]
    token, event = trio.lowlevel.current_trio_token(), trio.Event()

    def release_from_thread() -> None:
        with suppress(trio.RunFinishedError):  # the run is over, and its caller gone
            token.run_sync_soon(event.set)

    wait.completion.when_done(release_from_thread)
    try:
        with trio.move_on_after(math.inf if wait.timeout is None else max(wait.timeout, 0.0)):
            await event.wait()
    finally:
        wait.completion.forget(release_from_thread)

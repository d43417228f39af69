"""One running piece of work, and the two ways to wait for it: blocking and awaiting.

A caller's operation is a ``Flow``: a generator that yields a ``Wait`` at each point where it has to wait, and
returns the result. ``run`` blocks at these points; ``run_async`` awaits, under asyncio and trio. A caller may
give up at any time: the work goes on for the others.
"""

import math
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, cast

from hellojohn._errors import ServiceUnavailable
from hellojohn.verify._workers import CALLERS, Workers

T = TypeVar("T")

_NO_THREAD = "No thread can be started, or the program is exiting. Try again later."


class Flight:
    """Work that several callers may wait for (single flight).

    Attributes:
        started_at: When it was asked for, by the monotonic clock of its owner.
        done: Whether the work has ended.
    """

    __slots__ = ("_callbacks", "_claim", "_lock", "_submitted", "_work", "_workers", "done", "started_at")

    def __init__(self, work: Callable[[], None], workers: Workers, *, started_at: float = 0.0) -> None:
        """Prepare ``work``, which must not raise."""
        self._work = work
        self._workers = workers
        self._lock = threading.Lock()
        self._claim = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._submitted = False
        self.started_at = started_at
        self.done = False

    def start(self) -> bool:
        """Have a thread run the work, if none does yet. Return ``False`` if no thread can be started.

        Every waiting caller calls this and only one thread can claim the work, so a caller that is
        interrupted in between leaves no other caller waiting.
        """
        if self._submitted or self.done:
            return True
        if self._workers.submit(self._run):
            self._submitted = True
            return True
        return False

    def abort(self) -> bool:
        """End it without its work, unless a thread has begun. Return whether that worked."""
        if not self._claim.acquire(blocking=False):
            return False
        self._finish()
        return True

    def _finish(self) -> None:
        with self._lock:
            self.done = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def wait(self, seconds: float) -> None:
        """Block this thread until the work is done, for ``seconds`` at most."""
        event = threading.Event()
        self._when_done(event.set)
        try:
            event.wait(min(max(seconds, 0.0), threading.TIMEOUT_MAX))
        finally:
            self._forget(event.set)

    async def wait_async(self, seconds: float) -> None:
        """Await the end of the work, for ``seconds`` at most."""
        if _in_trio():
            await self._await_in_trio(seconds)
        else:
            await self._await_in_asyncio(seconds)

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._work()
        finally:
            self._finish()

    def _when_done(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback()

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    async def _await_in_asyncio(self, seconds: float) -> None:
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

        timer = None if math.isinf(seconds) else loop.call_later(max(seconds, 0.0), release)
        self._when_done(release_from_thread)
        try:
            await future
        finally:
            self._forget(release_from_thread)
            if timer is not None:
                timer.cancel()

    async def _await_in_trio(self, seconds: float) -> None:
        trio: Any = sys.modules["trio"]
        token, event = trio.lowlevel.current_trio_token(), trio.Event()

        def release_from_thread() -> None:
            with suppress(trio.RunFinishedError):  # the run is over, and its caller gone
                token.run_sync_soon(event.set)

        self._when_done(release_from_thread)
        try:
            with trio.move_on_after(max(seconds, 0.0)):
                await event.wait()
        finally:
            self._forget(release_from_thread)


class Wait(NamedTuple):
    """A point at which a caller waits for ``flight``, for ``seconds`` at most."""

    flight: Flight
    seconds: float


Flow = Generator[Wait, None, T]


def run(flow: Flow[T]) -> T:
    """Carry out a flow, blocking this thread where it waits."""
    while True:
        try:
            wait = next(flow)
        except StopIteration as stop:
            return cast("T", stop.value)
        wait.flight.wait(wait.seconds)


async def run_async(flow: Flow[T]) -> T:
    """Carry out a flow, awaiting where it waits."""
    while True:
        try:
            wait = next(flow)
        except StopIteration as stop:
            return cast("T", stop.value)
        await wait.flight.wait_async(wait.seconds)


def on_worker(work: Callable[[], T]) -> Flow[T]:
    """Run ``work``, which may block, on a thread, and wait for its result or error.

    Raises:
        ServiceUnavailable: No thread can be started.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def job() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, who raises it
            errors.append(error)

    flight = Flight(job, CALLERS)
    if not flight.start():
        raise ServiceUnavailable(_NO_THREAD)
    yield Wait(flight, math.inf)
    if errors:
        raise errors.pop()
    return results.pop()


def _in_trio() -> bool:
    # Another thread may be importing trio at this moment, as httpcore does: then parts of it are missing.
    current_task = getattr(getattr(sys.modules.get("trio"), "lowlevel", None), "current_task", None)
    if current_task is None:
        return False
    try:
        current_task()
    except RuntimeError:
        return False
    return True

"""One running operation, and the two ways to wait for it: blocking and awaiting.

What a caller does is a ``Flow``: a generator that yields a ``WaitFor`` wherever it must wait and returns the
result. ``run`` blocks at these points; ``run_async`` awaits, under asyncio and trio. A caller may give up at
any time: the operation runs on a worker thread and goes on.
"""

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Generic, Literal, TypeVar, cast

from hellojohn._errors import ServiceUnavailable
from hellojohn._session.storage import fresh_copy
from hellojohn._session.workers import Job, Lane, NoThreadError, WorkerPool

T = TypeVar("T")

Kind = Literal["load", "refresh", "save", "announce", "revoke", "operation"]
_MUST_FINISH = ("refresh", "save", "announce", "revoke")
_LANES: dict[Kind, Lane] = {
    "load": Lane.STORE,
    "refresh": Lane.NETWORK,
    "save": Lane.STORE,
    "announce": Lane.STORE,
    "revoke": Lane.NETWORK,
}
_NO_THREAD = "No thread can be started, or the program is exiting. The session is kept. Try again later."


class Completion:
    """A signal that is given once. Any number of callers can wait for it or have a function called."""

    __slots__ = ("_callbacks", "_lock", "done")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.done: bool = False

    def complete(self) -> None:
        """Give the signal."""
        with self._lock:
            self.done = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

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
        event = threading.Event()
        self.when_done(event.set)
        try:
            event.wait(timeout)
        finally:
            self.forget(event.set)

    def start(self, *, blocking: bool) -> None:
        """Begin what gives the signal. A plain signal has nothing to begin."""


class Result(Generic[T]):
    """How an operation ended: with a value or an error."""

    __slots__ = ("error", "value")

    def __init__(self, value: T | None = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error

    def get(self) -> T:
        """Return the value, or raise the error: a fresh copy for each of many callers."""
        if self.error is not None:
            raise fresh_copy(self.error)
        return cast("T", self.value)


class Flight(Completion, Generic[T]):
    """An operation that several callers may wait for (single flight).

    Attributes:
        kind: What the operation does.
        must_finish: Whether ``close`` and the end of the program wait for it.
        forced: Whether it refreshes although the last refresh has just failed.
        result: How it ended; ``None`` while it runs.
    """

    __slots__ = (
        "_claim",
        "_lane",
        "_operation",
        "_running",
        "_submitted",
        "_workers",
        "forced",
        "kind",
        "must_finish",
        "result",
    )

    def __init__(
        self,
        operation: "Callable[[Flight[T]], None]",
        kind: Kind,
        workers: WorkerPool,
        running: "dict[Flight[Any], None]",
        *,
        lane: Lane | None = None,
        forced: bool = False,
    ) -> None:
        """Prepare an operation.

        Args:
            operation: Runs the operation and lands the flight, whatever happens.
            kind: What it does.
            workers: Whose threads run it.
            running: Where the flight is registered from its start until it lands.
            lane: Which threads run it; by its kind if not given.
            forced: Whether it refreshes although the last refresh has just failed.
        """
        super().__init__()
        self._operation = operation
        self._workers = workers
        self._running = running
        self._claim = threading.Lock()
        self._submitted = False
        self._lane = _LANES[kind] if lane is None else lane
        self.kind: Kind = kind
        self.must_finish: bool = kind in _MUST_FINISH or self._lane is Lane.SIGN_IN
        self.forced: bool = forced
        self.result: Result[T] | None = None

    def start(self, *, blocking: bool) -> None:
        """Have the operation run, if it does not run yet.

        Every waiting caller calls this and only one thread can claim the flight, so a caller that is
        interrupted in between leaves no other caller waiting for ever.

        Args:
            blocking: Whether the caller may block. It then reads the store itself, and runs any operation
                for which no thread can be started.
        """
        if self._submitted:
            return
        self._running[self] = None
        if blocking and self.kind == "load":
            self._run()
            return
        try:
            self._workers.submit(Job(self._run, self._lane, self.must_finish))
            self._submitted = True
        except NoThreadError:
            if blocking and not sys.is_finalizing():
                self._run()
            elif self._claim.acquire(blocking=False):
                self.land(Result(error=ServiceUnavailable(_NO_THREAD)))

    def land(self, result: Result[T]) -> None:
        """Set the result and let the callers go on."""
        self.result = result
        self._running.pop(self, None)
        self.complete()

    def _run(self) -> None:
        if self._claim.acquire(blocking=False):
            self._submitted = True
            self._operation(self)
        elif self.done:  # an interrupted caller's second submission, after the flight has landed
            self._running.pop(self, None)


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
        _block(wait)


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


def in_thread(work: Callable[[], T], name: str) -> Flow[T]:
    """Do long work on a thread of its own, beside the lanes, and wait for it.

    The caller must make the work end when it gives up.
    """
    completion, results = Completion(), list[Result[T]]()

    def run_work() -> None:
        try:
            results.append(Result(work()))
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            results.append(Result(error=fresh_copy(error)))
        finally:
            completion.complete()

    try:
        threading.Thread(target=run_work, name=name, daemon=True).start()
    except RuntimeError:
        raise ServiceUnavailable(_NO_THREAD) from None
    yield WaitFor(completion)
    return results[0].get()


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

    timer = None if wait.timeout is None else loop.call_later(wait.timeout, release)
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
        with trio.move_on_after(float("inf") if wait.timeout is None else wait.timeout):
            await event.wait()
    finally:
        wait.completion.forget(release_from_thread)

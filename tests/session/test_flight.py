"""Waiting for an operation: blocking, under asyncio and under trio, with callers who give up."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest
import trio

from hellojohn._errors import ServiceUnavailable
from hellojohn._session.flight import Flight, OperationInterrupted, Result
from hellojohn._session.workers import Lane, NoThreadError, WorkerPool
from hellojohn._waiting import Completion, Flow, WaitFor, run, run_async


class Operation:
    """An operation that ends when the test says so.

    Attributes:
        runs: How often it ran.
        flight: Its flight.
    """

    def __init__(self, workers: WorkerPool | None = None, kind: Any = "refresh") -> None:
        self.runs = 0
        self.running: dict[Flight[Any], None] = {}
        self._end = threading.Event()
        self.flight: Flight[str] = Flight(self._run, kind, workers or WorkerPool(), self.running)

    def _run(self, flight: Flight[str]) -> None:
        self.runs += 1
        assert self._end.wait(20)
        flight.land(Result("value"))

    def end(self) -> None:
        """Let it end."""
        self._end.set()

    def waiting(self, timeout: float | None = None) -> Flow[str | None]:
        """Wait for it."""
        yield WaitFor(self.flight, timeout)
        return None if self.flight.result is None else self.flight.result.get()


class NoThreads(WorkerPool):
    """A process in which no thread can be started."""

    def submit(self, job: Any) -> None:
        """Fail."""
        raise NoThreadError("none")


def test_blocking_caller_gets_the_value() -> None:
    """A caller that blocks gets the result of the operation."""
    operation = Operation()
    operation.end()
    assert run(operation.waiting()) == "value"
    assert operation.running == {}


def test_blocking_caller_with_a_timeout() -> None:
    """A caller whose time is over goes on, and the operation as well."""
    operation = Operation()
    assert run(operation.waiting(0.01)) is None
    operation.end()
    assert run(operation.waiting()) == "value"
    assert operation.runs == 1


def test_asyncio_caller_gets_the_value() -> None:
    """A task that awaits gets the result, and the loop is not blocked."""
    operation = Operation()

    async def main() -> str | None:
        waiting = asyncio.ensure_future(run_async(operation.waiting()))
        await asyncio.sleep(0)
        operation.end()
        return await waiting

    assert asyncio.run(main()) == "value"


def test_asyncio_caller_with_a_timeout() -> None:
    """A task whose time is over goes on."""
    operation = Operation()
    assert asyncio.run(run_async(operation.waiting(0.01))) is None
    operation.end()


def test_trio_caller_gets_the_value() -> None:
    """A trio task gets the result."""
    operation = Operation()

    async def main() -> str | None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asyncio_free_end, operation)
            return await run_async(operation.waiting())
        return None

    assert trio.run(main) == "value"


async def asyncio_free_end(operation: Operation) -> None:
    """End an operation from a trio task."""
    await trio.lowlevel.checkpoint()
    operation.end()


def test_trio_caller_with_a_timeout() -> None:
    """A trio task whose time is over goes on."""
    operation = Operation()
    assert trio.run(run_async, operation.waiting(0.01)) is None
    operation.end()


def test_cancelled_caller_leaves_the_operation_alone() -> None:
    """A task that is cancelled gets its cancellation, and the next caller the result."""
    operation = Operation()

    async def main() -> str | None:
        waiting = asyncio.ensure_future(run_async(operation.waiting()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        operation.end()
        return await run_async(operation.waiting())

    assert asyncio.run(main()) == "value"
    assert operation.runs == 1


@pytest.mark.parametrize("round_", range(20))
def test_cancellation_at_the_landing_is_not_lost(round_: int) -> None:
    """A cancellation that arrives together with the result is raised, as the caller asked."""

    async def main() -> bool:
        completion = Completion()

        async def caller() -> None:
            def waiting() -> Flow[None]:
                yield WaitFor(completion, 30)

            await run_async(waiting())

        task = asyncio.ensure_future(caller())
        await asyncio.sleep(0)
        threading.Thread(target=completion.complete).start()
        while not completion.done:
            pass
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(main())


def test_loop_that_closed_hears_nothing() -> None:
    """A caller whose event loop has ended does no harm to the operation that it waited for."""
    operation = Operation()

    async def main() -> None:
        waiting = asyncio.ensure_future(run_async(operation.waiting()))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(main())
    operation.end()
    assert run(operation.waiting()) == "value"


def test_each_caller_gets_an_error_of_its_own() -> None:
    """One error reaches many callers as separate objects, so that tracebacks do not mix."""
    result: Result[None] = Result(error=ServiceUnavailable("x", retry_after=3))
    with pytest.raises(ServiceUnavailable) as first:
        result.get()
    with pytest.raises(ServiceUnavailable) as second:
        result.get()
    assert first.value is not second.value
    assert first.value.retry_after == second.value.retry_after == 3


def test_blocking_caller_without_threads_runs_it_itself() -> None:
    """A caller that may block runs the operation when no thread can be started."""
    operation = Operation(NoThreads())
    operation.end()
    assert run(operation.waiting()) == "value"


def test_awaiting_caller_without_threads_gets_an_error() -> None:
    """A task gets a typed error when no thread can be started: the event loop is never blocked."""
    operation = Operation(NoThreads())
    with pytest.raises(ServiceUnavailable, match="No thread"):
        asyncio.run(run_async(operation.waiting()))
    assert operation.runs == 0


def test_reads_are_not_waited_for_at_exit() -> None:
    """The end of the program waits for refreshes, saves and sign-ins, and not for a mere read."""
    kinds = {"load": False, "refresh": True, "save": True, "announce": True, "revoke": True}
    for kind, waited in kinds.items():
        assert Operation(kind=kind).flight.must_finish is waited
    for lane, waited in ((Lane.SIGN_IN, True), (Lane.NETWORK, False)):
        flight: Flight[None] = Flight(lambda this: None, "operation", WorkerPool(), {}, lane=lane)
        assert flight.must_finish is waited


def interrupted() -> None:
    """Be interrupted by Ctrl-C."""
    raise KeyboardInterrupt


def test_interrupted_read_lets_the_others_go_on() -> None:
    """Ctrl-C may come between the claim of a read and the operation, which then lands nothing itself."""
    flight: Flight[str] = Flight(lambda this: interrupted(), "load", WorkerPool(), {})
    with pytest.raises(KeyboardInterrupt):
        flight.start(blocking=True)
    assert flight.done
    assert flight.result is not None
    with pytest.raises(OperationInterrupted):
        flight.result.get()


def test_interrupted_signal_is_given_again() -> None:
    """Nobody is forgotten if Ctrl-C comes while the waiting callers are let go."""
    completion, let_go = Completion(), list[int]()
    calls = iter([interrupted, lambda: let_go.append(1)])

    def first() -> None:
        next(calls)()

    completion.when_done(first)
    completion.when_done(lambda: let_go.append(2))
    with pytest.raises(KeyboardInterrupt):
        completion.complete()
    completion.complete()
    assert let_go == [1, 2]


def test_signal_handler_inside_a_read_does_not_wait_for_it() -> None:
    """It would wait for the very thread that it has interrupted."""

    def read(flight: Flight[str]) -> None:
        with pytest.raises(ServiceUnavailable, match="would wait for itself"):
            flight.start(blocking=True)
        flight.land(Result("value"))

    flight: Flight[str] = Flight(read, "load", WorkerPool(), {})
    flight.start(blocking=True)
    assert flight.result is not None
    assert flight.result.get() == "value"


def test_interrupted_start_leaves_nobody_waiting() -> None:
    """A caller that was interrupted before its operation was submitted does not block the next one."""
    operation = Operation()
    operation.flight._running[operation.flight] = None
    operation.end()
    assert run(operation.waiting()) == "value"

"""One running operation, which several callers may wait for. It runs on a worker thread."""

import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar, cast

from hellojohn._errors import ServiceUnavailable
from hellojohn._session.failures import fresh_copy
from hellojohn._session.workers import Job, Lane, NoThreadError, WorkerPool
from hellojohn._waiting import Completion, Flow, WaitFor

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
NESTED = ServiceUnavailable(
    "This call would wait for itself: it was made inside another one, such as by a signal handler or a store."
    " The session is kept. Let the handler set a flag."
)


class OperationInterrupted(ServiceUnavailable):
    """The thread that ran the operation was interrupted, by Ctrl-C for example."""


INTERRUPTED = OperationInterrupted("The operation was interrupted. Try again.")


class Result(Generic[T]):
    """How an operation ended: with a value or an error."""

    __slots__ = ("error", "value")

    def __init__(self, value: T | None = None, error: Exception | None = None) -> None:
        self.value: T | None = value
        self.error: Exception | None = error

    def get(self) -> T:
        """Return the value, or raise the error: a fresh copy for each of many callers."""
        if self.error is not None:
            raise fresh_copy(self.error)
        return cast("T", self.value)


def result_of(operation: Callable[[], T]) -> Result[T]:
    """Run an operation, and return its value or its error."""
    try:
        return Result(operation())
    except Exception as error:  # noqa: BLE001 - it belongs to the callers
        return Result(error=fresh_copy(error))


class Flight(Completion, Generic[T]):
    """An operation that several callers may wait for (single flight).

    Attributes:
        kind: The kind of operation.
        must_finish: Whether ``close`` and the end of the program wait for it.
        forced: Whether it refreshes although the last refresh has just failed.
        result: How it ended; ``None`` while it runs.
    """

    __slots__ = (
        "_claim",
        "_lane",
        "_operation",
        "_runner",
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
        saves: bool = True,
    ) -> None:
        """Prepare an operation.

        Args:
            operation: Runs the operation and lands the flight, even if the operation raises.
            kind: The kind of operation.
            workers: Whose threads run it.
            running: Where the flight is registered from its start until it lands.
            lane: Which threads run it; by its kind if not given.
            forced: Whether it refreshes although the last refresh has just failed.
            saves: Whether a refresh brings a session that must be saved.
        """
        super().__init__()
        self._operation = operation
        self._workers = workers
        self._running = running
        self._claim: dict[str, object] = {}
        self._submitted = False
        self._runner: int | None = None
        self._lane = _LANES[kind] if lane is None else lane
        self.kind: Kind = kind
        self.must_finish: bool = self._lane is Lane.SIGN_IN or (kind in _MUST_FINISH and saves)
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
            if self.runs_here:
                raise fresh_copy(NESTED)
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
            elif self._is_claimed_by(object()):
                self.land(Result(error=ServiceUnavailable(_NO_THREAD)))

    @property
    def runs_here(self) -> bool:
        """Whether this very thread is running it."""
        return self._runner == threading.get_ident() and not self.done

    def land(self, result: Result[T]) -> None:
        """Set the result and let the callers go on."""
        self.result = self.result or result
        self._running.pop(self, None)
        self.complete()

    def _run(self) -> None:
        claim = object()
        try:
            if self._is_claimed_by(claim):
                self._runner, self._submitted = threading.get_ident(), True
                self._operation(self)
            elif self.done:  # an interrupted caller's second submission, after the flight has landed
                self._running.pop(self, None)
        except BaseException:
            # Ctrl-C on the thread of a caller, maybe before the operation has begun: the others read again.
            if self._is_claimed_by(claim):
                self.land(Result(error=INTERRUPTED))
            raise

    def _is_claimed_by(self, claim: object) -> bool:
        """Return whether the flight is a claim's. It belongs to the first one, in one step."""
        return self._claim.setdefault("by", claim) is claim


def in_thread(work: Callable[[], T], name: str) -> Flow[T]:
    """Do long work on a separate thread, beside the lanes, and wait for it.

    The caller must make the work end when it gives up.
    """
    completion, results = Completion(), list[Result[T]]()

    def run_work() -> None:
        try:
            results.append(result_of(work))
        finally:
            completion.complete()

    try:
        threading.Thread(target=run_work, name=name, daemon=True).start()
    except RuntimeError:
        raise ServiceUnavailable(_NO_THREAD) from None
    yield WaitFor(completion)
    return results[0].get()

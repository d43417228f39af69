"""One running piece of work, which several callers may wait for."""

import threading
from collections.abc import Callable
from typing import TypeVar

from hellojohn._errors import ServiceUnavailable
from hellojohn._waiting import Completion, Flow, WaitFor
from hellojohn.verify._workers import CALLERS, Workers

T = TypeVar("T")

_NO_THREAD = "No thread can be started, or the program is exiting. Try again later."


class Flight(Completion):
    """Work that several callers may wait for (single flight).

    Attributes:
        started_at: When it was asked for, by the monotonic clock of its owner.
        done: Whether the work has ended.
    """

    __slots__ = ("_claim", "_submitted", "_work", "_workers", "started_at")

    def __init__(self, work: Callable[[], None], workers: Workers, *, started_at: float = 0.0) -> None:
        """Prepare ``work``, which must not raise."""
        super().__init__()
        self._work = work
        self._workers = workers
        self._claim = threading.Lock()
        self._submitted = False
        self.started_at = started_at

    def begin(self) -> bool:
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
        self.complete()
        return True

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self._work()
        finally:
            self.complete()


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
    if not flight.begin():
        raise ServiceUnavailable(_NO_THREAD)
    yield WaitFor(flight)
    if errors:
        raise errors.pop()
    return results.pop()

"""One operation that several callers may wait for, and the two ways to wait: blocking and awaiting.

A caller may give up at any time without harm: the operation belongs to its owner thread.
"""

import copy
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from hellojohn._errors import HelloJohnError, SignInRequired, StoreCorrupt
from hellojohn._owner import OWNER, Owner
from hellojohn._record import NewerRecord, Record, SetAside

T = TypeVar("T")

Kind = Literal["load", "refresh", "end", "save", "operation"]

PATIENCE = 5.0
"""Seconds that a caller waits for a refresh while its token still has life."""


@dataclass(frozen=True, slots=True)
class Landing:
    """How an operation ended.

    Attributes:
        error: What its callers are to be told; ``None`` when it succeeded.
        goodbye: A session that is gone here and still has to be signed out at the service.
    """

    error: Exception | None = None
    goodbye: Record | None = None

    @classmethod
    def of(cls, operation: "Callable[[], Landing]") -> "Landing":
        """Carry out ``operation`` and take what it raises for how it ended."""
        try:
            return operation()
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            return cls(error=fresh(error))

    @property
    def over(self) -> bool:
        """Whether there is no session to go on with."""
        return isinstance(self.error, SignInRequired)

    def check(self) -> None:
        """Raise the error, a fresh copy for each of many callers."""
        if self.error is not None:
            raise fresh(self.error)


class _Signal(Generic[T]):
    """A value that is given once. A future is made for who has to wait: most flights land unwatched."""

    __slots__ = ("_future", "_lock", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._future: Future[T] | None = None
        self.value: T | None = None

    def give(self, value: T) -> None:
        with self._lock:
            self.value = value
            future = self._future
        if future is not None:
            future.set_result(value)

    @property
    def future(self) -> "Future[T]":
        with self._lock:
            if self._future is None:
                future: Future[T] = Future()
                future.set_running_or_notify_cancel()
                if self.value is not None:
                    future.set_result(self.value)
                self._future = future  # complete, in case of an interrupt on the way
            return self._future


class Flight:
    """One operation in progress."""

    __slots__ = ("_begun", "_done", "_landed", "_owner", "_ticket", "_under_way", "_work", "kind")

    def __init__(
        self, work: "Callable[[Flight], None]", kind: "Kind", owner: Owner, under_way: "dict[Flight, None]"
    ) -> None:
        """Prepare ``work``, which must land the flight whatever happens.

        Args:
            work: The operation.
            kind: What it does; a blocking caller may carry a ``load`` out itself.
            owner: Whose threads carry it out.
            under_way: Where to find the flight from its start until it lands.
        """
        self._work = work
        self._owner = owner
        self._under_way = under_way
        self._ticket = threading.Lock()
        self._begun = False
        self.kind: Kind = kind
        self._landed: _Signal[Landing] = _Signal()
        self._done: _Signal[bool] = _Signal()

    @property
    def landing(self) -> Landing | None:
        """How it ended; ``None`` while it is up."""
        return self._landed.value

    @property
    def landed(self) -> Future[Landing]:
        """What to wait on for the landing."""
        return self._landed.future

    @property
    def done(self) -> Future[bool]:
        """What to wait on for the delivery of its events."""
        return self._done.future

    def start(self, *, blocking: bool) -> None:
        """Have it carried out, unless that has begun: on an owner thread, or here if it only reads.

        Everybody who waits calls this, and only who carries it out takes the ticket, so that a caller who is
        interrupted before strands nobody.
        """
        if self._begun:
            return
        self._under_way[self] = None
        if blocking and self.kind == "load":
            self._begin()
        else:
            self._owner.run(self._begin)
            self._begun = True

    def land(self, landing: Landing) -> None:
        """Let those who wait go on."""
        self._under_way.pop(self, None)
        self._landed.give(landing)

    def finish(self) -> None:
        """Let those go on who wait for its events."""
        self._done.give(True)  # noqa: FBT003 - the signal is all it says

    def _begin(self) -> None:
        if self._ticket.acquire(blocking=False):
            self._begun = True
            self._work(self)
        elif self.landing is not None:
            self._under_way.pop(self, None)


class Wait(Generic[T]):
    """A point at which a caller has to wait for a flight.

    Attributes:
        flight: What to wait for.
        full: Whether to wait until its events are delivered as well.
        fallback: What can be used if the flight fails, or takes longer than ``PATIENCE``.
    """

    __slots__ = ("fallback", "flight", "full")

    def __init__(self, flight: Flight, *, full: bool = False, fallback: T | None = None) -> None:
        """Wait for ``flight``."""
        self.flight = flight
        self.full = full
        self.fallback = fallback

    @property
    def landing(self) -> Landing | None:
        """How the flight ended; ``None`` when it is still up."""
        return self.flight.landing

    def block(self) -> None:
        """Wait on this thread."""
        self.flight.start(blocking=True)
        if self.landing is None:
            _block(self.flight.landed, self._patience)
        if self._waits_for_events():
            _block(self.flight.done, None)

    async def wait(self) -> None:
        """Wait as a task of the running event loop."""
        self.flight.start(blocking=False)
        await _wait(self.flight.landed, self._patience)
        if self._waits_for_events():
            await _wait(self.flight.done, None)

    @property
    def _patience(self) -> float | None:
        return None if self.fallback is None else PATIENCE

    def _waits_for_events(self) -> bool:
        """Events come before the call returns where the call is about them: by name, or by an error."""
        landing = self.landing
        return landing is not None and (self.full or landing.error is not None)


Steps = Generator[Wait[Any], None, T]


def drive(steps: Steps[T]) -> T:
    """Carry out ``steps``, blocking this thread where they wait."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        step.block()


async def drive_async(steps: Steps[T]) -> T:
    """Carry out ``steps``, awaiting where they wait."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
        await step.wait()


async def finish(work: Callable[[], None]) -> None:
    """Carry ``work`` out on an owner thread, awaiting its end."""
    await _wait(OWNER.run(work), None)


def fresh(error: Exception) -> Exception:
    """Return a copy without traceback, cause or context: one error reaches many callers.

    Of the kinds that only the engine tells apart, nobody else hears.
    """
    if isinstance(error, NewerRecord | SetAside):
        return StoreCorrupt(str(error))
    return copy.copy(error) if isinstance(error, HelloJohnError) else error


def _block(future: "Future[T]", patience: float | None) -> None:
    try:
        future.result(patience)
    except TimeoutError:
        return


async def _wait(future: "Future[T]", patience: float | None) -> None:
    import asyncio  # noqa: PLC0415 - a blocking program never needs it

    try:
        await asyncio.wait_for(asyncio.wrap_future(future), patience)
    except TimeoutError:
        return

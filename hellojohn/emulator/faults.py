"""Failures on demand: a queue of failures and holds for each route, and a count of its requests.

Pure bookkeeping, safe to share between threads; ``app`` carries it out. Each API names its routes, and knows
the names that other APIs give to the same calls. The end of a name selects it, with or without ``.json``:
``token/refresh`` for ``auth/token/refresh``, ``jwks`` for ``.well-known/jwks.json``.
"""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from hellojohn._errors import ConfigurationError

When = Literal["before", "after"]
Drop = Literal["before", "after", "midway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failure.

    Attributes:
        status: The answer's status; ``None`` leaves the answer as it is.
        code: The answer's error code.
        body: The answer's body, in place of an error.
        retry_after: Its ``Retry-After``: seconds or an HTTP date.
        headers: Further headers of the answer. Without ``status`` and ``body``, of the real answer.
        delay: Real seconds to wait before anything else.
        drop: Cut the connection before the rules run, after them, or midway through the answer.
        when: Whether ``status`` and ``body`` answer before the rules run, or hide their answer.
    """

    status: int | None = None
    code: str | None = None
    body: bytes | None = None
    retry_after: float | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    drop: Drop | None = None
    when: When = "before"

    def __post_init__(self) -> None:
        """Refuse a failure that does nothing, or two failures at once."""
        if not (self.answers or self.delay > 0 or self.drop or self.headers):
            msg = "Say what goes wrong: status=503, body=..., delay=0.5 or drop='before'."
            raise ConfigurationError(msg)
        if self.drop and (self.answers or self.headers):
            msg = "A dropped connection carries no answer: give drop alone, or status, body and headers."
            raise ConfigurationError(msg)
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004
            msg = f"status is an HTTP status from 200 to 599, not {self.status!r}."
            raise ConfigurationError(msg)
        if self.drop not in (None, "before", "after", "midway") or self.when not in ("before", "after"):
            msg = "drop is 'before', 'after' or 'midway'; when is 'before' or 'after'."
            raise ConfigurationError(msg)

    @property
    def answers(self) -> bool:
        """Whether the failure replaces the answer."""
        return self.status is not None or self.body is not None


class Hold:
    """Requests on a route arrive and wait until the ``with`` block ends. Made by ``Emulator.hold``.

    Attributes:
        arrived: Set when the first request waits.
    """

    def __init__(self, faults: "Faults", routes: Collection[str], when: When) -> None:
        """Prepare; requests are held from ``__enter__`` on."""
        self._faults = faults
        self._changed = threading.Condition()
        self._gates: list[Future[None]] = []
        self._released = False
        self.routes = routes
        self.when = when
        self.arrived: threading.Event = threading.Event()

    def __enter__(self) -> Self:
        """Begin to hold requests."""
        self._faults.start(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the requests."""
        self.release()

    def wait_arrived(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Block until ``count`` requests wait here, for at most ``timeout`` real seconds.

        Raises:
            TimeoutError: Fewer came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._gates) >= count, timeout):
                msg = f"{len(self._gates)} of {count} requests arrived in {timeout:g} s."
                raise TimeoutError(msg)

    def release(self) -> None:
        """Release the requests, and hold no more. The end of the block does the same."""
        self._faults.finish(self)
        with self._changed:
            first, self._released = not self._released, True
        for gate in self._gates if first else ():
            if gate.set_running_or_notify_cancel():
                gate.set_result(None)

    def enter(self) -> Future[None] | None:
        """Note a request; return the gate it waits at, or ``None`` when the hold is over."""
        with self._changed:
            if self._released:
                return None
            gate: Future[None] = Future()
            self._gates.append(gate)
            self._changed.notify_all()
        self.arrived.set()
        return gate


class Faults:
    """Failures, holds and counts of all routes."""

    def __init__(self, routes: Mapping[str, Collection[str]]) -> None:
        """Know the names of the routes, and for each the names that it has elsewhere."""
        self._routes = routes
        self._lock = threading.Lock()
        self._queues: dict[str, list[_Scheduled]] = {route: [] for route in routes}
        self._holds: list[Hold] = []
        self._calls = Counter[str]()

    def schedule(self, route: str, fault: Fault, *, times: int | None) -> None:
        """Let the next ``times`` requests on a route fail; ``None`` until ``clear``."""
        if times is not None and times < 1:
            msg = f"times is 1 or more, or None for every request until clear_failures, not {times!r}."
            raise ConfigurationError(msg)
        names = self.matching(route)
        scheduled = _Scheduled(fault, times)
        with self._lock:
            for name in names:
                self._queues[name].append(scheduled)

    def clear(self) -> None:
        """Forget every scheduled failure."""
        with self._lock:
            for queue in self._queues.values():
                queue.clear()

    def take(self, route: str) -> Fault | None:
        """Return the failure that is due for a request, and use it up."""
        with self._lock:
            queue = self._queues[route]
            while queue:
                if queue[0].use():
                    return queue[0].fault
                del queue[0]
        return None

    def arrive(self, route: str) -> None:
        """Count a request."""
        with self._lock:
            self._calls[route] += 1

    def calls(self, route: str) -> int:
        """Return how many requests a route has received."""
        names = self.matching(route)
        with self._lock:
            return sum(self._calls[name] for name in names)

    def hold(self, route: str, *, when: When) -> Hold:
        """Return a hold on a route that has not begun."""
        return Hold(self, self.matching(route), when)

    def start(self, hold: Hold) -> None:
        """Begin a hold."""
        with self._lock:
            self._holds.append(hold)

    def finish(self, hold: Hold) -> None:
        """End a hold."""
        with self._lock:
            if hold in self._holds:
                self._holds.remove(hold)

    def gates(self, route: str, when: When) -> list[Future[None]]:
        """Note a request at every hold on its route; return the gates it waits at."""
        with self._lock:
            holds = [hold for hold in self._holds if route in hold.routes and hold.when == when]
        gates = [hold.enter() for hold in holds]
        return [gate for gate in gates if gate is not None]

    def matching(self, route: str) -> list[str]:
        """Return the routes whose names end in ``route``.

        Raises:
            ConfigurationError: No route does.
        """
        wanted = "/" + route.strip("/").removesuffix(".json")
        names = [
            name
            for name, others in self._routes.items()
            if any(f"/{one}".removesuffix(".json").endswith(wanted) for one in (name, *others))
        ]
        if not names:
            msg = f"There is no route {route!r}. The routes are: {', '.join(sorted(self._routes))}."
            raise ConfigurationError(msg)
        return names


@dataclass(slots=True)
class _Scheduled:
    fault: Fault
    times: int | None

    def use(self) -> bool:
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0

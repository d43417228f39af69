"""A process that kills itself at a chosen step of a refresh. The SDK does not know about the steps.

The steps are the calls that leave the process's memory: the calls of the store, the system calls that replace
a file, and the start and the end of the request.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from hellojohn import TokenStore
from hellojohn.stores import LockedValue
from tests.processes.fleet import World


class Steps:
    """Counts steps, and kills the process at the chosen one."""

    def __init__(self, deadly: int) -> None:
        self._deadly = deadly
        self.names: list[str] = []

    def take(self, name: str) -> None:
        """Note a step, and kill the process if this is the chosen one."""
        self.names.append(name)
        if len(self.names) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Take a step before and after the block."""
        self.take(f"before {name}")
        yield
        self.take(f"after {name}")


class DyingValue:
    """The text under a lock, with a step before and after each call."""

    def __init__(self, inner: LockedValue, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps

    def load(self) -> str | None:
        """Load."""
        with self._steps.around("load"):
            return self._inner.load()

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Save."""
        with self._steps.around("save"):
            self._inner.save(text, expires_in=expires_in, release=release)


class DyingStore:
    """A store with a step before and after each call."""

    def __init__(self, inner: TokenStore, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps
        self.lease = getattr(inner, "lease", None)

    def load(self, key: str) -> str | None:
        """Load."""
        with self._steps.around("load"):
            return self._inner.load(key)

    def save(self, key: str, text: str) -> None:
        """Save."""
        with self._steps.around("save"):
            self._inner.save(key, text)

    def delete(self, key: str) -> None:
        """Delete."""
        with self._steps.around("delete"):
            self._inner.delete(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[DyingValue | None]:
        """Lock."""
        self._steps.take("before lock")
        with self._inner.lock(key, timeout) as value:
            self._steps.take("after lock")
            yield None if value is None else DyingValue(value, self._steps)
            self._steps.take("before release")
        self._steps.take("after release")


class DyingTransport(httpx.HTTPTransport):
    """A transport with a step before it sends a request and after it has the answer."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send."""
        self._steps.take("before send")
        response = super().handle_request(request)
        self._steps.take("after answer")
        return response


def refresh_and_die(world: World, deadly: int, names: Any) -> None:
    """Refresh once, and die at step ``deadly``. Send the names of the steps if there are fewer."""
    steps = Steps(deadly)
    for name in ("fsync", "replace"):
        setattr(os, name, _stepping(getattr(os, name), name, steps))
    store = DyingStore(world.place.store(), steps)
    with world.client(store=store, transport=DyingTransport(steps)) as hj:
        hj.auth.refresh()
    names.send(steps.names)


def refresh_until_killed(world: World, begun: Any) -> None:
    """Refresh once. The test kills this process during the refresh."""
    with world.client() as hj:
        hj.auth.session()
        begun.send("begun")
        hj.auth.refresh()


def _stepping(call: Callable[..., Any], name: str, steps: Steps) -> Callable[..., Any]:
    def stepping(*arguments: Any, **options: Any) -> Any:
        with steps.around(name):
            return call(*arguments, **options)

    return stepping

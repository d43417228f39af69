"""A process that is killed at a named step around a refresh: nothing in the SDK knows of it.

The steps are the calls that leave the process's memory: the store's, the system calls that replace a file,
and the two ends of the request.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from hellojohn import TokenStore
from tests.processes.fleet import World


class Steps:
    """Counts steps, and kills the process at the one that is chosen."""

    def __init__(self, deadly: int) -> None:
        self._deadly = deadly
        self.names: list[str] = []

    def take(self, name: str) -> None:
        """Take a step; it may be the last."""
        self.names.append(name)
        if len(self.names) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingStore:
    """A store that takes a step before and after everything it does."""

    def __init__(self, inner: TokenStore, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps
        self.lease = getattr(inner, "lease", None)

    def load(self, key: str) -> str | None:
        """Load."""
        return self._around("load", lambda: self._inner.load(key))

    def save(self, key: str, text: str) -> None:
        """Save."""
        self._around("save", lambda: self._inner.save(key, text))

    def delete(self, key: str) -> None:
        """Delete."""
        self._around("delete", lambda: self._inner.delete(key))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Lock."""
        self._steps.take("before lock")
        with self._inner.lock(key, timeout):
            self._steps.take("after lock")
            yield
            self._steps.take("before release")
        self._steps.take("after release")

    def _around(self, name: str, call: Callable[[], Any]) -> Any:
        self._steps.take(f"before {name}")
        result = call()
        self._steps.take(f"after {name}")
        return result


class DyingTransport(httpx.HTTPTransport):
    """A transport that takes a step before a request leaves and after its answer has come."""

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
    """Refresh once, and be killed at step ``deadly``; tell the steps' names when it never came."""
    steps = Steps(deadly)
    for name in ("fsync", "replace"):
        setattr(os, name, _stepping(getattr(os, name), name, steps))
    store = DyingStore(world.place.store(), steps)
    with world.client(store=store, transport=DyingTransport(steps)) as hj:
        hj.auth.refresh()
    names.send(steps.names)


def refresh_until_killed(world: World, begun: Any) -> None:
    """Refresh once, to be killed from outside at any moment."""
    with world.client() as hj:
        hj.auth.session()
        begun.send("begun")
        hj.auth.refresh()


def _stepping(call: Callable[..., Any], name: str, steps: Steps) -> Callable[..., Any]:
    def stepping(*arguments: Any, **options: Any) -> Any:
        steps.take(f"before {name}")
        result = call(*arguments, **options)
        steps.take(f"after {name}")
        return result

    return stepping

"""A refresh that goes on step by step, and only when it is told to."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from hellojohn._wire import Answer, ApiRequest
from hellojohn.stores import MemoryStore


class Pace:
    """Points at which the one who comes by waits for a permit."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits = 0
        self._open = False
        self.reached = 0

    def point(self) -> None:
        """Wait for a permit to go on."""
        with self._changed:
            self.reached += 1
            number = self.reached
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open or self._permits >= number, 20)

    def advance(self, permits: int) -> bool:
        """Let so many points be passed and wait until the next one is reached; false if there are fewer."""
        with self._changed:
            self._permits = permits
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self.reached > permits, 0.05 if permits >= POINTS else 10)

    def open(self) -> None:
        """Let everything go on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()


POINTS = 12
"""How many points one refresh passes: the lock, two loads and two saves, the service, the release."""


class PacedStore(MemoryStore):
    """A store whose every step waits for a permit."""

    def __init__(self) -> None:
        super().__init__()
        self.pace: Pace | None = None

    def _paced(self, work: Callable[[], Any]) -> Any:
        if self.pace is not None:
            self.pace.point()
        result = work()
        if self.pace is not None:
            self.pace.point()
        return result

    def load(self, key: str) -> str | None:
        """Wait, load, wait."""
        found: str | None = self._paced(lambda: super(PacedStore, self).load(key))
        return found

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Wait, save, wait."""
        self._paced(lambda: super(PacedStore, self).save(key, text, expires_in=expires_in))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Any:
        """Wait, lock, wait before the release."""
        inner: AbstractContextManager[None] = super().lock(key, timeout)
        if self.pace is not None:
            self.pace.point()
        with inner:
            yield
            if self.pace is not None:
                self.pace.point()


def paced(
    pace: Callable[[], Pace | None], service: Callable[[ApiRequest, float], Answer]
) -> Callable[..., Answer]:
    """Return a service that waits before and after it does its work."""

    def send(call: ApiRequest, seconds: float) -> Answer:
        now = pace()
        if now is not None:
            now.point()
        answer = service(call, seconds)
        if now is not None:
            now.point()
        return answer

    return send

"""Stores that fail or lock on demand, for the tests of the session engine."""

import copy
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn.stores import MemoryStore
from tests.session.bench import VirtualTime

FULL = StoreUnavailable("The disk is full.")


class FailingStore(MemoryStore):
    """A store whose methods fail on demand, before or after they have done their work.

    Attributes:
        used: How often each method was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self._failures: dict[str, list[Exception | None]] = {}
        self._late: set[str] = set()
        self.used = Counter[str]()

    def fail(
        self,
        method: str,
        *,
        skip: int = 0,
        times: int = 1_000,
        error: Exception = FULL,
        late: bool = False,
    ) -> None:
        """Let ``times`` calls of ``method`` fail after ``skip`` good ones.

        Args:
            method: Which method.
            skip: How many calls succeed first.
            times: How many calls fail then.
            error: The error that they raise.
            late: Whether they do their work before they raise.
        """
        self._failures[method] = [None] * skip + [error] * times
        (self._late.add if late else self._late.discard)(method)

    def heal(self) -> None:
        """Fail no more."""
        self._failures.clear()

    def load(self, key: str) -> str | None:
        """Load, or fail."""
        found: str | None = self._use("load", lambda: super(FailingStore, self).load(key))
        return found

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save, or fail."""
        self._use("save", lambda: super(FailingStore, self).save(key, text, expires_in=expires_in))

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._use("delete", lambda: super(FailingStore, self).delete(key))

    def quarantine(self, key: str) -> str | None:
        """Quarantine, or fail."""
        found: str | None = self._use("quarantine", lambda: super(FailingStore, self).quarantine(key))
        return found

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
        """Lock, or fail."""
        found: AbstractContextManager[Any]
        found = self._use("lock", lambda: super(FailingStore, self).lock(key, timeout))
        return found

    def _use(self, method: str, work: Callable[[], Any]) -> Any:
        self.used[method] += 1
        failures = self._failures.get(method)
        failure = failures.pop(0) if failures else None
        result = work() if failure is None or method in self._late else None
        if failure is not None:
            raise copy.copy(failure)  # one error that is raised often would keep the frames of all of them
        return result


class HeldLock(MemoryStore):
    """A store whose lock another process can hold, while virtual time passes."""

    def __init__(self) -> None:
        super().__init__()
        self._time: VirtualTime | None = None

    @contextmanager
    def held_elsewhere(self, time: VirtualTime) -> Generator[None]:
        """Let every wait for the lock end in vain, after its whole time."""
        self._time = time
        try:
            yield
        finally:
            self._time = None

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
        """Lock, or let the time of the wait pass."""
        if self._time is None:
            return super().lock(key, timeout)
        self._time.sleep(max(timeout, 0.001))
        raise StoreLocked("Another process holds the lock.")


class LeasedStore(MemoryStore):
    """A store whose lock is a lease, and in which something can happen between two steps.

    Attributes:
        lease: Seconds that a lock lasts.
    """

    def __init__(self, *, lease: float) -> None:
        super().__init__()
        self.lease = lease
        self._after: dict[str, Callable[[], None]] = {}
        self._locked = False

    def once_after(self, method: str, work: Callable[[], None]) -> None:
        """Do ``work`` after the next call of ``method`` inside a lock."""
        self._after[method] = work

    def load(self, key: str) -> str | None:
        """Load."""
        found = super().load(key)
        self._happen("load")
        return found

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save."""
        super().save(key, text, expires_in=expires_in)
        self._happen("save")

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock."""
        with super().lock(key, timeout):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def _happen(self, method: str) -> None:
        if self._locked and method in self._after:
            self._after.pop(method)()

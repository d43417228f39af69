"""Sessions in the memory of one process: they end with it. Its threads share them, other processes do not."""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import NoReturn
from weakref import WeakValueDictionary

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores._checks import uncopyable


class MemoryStore:
    """Keeps sessions in memory: the default, right for scripts, tests and services in one process.

    A child process made by ``os.fork`` can read the sessions it inherited, but not lock, refresh or replace
    them: two processes would use one refresh token from two copies, which the server treats as theft. Share a
    ``FileStore`` or a ``RedisStore`` between processes, or make a new client in the child.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._texts: dict[str, Secret] = {}
        self._uses: dict[int, _Use] = {os.getpid(): _Use(set())}

    def __repr__(self) -> str:
        """Show the number of sessions."""
        return f"MemoryStore(<{len(self._texts)} kept>)"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle and to copy."""
        raise uncopyable(
            self, "a second copy of a session could not be refreshed; use a FileStore to share it"
        )

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``."""
        text = self._texts.get(key)
        return None if text is None else text.reveal()

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``. ``expires_in`` is ignored.

        Raises:
            StoreUnavailable: The session under ``key`` was inherited through ``os.fork``.
        """
        del expires_in
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        self._current_for(key)
        self._texts[key] = secret

    def delete(self, key: str) -> None:
        """Remove the text under ``key``. A forked child removes only its copy."""
        use = self._current()
        self._texts.pop(key, None)
        use.inherited.discard(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock ``key`` against every other thread, waiting up to ``timeout`` seconds.

        Raises:
            StoreLocked: Another thread held the lock for the whole wait.
            StoreUnavailable: The session under ``key`` was inherited through ``os.fork``.
        """
        lock = self._current_for(key).lock(key)
        if not lock.acquire(timeout=min(max(timeout, 0), threading.TIMEOUT_MAX)):
            msg = f"Another thread has held the session {key!r} for {timeout:g} s. Try again."
            raise StoreLocked(msg)
        try:
            yield
        finally:
            lock.release()

    def quarantine(self, key: str) -> str | None:
        """Move the text under ``key`` to ``key.corrupt-1`` (or the next free number) and return that key.

        Raises:
            StoreUnavailable: The session under ``key`` was inherited through ``os.fork``.
        """
        self._current_for(key)
        text = self._texts.pop(key, None)
        if text is None:
            return None
        place = next(name for n in count(1) if (name := f"{key}.corrupt-{n}") not in self._texts)
        self._texts[place] = text
        return place

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``."""
        return {
            "where": "this process's memory",
            "lock": "among this process's threads",
            "advice": "Sessions end with this process: to keep them, use a store such as FileStore().",
        }

    def _current(self) -> "_Use":
        """Return this process's use of the store; a forked child gets a new one at its first call."""
        pid = os.getpid()
        # Threads may come here at once. The first to set the use wins, and the set of keys is copied in one
        # step under the interpreter's lock.
        return self._uses.get(pid) or self._uses.setdefault(pid, _Use(set(self._texts)))

    def _current_for(self, key: str) -> "_Use":
        use = self._current()
        if key in use.inherited:
            msg = (
                f"The session {key!r} was inherited through os.fork, and a MemoryStore cannot keep two"
                " processes from refreshing it at once. Share a FileStore or a RedisStore between the"
                " processes, or make a new client in the child."
            )
            raise StoreUnavailable(msg)
        return use


class _Use:
    """The use of a store in one process.

    Attributes:
        inherited: The keys whose texts were inherited through ``os.fork``.
    """

    def __init__(self, inherited: set[str]) -> None:
        self.inherited = inherited
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def lock(self, key: str) -> threading.Lock:
        """Return the lock of ``key``: the same one as long as any thread uses it."""
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

"""Sessions in this process's memory, gone when it ends. Shared by its threads, never with another process."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import count
from weakref import WeakValueDictionary

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores._fork import watch_forks


class MemoryStore:
    """Keeps sessions in memory: the default, right for scripts, tests and single-process services.

    A child made by ``os.fork`` can read the sessions it inherited but not lock, refresh or replace them: two
    processes would spend one refresh token from two copies, which the server treats as theft. Share a
    ``FileStore`` or a ``RedisStore`` between processes, or make a new client in the child.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._texts: dict[str, Secret] = {}
        self._inherited: set[str] = set()
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        watch_forks(self, MemoryStore._disinherit)

    def __repr__(self) -> str:
        """Show how many sessions there are, and none of them."""
        return f"MemoryStore(<{len(self._texts)} kept>)"

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None``."""
        text = self._texts.get(key)
        return None if text is None else text.reveal()

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``. ``expires_in`` is ignored.

        Raises:
            StoreUnavailable: ``key`` was inherited through ``os.fork``.
        """
        del expires_in
        secret = Secret(text)
        del text
        self._refuse_inherited(key)
        self._texts[key] = secret

    def delete(self, key: str) -> None:
        """Remove what is under ``key``. In a forked child only the child's copy goes."""
        self._texts.pop(key, None)
        self._inherited.discard(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock ``key`` against every other thread, waiting up to ``timeout`` seconds.

        Raises:
            StoreLocked: Another thread held it for the whole wait.
            StoreUnavailable: ``key`` was inherited through ``os.fork``.
        """
        self._refuse_inherited(key)
        lock = self._lock_of(key)
        if not lock.acquire(timeout=min(max(timeout, 0), threading.TIMEOUT_MAX)):
            msg = f"Another thread has held the session {key!r} for {timeout:g} s. Try again."
            raise StoreLocked(msg)
        try:
            yield
        finally:
            lock.release()

    def quarantine(self, key: str) -> str | None:
        """Move what is under ``key`` to ``key.corrupt-1`` (or the next free number) and return that key."""
        self._refuse_inherited(key)
        text = self._texts.pop(key, None)
        if text is None:
            return None
        aside = next(name for n in count(1) if (name := f"{key}.corrupt-{n}") not in self._texts)
        self._texts[aside] = text
        return aside

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``."""
        return {
            "where": "this process's memory",
            "lock": "among this process's threads",
            "advice": "Sessions end with this process: to keep them, use a store such as FileStore().",
        }

    def _disinherit(self) -> None:
        """In a forked child: note what came along, and forget locks whose holders stayed behind."""
        self._inherited = set(self._texts)
        self._guard = threading.Lock()
        self._locks = WeakValueDictionary()

    def _lock_of(self, key: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(key, threading.Lock())

    def _refuse_inherited(self, key: str) -> None:
        if key in self._inherited:
            msg = (
                f"The session {key!r} was inherited through os.fork, and a MemoryStore cannot keep two"
                " processes from refreshing it at once. Share a FileStore or a RedisStore between the"
                " processes, or make a new client in the child."
            )
            raise StoreUnavailable(msg)

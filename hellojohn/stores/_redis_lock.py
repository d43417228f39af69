"""A lock in a Redis or Valkey server: a lease, which its holder may lose."""

import os
import secrets
import time

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores._lock_registry import refuse_in_child
from hellojohn.stores._redis_record import RedisRecord

# Waiters ask again after about 10 ms, then less and less often: many of them must not keep the server busy.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.01, 0.2, 1.5
_SLOW = 1 / 6  # of a lease: after the two thirds that a refresh may take, a part of the lease is left


class RedisLock:
    """The lock of one caller, and the value under it (a ``LockedValue``).

    Attributes:
        token: The text that the server keeps as the lock while this caller holds it.
    """

    def __init__(self, record: RedisRecord, key: str) -> None:
        """Make a token; nothing is sent yet. Messages name ``key``."""
        self.token = secrets.token_hex(16)
        self._record = record
        self._key = key
        self._pid = os.getpid()
        self._came_with_lock: list[Secret | None] = []
        self._released = False

    def acquire(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for the lock.

        Raises:
            StoreLocked: Another holder had it for the whole wait, or each answer of the server took more than
                a sixth of the lease, which runs from the moment when the server sets it.
            StoreUnavailable: The server failed. It is asked once to release the lock that it may have set.
        """
        try:
            self._poll(timeout)
        except StoreUnavailable:
            self._record.release_once(self.token)
            raise

    def release(self) -> None:
        """Release the lock, unless ``save`` has released it or the process was forked.

        Raises:
            StoreUnavailable: The server failed. The lock ends with its lease.
        """
        if not self._released and os.getpid() == self._pid:
            self._record.release(self.token)

    def load(self) -> str | None:
        """Return the text under the key: in the first call as it was when the lock was taken.

        Raises:
            StoreCorrupt: The data is not a text that was saved here.
            StoreUnavailable: The server failed.
        """
        if not self._came_with_lock:
            return self._record.load()
        text = self._came_with_lock.pop()
        return None if text is None else text.reveal()

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Put ``text`` under the key while the lock is held; ``release`` releases the lock in the same step.

        Raises:
            StoreLocked: The lock was lost or has been released. Nothing was written.
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was written.
            StoreUnavailable: The server failed or is full. It holds the old text, or the new one if only the
                answer was lost.
        """
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        refuse_in_child(self._pid, self._key)
        self._came_with_lock = []
        self._record.save(secret, expires_in, token=self.token, release=release)
        self._released = self._released or release

    def _poll(self, timeout: float) -> None:
        deadline, pause = time.monotonic() + timeout, _FIRST_PAUSE
        while True:
            asked = time.monotonic()
            found = self._record.acquire(self.token)
            answered = time.monotonic()
            if found is not None and answered - asked <= self._record.lease * _SLOW:
                self._came_with_lock = found
                return
            if answered >= deadline:
                break
            if found is None:
                jitter = 0.5 + secrets.randbelow(1000) / 1000
                time.sleep(min(deadline - answered, pause * jitter))
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        if found is None:
            msg = f"Another holder has had the lock {self._record.lock_name} for {timeout:g} s. Try again."
            raise StoreLocked(msg)
        self._record.release(self.token)
        msg = (
            f"The server takes too long to set the lock {self._record.lock_name}, which lasts"
            f" {self._record.lease:g} s. Try again, or give RedisStore a longer lease."
        )
        raise StoreLocked(msg)

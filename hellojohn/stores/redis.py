"""Sessions in Redis or Valkey, shared by every process and host that reaches the server."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import NoReturn

from hellojohn._errors import ConfigurationError, StoreUnavailable
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn.stores._checks import is_seconds, uncopyable
from hellojohn.stores._lock_registry import HeldLocks
from hellojohn.stores._protocol import LockedValue
from hellojohn.stores._redis_facts import address_of, server_facts
from hellojohn.stores._redis_lock import RedisLock
from hellojohn.stores._redis_record import RedisRecord, Renaming
from hellojohn.stores._redis_server import RedisClient, RedisServer

_logger = logger_of("hellojohn")
_PERSISTENCE = ("save", "appendfsync")


class RedisStore:
    """Keeps sessions in Redis or Valkey: for web back ends with many accounts, processes and hosts.

    A lock is a lease. A killed holder blocks its session for ``lease`` seconds at most, and a holder whose
    lease ran out, or was lost in a restart of the server, can no longer save. Records expire with their
    sessions. Give the server ``maxmemory-policy noeviction``: otherwise it drops sessions when it is full.

    Args:
        client: A synchronous client: ``redis.Redis.from_url(...)`` or ``valkey.Valkey(...)``. The store does
            not close it.
        prefix: The beginning of the server's keys. Its first braces must not be empty: a cluster takes the
            text in the first braces of a key to choose the node.
        lease: Seconds a lock lasts. The SDK gives up a refresh earlier: after 20 s, or two thirds of a
            shorter lease.

    Raises:
        ConfigurationError: ``client`` is an asyncio client or not a client, ``prefix`` is not a text or has
            empty braces first, or ``lease`` is not a positive number below 1e9.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "hellojohn:", lease: float = 30.0) -> None:
        """Check the arguments; nothing is sent yet."""
        self._server = RedisServer(client)
        if not is_seconds(lease):
            msg = "RedisStore(lease=...) is a number of seconds, more than 0 and less than 1e9, such as 30.0."
            raise ConfigurationError(msg)
        self._client = client
        self._prefix = _checked_prefix(prefix)
        self._lease = lease
        self._held = HeldLocks[RedisLock]()

    @property
    def lease(self) -> float:
        """Seconds a lock lasts."""
        return self._lease

    def __repr__(self) -> str:
        """Show the prefix."""
        return f"RedisStore(prefix={getattr(self, '_prefix', None)!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle and to copy."""
        raise uncopyable(self, "its client holds connections; make another one in each process")

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None`` if it is missing or has expired.

        Raises:
            StoreCorrupt: The data is not a text that was saved here.
            StoreUnavailable: The server failed.
        """
        return self._record(key).load()

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``, to expire in ``expires_in`` seconds.

        Raises:
            StoreLocked: This thread had the lock of ``key`` and lost it. Nothing was written.
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was written.
            StoreUnavailable: The server failed or is full. It holds the old text, or the new one if only the
                answer was lost.
        """
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        self._record(key).save(secret, expires_in, token=self._token(key))

    def delete(self, key: str) -> None:
        """Remove the text under ``key``.

        Raises:
            StoreLocked: This thread had the lock of ``key`` and lost it. Nothing was removed.
            StoreUnavailable: The server failed.
        """
        self._record(key).delete(token=self._token(key))

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[LockedValue]:
        """Take a lease on ``key``, waiting up to ``timeout`` seconds for another holder.

        The text under ``key`` comes with the lock, in one round trip, and the lock is released in one round
        trip with the last save.

        Raises:
            StoreLocked: Another holder had it for the whole wait, or the server answered too late each time:
                after more than a sixth of the lease, which has begun by then.
            StoreUnavailable: The server failed.
        """
        lock = RedisLock(self._record(key), key)
        lock.acquire(timeout)
        try:
            with self._held.noted(key, lock):
                yield lock
        finally:
            self._release(lock, key)

    def quarantine(self, key: str) -> str | None:
        """Rename the data under ``key`` to the next free ``...:corrupt-N``, with its expiry, and return that.

        Raises:
            StoreLocked: This thread had the lock of ``key`` and lost it. Nothing was changed.
            StoreUnavailable: The server failed.
        """
        record = self._record(key)
        places = (f"{record.name}:corrupt-{number}" for number in count(1))
        place, answer = "", Renaming.TAKEN
        while answer is Renaming.TAKEN:
            place = next(places)
            answer = record.rename(place, token=self._token(key))
        return place if answer is Renaming.DONE else None

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: which server, and whether it can be trusted to keep sessions."""
        info = self._asked("INFO")
        return {
            "where": f"{address_of(self._client)}, keys that begin with {self._prefix!r}",
            **server_facts(info, *(info and self._asked("CONFIG GET", name) for name in _PERSISTENCE)),
            "lock": f"a lease of {self._lease:g} s in the server",
            "encrypted": "no",
        }

    def _asked(self, command: str, *arguments: str) -> object:
        with suppress(StoreUnavailable):  # managed servers forbid these commands
            return self._server.send(command, *arguments)
        return None

    def _record(self, key: str) -> RedisRecord:
        # The braces keep a record and its lock on one node of a cluster. Braces with nothing inside do not.
        tag = key.replace("%", "%25").replace("}", "%7D") or "%"
        return RedisRecord(self._server, f"{self._prefix}{{{tag}}}", self._lease)

    def _token(self, key: str) -> str:
        lock = self._held.find(key)
        return lock.token if lock else ""

    def _release(self, lock: RedisLock, key: str) -> None:
        try:
            lock.release()
        except StoreUnavailable as error:
            # The caller's work under the lock is done, and the lease frees the lock.
            name = self._record(key).lock_name
            _logger.warning("The lock %s stays for up to %g s. %s", name, self._lease, error)


def _checked_prefix(prefix: object) -> str:
    if not isinstance(prefix, str):
        msg = f"RedisStore(prefix=...) is the text that the keys begin with, not {prefix!r}."
        raise ConfigurationError(msg)
    if prefix.partition("{")[2].startswith("}"):
        msg = (
            f"RedisStore(prefix={prefix!r}): the first braces cannot be empty, because a cluster would keep a"
            " session and its lock on different nodes. Put a name between them, or leave them out."
        )
        raise ConfigurationError(msg)
    return prefix

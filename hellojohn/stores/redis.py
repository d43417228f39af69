"""Sessions in Redis or Valkey, shared by every process and host that reaches the server.

Imports no client library: it is given a client, and uses nothing of it but ``execute_command``.
"""

import inspect
import logging
import math
import os
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Protocol, cast

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores._checks import is_seconds
from hellojohn.stores._encoding import decoded, refuse_unfit
from hellojohn.stores._lock_registry import HeldLocks
from hellojohn.stores._redis_facts import address_of, server_facts

_logger = logging.getLogger("hellojohn")

# Each may be sent twice, when a connection is lost before the answer: the second time changes nothing more.
_ACQUIRE = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"""
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
# The fence: inside a lock, write only while it is still this holder's.
_FENCE = "if ARGV[1] ~= '' and redis.call('get', KEYS[2]) ~= ARGV[1] then return -1 end "
_SAVE = """
if ARGV[3] == '' then redis.call('set', KEYS[1], ARGV[2]) return 1 end
redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1"""
_DELETE = "return redis.call('del', KEYS[1])"
_MOVE = (
    "if redis.call('exists', KEYS[1]) == 0 then return 2 end return redis.call('renamenx', KEYS[1], KEYS[3])"
)
_LOST, _TAKEN, _MOVED = -1, 0, 1
_POLL = 0.01
_SLOW = 1 / 6  # of a lease: with the two thirds that a refresh may take, a good part of it is left
_PERSISTENCE = ("save", "appendfsync")

_NO_CLUSTER_CLIENT = "it is a cluster: give RedisStore a cluster client, such as redis.RedisCluster"
_FIXES = {
    "OutOfMemoryError": "its memory is full; raise maxmemory, or give the sessions a server of their own",
    "ReadOnlyError": "it is a read-only replica; connect to the primary",
    "MasterDownError": "it is a replica that has lost its primary; connect to the primary",
    "MovedError": _NO_CLUSTER_CLIENT,
    "AskError": _NO_CLUSTER_CLIENT,
    "ClusterCrossSlotError": _NO_CLUSTER_CLIENT,
    "ClusterDownError": f"{_NO_CLUSTER_CLIENT}, and check that all of its nodes run",
    "MaxConnectionsError": (
        "all connections of the client's pool are in use; raise its max_connections, or give the client a"
        " BlockingConnectionPool"
    ),
    "AuthenticationError": "it refused the user or the password; check the client's settings",
    "NoPermissionError": "its ACL forbids a command; allow GET, SET, DEL, EVAL, EXISTS, RENAMENX",
    "BusyLoadingError": "it is still loading its data; try again",
    "TimeoutError": "it did not answer in time; check that it runs, and the network",
    "ConnectionError": "it cannot be reached; check that it runs, and the network",
}
# What an error begins with, where its class does not say as much.
_KINDS = {
    "WRONGTYPE": "WRONGTYPE",
    "READONLY": "ReadOnlyError",
    "MOVED": "MovedError",
    "ASK ": "AskError",
    "CROSSSLOT": "ClusterCrossSlotError",
    "CLUSTERDOWN": "ClusterDownError",
    "Too many connections": "MaxConnectionsError",
    "No connection available": "MaxConnectionsError",
}
_NOT_AGAIN = "MaxConnectionsError"


class RedisClient(Protocol):
    """A synchronous client of redis-py or valkey-py."""

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the libraries have it
        """Send a command and return the answer."""
        ...


class RedisStore:
    """Keeps sessions in Redis or Valkey: for web back ends with many accounts, processes and hosts.

    A lock is a lease: a killed holder blocks its session for ``lease`` seconds at most, and a holder whose
    lease ran out, or was lost in a restart of the server, can no longer save. Records expire with their
    sessions. Give the server ``maxmemory-policy noeviction``: otherwise it drops sessions when full.

    Args:
        client: A synchronous client: ``redis.Redis.from_url(...)`` or ``valkey.Valkey(...)``. It stays yours
            to close.
        prefix: What the server's keys begin with.
        lease: Seconds a lock lasts. The SDK gives up a refresh before: after 20 s, or two thirds of a
            shorter lease.

    Raises:
        ConfigurationError: The client is an asyncio client or none, ``prefix`` is no text, or ``lease`` is
            no positive number.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "hellojohn:", lease: float = 30.0) -> None:
        """Check the arguments; nothing is sent yet."""
        _check_client(client)
        if not is_seconds(lease):
            msg = f"RedisStore(lease=...) is a number of seconds, such as 30.0, not {lease!r}."
            raise ConfigurationError(msg)
        if not isinstance(cast("object", prefix), str):
            msg = f"RedisStore(prefix=...) is a text that the keys begin with, not {prefix!r}."
            raise ConfigurationError(msg)
        self._client = client
        self._prefix = prefix
        self._lease = lease
        self._held = HeldLocks()

    @property
    def lease(self) -> float:
        """Seconds a lock lasts."""
        return self._lease

    def __repr__(self) -> str:
        """Show the prefix."""
        return f"RedisStore(prefix={getattr(self, '_prefix', None)!r})"

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, or ``None`` when there is none or it has expired.

        Raises:
            StoreCorrupt: What is there is no text of ours.
            StoreUnavailable: The server failed.
        """
        name = self._record(key)
        return decoded(self._send("GET", name, NEVER_DECODE=True), name)

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``, to expire in ``expires_in`` seconds.

        Raises:
            StoreLocked: It was called inside a lock that is lost. Nothing was written.
            StoreCorrupt: ``text`` is larger than 1 MiB, or no proper Unicode. Nothing was written.
            StoreUnavailable: The server failed or is full. What is there is whole: the old text, or the new
                one where only the answer was lost.
        """
        secret = Secret(text)
        del text
        refuse_unfit(secret)
        life = "" if expires_in is None else max(1, int(expires_in * 1000))
        self._write(key, _SAVE, secret, life)

    def delete(self, key: str) -> None:
        """Remove what is under ``key``.

        Raises:
            StoreLocked: It was called inside a lock that is lost. Nothing was removed.
            StoreUnavailable: The server failed.
        """
        self._write(key, _DELETE)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Take a lease on ``key``, waiting up to ``timeout`` seconds for the one who has it.

        Raises:
            StoreLocked: Somebody else had it for the whole wait, or the server answered too late each time:
                after more than a sixth of the lease, which runs meanwhile.
            StoreUnavailable: The server failed. It is only asked to release what it may have given.
        """
        token, pid = secrets.token_hex(16), os.getpid()
        try:
            self._acquire(key, token, timeout)
        except StoreUnavailable:
            self._release_quietly(key, token)
            raise
        try:
            with self._held.noted(key, token):
                yield
        finally:
            if os.getpid() == pid:
                self._release(key, token)

    def quarantine(self, key: str) -> str | None:
        """Rename what is under ``key`` to the next free ``...:corrupt-N``, with its expiry, and return that.

        Raises:
            StoreLocked: It was called inside a lock that is lost. Nothing was changed.
            StoreUnavailable: The server failed.
        """
        places = (f"{self._record(key)}:corrupt-{number}" for number in count(1))
        place, answer = "", _TAKEN
        while answer == _TAKEN:
            place = next(places)
            answer = self._write(key, _MOVE, place=place)
        return place if answer == _MOVED else None

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
        with suppress(StoreUnavailable):  # many a server allows its clients no such question
            return self._send(command, *arguments)
        return None

    def _record(self, key: str) -> str:
        # The braces keep a session and its lock on one node of a cluster, unless there is nothing in them.
        tag = key.replace("%", "%25").replace("}", "%7D") or "%"
        return f"{self._prefix}{{{tag}}}"

    def _lock(self, key: str) -> str:
        return f"{self._record(key)}:lock"

    def _acquire(self, key: str, token: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            taken = self._ask_for_lock(key, token)
            answered = time.monotonic()
            if taken and answered - asked <= self._lease * _SLOW:
                return
            if answered >= deadline:
                break
            if not taken:
                time.sleep(min(deadline - answered, _POLL * (1 + secrets.randbelow(100) / 100)))
        if taken:
            self._release(key, token)
            msg = (
                f"The server takes too long to lock {self._lock(key)} for {self._lease:g} s. Try again, or"
                " give RedisStore a longer lease."
            )
            raise StoreLocked(msg)
        msg = f"Somebody else has held {self._lock(key)} for {timeout:g} s. Try again."
        raise StoreLocked(msg)

    def _ask_for_lock(self, key: str, token: str) -> bool:
        """Ask once. Whoever has it already has the whole lease again."""
        lease = math.ceil(self._lease * 1000)
        return bool(self._send("EVAL", _ACQUIRE, 1, self._lock(key), token, lease))

    def _release(self, key: str, token: str) -> None:
        try:
            self._send("EVAL", _RELEASE, 1, self._lock(key), token)
        except StoreUnavailable as error:
            # What was done under the lock is done; the lease frees it.
            _logger.warning("The lock %s stays for up to %g s. %s", self._lock(key), self._lease, error)

    def _release_quietly(self, key: str, token: str) -> None:
        """Release what the server may have taken before it failed, in one attempt: it may hang."""
        parts: tuple[str | int, ...] = (_RELEASE, 1, self._lock(key), token)
        with suppress(Exception):
            self._client.execute_command("EVAL", *map(_plain, parts))

    def _write(self, key: str, script: str, *arguments: Secret | str | int, place: str = "") -> int:
        """Run a script behind the fence, and return its answer."""
        names = (self._record(key), self._lock(key), place or self._record(key))
        token = self._held.token(key) or ""
        answer: int = self._send("EVAL", _FENCE + script, len(names), *names, token, *arguments)
        if answer == _LOST:
            msg = (
                f"The lock {self._lock(key)} was lost: its lease of {self._lease:g} s ran out, or the server"
                " restarted. Nothing was written. Take the lock again and load what is there now."
            )
            raise StoreLocked(msg)
        return answer

    def _send(self, command: str, *arguments: Secret | str | int, **options: object) -> Any:  # noqa: ANN401 - as RedisClient
        """Send a command, once more when the connection was lost; let no error of the client's out."""
        problem: list[str] = []
        for _ in range(2):
            try:
                return self._client.execute_command(command, *map(_plain, arguments), **options)
            except Exception as error:  # noqa: BLE001 - two libraries' errors, and what lies below them
                problem = _kinds_of(error)
            if "ConnectionError" not in problem or _NOT_AGAIN in problem:
                break
        raise _explained(problem)


def _plain(part: Secret | str | int) -> bytes | int:
    if isinstance(part, int):
        return part
    return (part.reveal() if isinstance(part, Secret) else part).encode("utf-8", "surrogatepass")


def _kinds_of(error: Exception) -> list[str]:
    """Return what to call an error, the most telling name first."""
    words = str(error)
    told = [kind for start, kind in _KINDS.items() if words.startswith(start)]
    return told + [kind.__name__ for kind in type(error).__mro__]


def _explained(problem: list[str]) -> StoreCorrupt | StoreUnavailable:
    # The client's own message may repeat what was sent: only the error's kind is passed on.
    if problem[0] == "WRONGTYPE":
        return StoreCorrupt("What the server holds there is no text. Nothing was changed.")
    fix = next((_FIXES[name] for name in problem if name in _FIXES), "check the server's log")
    return StoreUnavailable(f"The Redis or Valkey server failed ({problem[0]}): {fix}.")


def _check_client(client: object) -> None:
    send = getattr(client, "execute_command", None)
    if send is None:
        msg = "RedisStore(client) takes a client, such as redis.Redis.from_url(...) or valkey.Valkey(...)."
        raise ConfigurationError(msg)
    if inspect.iscoroutinefunction(send):
        kind = type(client).__module__.partition(".")[0]
        msg = (
            f"RedisStore(client) takes a synchronous client: {kind}.Redis or {kind}.Valkey instead of that of"
            f" {kind}.asyncio. The SDK calls it on threads of its own, never on an event loop."
        )
        raise ConfigurationError(msg)

"""Commands to a Redis or Valkey server, and what its failures mean. Knows no session and no lock.

Imports no client library: it uses only ``execute_command`` of the client that it is given.
"""

import inspect
from contextlib import suppress
from typing import Any, Protocol

from hellojohn._errors import ConfigurationError, StoreCorrupt, StoreUnavailable
from hellojohn._secret import Secret

Part = Secret | str | int
"""One argument of a command."""

_NO_CLUSTER_CLIENT = "it is a cluster; give RedisStore a cluster client, such as redis.RedisCluster"
_FIXES = {
    "OutOfMemoryError": "its memory is full; raise maxmemory, or give the sessions another server",
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
# Beginnings of error messages, for errors whose class says less than their message.
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

    def execute_command(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the libraries' signature
        """Send a command and return the answer."""
        ...


class RedisServer:
    """Sends commands through a client."""

    def __init__(self, client: RedisClient) -> None:
        """Check the client; nothing is sent yet.

        Raises:
            ConfigurationError: ``client`` is an asyncio client, or not a client.
        """
        _check_client(client)
        self._client = client

    def send(self, command: str, *parts: Part, **options: object) -> Any:  # noqa: ANN401 - as RedisClient
        """Send a command, a second time if the connection was lost before the answer.

        Raises:
            StoreCorrupt: The command found data of another type.
            StoreUnavailable: The command failed otherwise. The error repeats nothing that was sent.
        """
        problem: list[str] = []
        for _ in range(2):
            try:
                return self._client.execute_command(command, *map(_plain, parts), **options)
            except Exception as error:  # noqa: BLE001 - of two libraries and of the system below them
                problem = _kinds_of(error)
            if "ConnectionError" not in problem or _NOT_AGAIN in problem:
                break
        raise _explained(problem)

    def run(self, script: str, keys: tuple[str, ...], *parts: Part, **options: object) -> Any:  # noqa: ANN401
        """Run a Lua script in the server.

        Raises:
            StoreCorrupt: The script found data of another type.
            StoreUnavailable: The script failed for any other reason.
        """
        return self.send("EVAL", script, len(keys), *keys, *parts, **options)

    def run_once(self, script: str, keys: tuple[str, ...], *parts: Part) -> None:
        """Run a Lua script in one attempt, and ignore a failure."""
        with suppress(Exception):
            self._client.execute_command("EVAL", *map(_plain, (script, len(keys), *keys, *parts)))


def _plain(part: Part) -> bytes | int:
    if isinstance(part, int):
        return part
    return (part.reveal() if isinstance(part, Secret) else part).encode("utf-8", "surrogatepass")


def _kinds_of(error: Exception) -> list[str]:
    """Return the names of an error, the most specific one first."""
    words = str(error)
    named = [kind for start, kind in _KINDS.items() if words.startswith(start)]
    return named + [kind.__name__ for kind in type(error).__mro__]


def _explained(problem: list[str]) -> StoreCorrupt | StoreUnavailable:
    # The client's message may repeat the command, which holds tokens: only the error's kind is passed on.
    if problem[0] == "WRONGTYPE":
        return StoreCorrupt("The server holds a value of another type there. Nothing was changed.")
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
            f"RedisStore(client) takes a synchronous client: {kind}.Redis or {kind}.Valkey instead of the one"
            f" from {kind}.asyncio. The SDK calls it on worker threads, never on an event loop."
        )
        raise ConfigurationError(msg)

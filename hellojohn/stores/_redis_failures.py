"""The failures of a Redis or Valkey server and of its client, by name, each with its fix. Sends nothing.

The message of an error may repeat the command, which holds tokens. So only the names below are passed on.
"""

import socket
from collections.abc import Iterator
from itertools import chain

from hellojohn._errors import StoreCorrupt, StoreUnavailable

_NO_CLUSTER_CLIENT = "it is a cluster; give RedisStore a cluster client, such as redis.RedisCluster"
_FIXES = {
    "no scripts": "it does not know EVAL; use a server or proxy that runs Lua scripts",
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
    "NoPermissionError": (
        "its ACL forbids a command or a key; allow GET, SET, DEL, EVAL, EXISTS, RENAMENX on the store's keys"
    ),
    "BusyLoadingError": "it is still loading its data; try again",
    "TimeoutError": "it did not answer in time; check that it runs, and the network",
    "host is a path": "the client's host is a path; give the client unix_socket_path instead",
    "gaierror": "the client's host is unknown; check its name",
    "FileNotFoundError": "the client's socket is not there; check unix_socket_path, and that the server runs",
    "PermissionError": "this user may not open the client's socket; change its permissions (unixsocketperm)",
    "ConnectionRefusedError": "no server listens on the client's socket; check unix_socket_path",
    "ConnectionError": "it cannot be reached; check that it runs, and the network",
}
# These classes derive from ConnectionError in the libraries.
_FINAL = {"MaxConnectionsError", "AuthenticationError"}
# Beginnings of error messages, for errors whose class says less.
_BEGINNINGS = {
    "WRONGTYPE": "WRONGTYPE",
    "READONLY": "ReadOnlyError",
    "MASTERDOWN": "MasterDownError",
    "MOVED": "MovedError",
    "ASK ": "AskError",
    "CROSSSLOT": "ClusterCrossSlotError",
    "CLUSTERDOWN": "ClusterDownError",
    "ACL failure": "NoPermissionError",
    "unknown command": "no scripts",
    "Too many connections": "MaxConnectionsError",
    "No connection available": "MaxConnectionsError",
}
# Servers before Redis 7 put the error of a command into the middle of the script's error.
_IN_SCRIPTS = {
    "-WRONGTYPE ": "WRONGTYPE",
    "-READONLY ": "ReadOnlyError",
    "-OOM ": "OutOfMemoryError",
    "-MASTERDOWN ": "MasterDownError",
}


def names_of(error: Exception, place: str | None) -> list[str]:
    """Return the names of an error, the most specific one first.

    Args:
        error: The error of the client.
        place: The host or the path that the client connects to, if it is known.
    """
    return list(chain(_from_message(str(error)), _from_cause(error, place or ""), _class_names(error)))


def may_send_again(names: list[str]) -> bool:
    """Return whether a command that failed so may be sent again at once."""
    return "ConnectionError" in names and _FINAL.isdisjoint(names)


def failure(names: list[str]) -> StoreCorrupt | StoreUnavailable:
    """Return the error to raise."""
    if names[0] == "WRONGTYPE":
        return StoreCorrupt("The server holds a value of another type there.")
    fix = next((_FIXES[name] for name in names if name in _FIXES), "check the server's log")
    return StoreUnavailable(f"The Redis or Valkey server failed ({names[0]}): {fix}.")


def _from_message(message: str) -> Iterator[str]:
    yield from (name for start, name in _BEGINNINGS.items() if message.startswith(start))
    if message.startswith("Error running script"):
        yield from (name for part, name in _IN_SCRIPTS.items() if part in message)


def _from_cause(error: Exception, place: str) -> Iterator[str]:
    """Name the system's error under a lost connection."""
    cause = error.__cause__ or error.__context__
    is_path = place.startswith("/")
    if isinstance(cause, socket.gaierror):
        yield "host is a path" if is_path else "gaierror"
    elif is_path and isinstance(cause, FileNotFoundError | PermissionError | ConnectionRefusedError):
        yield type(cause).__name__


def _class_names(error: Exception) -> Iterator[str]:
    return (kind.__name__ for kind in type(error).__mro__)

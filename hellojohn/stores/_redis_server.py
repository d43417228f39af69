"""Commands to a Redis or Valkey server. Knows no session and no lock.

Imports no client library: it uses only ``execute_command`` of the client that it is given.
"""

import inspect
import time
from contextlib import suppress
from typing import Any, Protocol

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.stores._redis_facts import place_of
from hellojohn.stores._redis_failures import failure, may_send_again, names_of

Part = Secret | str | int
"""One argument of a command."""

_AT_ONCE = 0.5


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
        """Send a command, a second time if the connection turned out to be lost.

        Raises:
            StoreCorrupt: The command found data of another type.
            StoreUnavailable: The command failed otherwise. The error repeats nothing that was sent.
        """
        names: list[str] = []
        began = time.monotonic()
        for _ in range(2):
            try:
                return self._client.execute_command(command, *map(_plain, parts), **options)
            except Exception as error:  # noqa: BLE001 - of two libraries and of the system below them
                names = names_of(error, place_of(self._client))
            # A client that took longer has tried again by itself, and the server is out of reach.
            if not may_send_again(names) or time.monotonic() - began > _AT_ONCE:
                break
        raise failure(names)

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

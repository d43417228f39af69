"""Clients of an open-source server, with a clock that a test moves, and a count of their requests."""

import time
from collections import Counter
from typing import Any, NamedTuple, Self

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn, MemoryStore
from tests.behaviour.scripted import DictStore


class Place(NamedTuple):
    """Where a server is, and the tenant and the client that it knows."""

    url: str
    tenant_id: str
    client_id: str


class Clock:
    """This machine's time, which a test moves ahead or stops.

    Attributes:
        ahead: Seconds that the clock is ahead.
        stopped_at: The time that the clock shows always; ``None`` for a clock that runs.
    """

    def __init__(self) -> None:
        self.ahead = 0.0
        self.stopped_at: float | None = None

    def __call__(self) -> float:
        """Return the time."""
        return time.time() + self.ahead if self.stopped_at is None else self.stopped_at


class CountingTransport(httpx.BaseTransport):
    """Sends the SDK's own requests, and counts them.

    Attributes:
        sent: How many requests went to each path.
    """

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self._sending = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self.sent[request.url.path] += 1
        return self._sending.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._sending.close()


class Clients:
    """Makes clients of one server, and closes them.

    Attributes:
        place: Where the server is.
        clock: The clock of the clients.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.clock = Clock()
        self._wire = CountingTransport()
        self._open: list[HelloJohn] = []

    def client(self, **more: Any) -> HelloJohn:
        """Return a client that blocks."""
        self._open.append(HelloJohn(**self._settings(**more)))
        return self._open[-1]

    def async_client(self, **more: Any) -> AsyncHelloJohn:
        """Return an async client, which the test closes."""
        return AsyncHelloJohn(**self._settings(**more))

    def copy(self, store: DictStore) -> HelloJohn:
        """Return a client with a copy of the sessions in a store, as a thief would have one."""
        copied = DictStore()
        copied.texts = dict(store.texts)
        return self.client(store=copied)

    def api(self, hj: HelloJohn) -> httpx.Client:
        """Return an HTTP client for the server's own API: ``GET /v2/me`` checks access tokens."""
        return hj.client(base_url=self.place.url, timeout=30)

    def sent(self, path: str | None = None) -> int:
        """Return how many requests the clients sent, in all or to a path."""
        counts = self._wire.sent
        return counts.total() if path is None else counts[path]

    @property
    def refreshes(self) -> int:
        """How many refreshes the clients sent."""
        return self.sent("/v2/auth/refresh")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the clients."""
        for client in self._open:
            client.close()
        self._wire.close()

    def _settings(self, **more: Any) -> dict[str, Any]:
        return {
            "api": "v2",
            "api_url": self.place.url,
            "tenant_id": self.place.tenant_id,
            "client_id": self.place.client_id,
            "clock": self.clock,
            "transport": self._wire,
            "store": MemoryStore(),
            "background_refresh": False,
            **more,
        }

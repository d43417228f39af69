"""The four kinds of HTTP client behind one interface, so that each test runs on all of them."""

import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
import httpx2

from hellojohn import AsyncHelloJohn, HelloJohn
from tests.both_faces import PATIENCE, close

TLS = ssl.create_default_context()
"""Shared, because reading the certificates takes longer than most tests."""


class OneAtATime(httpx.HTTPTransport):
    """A pool of one connection for the threads of an ``httpx.Client``.

    httpcore's own (1.0.9) closes a connection that it has just given to another thread when more of them wait
    than it may open: requests fail with "Bad file descriptor", whatever auth the client has.
    """

    def __init__(self, patience: float) -> None:
        super().__init__(verify=TLS)
        self._patience = patience
        self._free = threading.Semaphore()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the connection, and keep it until the answer is read or closed."""
        if not self._free.acquire(timeout=self._patience):
            raise httpx.PoolTimeout("No request gave the connection back.", request=request)
        try:
            response = super().handle_request(request)
        except BaseException:
            self._free.release()
            raise
        response.stream = _GivenBack(response.stream, self._free)
        return response


class _GivenBack(httpx.SyncByteStream):
    def __init__(self, stream: Any, free: threading.Semaphore) -> None:
        self._stream = stream
        self._free = free

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._stream.close()
        self._free.release()


@dataclass(frozen=True)
class Kind:
    """One kind of client: its library, and whether it awaits."""

    library: ModuleType
    is_async: bool

    def __str__(self) -> str:
        """Name the client's class."""
        return f"{self.library.__name__}.{self.name}"

    @property
    def name(self) -> str:
        """The name of the class, the same in both libraries."""
        return "AsyncClient" if self.is_async else "Client"

    @property
    def owner(self) -> type:
        """The HelloJohn client that goes with it."""
        return AsyncHelloJohn if self.is_async else HelloJohn

    def bare(self, **options: Any) -> Any:
        """Return a client of this kind, with nothing attached."""
        return getattr(self.library, self.name)(**{"verify": TLS, "trust_env": False, **options})

    def narrow(self, **timeouts: float) -> Any:
        """Return the options of a client with a single connection, for which requests wait."""
        timeout = self.library.Timeout(PATIENCE, **timeouts)
        if self.is_async or self.library is httpx2:
            return {"timeout": timeout, "limits": self.library.Limits(max_connections=1)}
        return {"timeout": timeout, "transport": OneAtATime(timeout.pool)}

    def wrapped(self, hj: Any, *, origins: Any = (), **options: Any) -> Any:
        """Return a client of this kind whose requests carry the token."""
        return hj.wrap(self.bare(**options), origins=origins)

    def auth(self, hj: Any, **options: Any) -> Any:
        """Return the auth hook for this kind's library."""
        return hj.httpx_auth(**options) if self.library is httpx else hj.httpx2_auth(**options)

    def mock(self, handler: Any) -> Any:
        """Return a transport that answers by calling ``handler``, without a network."""
        return self.library.MockTransport(handler)

    async def read(self, response: Any) -> bytes:
        """Read a streamed response."""
        return await response.aread() if self.is_async else response.read()

    async def raw(self, response: Any) -> bytes:
        """Read a streamed response as it came, undecoded."""
        if self.is_async:
            return b"".join([part async for part in response.aiter_raw()])
        return b"".join(response.iter_raw())

    @asynccontextmanager
    async def stream(self, api: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        """Open a streamed response."""
        if self.is_async:
            async with api.stream(*args, **options) as response:
                yield response
        else:
            with api.stream(*args, **options) as response:
                yield response

    async def close(self, client: Any) -> None:
        """Close a client of this kind, or its HelloJohn client."""
        await close(client)


KINDS = [Kind(library, is_async) for library in (httpx, httpx2) for is_async in (False, True)]

"""The four kinds of HTTP client behind one face, so that a test is written once and holds for all of them."""

import inspect
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import httpx
import httpx2

from hellojohn import AsyncHelloJohn, HelloJohn

TLS = ssl.create_default_context()
"""Shared: reading the certificates takes longer than most tests."""


async def settle(value: Any) -> Any:
    """Await what an asynchronous client returned; take what a blocking one did."""
    return await value if inspect.isawaitable(value) else value


@dataclass(frozen=True)
class Kind:
    """One kind of client: which library, and whether it blocks or awaits."""

    library: ModuleType
    is_async: bool

    def __str__(self) -> str:
        """Name the client's class."""
        return f"{self.library.__name__}.{self.name}"

    @property
    def name(self) -> str:
        """The class's name, the same in both libraries."""
        return "AsyncClient" if self.is_async else "Client"

    @property
    def owner(self) -> type:
        """The HelloJohn client that goes with it."""
        return AsyncHelloJohn if self.is_async else HelloJohn

    def bare(self, **options: Any) -> Any:
        """Make a client of this kind, with nothing attached."""
        return getattr(self.library, self.name)(**{"verify": TLS, "trust_env": False, **options})

    def wrapped(self, hj: Any, *, origins: Any = (), **options: Any) -> Any:
        """Make a client of this kind whose requests carry the token."""
        return hj.wrap(self.bare(**options), origins=origins)

    def auth(self, hj: Any, **options: Any) -> Any:
        """Make the auth hook of this kind's library."""
        return hj.httpx_auth(**options) if self.library is httpx else hj.httpx2_auth(**options)

    def mock(self, handler: Any) -> Any:
        """Make a transport that answers by calling ``handler``, and touches no network."""
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
        """Close a client of this kind, or a HelloJohn client that goes with it."""
        await settle(client.aclose() if self.is_async else client.close())


KINDS = [Kind(library, is_async) for library in (httpx, httpx2) for is_async in (False, True)]

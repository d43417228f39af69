"""Fetches a key document with httpx, for the key set. Never imports the engine, a store or a transport.

Each fetch has its own connection: minutes pass between two of them, and so a fork or a stale connection is
never a problem.
"""

import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from hellojohn._errors import ConfigurationError
from hellojohn._http._exchange import Exchange
from hellojohn._http._opening import open_transport
from hellojohn._http._settings import Proxy, Transport, Verify, checked_proxy, process_of
from hellojohn._limits import LARGEST_KEY_DOCUMENT
from hellojohn._version import __version__

_HEADERS = {
    "User-Agent": f"hellojohn-python/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}

_TOO_LARGE = "the answer is larger than 1 MiB"


@dataclass(frozen=True, slots=True)
class KeyFetcher:
    """Gets a document by its URL. Fetchers with the same settings are equal, and so share a key set.

    Attributes:
        verify: In httpx's meaning.
        proxy: In httpx's meaning; without one, the environment's proxies are used.
        transport: A function that returns an ``httpx.BaseTransport``, or a transport, which then serves only
            the process that was the first to pass it.
    """

    verify: Verify = True
    proxy: Proxy = field(default=None, repr=False)  # may hold a password
    transport: Transport = field(default=None, repr=False)
    _process: int | None = None

    def __post_init__(self) -> None:
        """Remember the process that a transport belongs to."""
        object.__setattr__(self, "_process", process_of(self.transport))

    def __call__(self, url: str, timeout: float) -> tuple[int, Mapping[str, str], bytes]:
        """Get ``url`` within ``timeout`` seconds, without following redirects.

        Returns:
            The status, the headers with lower-case names, and the body.

        Raises:
            httpx.HTTPError: No answer came.
            OSError: The answer took too long or is larger than 1 MiB.
            ConfigurationError: A setting is wrong, or the transport belongs to another process.
        """
        ends_at = time.monotonic() + timeout
        client = self._client(url, timeout)
        try:
            with Exchange(timeout), client.stream("GET", url, headers=_HEADERS) as response:
                body = _read(response, ends_at)
                return response.status_code, dict(response.headers.items()), body
        finally:
            if not isinstance(self.transport, httpx.BaseTransport):  # closing a client closes its transport
                client.close()

    def _client(self, url: str, timeout: float) -> httpx.Client:
        pid = os.getpid()
        if self._process not in (None, pid):
            raise ConfigurationError(
                "A transport instance serves only the process that passed it first. Pass a function that"
                " returns a transport: transport=lambda: httpx.HTTPTransport(...)."
            )
        opened = open_transport(
            httpx.URL(url),
            pid=pid,
            verify=self.verify,
            proxy=checked_proxy(self.proxy),
            transport=self.transport,
        )
        return httpx.Client(transport=opened.transport, timeout=timeout, follow_redirects=False)


def _read(response: httpx.Response, ends_at: float) -> bytes:
    if response.is_stream_consumed:  # a transport below has read and decoded it
        return response.content
    raw = bytearray()
    for chunk in response.iter_raw():
        raw += chunk
        if len(raw) > LARGEST_KEY_DOCUMENT:
            raise OSError(_TOO_LARGE)
        if time.monotonic() > ends_at:
            raise TimeoutError("the answer did not end in time")
    return _decoded(bytes(raw), response.headers.get("content-encoding", "").lower())


def _decoded(raw: bytes, encoding: str) -> bytes:
    """Undo a compression that was not asked for, and never unpack more than a document may hold."""
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        return raw
    unpacking = zlib.decompressobj(wbits=47)
    try:
        body = unpacking.decompress(raw, LARGEST_KEY_DOCUMENT)
    except zlib.error:
        return raw
    if not unpacking.eof:
        raise OSError(_TOO_LARGE)
    return body

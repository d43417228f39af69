"""Holds every socket operation of an httpx client to the thread's time limit.

httpx limits each wait, not their sum: a server that sends a byte now and then could hold an answer back for
ever, and a refresh would outlive the lock it is made under. httpx has no public way in, so the pools' network
backend is wrapped; a transport without such a pool keeps httpx's own limits. Imports httpcore: load it late.
"""

import math
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from hellojohn._http._deadline import time_left

_LONGEST_WAIT = 86_400.0


def limit_sockets(client: httpx.Client) -> None:
    """Make the sockets that ``client`` will open heed the time limit of the thread that uses them."""
    inside = vars(client)
    for transport in (inside["_transport"], *inside["_mounts"].values()):
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore.NetworkBackend) and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)  # noqa: SLF001 - see above


class _Backend(httpcore.NetworkBackend):
    """Opens streams that heed the limit."""

    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, unless the resolver used up the time: then nothing is sent."""
        wait = _within(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, wait, local_address, socket_options)
        if time_left() <= 0:
            stream.close()
            raise httpcore.ConnectTimeout
        return _Stream(stream)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a socket file."""
        wait = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_unix_socket(path, wait, socket_options))

    def sleep(self, seconds: float) -> None:
        """Sleep between two tries of a transport that retries its connects."""
        self._inner.sleep(min(seconds, max(time_left(), 0.0)))


class _Stream(httpcore.NetworkStream):
    """Reads and writes within the limit."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there."""
        return self._inner.read(max_bytes, _within(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, _within(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """Close it, limit or not."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands."""
        wait = _within(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, wait))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        """Tell about the inner stream."""
        return self._inner.get_extra_info(info)


def _within(timeout: float | None, late: type[Exception]) -> float | None:
    left = time_left()
    if left <= 0:
        raise late
    if timeout is None and math.isinf(left):
        return None
    return min(left, math.inf if timeout is None else timeout, _LONGEST_WAIT)

"""Holds every socket operation of an httpx transport to the deadline of the attempt that makes it.

httpx limits each wait, not their sum: a server that sends a byte now and then could hold an answer back for
ever, and a refresh would outlive the lock it is made under. httpx has no public way in, so the network
backend of its connection pools is wrapped. A transport without such a pool keeps httpx's own limits.

Imports httpcore, which httpx loads late: load this module late, too.
"""

import math
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from hellojohn._http._addresses import addresses_of, connect_to_first
from hellojohn._http._exchange import Exchange, running
from hellojohn._http._frames import Forgetting
from hellojohn._http._log_shield import shield_logs
from hellojohn._limits import GLANCE, LONGEST_TIMEOUT, SUSPENSION

shield_logs()
_FORGETTING = Forgetting()
_NEGOTIATION = (b"CONNECT ", b"\x05", b"\x01")
"""How a request to an HTTP proxy begins, and the two kinds of message to a SOCKS proxy."""


def limit_sockets(transport: httpx.BaseTransport) -> bool:
    """Make the sockets that ``transport`` will open heed the deadline of the attempt that uses them.

    Returns:
        Whether ``transport`` itself has a pool. Those of transports that it wraps are limited as well.
    """
    for pool in _pools(transport, set()):
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore.NetworkBackend) and not isinstance(backend, _Backend):
            pool._network_backend = _Backend(backend)  # noqa: SLF001 - see above
    own = getattr(transport, "_pool", None)
    return isinstance(getattr(own, "_network_backend", None), _Backend)


def _pools(transport: httpx.BaseTransport | httpx.Client, seen: set[int]) -> Iterator[Any]:
    """Yield the pools of a transport and of those in its attributes, such as one that a logger wraps."""
    seen.add(id(transport))
    inside: dict[str, object] = getattr(transport, "__dict__", {})
    if "_pool" in inside:
        yield inside["_pool"]
    for value in inside.values():
        if isinstance(value, httpx.BaseTransport | httpx.Client) and id(value) not in seen:
            yield from _pools(value, seen)


class _Backend(httpcore.NetworkBackend):
    """Opens streams that heed the deadline, to whichever address of a host answers."""

    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner
        self._last_good: str | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, unless resolver or network used up the time: then nothing is sent."""
        exchange = running()
        if exchange is None:
            return _Stream(
                self._inner.connect_tcp(host, port, timeout, local_address, socket_options), timeout
            )
        exchange.limited = True
        addresses = addresses_of(host, port, self._last_good)
        wait = _until(exchange.time_to_send(), timeout, httpcore.ConnectTimeout)

        def connect(address: str, seconds: float | None) -> httpcore.NetworkStream:
            with _FORGETTING:
                return self._inner.connect_tcp(address, port, seconds, local_address, socket_options)

        address, stream = connect_to_first(addresses, wait, connect)
        if exchange.time_to_send() <= 0:
            stream.close()
            raise httpcore.ConnectTimeout
        self._last_good = address
        exchange.opened = stream
        return _Stream(stream, timeout)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a socket file."""
        exchange = running()
        wait = timeout
        if exchange is not None:
            exchange.limited = True
            wait = _until(exchange.time_to_send(), timeout, httpcore.ConnectTimeout)
        with _FORGETTING:
            stream = self._inner.connect_unix_socket(path, wait, socket_options)
        if exchange is not None:
            exchange.opened = stream
        return _Stream(stream, timeout)

    def sleep(self, seconds: float) -> None:
        """Sleep between two tries of a transport that retries its connects."""
        exchange = running()
        self._inner.sleep(seconds if exchange is None else min(seconds, max(exchange.time_left(), 0.0)))


class _Stream(httpcore.NetworkStream):
    """Reads and writes until the deadline, and reports to the attempt how far it got."""

    def __init__(self, inner: httpcore.NetworkStream, connect_timeout: float | None) -> None:
        self._inner = inner
        self._connect_timeout = connect_timeout
        self._negotiating = True
        self._note_use()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read available bytes; after the deadline, only bytes that have already arrived."""
        exchange = running()
        if exchange is None:
            return self._inner.read(max_bytes, timeout)
        if self._negotiating:
            timeout = _shorter(timeout, self._connect_timeout)
        try:
            data = self._read(exchange, max_bytes, timeout)
        except httpcore.ReadError:
            exchange.note_closed()
            raise
        exchange.note_received(data)
        self._note_use()
        return data

    def _read(self, exchange: Exchange, max_bytes: int, timeout: float | None) -> bytes:
        if exchange.is_over():
            raise httpcore.ReadTimeout
        left = exchange.time_left()
        if left > 0:
            try:
                with _FORGETTING:
                    return self._inner.read(max_bytes, _until(left, timeout, httpcore.ReadTimeout))
            except httpcore.ReadTimeout:
                pass
        # Look once more: a process that was stopped while it waited sees the timeout before the data.
        with _FORGETTING:
            return self._inner.read(max_bytes, GLANCE)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        if not buffer:  # httpcore writes the empty end of a request, too
            return
        exchange = running()
        if exchange is not None:
            timeout = self._time_to_write(exchange, buffer, timeout)
        with _FORGETTING:
            self._inner.write(buffer, timeout)
        self._note_use()

    def _time_to_write(self, exchange: Exchange, buffer: bytes, timeout: float | None) -> float | None:
        exchange.limited = True
        negotiates = self._negotiating and buffer.startswith(_NEGOTIATION)
        if negotiates:
            timeout = _shorter(timeout, self._connect_timeout)
        left = exchange.time_left() if exchange.sent else exchange.time_to_send()
        wait = _until(left, timeout, httpcore.WriteTimeout)
        if not negotiates:
            self._negotiating = False
            exchange.sent = True
        return wait

    def close(self) -> None:
        """Close it, in time or not."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Shake hands."""
        exchange = running()
        wait = timeout
        if exchange is not None:
            wait = _until(exchange.time_to_send(), timeout, httpcore.ConnectTimeout)
        with _FORGETTING:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, wait), self._connect_timeout)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        """Ask the inner stream. A pool drops a kept connection that is readable: a stale one says so."""
        if info == "is_readable" and self._is_stale():
            return True
        return self._inner.get_extra_info(info)

    def _is_stale(self) -> bool:
        exchange = running()
        if exchange is not None and exchange.on_new_connection and not exchange.sent:
            return True
        # While the machine slept, the server closed the connection; the notice of that may be lost.
        return time.time() - time.monotonic() - self._clock_offset > SUSPENSION

    def _note_use(self) -> None:
        self._clock_offset = time.time() - time.monotonic()


def _shorter(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _until(left: float, timeout: float | None, late: type[Exception]) -> float | None:
    if left <= 0:
        raise late
    return timeout if math.isinf(left) else min(left, left if timeout is None else timeout, LONGEST_TIMEOUT)

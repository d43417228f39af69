"""Sends the requests of the wire with httpx and returns the answer, or how far the request got.

It decides nothing about sessions and follows nothing: no redirects, no cookies, no hooks. No httpx
exception, request or response outlives ``send``, because they hold the secrets of the request.
"""

import contextlib
import math
import os
import threading
import uuid
from functools import lru_cache

import httpx

from hellojohn._errors import ConfigurationError, ServiceUnavailable
from hellojohn._http._body import read_body
from hellojohn._http._exchange import Exchange
from hellojohn._http._failure import (
    PROXY_REFUSAL,
    failure,
    no_resources,
    no_time,
    not_built,
    refused_by_proxy,
)
from hellojohn._http._frames import forget
from hellojohn._http._opening import OpenTransport, open_transport
from hellojohn._http._settings import (
    Proxy,
    Timeout,
    Transport,
    Verify,
    checked_proxy,
    checked_timeout,
    checked_transport,
    checked_url,
    checked_verify,
    process_of,
)
from hellojohn._version import __version__
from hellojohn._wire import Answer, ApiRequest, ApiResponse, TransportFailure

_HEADERS = {
    "User-Agent": f"hellojohn-python/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
# "Too many requests" and the failures of a server need no body to be understood.
_ENOUGH_BY_ITSELF = {429, *range(500, 600)}


class Sender:
    """Sends requests to one service, from any number of threads and after a ``fork``.

    Args:
        base_url: The address of the service, such as ``https://api.hellojohn.dev``.
        timeout: Seconds for each step of a request; httpx's meaning. A request that reads until the
            deadline is not bound by the read timeout.
        verify: httpx's meaning.
        proxy: httpx's meaning; without one, the proxies of the environment serve.
        transport: An ``httpx.BaseTransport`` to send with, or a function that returns one. A function is
            called once in each process; an instance serves only the process that was the first to pass it.

    Raises:
        ConfigurationError: An argument is not one that httpx accepts.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: Timeout = 10.0,
        verify: Verify = True,
        proxy: Proxy = None,
        transport: Transport = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._url = checked_url(self._base_url)
        self._timeouts = checked_timeout(timeout).as_dict()
        self._verify = checked_verify(verify)
        self._proxy = checked_proxy(proxy, self._url)
        self._transport = checked_transport(transport, proxy)
        self._process = process_of(transport)
        self._opened: OpenTransport | None = None
        # One for each process: at a fork, another thread of the parent may hold the parent's lock.
        self._locks: dict[int, threading.Lock] = {}

    def prepare(self) -> None:
        """Load all that sending and reading will need, so that nothing is left to fail after sending.

        Raises:
            ConfigurationError: A setting, a variable of the environment or a missing package is at fault;
                or a transport instance is used in a forked process.
            ServiceUnavailable: The process is out of file descriptors or memory.
        """
        try:
            self._open()
        except OSError as error:
            reason = error.strerror
        else:
            return
        raise ServiceUnavailable(f"No connection can be opened: {reason}. Close files, or raise the limit.")

    def send(self, request: ApiRequest, *, deadline: float | None = None) -> Answer:
        """Send ``request`` and read the whole answer; of a body above 1 MiB, nothing.

        An idempotent request is sent a second time, on a new connection, if a kept connection turned out to
        be closed before any byte of the answer arrived.

        Args:
            request: The request.
            deadline: Seconds from now after which nothing is sent, and nothing is read that has not already
                arrived. Only the search for the host's address may hold the thread longer.

        Raises:
            ConfigurationError: As from ``prepare``.
        """
        if deadline is not None and deadline <= 0:
            return no_time()
        with Exchange(deadline) as exchange:
            answer = self._attempt(request, exchange)
        if not (request.idempotent and exchange.found_closed):
            return answer
        with exchange.again() as second:
            answer_again = self._attempt(request, second)
        return answer_again if isinstance(answer_again, ApiResponse) else answer

    def close(self) -> None:
        """Close the connections. A request in flight is cut off; a later one opens new connections."""
        with self._lock():
            opened, self._opened = self._opened, None
        if opened is not None and opened.pid == os.getpid():
            with Exchange(None):  # a log handler of the app must not keep a socket open
                opened.transport.close()

    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _open(self) -> OpenTransport:
        """Return this process's transport: a forked child never uses the connections of its parent."""
        opened, pid = self._opened, os.getpid()
        if opened is not None and opened.pid == pid:
            return opened
        with self._lock():
            opened = self._opened
            if opened is None or opened.pid != pid:
                self._check_process(pid)
                self._opened = opened = open_transport(
                    self._url, pid=pid, verify=self._verify, proxy=self._proxy, transport=self._transport
                )
        return opened

    def _check_process(self, pid: int) -> None:
        if self._process not in (None, pid):
            name = type(self._transport).__name__
            raise ConfigurationError(
                "transport is an instance, which serves only the process that passed it first; this one was"
                f" forked from that one. Pass a factory, such as transport=lambda: {name}(...)."
            )

    def _attempt(self, request: ApiRequest, exchange: Exchange) -> Answer:
        try:
            opened = self._open()
        except OSError as error:
            return no_resources(error)
        try:
            outgoing = self._build(request, exchange.time_left())
        except Exception as error:  # noqa: BLE001 - any error may hold a header
            return not_built(error)
        try:
            response = opened.transport.handle_request(outgoing)
            return _read(response, request, opened, exchange)
        except Exception as error:  # noqa: BLE001 - a transport may raise anything, with the request in it
            exchange.close_unused()
            lost = failure(error, request, opened, exchange)
            forget(error)
            return lost

    def _build(self, request: ApiRequest, left: float) -> httpx.Request:
        limits = self._timeouts
        if request.reads_until_deadline and left < math.inf:
            limits = {**limits, "read": None}
        if left < math.inf:
            limits = {name: left if limit is None else min(limit, left) for name, limit in limits.items()}
        return httpx.Request(
            request.method,
            self._address(request),
            content=request.encode(),
            headers=_headers(request),
            extensions={"timeout": limits},
        )

    def _address(self, request: ApiRequest) -> httpx.URL:
        parse = httpx.URL if request.secret_query else _parsed
        return parse(f"{self._base_url}{request.target()}")


@lru_cache(maxsize=64)
def _parsed(address: str) -> httpx.URL:
    """Return an address without secrets. To parse it each time is half of the cost of building a request."""
    return httpx.URL(address)


def _headers(request: ApiRequest) -> dict[str, str]:
    headers = {**_HEADERS, **request.header_values(), "X-Request-ID": uuid.uuid4().hex}
    if not _is_sendable("".join(headers.values())):
        raise ValueError("A header holds a character that cannot be sent.")
    return headers


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _read(
    response: httpx.Response, request: ApiRequest, opened: OpenTransport, exchange: Exchange
) -> ApiResponse | TransportFailure:
    try:
        if response.status_code == PROXY_REFUSAL and opened.proxy is not None:
            return refused_by_proxy(opened.proxy)
        body = _body(response, exchange)
    finally:
        with contextlib.suppress(Exception):  # a whole answer counts, even if its connection does not close
            response.close()
    return ApiResponse(response.status_code, dict(response.headers.items()), body, request.secrets())


def _body(response: httpx.Response, exchange: Exchange) -> bytes:
    try:
        return read_body(response, exchange)
    except Exception as error:
        if response.status_code not in _ENOUGH_BY_ITSELF:
            raise
        forget(error)
        return b""

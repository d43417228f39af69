"""Sends a wire call with httpx and hands back what came, or how far it got.

It decides nothing about sessions, retries nothing and follows nothing. The client is its own: no redirects,
no cookies. No httpx exception, request or response outlives ``send``: they hold the call's secrets.
"""

import contextlib
import http.cookiejar
import threading
import uuid
import zlib
from typing import cast

import httpx

from hellojohn._errors import ConfigurationError
from hellojohn._http._deadline import time_left, time_limit
from hellojohn._http._settings import (
    Proxy,
    Timeout,
    Verify,
    checked_proxy,
    checked_timeout,
    checked_transport,
    checked_verify,
)
from hellojohn._version import __version__
from hellojohn._wire import Answer, ApiRequest, ApiResponse, Delivery, TransportFailure

_LARGEST_BODY = 1_048_576
_HEADERS = {
    "User-Agent": f"hellojohn-python/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
# A connection for each owner thread. One that was idle for long may be half closed: rather take a new one.
_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=5.0)
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


class Sender:
    """Sends calls to one API, from any number of threads.

    Args:
        api_url: The API's base, such as ``https://api.hellojohn.dev/v1``.
        timeout: Seconds for each step of a call; httpx's meaning.
        verify: httpx's meaning.
        proxy: httpx's meaning; without one, the proxies of the environment serve.
        transport: An ``httpx.BaseTransport`` to send with. After a ``fork`` it is used as it is.

    Raises:
        ConfigurationError: An argument is not what httpx takes.
    """

    def __init__(
        self,
        api_url: str,
        *,
        timeout: Timeout = 10.0,
        verify: Verify = True,
        proxy: Proxy = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._timeout = checked_timeout(timeout)
        self._verify = checked_verify(verify)
        self._proxy = checked_proxy(proxy)
        self._transport = checked_transport(transport)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def send(self, call: ApiRequest, *, deadline: float | None = None) -> Answer:
        """Send ``call`` once and read the whole answer; of a body above 1 MiB, nothing.

        Args:
            call: The call.
            deadline: Seconds from now after which nothing more is sent or read, whatever trickles in. Only
                finding the host may hold the thread longer; nothing is sent then.

        Raises:
            ConfigurationError: The client cannot be built, such as from a missing certificate file.
        """
        if deadline is not None and deadline <= 0:
            return TransportFailure(Delivery.NOT_SENT, "there was no time left to send the call")
        with time_limit(deadline):
            client = self._opened()
            try:
                request = self._request(client, call, deadline)
            except Exception as error:  # noqa: BLE001 - whatever it is, it may hold a header
                return _lost(Delivery.NOT_SENT, error, call)
            try:
                return _exchange(client, request, call)
            except _BEFORE_SENDING as error:
                return _lost(Delivery.NOT_SENT, error, call)
            except Exception as error:  # noqa: BLE001 - a transport may raise anything, with the request in it
                return _lost(Delivery.UNKNOWN, error, call)

    def prepare(self) -> None:
        self._opened()

    def close(self) -> None:
        """Close the connections. A call in flight is cut off; a later one opens new connections."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def reset_after_fork(self) -> None:
        """Forget, in the child, the connections that the parent goes on using: nothing is said on them."""
        self._lock = threading.Lock()
        self._client = None

    def _opened(self) -> httpx.Client:
        client = self._client
        if client is not None:
            return client
        with self._lock:
            self._client = client = self._client or self._open()
        return client

    def _open(self) -> httpx.Client:
        try:
            return self._build()
        except (OSError, TypeError, ValueError, ImportError, httpx.InvalidURL) as error:
            name = type(error).__name__
        hint = ' (a SOCKS proxy needs: pip install "httpx[socks]")' if name == "ImportError" else ""
        raise ConfigurationError(
            f"No HTTP client can be built from verify, proxy and the environment's proxies: {name}{hint}."
        )

    def _build(self) -> httpx.Client:
        from hellojohn._http._sockets import limit_sockets  # noqa: PLC0415 - httpx loads httpcore late, too

        client = httpx.Client(
            headers=_HEADERS,
            cookies=_NoCookies(),
            event_hooks={"response": [_go_nowhere]},
            verify=self._verify,
            proxy=self._proxy,
            transport=self._transport,
            limits=_LIMITS,
        )
        limit_sockets(client)
        return client

    def _request(self, client: httpx.Client, call: ApiRequest, deadline: float | None) -> httpx.Request:
        return client.build_request(
            call.method,
            f"{self._api_url}{call.path}",
            content=call.encode(),
            headers=_headers(call),
            timeout=_clipped(self._timeout, deadline),
        )


class _NoCookies(http.cookiejar.CookieJar):
    """Takes no cookie and gives none; hostile ones are not even parsed."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Take none."""

    def add_cookie_header(self, request: object) -> None:
        """Give none."""


def _go_nowhere(response: httpx.Response) -> None:
    """Take a redirect's address away: httpx would make a request of it, and choke on a senseless one."""
    response.headers.pop("location", None)


def _headers(call: ApiRequest) -> dict[str, str]:
    headers = {**call.headers, "X-Request-ID": uuid.uuid4().hex}
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if call.bearer is not None:
        headers["Authorization"] = f"Bearer {call.bearer.reveal()}"
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise ValueError("A header holds a character that cannot be sent.")
    return headers


def _clipped(timeout: httpx.Timeout, deadline: float | None) -> httpx.Timeout:
    if deadline is None:
        return timeout
    parts = timeout.as_dict().items()
    return httpx.Timeout(**{name: deadline if part is None else min(part, deadline) for name, part in parts})


def _exchange(client: httpx.Client, request: httpx.Request, call: ApiRequest) -> ApiResponse:
    # An Auth that adds nothing: without one, httpx would make an Authorization from an address with a user.
    response = client.send(request, auth=httpx.Auth(), stream=True, follow_redirects=False)
    try:
        body = _body(response)
    finally:
        with contextlib.suppress(Exception):  # a whole answer counts, whatever becomes of its connection
            response.close()
    return ApiResponse(response.status_code, dict(response.headers.items()), body, call.secrets())


def _body(response: httpx.Response) -> bytes:
    raw = bytearray()
    for chunk in cast("httpx.SyncByteStream", response.stream):
        if time_left() <= 0:
            raise httpx.ReadTimeout("The answer did not end in time.")
        raw += chunk
        if len(raw) > _LARGEST_BODY:
            return b""
    return _decoded(raw, response.headers.get("content-encoding", ""))


def _decoded(raw: bytearray, encoding: str) -> bytes:
    """Undo a compression nobody asked for, and never unpack more than a body may hold."""
    if encoding in {"", "identity"}:
        return bytes(raw)
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        return b""
    unpacking = zlib.decompressobj(wbits=47)
    try:
        body = unpacking.decompress(raw, _LARGEST_BODY)
    except zlib.error:
        return b""
    return body if unpacking.eof else b""


def _lost(fault: Delivery, error: Exception, call: ApiRequest) -> TransportFailure:
    happened = (
        "the call was not sent" if fault is Delivery.NOT_SENT else "no whole answer came to the sent call"
    )
    return TransportFailure(fault, f"{type(error).__name__}: {happened}{_reason(error, call)}")


def _reason(error: Exception, call: ApiRequest) -> str:
    """Quote the system on a failed connect; no other error's words are sure to be free of headers."""
    words = str(error)
    if not isinstance(error, httpx.ConnectError) or not words.isprintable():
        return ""
    leaks = any(secret.reveal() in words for secret in call.secrets())
    return f" ({words[:200]})" if words and not leaks else ""

"""The clients of httpx and httpx2 that a token can be attached to, and the arguments they take."""

import sys
from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, TypedDict, cast

import httpx

from hellojohn._config import is_loopback

if TYPE_CHECKING:
    from httpx._types import CertTypes, CookieTypes, HeaderTypes, ProxyTypes, QueryParamTypes, TimeoutTypes


_IN_PROCESS = ("ASGITransport", "WSGITransport", "MockTransport")


class _Options(TypedDict, total=False):
    """The arguments that both clients of httpx take."""

    base_url: httpx.URL | str
    cert: "CertTypes | None"
    cookies: "CookieTypes | None"
    default_encoding: str | Callable[[bytes], str]
    event_hooks: Mapping[str, list[Callable[..., Any]]] | None
    follow_redirects: bool
    headers: "HeaderTypes | None"
    http1: bool
    http2: bool
    limits: httpx.Limits
    max_redirects: int
    params: "QueryParamTypes | None"
    proxy: "ProxyTypes | None"
    timeout: "TimeoutTypes"
    trust_env: bool
    verify: SSLContext | str | bool


class ClientOptions(_Options, total=False):
    """The arguments of ``httpx.Client``, without ``auth``."""

    mounts: Mapping[str, httpx.BaseTransport | None] | None
    transport: httpx.BaseTransport | None


class AsyncClientOptions(_Options, total=False):
    """The arguments of ``httpx.AsyncClient``, without ``auth``."""

    mounts: Mapping[str, httpx.AsyncBaseTransport | None] | None
    transport: httpx.AsyncBaseTransport | None


def library_of(client: object, kind: str, *, caller: str) -> str:
    """Return which of the two libraries a client belongs to.

    Args:
        client: The client.
        kind: The class that it must be of: ``Client`` or ``AsyncClient``.
        caller: The class that the app called, for the message.

    Raises:
        TypeError: It is anything else.
    """
    for library in ("httpx", "httpx2"):
        expected = getattr(sys.modules.get(library), kind, None)
        if expected is not None and isinstance(client, expected):
            return library
    module, name = type(client).__module__, type(client).__qualname__
    message = f"{caller}.wrap() takes the {kind} of httpx or httpx2, not {module}.{name}."
    if "AsyncClient" in (name, kind) and module.partition(".")[0] in ("httpx", "httpx2"):
        message += f" Use {'HelloJohn' if kind == 'AsyncClient' else 'AsyncHelloJohn'} for it."
    else:
        if module.partition(".")[0] == "requests":
            message += " Set session.auth = hj.requests_auth(origins=[...]) for it."
        message += " Ask auth.access_token() for a token that any other client can send."
    raise TypeError(message)


def is_proxied(client: Any, url: httpx.URL) -> bool:  # noqa: ANN401 - a client of either library
    """Return whether a client sends its requests to ``url`` through a proxy on another machine."""
    transport = client._transport_for_url(url)  # noqa: SLF001 - neither library has a public way to ask
    proxy = getattr(getattr(transport, "_pool", None), "_proxy_url", None)
    return proxy is not None and not is_loopback(proxy.host.decode("ascii"))


def stays_in_process(client: Any) -> bool:  # noqa: ANN401 - a client of either library
    """Return whether all requests of a client are answered inside this process: cleartext is safe there."""
    parts = cast("dict[str, Any]", vars(client))
    mounts = cast("dict[str, object]", parts.get("_mounts") or {})
    transports = [parts.get("_transport"), *mounts.values()]
    return all(map(_is_in_process, transports))


def _is_in_process(transport: object) -> bool:
    libraries = filter(None, map(sys.modules.get, ("httpx", "httpx2")))
    kinds = tuple(getattr(library, name) for library in libraries for name in _IN_PROCESS)
    return isinstance(transport, kinds) or type(transport).__module__ == "starlette.testclient"

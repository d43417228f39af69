"""Checks the settings of the SDK's own HTTP client when they are made, before they can fail in use."""

import inspect
import os
import ssl
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, cast

import httpx

from hellojohn._config import is_loopback
from hellojohn._errors import ConfigurationError
from hellojohn._limits import LONGEST_TIMEOUT

Timeout: TypeAlias = float | tuple[float | None, ...] | httpx.Timeout | None
Verify: TypeAlias = ssl.SSLContext | str | bool
Proxy: TypeAlias = str | httpx.URL | httpx.Proxy | None
Transport: TypeAlias = httpx.BaseTransport | Callable[[], httpx.BaseTransport] | None

_FIRST_PROCESS: dict[int, tuple[Callable[[], object], int]] = {}
"""By the id of a transport: equal ones are not the same one, and not every one has a hash."""
_WITHOUT_CONNECTIONS = (httpx.MockTransport, httpx.WSGITransport)


def connection_checks(
    timeout: Timeout, verify: Verify, proxy: Proxy, transport: Transport
) -> list[Callable[[], object]]:
    """Return the checks of all of them, for one error that names all problems."""
    return [
        lambda: checked_timeout(timeout),
        lambda: checked_verify(verify),
        lambda: checked_proxy(proxy),
        lambda: checked_transport(transport, proxy),
    ]


def checked_url(base_url: str) -> httpx.URL:
    """Return the address of the service.

    Raises:
        ConfigurationError: It is not an address.
    """
    try:
        return httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        pass
    raise ConfigurationError(
        "api_url must be an address such as https://api.hellojohn.dev (HELLOJOHN_API_URL)."
    )


def checked_timeout(timeout: Timeout) -> httpx.Timeout:
    """Return the four time limits.

    Raises:
        ConfigurationError: They are not positive seconds.
    """
    limits = None if isinstance(timeout, bool) else _limits(timeout)
    if limits is None:
        raise ConfigurationError(
            "timeout must be seconds above 0 and at most a day, None, or an httpx.Timeout of such."
        )
    return limits


def checked_verify(verify: Verify) -> Verify:
    """Return how to verify the service.

    Raises:
        ConfigurationError: It is of the wrong type, or a path to nowhere.
    """
    if isinstance(verify, str) and not Path(verify).exists():
        raise ConfigurationError(
            f"verify must be a file or folder of certificates: {verify!r} does not exist."
        )
    if isinstance(cast("object", verify), ssl.SSLContext | str | bool):
        return verify
    raise ConfigurationError("verify must be True, an ssl.SSLContext, or the path of a certificate file.")


def checked_proxy(proxy: Proxy, url: httpx.URL | None = None) -> httpx.Proxy | None:
    """Return the proxy for the requests to ``url``.

    Raises:
        ConfigurationError: It is not the address of a proxy, or the requests would leave this machine in
            cleartext. The message does not repeat the address, because it may hold a password.
    """
    if proxy is None:
        return None
    checked = proxy if isinstance(proxy, httpx.Proxy) else read_proxy(proxy)
    if checked is None or not checked.url.host:
        raise ConfigurationError(
            'proxy must be an address such as "http://proxy.example.com:8080", or an httpx.Proxy.'
        )
    if url is not None and is_own_machine(url) and not is_loopback(checked.url.raw_host.decode("ascii")):
        raise ConfigurationError(
            "api_url is http on this machine, and proxy would carry its passwords and tokens in cleartext to"
            " another one. Leave out proxy, or use https."
        )
    return checked


def checked_transport(transport: Transport, proxy: Proxy) -> Transport:
    """Return the transport or its factory.

    Raises:
        ConfigurationError: It is neither, it is asynchronous, or there is a proxy beside it.
    """
    if transport is None:
        return None
    if proxy is not None:
        raise ConfigurationError(
            "transport and proxy exclude each other: pass the proxy to the transport, such as"
            " transport=lambda: httpx.HTTPTransport(proxy=...)."
        )
    if isinstance(transport, httpx.BaseTransport) or _is_factory(transport):
        return transport
    name = transport.__name__ if isinstance(transport, type) else type(cast("object", transport)).__name__
    raise ConfigurationError(
        "transport must be an httpx.BaseTransport or a function that returns one, for the asynchronous client"
        f" too: the SDK sends its requests from threads. It is {name}."
    )


def process_of(transport: Transport) -> int | None:
    """Return the only process that may use a transport: the first that passed it; ``None`` if all may.

    A process that is forked later shares the connections of an instance. A factory makes a new one, and mocks
    and WSGI apps have no connections.
    """
    if not isinstance(transport, httpx.BaseTransport) or isinstance(transport, _WITHOUT_CONNECTIONS):
        return None
    place, process = id(transport), os.getpid()
    known, first = _FIRST_PROCESS.get(place, (lambda: None, process))
    if known() is transport:
        return first
    with suppress(TypeError):  # its class takes no weak references
        _FIRST_PROCESS[place] = weakref.ref(transport, lambda _: _FIRST_PROCESS.pop(place, None)), process
    return process


def is_own_machine(url: httpx.URL) -> bool:
    """Return whether requests to ``url`` are cleartext, which must not leave this machine."""
    return url.scheme == "http" and is_loopback(url.raw_host.decode("ascii"))


def read_proxy(proxy: str | httpx.URL) -> httpx.Proxy | None:
    """Read the address of a proxy; ``None`` if it is not one."""
    try:
        return httpx.Proxy(proxy)
    except (TypeError, ValueError, AttributeError, httpx.InvalidURL):
        return None


def _is_factory(transport: object) -> bool:
    if isinstance(transport, type):
        return issubclass(transport, httpx.BaseTransport)
    asynchronous = isinstance(transport, httpx.AsyncBaseTransport) or inspect.iscoroutinefunction(transport)
    return callable(transport) and not asynchronous


def _limits(timeout: Timeout) -> httpx.Timeout | None:
    try:
        limits = httpx.Timeout(cast("float", timeout))
        fit = all(seconds is None or 0 < seconds <= LONGEST_TIMEOUT for seconds in limits.as_dict().values())
    except (TypeError, ValueError, IndexError, AssertionError):
        return None
    return limits if fit else None

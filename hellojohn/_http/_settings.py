"""Checks the settings of the SDK's own HTTP client where it is made, not where it first fails."""

import ssl
from pathlib import Path
from typing import TypeAlias, cast

import httpx

from hellojohn._errors import ConfigurationError

Timeout: TypeAlias = float | tuple[float | None, ...] | httpx.Timeout | None
Verify: TypeAlias = ssl.SSLContext | str | bool
Proxy: TypeAlias = str | httpx.URL | httpx.Proxy | None

_LONGEST = 86_400.0


def checked_timeout(timeout: Timeout) -> httpx.Timeout:
    """Return the four time limits.

    Raises:
        ConfigurationError: They are no positive seconds.
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
        ConfigurationError: It is nothing that httpx takes: a number might stand for either.
    """
    if isinstance(verify, str) and not Path(verify).exists():
        raise ConfigurationError(f"verify names no file or folder of certificates: there is no {verify!r}.")
    if isinstance(cast("object", verify), ssl.SSLContext | str | bool):
        return verify
    raise ConfigurationError("verify must be True, an ssl.SSLContext, or the path of a certificate file.")


def checked_proxy(proxy: Proxy) -> httpx.Proxy | None:
    """Return the proxy.

    Raises:
        ConfigurationError: It is no proxy's address. The message does not repeat it: it may hold a password.
    """
    if proxy is None or isinstance(proxy, httpx.Proxy):
        return proxy
    checked = _proxy(proxy)
    if checked is None:
        raise ConfigurationError(
            'proxy must be an address such as "http://proxy.example.com:8080", or an httpx.Proxy.'
        )
    return checked


def checked_transport(transport: httpx.BaseTransport | None) -> httpx.BaseTransport | None:
    """Return the transport.

    Raises:
        ConfigurationError: It is none, or an asynchronous one.
    """
    if transport is None or isinstance(cast("object", transport), httpx.BaseTransport):
        return transport
    raise ConfigurationError(
        "transport must be an httpx.BaseTransport, for the asynchronous client too: the SDK's own calls are"
        f" sent from threads. It is {type(transport).__name__}."
    )


def _limits(timeout: Timeout) -> httpx.Timeout | None:
    try:
        limits = httpx.Timeout(cast("float", timeout))
        fit = all(seconds is None or 0 < seconds <= _LONGEST for seconds in limits.as_dict().values())
    except (TypeError, ValueError, IndexError, AssertionError):
        return None
    return limits if fit else None


def _proxy(proxy: str | httpx.URL) -> httpx.Proxy | None:
    try:
        return httpx.Proxy(proxy)
    except (TypeError, ValueError, AttributeError, httpx.InvalidURL):
        return None

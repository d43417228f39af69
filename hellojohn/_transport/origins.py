"""Which origins get the access token. Pure: knows URLs, sends nothing.

An origin is scheme, host and port. Cleartext ``http`` is taken for this machine's own names only; since httpx
keeps the ``Authorization`` header when it follows such an address on port 80 to ``https`` on port 443 of the
same host, that twin belongs to it.
"""

import re
from collections.abc import Iterable
from typing import Literal, cast

import httpx

from hellojohn._config import is_loopback
from hellojohn._errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(rb"[a-z0-9._:-]+")


class Origins:
    """A set of allowed origins, or with ``"*"`` every origin that is safe to send a token to."""

    __slots__ = ("_all", "_pairs", "_shown")

    def __init__(self, origins: "Iterable[str] | Literal['*']", *, base_url: httpx.URL | None = None) -> None:
        """Allow ``origins`` and the origin of ``base_url``.

        Raises:
            ConfigurationError: None is left, or one is not an origin, or it is cleartext to another machine.
        """
        self._all = isinstance(origins, str) and origins == "*"
        urls = [] if base_url is None or not base_url.raw_host else [base_url]
        urls += [] if self._all else [_read_origin(origin) for origin in _listed(origins)]
        self._shown = (
            '"*"' if self._all else sorted({f"{url.scheme}://{url.netloc.decode()}" for url in urls})
        )
        self._pairs = {pair for url in urls for pair in _pairs_of(url)}
        if not self._pairs and not self._all:
            text = str(base_url or "")
            shown = repr(text.rpartition("@")[2])  # before it, there may be a password
            given = f"base_url {shown} lacks scheme or host. " if text else ""
            raise ConfigurationError(
                f"{given}Which origins may get the token? Give the client a base_url such as"
                ' "https://api.example.com", or pass origins=["https://api.example.com"].'
            )

    def allow(self, url: httpx.URL) -> bool:
        """Return whether a request to ``url`` carries the token."""
        if (url.scheme, url.netloc) in self._pairs:
            return True
        return self._all and _is_safe(url)

    def __repr__(self) -> str:
        """Show the origins."""
        return f"Origins({getattr(self, '_shown', None)})"


def _listed(origins: object) -> list[object]:
    if isinstance(origins, str | bytes) or not isinstance(origins, Iterable):
        raise ConfigurationError('origins takes a list such as ["https://api.example.com"], or "*".')
    return list(cast("Iterable[object]", origins))


def _read_origin(origin: object) -> httpx.URL:
    try:
        url = httpx.URL(origin) if isinstance(origin, str) else None
    except httpx.InvalidURL:
        url = None
    if url is None or not _is_origin(url):
        raise ConfigurationError(
            'origins takes scheme, host and port, such as "https://api.example.com:8443", without a path.'
        )
    return url


def _is_origin(url: httpx.URL) -> bool:
    """Return whether ``url`` names one host and nothing below it: a wildcard would never match a request."""
    bare = url.raw_path in (b"", b"/") and not (url.userinfo or url.fragment)
    return bare and bool(url.scheme) and _HOST.fullmatch(url.raw_host) is not None


def _pairs_of(url: httpx.URL) -> list[tuple[str, bytes]]:
    if not _is_safe(url):
        raise ConfigurationError(
            f"The token is not sent in cleartext to {_name(url)}: use https. (http is for this machine only.)"
        )
    default = _DEFAULT_PORTS[url.scheme]
    if url.port not in (None, default):
        return [(url.scheme, url.netloc)]
    host = url.netloc.removesuffix(b":%d" % default)
    schemes = ("http", "https") if url.scheme == "http" else ("https",)
    # Both spellings of the port: httpx leaves it to an address that begins with HTTPS.
    return [(scheme, host + port) for scheme in schemes for port in (b"", b":%d" % _DEFAULT_PORTS[scheme])]


def _is_safe(url: httpx.URL) -> bool:
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(_name(url)))


def _name(url: httpx.URL) -> str:
    """Return the host as it goes over the wire: ``url.host`` raises at an ``xn--`` name that is none."""
    return url.raw_host.decode("ascii")

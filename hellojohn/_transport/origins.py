"""Which origins get the access token. It knows URLs and sends nothing.

An origin is scheme, host and port; ``ws`` counts as ``http`` and ``wss`` as ``https``. Cleartext is allowed
for this machine's own names only, and for clients whose requests never leave the process. httpx keeps the
``Authorization`` header when it follows a redirect from ``http`` on port 80 to ``https`` on port 443 of the
same host, so that twin belongs to an allowed cleartext origin. A proxy must not carry cleartext to another
machine.
"""

import re
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self, cast

import httpx

from hellojohn._config import is_loopback
from hellojohn._errors import ConfigurationError
from hellojohn._logs import logger_of
from hellojohn._transport.clients import is_proxied, stays_in_process

logger = logger_of("hellojohn")

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_LOGGED = 100  # origins, so that a crawler does not fill the memory
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")


class Origins:
    """A set of allowed origins, or with ``"*"`` every origin that is safe to send a token to."""

    __slots__ = ("_all", "_logged", "_pairs", "_proxied", "_shown")

    def __init__(
        self,
        origins: "Iterable[str] | Literal['*']",
        *,
        base_url: httpx.URL | None = None,
        in_process: bool = False,
        proxied: Callable[[httpx.URL], bool] = lambda _: False,
    ) -> None:
        """Allow ``origins`` and the origin of ``base_url``.

        Args:
            origins: The origins, or ``"*"``.
            base_url: A client's base URL.
            in_process: Whether the client's requests never leave the process, so that its base URL may be
                cleartext.
            proxied: Returns whether requests to an address go through a proxy on another machine.

        Raises:
            ConfigurationError: No origin is given, one is malformed, or one is cleartext to another machine.
        """
        self._all = isinstance(origins, str) and origins == "*"
        self._logged: set[str] = set()
        own = [] if base_url is None or not base_url.raw_host else [base_url]
        listed = [] if self._all else [_read_origin(origin) for origin in _listed(origins)]
        urls = [*own, *listed]
        self._shown = (
            '"*"' if self._all else sorted({f"{url.scheme}://{url.netloc.decode()}" for url in urls})
        )
        for url in () if in_process else urls:
            if url.scheme in ("http", "ws") and is_loopback(_name(url)) and proxied(url):
                raise ConfigurationError(
                    f"A proxy on another machine would carry the token to {_name(url)} in cleartext."
                    f" Set NO_PROXY={_name(url)}, or give the client no proxy."
                )
        self._proxied = proxied
        self._pairs = {pair for url in listed for pair in _pairs_of(url)}
        self._pairs |= {pair for url in own for pair in _pairs_of(url, in_process=in_process)}
        if not self._pairs and not self._all:
            raise ConfigurationError(_none_given(base_url))

    @classmethod
    def of_client(cls, origins: "Iterable[str] | Literal['*']", client: Any) -> Self:  # noqa: ANN401
        """Allow ``origins`` and the base URL of a client of httpx or httpx2."""
        held = weakref.ref(client)  # the client has its auth, which has these

        def proxied(url: httpx.URL) -> bool:
            client = held()
            return client is not None and is_proxied(client, url)

        return cls(
            origins,
            base_url=client.base_url,
            in_process=stays_in_process(client),
            proxied=proxied,
        )

    def allow(self, url: httpx.URL) -> bool:
        """Return whether a request to ``url`` carries the token."""
        if (url.scheme, url.netloc) in self._pairs:
            return True
        if self._all and _is_safe(url) and (_SCHEMES[url.scheme] == "https" or not self._proxied(url)):
            return True
        self._log(url)
        return False

    def __repr__(self) -> str:
        """Show the origins."""
        return f"Origins({getattr(self, '_shown', None)})"

    def _log(self, url: httpx.URL) -> None:
        origin = f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"
        if origin not in self._logged and len(self._logged) < _LONGEST_LOGGED:
            self._logged.add(origin)
            logger.info("Requests to %s go without a token: it is not an allowed origin.", origin)


def _none_given(base_url: httpx.URL | None) -> str:
    example = '["https://api.example.com"]'
    if base_url is None:
        return f"Which origins may get the token? Pass origins={example}."
    text = str(base_url)
    shown = repr(text.rpartition("@")[2])  # a password may stand before the @
    given = f"base_url {shown} lacks scheme or host. " if text else ""
    return (
        f"{given}Which origins may get the token? Give the client a base_url such as"
        f' "https://api.example.com", or pass origins={example}.'
    )


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
            "origins takes texts with scheme, host and port and without a path, such as"
            ' "https://api.example.com:8443".'
        )
    return url


def _is_origin(url: httpx.URL) -> bool:
    """Return whether ``url`` names one host and nothing below it: a wildcard would never match a request."""
    bare = url.raw_path in (b"", b"/") and not (url.userinfo or url.fragment)
    return bare and bool(url.scheme) and _HOST.fullmatch(url.raw_host) is not None


def _pairs_of(url: httpx.URL, *, in_process: bool = False) -> list[tuple[str, bytes]]:
    """Return the pairs of scheme and host with port, in every spelling that a request may have."""
    if not (_is_safe(url) or (in_process and url.scheme in _SCHEMES)):
        raise ConfigurationError(
            f"The token is not sent in cleartext to {_name(url)}: use https. (http is for this machine only.)"
        )
    scheme = _SCHEMES[url.scheme]
    spellings = [name for name, meaning in _SCHEMES.items() if meaning == scheme]
    default = _DEFAULT_PORTS[scheme]
    if url.port not in (None, default):
        return [(name, url.netloc) for name in spellings]
    if scheme == "http":
        spellings = list(_SCHEMES)
    host = url.netloc.removesuffix(b":%d" % default)
    return [
        (name, host + port) for name in spellings for port in (b"", b":%d" % _DEFAULT_PORTS[_SCHEMES[name]])
    ]


def _is_safe(url: httpx.URL) -> bool:
    scheme = _SCHEMES.get(url.scheme)
    return scheme == "https" or (scheme == "http" and is_loopback(_name(url)))


def _name(url: httpx.URL) -> str:
    """Return the host as it goes over the wire: ``url.host`` raises at a malformed ``xn--`` name."""
    return url.raw_host.decode("ascii")

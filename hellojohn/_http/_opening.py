"""Opens the transport that the sender uses: loads httpcore and the certificates and chooses the proxy.

A missing file, a missing package and a wrong setting are found here, before anything is sent.
"""

import errno
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from hellojohn._errors import ConfigurationError
from hellojohn._http._environment import (
    certificates,
    certificates_fault,
    proxies_fault,
    proxy_fault,
    proxy_source,
)
from hellojohn._http._settings import Transport, Verify, is_own_machine
from hellojohn._limits import CONNECTION_REST, CONNECTIONS, IDLE_CONNECTIONS
from hellojohn._loading import loading

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)

_LIMITS = httpx.Limits(
    max_connections=CONNECTIONS, max_keepalive_connections=IDLE_CONNECTIONS, keepalive_expiry=CONNECTION_REST
)
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@dataclass(frozen=True, slots=True)
class OpenTransport:
    """A transport with its connections, which belong to one process.

    Attributes:
        transport: The transport.
        pid: The process that opened it.
        proxy: Where its proxy is set, as a noun; ``None`` without one, or if the user made the transport.
        reports: Whether every byte it sends is seen by the ``Exchange`` of the attempt.
    """

    transport: httpx.BaseTransport
    pid: int
    proxy: str | None
    reports: bool


def open_transport(
    url: httpx.URL, *, pid: int, verify: Verify, proxy: httpx.Proxy | None, transport: Transport
) -> OpenTransport:
    """Open a transport for the requests to ``url``.

    Raises:
        ConfigurationError: An argument or a variable of the environment is wrong.
        OSError: The process is out of file descriptors or memory.
    """
    with loading:
        from hellojohn._http._sockets import limit_sockets  # noqa: PLC0415 - loads httpcore, as httpx does late

        if transport is None:  # in here, because OpenSSL has locks of its own, which a fork can leave locked
            context = _tls_context(url, verify)
            if proxy is not None:
                opened, source = _through(proxy, context)
            elif is_own_machine(url):
                opened, source = httpx.HTTPTransport(verify=context, limits=_LIMITS), None
            else:
                opened, source = _by_environment(url, context)
            return OpenTransport(opened, pid, source, reports=limit_sockets(opened))
    made = transport if isinstance(transport, httpx.BaseTransport) else _made_by(transport)
    limit_sockets(made)
    return OpenTransport(made, pid, None, reports=False)


def create_client(create: Callable[[], Client]) -> Client:
    """Create an httpx client for the app; name the variable of the environment that prevents it.

    Raises:
        ConfigurationError: A variable of the environment is wrong.
    """
    try:
        return create()
    except (ValueError, TypeError, ImportError, OSError, httpx.InvalidURL) as error:
        fault = _certificates_fault() if isinstance(error, OSError) else proxies_fault()
        if fault is None:  # an argument is wrong
            raise
    raise ConfigurationError(fault)


def _made_by(factory: Callable[[], object]) -> httpx.BaseTransport:
    try:
        made = factory()
        problem = f"returned {type(made).__name__}, not an httpx.BaseTransport"
    except Exception as error:
        if _is_shortage(error):
            raise
        made, problem = None, f"raised {type(error).__name__}"
    if isinstance(made, httpx.BaseTransport):
        return made
    raise ConfigurationError(f"The factory given as transport {problem}. Call it by itself to see why.")


def _tls_context(url: httpx.URL, verify: Verify) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    if url.scheme != "https" or verify is False:
        return httpx.create_ssl_context(verify=False)  # without TLS, it saves loading the certificates
    source, path = certificates(verify)
    try:
        return _load_certificates(source, path)
    except OSError as error:
        if _is_shortage(error):
            raise
        fault = certificates_fault(source, path, error)
    raise ConfigurationError(fault)


def _certificates_fault() -> str | None:
    try:
        _load_certificates(*certificates(verify=True))
    except OSError as error:
        return certificates_fault(*certificates(verify=True), error)
    return None


def _load_certificates(source: str, path: str) -> ssl.SSLContext:
    folders = path.split(os.pathsep) if source == "SSL_CERT_DIR" else [path]
    if source in {"SSL_CERT_DIR", "verify"} and any(Path(folder).is_dir() for folder in folders):
        return ssl.create_default_context(capath=path)
    # OpenSSL looks for a folder only in the handshake; as a file, a missing one is found here.
    return ssl.create_default_context(cafile=path)


def _through(proxy: httpx.Proxy, context: ssl.SSLContext) -> tuple[httpx.BaseTransport, str]:
    fault = proxy_fault(proxy, "proxy")
    if fault is not None:
        raise ConfigurationError(fault)
    return httpx.HTTPTransport(verify=context, proxy=proxy, limits=_LIMITS), "the proxy argument"


def _by_environment(url: httpx.URL, context: ssl.SSLContext) -> tuple[httpx.BaseTransport, str | None]:
    """Choose among the proxies of the environment as every httpx client does, ``NO_PROXY`` included.

    Only the transport of a client is used. ``Client.send`` logs when the answer is there: a log file that
    cannot be opened at that moment would lose the answer.
    """
    try:
        client: Any = httpx.Client(verify=context, limits=_LIMITS)
        made = client._transport_for_url(url)  # noqa: SLF001 - httpx has no public way to ask
        return made, None if made is client._transport else proxy_source(url.scheme)  # noqa: SLF001
    except (ValueError, TypeError, ImportError, httpx.InvalidURL) as error:
        fault = proxies_fault() or f"The proxies of the environment cannot be used: {type(error).__name__}."
    raise ConfigurationError(fault)


def _is_shortage(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _SHORTAGES

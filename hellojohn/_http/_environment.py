"""Names the environment variable behind a failure, and the fault in its value.

httpx reads the proxies and certificates of the environment, but its errors do not say where a value came
from. No sentence repeats the address of a proxy, because it may hold a password.
"""

import importlib.util
import ipaddress
import os
import ssl
from collections.abc import Iterator
from urllib.request import getproxies

import certifi
import httpx

from hellojohn._http._settings import read_proxy

_SCHEMES = ("http", "https", "all")
_CERTIFI = "The package certifi"
_CORRECT = "Correct it, or remove it."
_INSTALL_SOCKS = 'needs a package: pip install "httpx[socks]".'


def proxy_source(scheme: str) -> str:
    """Return where the proxy for a URL of this scheme is set, as a noun."""
    variable = _variable(f"{scheme}_proxy") or _variable("all_proxy")
    return variable or "the system's settings"


def proxies_fault() -> str | None:
    """Return the first fault in the environment's proxies as a sentence, if there is one."""
    return next(_proxies_faults(), None)


def proxy_fault(proxy: httpx.Proxy, source: str) -> str | None:
    """Return why a proxy that is well written cannot be used, as a sentence; ``None`` if it can."""
    if proxy.url.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return f"{source} names a SOCKS proxy, which {_INSTALL_SOCKS}"
    return None


def certificates(verify: str | bool) -> tuple[str, str]:  # noqa: FBT001 - as httpx has it
    """Return where the path of the trusted certificates is set, and the path."""
    if isinstance(verify, str):
        return "verify", verify
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if path := os.environ.get(variable):
            return variable, path
    return _CERTIFI, certifi.where()


def certificates_fault(source: str, path: str, error: OSError) -> str:
    """Return why the trusted certificates cannot be loaded, as a sentence."""
    reason = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or type(error).__name__
    if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE"):
        return f"SSLKEYLOGFILE names {error.filename!r}, which cannot be written ({reason}). {_CORRECT}"
    fix = "Reinstall certifi, or set SSL_CERT_FILE." if source == _CERTIFI else _CORRECT
    return f"{source} names {path!r}, from which no trusted certificates can be loaded ({reason}). {fix}"


def _proxies_faults() -> Iterator[str]:
    proxies = getproxies()
    for scheme in _SCHEMES:
        address = proxies.get(scheme)
        if not address:
            continue
        source = _variable(f"{scheme}_proxy") or f"The system's {scheme} proxy"
        proxy = read_proxy(address if "://" in address else f"http://{address}")
        if proxy is None or not proxy.url.host:
            yield f"{source} must be the address of a proxy, such as http://proxy.example.com:8080."
        elif fault := proxy_fault(proxy, source):
            yield fault
    for host in proxies.get("no", "").split(","):
        if fault := _host_fault(host.strip()):
            yield f"{_variable('no_proxy') or 'The list of hosts without a proxy'} {fault}"


def _host_fault(host: str) -> str | None:
    """Read an entry of ``NO_PROXY`` as httpx does; return its fault, if any."""
    is_ipv6 = _is_ipv6(host.partition("/")[0])
    try:
        httpx.URL(f"all://[{host}]" if is_ipv6 else host if "://" in host else f"all://*{host}")
    except httpx.InvalidURL:
        pass
    else:
        return None
    if is_ipv6:
        return f"holds {host!r}: httpx cannot read a range of IPv6 addresses. List single addresses or names."
    return f"holds {host!r}, which httpx cannot read. Write a host name, or an address without brackets."


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _variable(name: str) -> str | None:
    """Return the spelling in which the environment has a variable: urllib prefers lower case."""
    return next((spelling for spelling in (name, name.upper()) if os.environ.get(spelling)), None)

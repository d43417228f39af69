"""Where a browser may be sent after sign-in: a path of the site, never another origin.

The address comes from the query, so anyone can write it into a link. It is resolved first, as a browser
resolves a ``Location`` header, and the ``Location`` is rebuilt from the path and the query.
"""

import re
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

_LONGEST = 2_048
_IN_PATHS = "/:@!$&'()*+,;="
_SAFE = f"{_IN_PATHS}%~-._"
_VISIBLE = bytes(range(0x21, 0x7F)).decode()
# Browsers drop tabs and line ends, read a backslash as a slash, and take dots out of a path: "/.//evil.com".
_REFUSED = re.compile(r"[\x00-\x20\x7f-\xa0\\]|^//|^[^?#]*/(\.|%2e){1,2}([/?#]|$)", re.IGNORECASE)
_SENT = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def safe_path(address: object, *, origin: str, default: str) -> str:
    """Return the path and query of an address on this site; ``default`` for every other address.

    Args:
        address: A path or a URL from the outside, or nothing.
        origin: The site: scheme, host and port.
        default: A path of the site.
    """
    if not isinstance(address, str) or not 0 < len(address) <= _LONGEST or _REFUSED.search(address):
        return default
    try:
        found = urlsplit(address)
        sent = quote(found.path, safe=_SAFE)
        if found.query:
            sent += "?" + quote(found.query, safe=f"{_SAFE}?[]")
        there = urlsplit(urljoin(f"{origin}/", sent))
    except ValueError:  # a malformed URL, or text that has no encoding
        return default
    local = not found.scheme and not found.netloc
    same = (local or _origin_of(found) == origin.lower()) and _origin_of(there) == origin.lower()
    return sent if same and _SENT.fullmatch(sent) else default


def visited(sent: bytes, path: str, query: bytes) -> str:
    """Return the path and query of a request as the browser has sent them, so that it can be sent back there.

    Args:
        sent: The path before the server decoded it; empty if the server keeps none.
        path: The path that the server has made of it. A proxy or a middleware may have changed it since.
        query: The query.
    """
    target = sent if unquote(sent) == path else quote(path, safe=_IN_PATHS).encode()
    return quote(target + b"?" + query if query else target, safe=_VISIBLE)


def _origin_of(url: SplitResult) -> str:
    return f"{url.scheme}://{url.netloc}".lower()

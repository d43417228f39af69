"""Checks and extends the web addresses that a browser is sent to. Pure."""

from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

_LONGEST: Final = 2_048
_UNSAFE: Final = frozenset(" \"'<>\\#")


def is_web_address(text: str) -> bool:
    """Return whether ``text`` is a plain http or https address: no user, no fragment, nothing to escape."""
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or _UNSAFE & set(text):
        return False
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and parts.scheme in ("http", "https") and "@" not in parts.netloc


def with_query(url: str, **values: str) -> str:
    """Return an address with these values added to its query."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(values)) if part)
    return urlunsplit(parts._replace(query=query))

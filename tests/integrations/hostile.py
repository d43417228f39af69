"""Addresses that try to lead a browser away from a site, and where a browser would end on it."""

import random

import ada_url

ORIGIN = "https://app.example.com"
PIECES = (
    *("/", "//", "\\", "/\\", "..", ".", "/..", "/.", ";", "?", "#", "@", ":", "&", "%", "=", " "),
    *("\t", "\n", "\r", "\x00", "\x0b", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u3000", "\ufeff"),
    *("%2f", "%5c", "%09", "%0a", "%00", "%2e%2e", "%252f", "\uff0f", "\uff3c", "\u3002", "\u2044"),
    *("\ud800", "é", "https:", "http:", "HTTPS:", "javascript:", "data:", "file:", "ws:", "mailto:", "blob:"),
    *("x:", "evil.com", "app.example.com", "app.example.com.evil.com", "127.0.0.1", "[::1]", "[", "]"),
    *("alert(1)", "//evil.com", "https://evil.com", "///evil.com", ":443", ":99999", "path", "a=b"),
)
_BEGINNINGS = ("", "/", "/path/", f"{ORIGIN}/")
_LONGEST = 9


def addresses(count: int, seed: int) -> list[str]:
    """Return addresses of random pieces, the same ones for a seed."""
    chosen = random.Random(seed)
    return [
        chosen.choice(_BEGINNINGS) + "".join(chosen.choices(PIECES, k=chosen.randint(1, _LONGEST)))
        for _ in range(count)
    ]


def leads_to(location: str) -> str:
    """Return the origin that a browser on the site ends on, by the parser of the browsers' standard."""
    return ada_url.URL(location, base=f"{ORIGIN}/sign-in?next=x").origin

"""No address in ``next`` leads a browser away from the site, judged by a parser of the browsers' standard."""

from typing import Any

import ada_url
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hellojohn.integrations import _browser_asgi, django, flask
from hellojohn.integrations._browser_rules import Landing
from hellojohn.integrations._redirects import safe_path
from tests.integrations import apps

assert apps.django_settings.configured

ORIGIN = "https://app.example.com"
PIECES = st.sampled_from(
    [
        *("/", "//", "\\", "/\\", "..", ".", "/..", "/.", ";", "?", "#", "@", ":", "&", "%", "=", " "),
        *("\t", "\n", "\r", "\x00", "\x0b", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u3000", "\ufeff"),
        *(
            "%2f",
            "%5c",
            "%09",
            "%0a",
            "%00",
            "%2e%2e",
            "%252f",
            "\uff0f",
            "\uff3c",
            "\u3002",
            "\u2044",
            "\ud800",
            "é",
        ),
        *("https:", "http:", "HTTPS:", "javascript:", "data:", "file:", "ws:", "mailto:", "blob:", "x:"),
        *("evil.com", "app.example.com", "app.example.com.evil.com", "127.0.0.1", "[::1]", "[", "]"),
        *("alert(1)", "//evil.com", "https://evil.com", "///evil.com", ":443", ":99999", "path", "a=b"),
    ]
)
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=9).map("".join)


def leads_to(location: str) -> str:
    """Return the origin that a browser on the site ends on."""
    return ada_url.URL(location, base=f"{ORIGIN}/sign-in?next=x").origin


@settings(max_examples=4_000, deadline=None)
@given(HOSTILE)
@example("//evil.com")
@example("/\\evil.com")
@example("/\t/evil.com")
@example("/..//evil.com")
@example("/.//evil.com")
@example("https:evil.com")
@example("https://app.example.com@evil.com/")
@example("https://app.example.com//evil.com")
@example("/?next=//evil.com")
@example(" //evil.com")
def test_hostile_addresses_stay_on_the_site(address: str) -> None:
    """The ``Location`` is a path in visible ASCII, and the browser stays on the site."""
    sent = safe_path(address, origin=ORIGIN, default="/")
    assert sent.isascii()
    assert sent.startswith("/")
    assert not set(sent) & set(' \\\r\n\t"<>')
    assert leads_to(sent) == ORIGIN


@settings(max_examples=1_000, deadline=None)
@given(HOSTILE)
def test_location_headers_stay_on_the_site(address: str) -> None:
    """No framework turns the path into an address elsewhere when it writes the header."""
    landing = Landing(safe_path(address, origin=ORIGIN, default="/"))
    responses: list[Any] = [
        _browser_asgi._redirect(landing),
        object.__new__(flask.BrowserSessions)._redirect(landing),
        object.__new__(django.BrowserSessions)._redirect(landing),
    ]
    assert {leads_to(response.headers["location"]) for response in responses} == {ORIGIN}


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("/orders?page=2&sort=a%20b", "/orders?page=2&sort=a%20b"),
        ("/straße/é", "/stra%C3%9Fe/%C3%A9"),
        ("https://app.example.com/a//b", "/a//b"),
        ("HTTPS://APP.EXAMPLE.COM/b", "/b"),
        ("/a?to=https://evil.com", "/a?to=https://evil.com"),
        ("/a#part", "/a"),
    ],
)
def test_addresses_of_the_site_are_kept(address: str, sent: str) -> None:
    """A page of the site is where the user lands, with its query."""
    assert safe_path(address, origin=ORIGIN, default="/") == sent


@pytest.mark.parametrize(
    "address",
    [
        *("", None, 7, "x" * 3_000, "//evil.com", "/\\evil.com", "https://evil.com", "javascript:alert(1)"),
        *(
            "http://app.example.com/",
            "https://app.example.com:444/",
            "/..//evil.com",
            "/a/%2E./b",
            "orders",
            "https://[",
            "/\ud800",
        ),
    ],
)
def test_other_addresses_lead_home(address: object) -> None:
    """Nothing of another origin or of another kind is kept."""
    assert safe_path(address, origin=ORIGIN, default="/home") == "/home"

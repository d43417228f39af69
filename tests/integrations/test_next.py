"""No address in ``next`` leads a browser away from the site, judged by a parser of the browsers' standard."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hellojohn.emulator import Emulator
from hellojohn.integrations._redirects import safe_path
from tests.counts import FULL, reporter
from tests.integrations.browsers import SITES, close_all
from tests.integrations.hostile import ORIGIN, PIECES, addresses, leads_to

ADDRESSES = 100_000 if FULL else 250
"""For each framework."""
HOSTILE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=9).map("".join)


@settings(max_examples=50_000 if FULL else 500, deadline=None, database=None)
@given(HOSTILE)
@pytest.mark.timeout(3_600)
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


def answer(request: httpx.Request) -> httpx.Response:
    """Sign everyone in."""
    assert request.url.path == "/v1/auth/sign-in"
    tokens = {"access_token": "a.b.c", "refresh_token": "r", "expires_in": 3600, "session_id": "ses_1"}
    return httpx.Response(200, content=json.dumps(tokens))


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
@pytest.mark.timeout(7_200)
def test_location_headers_stay_on_the_site(framework: str, emulator: Emulator) -> None:
    """Wherever a link to sign-in says to go, the answer to the sign-in leads to a page of the site."""
    form = {"email": "ada@example.com", "password": "correct horse"}
    client = {"transport": httpx.MockTransport(answer)}
    followed = 0
    with SITES[framework](emulator, client=client)() as browser:
        for address in addresses(ADDRESSES, seed=len(framework)):
            reply: Any = browser.post(
                f"/sign-in?next={quote(address, safe='', errors='surrogatepass')}", data=form
            )
            browser.cookies.clear()
            location = reply.headers["location"]
            assert (reply.status_code, leads_to(location)) == (303, ORIGIN), (address, location)
            followed += location != "/"
    close_all()
    assert followed > ADDRESSES / 50
    reporter()(
        f"{ADDRESSES} hostile addresses in next, {framework}: 0 lead away, {followed} to pages of the site"
    )


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

"""Browser sessions that a provider signs in, in four frameworks: one browser, one state, one use."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import MemoryStore
from hellojohn.emulator import Emulator
from tests.dialects import on_both_emulators, route
from tests.integrations.browsers import CAREFUL, EMAIL, HTTPS, SCOPES, Browsers

COOKIE = "__Host-hellojohn"
NOT_COMPLETED = "/sign-in?reason=not_completed"


def begin(browser: Any, query: str = "", **form: str) -> str:
    """Press the button; return the address of the provider."""
    reply = browser.post(f"/oauth{query}", data=form)
    assert reply.status_code == 303
    return reply.headers["location"]


def come_back(browser: Any, address: str) -> Any:
    """Follow the provider's redirect."""
    assert address.startswith(f"{HTTPS}/callback?")
    reply = browser.get(address)
    assert reply.status_code == 303
    return reply


@on_both_emulators
def test_provider_signs_in(browser: Any, emulator: Emulator) -> None:
    """The user lands where they wanted to go, under a cookie that no one knew before."""
    address = begin(browser, "?next=/orders%3Fpage=2", remember="on")
    asked = parse_qs(urlsplit(address).query).get("scope", [])
    assert asked == ([" ".join(SCOPES)] if emulator.api == "v2" else [])
    before = browser.cookies[COOKIE]
    reply = come_back(browser, emulator.authorize(address, EMAIL))
    assert reply.headers["location"] == "/orders?page=2"
    assert browser.cookies[COOKIE] != before
    assert "max-age=2592000" in reply.headers["set-cookie"].lower()
    assert browser.get("/orders").json()["email"] == EMAIL


def test_cookie_ends_with_the_browser_without_the_box(browser: Any, emulator: Emulator) -> None:
    """Without the box, neither cookie has an expiry."""
    reply = browser.post("/oauth")
    back = come_back(browser, emulator.authorize(reply.headers["location"], EMAIL))
    assert not [one for one in (reply, back) if "max-age" in one.headers["set-cookie"].lower()]


@on_both_emulators
def test_second_callback_finds_its_user_signed_in(browser: Any, emulator: Emulator) -> None:
    """A page that is loaded again sends no code again, and leaves the session alone."""
    address = emulator.authorize(begin(browser), EMAIL)
    come_back(browser, address)
    assert come_back(browser, address).headers["location"] == "/"
    assert browser.get("/orders").json()["email"] == EMAIL


@on_both_emulators
def test_callback_of_another_browser(browsers: Browsers, emulator: Emulator) -> None:
    """A stranger's link signs no one in to the stranger's account, and spoils nothing."""
    ada, eve, visitor = browsers(), browsers(), browsers()
    mine = emulator.authorize(begin(ada), EMAIL)
    hers = emulator.authorize(begin(eve), EMAIL)
    for browser in (ada, visitor):
        assert come_back(browser, hers).headers["location"] == NOT_COMPLETED
        assert browser.get("/").json()["email"] is None
    assert come_back(ada, mine).headers["location"] == "/"


def test_sign_in_that_is_declined(browser: Any) -> None:
    """The user is back at sign-in, and still goes where they wanted to afterwards."""
    query = parse_qs(urlsplit(begin(browser, "?next=/orders")).query)
    address = f"{query['redirect_uri'][0]}?error=access_denied&state={query['state'][0]}"
    assert come_back(browser, address).headers["location"] == f"{NOT_COMPLETED}&next=%2Forders"


def test_sign_in_that_takes_too_long(browser: Any, emulator: Emulator) -> None:
    """After ten minutes, the user starts over."""
    address = emulator.authorize(begin(browser), EMAIL)
    emulator.advance("11m")
    assert come_back(browser, address).headers["location"] == NOT_COMPLETED


@on_both_emulators
def test_outage_can_be_waited_out(browser: Any, emulator: Emulator) -> None:
    """A callback that finds the service away works when the page is loaded again."""
    address = emulator.authorize(begin(browser), EMAIL)
    emulator.fail(route(emulator, "code"), status=503)
    assert browser.get(address).status_code == 503
    assert come_back(browser, address).headers["location"] == "/"


def test_sign_in_ends_the_old_session(browser: Any, emulator: Emulator) -> None:
    """A browser has one session at a time."""
    for _ in range(2):
        come_back(browser, emulator.authorize(begin(browser), EMAIL))
    assert [one.status == "active" for one in emulator.sessions(EMAIL)] == [False, True]


def test_secrets_stay_on_the_server(site: Callable[..., Browsers]) -> None:
    """The cookie carries neither the state nor the verifier. The store shows them to no log."""
    store = MemoryStore()
    browser = site(client={"store": store})()
    state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
    (kept,) = store._texts.values()
    assert state in kept.reveal()
    assert state not in repr(store._texts)
    assert state not in browser.cookies[COOKIE]


def test_abandoned_sign_ins_are_swept(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """Visitors who never come back do not fill a store that keeps what has expired."""
    store = MemoryStore()
    browsers = site(client={"store": store})
    for _ in range(6):
        begin(browsers())
    assert len(store._texts) == 6
    emulator.advance("11m")
    for _ in range(6):
        begin(browsers())
    assert len(store._texts) == 6


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.com"}, {"Sec-Fetch-Site": "cross-site"}])
def test_form_of_another_site_begins_nothing(browser: Any, headers: dict[str, str]) -> None:
    """Another site cannot replace the session of its visitor."""
    reply = browser.post("/oauth", headers=headers)
    assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)


def test_second_factor_after_a_provider(browser: Any, emulator: Emulator) -> None:
    """A user with a second factor is asked for it, and lands where they wanted to go."""
    reply = come_back(browser, emulator.authorize(begin(browser, "?next=/orders"), CAREFUL))
    assert reply.headers["location"] == "/mfa?next=%2Forders"
    reply = browser.post("/mfa?next=/orders", data={"code": "123456"})
    assert reply.headers["location"] == "/orders"
    assert browser.get("/orders").json()["email"] == CAREFUL

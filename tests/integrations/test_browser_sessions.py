"""Browser sessions in four frameworks: the cookie, the second factor, other sites, the ways to sign-in."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import ConfigurationError, MemoryStore, StoreUnavailable
from hellojohn.emulator import Emulator
from hellojohn.integrations import django as for_django
from hellojohn.integrations import fastapi as for_fastapi
from tests.dialects import on_both_emulators, route
from tests.fake_stores import FailingStore
from tests.integrations.browsers import EMAIL, HTTPS, PASSWORD, Browsers

FORM = {"email": EMAIL, "password": PASSWORD}
COOKIE = "__Host-hellojohn"


def set_cookie(reply: Any) -> dict[str, str]:
    """Return the attributes of the one cookie that an answer sets, with names in lower case."""
    parts = [part.strip().partition("=") for part in reply.headers["set-cookie"].split(";")]
    return {name.lower() if number else name: value for number, (name, _, value) in enumerate(parts)}


def who(browser: Any) -> str | None:
    """Return the user that the site sees."""
    return browser.get("/").json()["email"]


def test_sign_in_and_out(browser: Any, emulator: Emulator) -> None:
    """A browser signs in, uses the site, and signs out; the session ends at the service too."""
    assert who(browser) is None
    reply = browser.post("/sign-in", data=FORM)
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert who(browser) == browser.get("/orders").json()["email"] == EMAIL
    assert emulator.sessions(EMAIL)[0].status == "active"
    reply = browser.post("/sign-out")
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")
    assert set_cookie(reply)["max-age"] == "0"
    assert who(browser) is None
    assert emulator.sessions(EMAIL)[0].status != "active"


@on_both_emulators
def test_sign_out_everywhere(browsers: Browsers, emulator: Emulator) -> None:
    """A user signs all of their browsers out from one of them."""
    one, other = browsers(), browsers()
    for browser in (one, other):
        browser.post("/sign-in", data=FORM)
    one.post("/sign-out", data={"everywhere": "1"})
    assert {session.status for session in emulator.sessions(EMAIL)} == {"revoked"}
    emulator.advance("1h")
    reply = other.get("/token")
    assert reply.headers["location"] == "/sign-in?reason=revoked&next=%2Ftoken"


def test_sign_out_everywhere_in_an_outage(browser: Any, emulator: Emulator) -> None:
    """When the service does not confirm, the other sessions may live on, and the user gets a message."""
    browser.post("/sign-in", data=FORM)
    emulator.fail("auth/sign-out", status=503)
    assert browser.post("/sign-out", data={"everywhere": "1"}).status_code == 503


def test_cookie_ends_with_the_browser(browser: Any) -> None:
    """Without the box, the cookie has no expiry, and it has every attribute that protects it."""
    cookie = set_cookie(browser.post("/sign-in", data=FORM))
    value = cookie.pop(COOKIE)
    assert len(value) == 43
    assert {name: text.lower() for name, text in cookie.items()} == {
        "path": "/",
        "secure": "",
        "httponly": "",
        "samesite": "lax",
    }


def test_remembered_cookie_lives_as_long_as_the_session(browser: Any) -> None:
    """With the box, the cookie outlives the browser."""
    cookie = set_cookie(browser.post("/sign-in", data={**FORM, "remember": "on"}))
    assert int(cookie["max-age"]) == 30 * 86_400


def test_cookie_on_this_machine(browsers: Browsers) -> None:
    """On plain http on this machine the cookie has no prefix, which browsers would refuse."""
    browser = browsers("http://localhost:8000")
    cookie = set_cookie(browser.post("/sign-in", data=FORM))
    assert "hellojohn" in cookie
    assert "secure" not in cookie
    assert who(browser) == EMAIL


def test_plain_http_elsewhere_is_a_mistake(browsers: Browsers, emulator: Emulator) -> None:
    """A forgotten ``origin`` behind a proxy is named before the password is sent."""
    with pytest.raises(ConfigurationError, match="origin="):
        browsers("http://app.example.com").post("/sign-in", data=FORM)
    assert emulator.sessions(EMAIL) == []


def test_origin_behind_a_proxy(site: Callable[..., Browsers]) -> None:
    """The public origin decides about the cookie and about other sites."""
    browser = site(origin=HTTPS)("http://10.0.0.1:8000")
    assert COOKIE in set_cookie(browser.post("/sign-in", data=FORM, headers={"Origin": HTTPS}))
    assert browser.post("/sign-in", data=FORM, headers={"Origin": "http://10.0.0.1:8000"}).status_code == 403


@pytest.mark.parametrize(
    ("origin", "base_url", "sender"),
    [
        (f"{HTTPS}:443", "http://10.0.0.1:8000", HTTPS),
        ("http://localhost:80", "http://localhost:8000", "http://localhost"),
        (None, f"{HTTPS}:443", HTTPS),
        (None, "http://localhost:80", "http://localhost"),
        ("https://[2001:db8::1]:443", "http://10.0.0.1:8000", "https://[2001:db8::1]"),
    ],
)
def test_default_port_names_the_same_site(
    site: Callable[..., Browsers], origin: str | None, base_url: str, sender: str
) -> None:
    """Browsers leave the default port out of ``Origin``, and settings and proxies may not."""
    browser = site(origin=origin)(base_url, Host=base_url.partition("//")[2])
    reply = browser.post("/oauth", headers={"Origin": sender})
    assert reply.status_code == 303
    query = parse_qs(urlsplit(reply.headers["location"]).query)
    assert query["redirect_uri"] == [f"{sender}/callback"]


@pytest.mark.parametrize("port", ["444", "80", "4430"])
def test_other_port_is_another_site(site: Callable[..., Browsers], port: str) -> None:
    """A form of another port of the same host is refused."""
    browser = site(origin=f"{HTTPS}:{port}")()
    assert browser.post("/sign-in", data=FORM, headers={"Origin": HTTPS}).status_code == 403
    assert browser.post("/sign-in", data=FORM, headers={"Origin": f"{HTTPS}:{port}"}).status_code == 303


def test_each_sign_in_has_a_new_cookie(browser: Any, emulator: Emulator) -> None:
    """A cookie that was planted in the browser is never signed in, and the old session ends."""
    browser.cookies.set(COOKIE, "x" * 43, domain="app.example.com", path="/")
    first = set_cookie(browser.post("/sign-in", data=FORM))[COOKIE]
    browser.cookies.clear()
    browser.cookies.set(COOKIE, first, domain="app.example.com", path="/")
    second = set_cookie(browser.post("/sign-in", data=FORM))[COOKIE]
    assert len({"x" * 43, first, second}) == 3
    assert [one.status == "active" for one in emulator.sessions(EMAIL)] == [False, True]


def test_wrong_password_keeps_the_old_session(browser: Any) -> None:
    """A mistyped password leaves the old session alone."""
    browser.post("/sign-in", data=FORM)
    reply = browser.post("/sign-in", data={**FORM, "password": "wrong"})
    assert (reply.status_code, reply.text) == (401, "InvalidCredentials")
    assert "set-cookie" not in reply.headers
    assert who(browser) == EMAIL


def test_browsers_do_not_share_sessions(browsers: Browsers) -> None:
    """A visitor without a cookie, or with a foreign one, sees no session of another browser."""
    one, other, odd = browsers(), browsers(), browsers()
    one.post("/sign-in", data=FORM)
    odd.cookies.set(COOKIE, "browser-", domain="app.example.com", path="/")
    assert (who(one), who(other), who(odd)) == (EMAIL, None, None)


def test_the_store_names_no_cookie(site: Callable[..., Browsers]) -> None:
    """The names of accounts are logged, so that they hold a hash."""
    store = MemoryStore()
    cookie = set_cookie(site(client={"store": store})().post("/sign-in", data=FORM))[COOKIE]
    assert store._texts
    assert cookie not in repr([*store._texts.items()])
    assert not [text for text in store._texts.values() if cookie in text.reveal()]


def test_sessions_show_the_browser(browser: Any, emulator: Emulator) -> None:
    """The list of sessions names the browser, not the SDK."""
    browser.post("/sign-in", data=FORM)
    assert emulator.sessions(EMAIL)[0].device.user_agent == "Firefox"


# ---------------------------------------------------------------- the second factor


def test_second_factor(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """The challenge waits on the server; the session has another cookie than the challenge."""
    browser = site()()
    form = {"email": "bob@example.com", "password": PASSWORD, "remember": "on"}
    reply = browser.post("/sign-in?next=/orders", data=form)
    assert reply.headers["location"] == "/mfa?next=%2Forders"
    waiting = set_cookie(reply)
    assert "max-age" not in waiting
    assert who(browser) is None
    wrong = browser.post(reply.headers["location"], data={"code": "000000"})
    assert (wrong.status_code, wrong.text) == (401, "InvalidCredentials")
    done = browser.post(reply.headers["location"], data={"code": "123456"})
    assert (done.status_code, done.headers["location"]) == (303, "/orders")
    cookie = set_cookie(done)
    assert cookie[COOKIE] != waiting[COOKIE]
    assert int(cookie["max-age"]) == 30 * 86_400
    assert who(browser) == "bob@example.com"


def test_second_factor_without_a_challenge(browser: Any) -> None:
    """A browser without a challenge starts over, and keeps its way."""
    reply = browser.post("/mfa?next=/orders", data={"code": "123456"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?reason=expired&next=%2Forders")


def test_second_factor_too_late(browser: Any, emulator: Emulator) -> None:
    """A challenge that has ended leads back to sign-in."""
    browser.post("/sign-in", data={"email": "bob@example.com", "password": PASSWORD})
    emulator.advance("1h")
    reply = browser.post("/mfa", data={"code": "123456"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?reason=expired")


def test_sign_out_ends_a_challenge(browser: Any) -> None:
    """A user who gives up at the second factor leaves nothing behind that a right code opens."""
    browser.post("/sign-in", data={"email": "bob@example.com", "password": PASSWORD})
    kept = dict(browser.cookies)
    browser.post("/sign-out")
    browser.cookies.update(kept)
    reply = browser.post("/mfa", data={"code": "123456"})
    assert reply.headers["location"] == "/sign-in?reason=expired"
    assert "set-cookie" not in reply.headers


# ---------------------------------------------------------------- other sites


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": HTTPS}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": HTTPS}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.com"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://blog.example.com"}, False),
        ({"Origin": "https://evil.com"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://app.example.com"}, False),
    ],
    ids=json.dumps,
)
def test_forms_of_other_sites(browser: Any, headers: dict[str, str], *, allowed: bool) -> None:
    """Another site can neither use a browser's session nor sign it in or out."""
    assert (browser.post("/sign-in", data=FORM, headers=headers).status_code == 303) is allowed
    browser.post("/sign-in", data=FORM)
    for path in ("/", "/orders"):
        assert browser.post(path, headers=headers).status_code == (200 if allowed else 403)
    assert browser.get("/orders", headers=headers).status_code == 200
    kept = dict(browser.cookies)
    browser.cookies.clear()  # browsers send no cookie with a form of another site, and take the new one
    assert browser.post("/sign-out", headers=headers).status_code == (303 if allowed else 403)
    browser.cookies.update(kept)
    assert browser.post("/sign-out", headers=headers).status_code == (303 if allowed else 403)


# ---------------------------------------------------------------- the way to sign-in


def test_page_leads_to_sign_in_and_back(browser: Any) -> None:
    """A user lands on sign-in, and afterwards where the user was."""
    reply = browser.get("/orders?page=2&sort=a%20b")
    assert reply.status_code == 303
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["location"] == "/sign-in?next=%2Forders%3Fpage%3D2%26sort%3Da%2520b"
    reply = browser.post(reply.headers["location"], data=FORM)
    assert reply.headers["location"] == "/orders?page=2&sort=a%20b"


def test_page_with_an_encoded_path(browser: Any) -> None:
    """The way back also holds for a path that a server decodes."""
    reply = browser.get("/a%20b/c?c=d")
    assert reply.status_code == 303
    reply = browser.post(reply.headers["location"], data=FORM)
    assert reply.headers["location"] == "/a%20b/c?c=d"


@pytest.mark.parametrize(
    "next", ["//evil.com", "https://evil.com", "/\\evil.com", "/sign-in", "/mfa?next=/x"]
)
def test_hostile_next(browser: Any, next: str) -> None:  # noqa: A002 - the parameter's name
    """A user never lands on another site, nor on the sign-in page."""
    location = str(browser.build_request("POST", "/sign-in", params={"next": next}).url)
    assert browser.post(location, data=FORM).headers["location"] == "/"


def test_form_leads_back_to_its_page(browser: Any) -> None:
    """The user of a form comes back to the page with the form, not to the form's address."""
    reply = browser.post("/orders", headers={"Referer": f"{HTTPS}/cart"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?next=%2Fcart")
    reply = browser.post("/orders", headers={"Referer": "https://evil.com/cart"})
    assert reply.headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    "headers", [{"Accept": "application/json"}, {"Accept": "*/*"}, {"Sec-Fetch-Mode": "cors"}], ids=json.dumps
)
def test_scripts_get_json(browsers: Browsers, headers: dict[str, str]) -> None:
    """A script cannot follow a redirect to a page with a form."""
    reply = browsers().get("/orders", headers=headers)
    assert (reply.status_code, reply.json()["sign_in_url"]) == (401, "/sign-in")


def test_htmx_gets_a_redirect_of_its_page(browser: Any) -> None:
    """HTMX leads the whole page to sign-in, and back to the page."""
    headers = {"HX-Request": "true", "HX-Current-URL": f"{HTTPS}/cart?a=1", "Accept": "*/*"}
    reply = browser.get("/orders", headers=headers)
    assert (reply.status_code, reply.headers["hx-redirect"]) == (401, "/sign-in?next=%2Fcart%3Fa%3D1")


@on_both_emulators
def test_revoked_session_leads_to_sign_in(browser: Any, emulator: Emulator) -> None:
    """A session that was ended elsewhere leads to sign-in with the reason."""
    browser.post("/sign-in", data=FORM)
    emulator.revoke(emulator.sessions(EMAIL)[0].id)
    emulator.advance("2h")
    reply = browser.get("/token")
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?reason=revoked&next=%2Ftoken")


@on_both_emulators
@pytest.mark.parametrize("ending", ["revoked", "disabled", "past"])
def test_ended_session_opens_no_page(browser: Any, emulator: Emulator, ending: str) -> None:
    """A page that calls no API refuses an ended session too, once its access token has run out."""
    browser.post("/sign-in", data=FORM)
    if ending == "revoked":
        emulator.revoke(emulator.sessions(EMAIL)[0].id)
    elif ending == "disabled":
        emulator.disable_user(EMAIL)
    emulator.advance("31d" if ending == "past" else "1h")
    reply = browser.get("/orders")
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/sign-in?reason=")


def test_visits_count_as_activity(browser: Any, emulator: Emulator) -> None:
    """A user who visits pages all the time is not signed out as idle."""
    emulator.configure(idle_timeout="2h", access_token_ttl="15m")
    browser.post("/sign-in", data=FORM)
    for _ in range(6):
        emulator.advance("1h")
        assert browser.get("/orders").status_code == 200
    emulator.advance("3h")
    assert browser.get("/orders").status_code == 303


# ---------------------------------------------------------------- outages


@on_both_emulators
def test_outage_keeps_the_session(browser: Any, emulator: Emulator) -> None:
    """While the service is away, a page is 503 and the cookie stays."""
    browser.post("/sign-in", data=FORM)
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), status=503, retry_after=60, times=None)
    for path in ("/token", "/orders"):
        reply = browser.get(path)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "60")
        assert "set-cookie" not in reply.headers
    emulator.clear_failures()
    emulator.advance("61s")
    assert browser.get("/token").status_code == 200


def test_pages_and_scripts_in_an_outage(browser: Any, browsers: Browsers, emulator: Emulator) -> None:
    """A person sees a page, and a script reads JSON."""
    emulator.fail("sign-in", status=503, times=None)
    reply = browser.post("/sign-in", data=FORM)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "<p>The service cannot be reached now. Try again later." in reply.text
    reply = browsers(Accept="application/json").post("/sign-in", data=FORM)
    assert reply.json() == {"detail": "The service cannot be reached now. Try again later."}


def test_outage_at_sign_in(browser: Any, emulator: Emulator) -> None:
    """The form is answered with 503, and sets no cookie."""
    emulator.fail("sign-in", status=503, times=None)
    reply = browser.post("/sign-in", data=FORM)
    assert (reply.status_code, "set-cookie" in reply.headers) == (503, False)


def test_store_away(site: Callable[..., Browsers]) -> None:
    """A lost store is an outage as well, and its address is not shown."""
    store = FailingStore()
    store.fail("load", error=StoreUnavailable("redis://secret-host is away."))
    browser = site(client={"store": store})()
    browser.cookies.set(COOKIE, "x" * 43, domain="app.example.com", path="/")
    reply = browser.get("/orders")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert "secret-host" not in reply.text


@pytest.mark.parametrize(
    ("broken", "method", "path"),
    [
        ("load", "GET", "/orders"),
        ("load", "POST", "/mfa"),
        ("load", "GET", "/callback?state=x&code=y"),
        ("save", "POST", "/oauth"),
        ("save", "POST", "/sign-in"),
        ("delete", "POST", "/sign-out"),
    ],
)
def test_store_that_breaks_its_contract(
    site: Callable[..., Browsers], broken: str, method: str, path: str
) -> None:
    """An error of the store's own is an outage on every path, and is not shown."""
    store = FailingStore()
    browser = site(client={"store": store})()
    browser.cookies.set(COOKIE, "x" * 43, domain="app.example.com", path="/")
    store.fail(broken, error=ConnectionError("10.0.0.1 is away"))
    form = {"email": "bob@example.com", "password": PASSWORD, "code": "123456"}
    reply = browser.request(method, path, data=form if method == "POST" else None)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    assert "10.0.0.1" not in reply.text


def test_old_session_ends_although_the_store_keeps_it(
    site: Callable[..., Browsers], emulator: Emulator
) -> None:
    """A store that deletes nothing keeps no old session alive at the service."""
    store = FailingStore()
    browser = site(client={"store": store})()
    browser.post("/sign-in", data=FORM)
    store.fail("delete", error=ConnectionError("10.0.0.1 is away"))
    assert browser.post("/sign-in", data=FORM).status_code == 303
    assert [one.status == "active" for one in emulator.sessions(EMAIL)] == [False, True]


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"sign_in_url": "https://evil.com"},
        {"home": "//evil.com"},
        {"mfa_url": ""},
        {"origin": "https://app.example.com/"},
        {"origin": "app.example.com"},
        {"origin": 7},
        {"cookie_name": "a b"},
        {"origin": "https://app.example.com:99999"},
        {"origin": "https://app.example.com:0"},
        {"cookie_name": ""},
        {"cookie_name": 7},
        {"cookie_name": "__Host-shop"},
        {"cookie_name": "__secure-shop"},
    ],
    ids=json.dumps,
)
def test_wrong_settings(site: Callable[..., Browsers], wrong: dict[str, Any]) -> None:
    """A malformed setting is named at the start."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        site(**wrong)


def test_wrong_client(hellojohn_client: Any, hellojohn_async_client: Any) -> None:
    """Each framework names the client that it takes."""
    with pytest.raises(TypeError, match="an AsyncHelloJohn"):
        for_fastapi.BrowserSessions(hellojohn_client)
    with pytest.raises(TypeError, match="a HelloJohn"):
        for_django.BrowserSessions(hellojohn_async_client)

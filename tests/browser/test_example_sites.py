"""The example sites in Chromium: signing in, coming back, the second factor, and the ends of sessions."""

from urllib.parse import quote

import pytest

from tests.browser.chromium import Browser, Keys
from tests.browser.conftest import CAREFUL, EMAIL, PASSWORD, PROGRAMS, Site, Sites

COOKIE = "hellojohn"


def sign_in(browser: Browser, email: str = EMAIL, *, remember: bool = False) -> None:
    """Fill in the form of a sign-in page and send it."""
    browser.type(email, PASSWORD)
    browser.press(Keys.TAB, *([Keys.SPACE] if remember else []), Keys.TAB, Keys.ENTER)


def test_user_signs_in_works_and_signs_out(site: Site, browser: Browser) -> None:
    """A page of signed-in users leads to sign-in and back, and nothing of it is left after sign-out."""
    browser.open(site.url("/orders"))
    assert browser.place == "/sign-in?next=%2Forders"
    browser.type(EMAIL, "a bad guess")
    browser.press(Keys.ENTER)
    browser.wait_for("password is wrong")
    sign_in(browser, remember=True)
    browser.wait_for("The API answered with status 200.")
    assert browser.place == "/orders"
    cookie = browser.cookie(COOKIE)
    assert cookie is not None
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    browser.open(site.url("/"))
    assert f"Hello {EMAIL}" in browser.text
    browser.press(Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait_for_place("/sign-in")
    assert browser.cookie(COOKIE) is None
    browser.driver.back()
    browser.wait_for_place("/sign-in")
    assert EMAIL not in browser.text


def test_second_factor(site: Site, browser: Browser) -> None:
    """A wrong code can be corrected, the code alone opens nothing, and the user lands where they wanted."""
    browser.open(site.url("/orders?page=2"))
    sign_in(browser, CAREFUL)
    browser.wait_for_place(f"/code?next={quote('/orders?page=2', safe='')}")
    browser.type("000000")
    browser.press(Keys.ENTER)
    browser.wait_for("code is wrong")
    browser.type("123456")
    browser.press(Keys.ENTER)
    browser.wait_for_place("/orders?page=2")
    browser.wait_for("status 200")


def test_provider_signs_in(sites: Sites, browser: Browser) -> None:
    """A user who changes their mind is back at sign-in, and one who goes on lands where they wanted."""
    site, orders = sites["fastapi"], quote("/orders?page=2", safe="")
    browser.open(site.url("/orders?page=2"))
    browser.press(*[Keys.TAB] * 5, Keys.ENTER)
    browser.wait_for("The emulator plays Google.")
    browser.press(*[Keys.TAB] * 4, Keys.ENTER)
    browser.wait_for("You have not signed in.")
    assert browser.place == f"/sign-in?reason=not_completed&next={orders}"
    browser.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.SPACE, Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait_for("The emulator plays Google.")
    browser.type(EMAIL, PASSWORD)
    browser.press(Keys.ENTER)
    browser.wait_for_place("/orders?page=2")
    assert "status 200" in browser.text
    assert "expiry" in (browser.cookie(COOKIE) or {})


def test_session_that_is_over_leads_back(site: Site, browser: Browser) -> None:
    """When the time is up, the user signs in and lands where they were."""
    browser.open(site.url("/orders?page=2"))
    sign_in(browser)
    browser.wait_for_place("/orders?page=2")
    site.emulator.advance("31d")
    browser.driver.refresh()
    browser.wait_for("Your time is up.")
    assert browser.place == f"/sign-in?reason=expired&next={quote('/orders?page=2', safe='')}"
    sign_in(browser)
    browser.wait_for_place("/orders?page=2")
    assert "status 200" in browser.text


def test_session_that_another_browser_ends(site: Site, browser: Browser, other_browser: Browser) -> None:
    """A user who signs out everywhere is signed out in the browser at home, once its token is due."""
    for one in (browser, other_browser):
        one.open(site.url("/sign-in"))
        sign_in(one)
        one.wait_for("Hello")
    other_browser.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    other_browser.wait_for_place("/sign-in")
    site.emulator.advance("1h")
    browser.open(site.url("/orders"))
    browser.wait_for("Your session was ended elsewhere.")


def test_form_of_another_site_is_refused(site: Site, browser: Browser) -> None:
    """A page elsewhere can post to the site from this browser, and neither signs its user in nor out."""
    browser.open(site.url("/sign-in"))
    sign_in(browser)
    browser.wait_for("Hello")
    cookie = browser.cookie(COOKIE)
    for action in ("/sign-in", "/sign-out"):
        fields = "".join(f'<input name="{name}" value="x">' for name in ("email", "password"))
        form = f'<form method="post" action="{site.url(action)}">{fields}<button>Win</button></form>'
        browser.open(f"data:text/html,{quote(form)}")
        browser.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
        browser.wait_for("Another site has sent this request.")
    browser.open(site.url("/"))
    assert f"Hello {EMAIL}" in browser.text
    assert browser.cookie(COOKIE) == cookie


@pytest.fixture(scope="module")
def restarted(chromium: Browser, sites: Sites) -> Browser:
    """The browser, restarted after sign-ins on two names of each site, with the box ticked on one of them."""
    for site in (sites[name] for name in PROGRAMS):
        for host, remember in {"kept": True, "gone": False}.items():
            chromium.open(site.url("/sign-in", host=f"{host}-{site.name}"))
            sign_in(chromium, remember=remember)
            chromium.wait_for("Hello")
    chromium.restart()
    return chromium


@pytest.mark.parametrize("name", PROGRAMS)
def test_restarted_browser(restarted: Browser, sites: Sites, name: str) -> None:
    """The box keeps the user signed in when the browser ends. Without it, the session is out of reach."""
    site = sites[name]
    restarted.open(site.url("/orders", host=f"kept-{name}"))
    assert "status 200" in restarted.text
    restarted.open(site.url("/orders", host=f"gone-{name}"))
    assert restarted.place == "/sign-in?next=%2Forders"

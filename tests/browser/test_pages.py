"""The pages of the emulator in Chromium, used with the keyboard alone: login, mailed links, new passwords."""

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from hellojohn import ChallengeExpired, HelloJohn, Session
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.testing._settings import settings_for
from tests.browser.chromium import Browser, Keys
from tests.ports import free_port

NEW_PASSWORD = "a new pass phrase"


@pytest.fixture(params=["v1", "v2"])
def api(request) -> str:
    """Each dialect in turn. A test that names one with ``parametrize`` runs on that one only."""
    return request.param


@pytest.fixture
def emulator(api) -> Iterator[Emulator]:
    """Return the service."""
    with Emulator(api=api) as emulator:
        yield emulator


@pytest.fixture
def hj(emulator) -> Iterator[HelloJohn]:
    """Return a client of it."""
    with HelloJohn(**settings_for(emulator)) as hj:
        yield hj


@pytest.fixture
def begin(hj, emulator, browser) -> Iterator[Callable[[], "Future[Session]"]]:
    """Return a function that begins a sign-in with the browser, and opens the page in it."""
    port = free_port()
    if emulator.api == "v2":
        emulator.configure(mended=True)
        emulator.add_client(emulator.client_id, redirect_uris=[f"http://127.0.0.1:{port}/callback"])
    provider = "google" if emulator.api == "v1" else None
    addresses: queue.SimpleQueue[str] = queue.SimpleQueue()
    with ThreadPoolExecutor(1) as pool:

        def start() -> "Future[Session]":
            session = pool.submit(
                hj.auth.sign_in_with_browser,
                provider,
                remember_me=True,
                ports=[port],
                timeout=60,
                open_browser=addresses.put,
                prompt=lambda line: None,
            )
            browser.open(addresses.get(timeout=30))
            return session

        yield start


def test_sign_in_with_browser(begin, hj: HelloJohn, browser: Browser):
    """A person signs in on the page, and the page that they end on shows no code and asks for nothing."""
    session = begin()
    assert browser.place.startswith("/login?")
    browser.type(DEMO_EMAIL, "a bad guess")
    browser.press(Keys.ENTER)
    browser.wait_for("password is wrong")
    browser.press(Keys.TAB)  # the email is there already
    browser.type(DEMO_PASSWORD)
    browser.press(Keys.TAB, Keys.ENTER)
    assert session.result(30).duration.days == 30
    assert session.result().user.id == hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD).user.id
    browser.wait_for("You are signed in. You can close this window.")
    assert browser.place == "/"
    assert [line for line in browser.complaints() if "401" not in line] == []  # the bad guess


@pytest.mark.parametrize("api", ["v1"])
def test_sign_in_that_is_declined(begin, browser: Browser):
    """The last button gives up, and the program hears of it at once."""
    session = begin()
    browser.press(*[Keys.TAB] * 4, Keys.ENTER)
    with pytest.raises(ChallengeExpired, match="access_denied"):
        session.result(30)
    browser.wait_for("The sign-in was not completed.")
    assert browser.place == "/"


# ---------------------------------------------------------------- mailed links


V1 = pytest.mark.parametrize("api", ["v1"])


def scanned(link: str) -> str:
    """Let a mail scanner visit a link 100 times, and return it."""
    with httpx.Client(trust_env=False) as scanner:
        assert {scanner.get(link).status_code for _ in range(100)} == {200}
    return link


@V1
def test_magic_link_after_a_scanner(hj: HelloJohn, emulator: Emulator, browser: Browser):
    """The button shows the code for a program in a terminal, which signs in with it."""
    hj.auth.send_magic_link(DEMO_EMAIL)
    browser.open(scanned(emulator.inbox[-1].link))
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_for("Paste this code into the app:")
    code = browser.text.splitlines()[-1]
    assert hj.auth.verify_magic_link(code).user.email == DEMO_EMAIL


@V1
def test_magic_link_leads_to_the_app(hj: HelloJohn, emulator: Emulator, browser: Browser):
    """Where the app has a page, the button takes the person there."""
    hj.auth.send_magic_link(DEMO_EMAIL, redirect_to=f"{emulator.url}/inbox?from=mail")
    browser.open(scanned(emulator.inbox[-1].link))
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_for("Inbox")
    assert hj.auth.verify_magic_link(browser.driver.current_url).user.email == DEMO_EMAIL


@V1
def test_reset_page_after_a_scanner(hj: HelloJohn, emulator: Emulator, browser: Browser):
    """A password that is too short can be corrected on the page, and the new one signs in."""
    hj.auth.send_password_reset(DEMO_EMAIL)
    browser.open(scanned(emulator.inbox[-1].link))
    browser.type("short")
    browser.press(Keys.ENTER)
    browser.wait_for("8 characters")
    browser.type(NEW_PASSWORD)
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait_for("Sign in with the new password.")
    assert hj.auth.sign_in(DEMO_EMAIL, NEW_PASSWORD).user.email == DEMO_EMAIL


# ---------------------------------------------------------------- every page

OUTLINE = """
const style = getComputedStyle(document.activeElement);
return style.outlineStyle == "none" ? 0 : parseFloat(style.outlineWidth);
"""
WIDTH = 320
"""The width in CSS pixels of a phone, or of a screen that is magnified four times."""


@pytest.fixture(params=["login", "magic link", "new password", "verification", "inbox"])
def page(request, hj: HelloJohn, emulator: Emulator) -> str:
    """Return the address of each page in turn."""
    if request.param == "login":
        return hj.auth.sign_in_with_oauth("google", "http://127.0.0.1:8765/callback").url
    send = {"new password": hj.auth.send_password_reset, "verification": hj.auth.send_email_verification}
    send.get(request.param, hj.auth.send_magic_link)(DEMO_EMAIL)
    return f"{emulator.url}/inbox" if request.param == "inbox" else emulator.inbox[-1].link


@V1
def test_page_is_accessible(page: str, browser: Browser):
    """It has a title, a language and a heading. The Tab key visits every control, which has a name."""
    browser.open(page)
    assert browser.driver.title.endswith(" - HelloJohn emulator")
    assert [element.get_attribute("lang") for element in browser.all("html")] == ["en"]
    assert [element.aria_role for element in browser.all("h1, main")] == ["main", "heading"]
    usable = browser.all("input:not([hidden], [type=hidden]), button, a")
    assert usable
    for element in usable:
        browser.press(Keys.TAB)
        assert browser.focused == element
        assert element.accessible_name
        assert browser.driver.execute_script(OUTLINE) >= 2
    assert browser.complaints() == []


@V1
def test_page_fits_a_narrow_screen(page: str, browser: Browser):
    """Nothing is cut off, and the page does not scroll sideways."""
    browser.open(page)
    narrow = {"width": WIDTH, "height": 640, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= WIDTH
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

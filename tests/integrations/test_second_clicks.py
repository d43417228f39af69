"""A second click on the form of the second factor: the browser shows the answer to the later request only."""

from collections.abc import Callable
from typing import Any

import pytest

from hellojohn import MemoryStore
from hellojohn.emulator import Emulator
from tests.dialects import on_both_emulators
from tests.integrations.browsers import CAREFUL, PASSWORD, Browsers
from tests.integrations.test_browser_sessions import COOKIE, set_cookie, who

FORM = {"email": CAREFUL, "password": PASSWORD, "remember": "on"}
CODE = {"code": "123456"}
EXPIRED = "/sign-in?reason=expired&next=%2Forders"


class RememberingStore(MemoryStore):
    """A store that can return a text once more that has been replaced since.

    Attributes:
        earlier: The texts to return, by their keys.
    """

    def __init__(self) -> None:
        super().__init__()
        self.earlier: dict[str, str] = {}

    def load(self, key: str) -> str | None:
        """Return the earlier text once, then the present one."""
        return self.earlier.pop(key, None) or super().load(key)

    def pending(self) -> dict[str, str]:
        """Return the texts of the sign-ins that wait."""
        return {key: text.reveal() for key, text in self._texts.items() if key.endswith("#pending")}


def half_signed_in(browsers: Browsers) -> tuple[Any, Any]:
    """Give the password in a browser; return it and another one with the same cookie."""
    first, second = browsers(), browsers()
    first.post("/sign-in?next=/orders", data=FORM)
    give(second, first.cookies[COOKIE])
    return first, second


def give(browser: Any, cookie: str) -> None:
    """Put a cookie into a browser."""
    browser.cookies.set(COOKIE, cookie, domain="app.example.com", path="/")


def answered(browsers: Browsers) -> tuple[Any, Any]:
    """Sign a browser in; return one that has only the cookie from before the code, and the answer."""
    first, second = half_signed_in(browsers)
    done = first.post("/mfa?next=/orders", data=CODE)
    assert done.headers["location"] == "/orders"
    return second, done


@on_both_emulators
def test_second_click_leads_to_the_session_of_the_first(browsers: Browsers, emulator: Emulator) -> None:
    """The user is signed in once, with the same cookie, and sees the page."""
    second, done = answered(browsers)
    again = second.post("/mfa?next=/orders", data=CODE)
    assert (again.status_code, again.headers["location"]) == (303, "/orders")
    assert set_cookie(again) == set_cookie(done)
    assert second.get("/orders").status_code == 200
    assert len(emulator.sessions(CAREFUL)) == 1


@on_both_emulators
def test_second_click_while_the_first_was_answered(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """A challenge that the service has just taken back leads to the session as well."""
    store = RememberingStore()
    first, second = half_signed_in(site(client={"store": store}))
    waiting = store.pending()
    done = first.post("/mfa?next=/orders", data=CODE)
    store.earlier = waiting
    again = second.post("/mfa?next=/orders", data=CODE)
    assert not store.earlier
    assert set_cookie(again) == set_cookie(done)
    assert again.headers["location"] == "/orders"
    assert len(emulator.sessions(CAREFUL)) == 1


def test_another_code_does_not_lead_to_the_session(browsers: Browsers) -> None:
    """Who knows the first cookie only, and not the code, gets nothing."""
    second, _ = answered(browsers)
    again = second.post("/mfa?next=/orders", data={"code": "654321"})
    assert again.headers["location"] == EXPIRED
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(("seconds", "location"), [(59, "/orders"), (60, EXPIRED)])
def test_a_click_counts_as_the_second_for_a_minute(
    browsers: Browsers, emulator: Emulator, seconds: int, location: str
) -> None:
    """Later, the cookie from before the code is worth nothing, in a store without expiry too."""
    second, _ = answered(browsers)
    emulator.advance(f"{seconds}s")
    assert second.post("/mfa?next=/orders", data=CODE).headers["location"] == location


def test_second_click_after_signing_out(site: Callable[..., Browsers]) -> None:
    """A session that was signed out does not come back."""
    browsers = site()
    second, done = answered(browsers)
    first = browsers()
    give(first, set_cookie(done)[COOKIE])
    assert who(first) == CAREFUL
    first.post("/sign-out")
    again = second.post("/mfa?next=/orders", data=CODE)
    assert again.headers["location"] == EXPIRED
    assert "set-cookie" not in again.headers


def test_the_store_keeps_no_cookie_of_an_answered_factor(site: Callable[..., Browsers]) -> None:
    """Neither cookie can be read from the store, nor computed from what it holds alone."""
    store = RememberingStore()
    second, done = answered(site(client={"store": store}))
    cookies = (second.cookies[COOKIE], set_cookie(done)[COOKIE])
    texts = [text.reveal() for text in store._texts.values()]
    assert not [text for text in (*store._texts, *texts) if any(cookie in text for cookie in cookies)]

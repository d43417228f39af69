"""A second click on the form of the second factor: the browser shows the answer to the later request only."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hellojohn import MemoryStore, MfaChallenge, StoreUnavailable
from hellojohn.emulator import Emulator
from hellojohn.integrations._browser_pending import Pending
from hellojohn.integrations._browser_rules import derived_cookie
from tests.dialects import on_both_emulators
from tests.integrations.browsers import CAREFUL, PASSWORD, Browsers
from tests.integrations.test_browser_sessions import COOKIE, set_cookie, who

FORM = {"email": CAREFUL, "password": PASSWORD, "remember": "on"}
CODE = {"code": "123456"}
EXPIRED = "/sign-in?reason=expired&next=%2Forders"


class ClickStore(MemoryStore):
    """A store that shows the entries of sign-ins that wait, and is slow or fails with a note of an answer.

    Attributes:
        lives: The lives of the entries that were saved, in seconds.
        slow: Whether a note is saved only when somebody has looked for it.
        fails: Whether a note is refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lives: list[float | None] = []
        self.slow = self.fails = False
        self._noting = threading.Event()
        self._looked = threading.Event()

    def load(self, key: str) -> str | None:
        """Load, and note that somebody has looked while a note is to be saved."""
        text = super().load(key)
        if key.endswith("#pending") and self._noting.is_set():
            self._looked.set()
        return text

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save."""
        if key.endswith("#pending"):
            self.lives.append(expires_in)
        if "answered" in text:
            if self.fails:
                raise StoreUnavailable("The server is away.")
            self._noting.set()
            assert not self.slow or self._looked.wait(10)
        super().save(key, text, expires_in=expires_in)

    def pending(self) -> list[str]:
        """Return the entries."""
        return [text.reveal() for key, text in self._texts.items() if key.endswith("#pending")]


def half_signed_in(browsers: Browsers) -> tuple[Any, Any]:
    """Give the password in a browser; return it and another one with the same cookie."""
    first, second = browsers(), browsers()
    first.post("/sign-in?next=/orders", data=FORM)
    give(second, first.cookies[COOKIE])
    return first, second


def cookie_of(reply: Any) -> tuple[str, str]:
    """Return the cookie that an answer sets, and its life."""
    cookie = set_cookie(reply)
    return cookie[COOKIE], cookie["max-age"]


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
    assert cookie_of(again) == cookie_of(done)
    assert second.get("/orders").status_code == 200
    assert len(emulator.sessions(CAREFUL)) == 1


@on_both_emulators
def test_second_click_while_the_first_is_answered(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """The later answer waits for the earlier one, whichever of the two the service has accepted."""
    store = ClickStore()
    store.slow = True
    clicks = half_signed_in(site(client={"store": store}))
    with ThreadPoolExecutor() as pool:
        with emulator.hold("mfa/verify") as hold:
            posts = [pool.submit(one.post, "/mfa?next=/orders", data=CODE) for one in clicks]
            hold.wait_arrived(2)
        answers = [post.result() for post in posts]
    assert [answer.headers["location"] for answer in answers] == ["/orders", "/orders"]
    assert cookie_of(answers[0]) == cookie_of(answers[1])
    assert len(emulator.sessions(CAREFUL)) == 1


@on_both_emulators
def test_click_in_a_browser_that_is_signed_in(browsers: Browsers, emulator: Emulator) -> None:
    """A click on the page of the code, when its answer has come already, leads on to the page."""
    browser, _ = half_signed_in(browsers)
    browser.post("/mfa?next=/orders", data=CODE)
    again = browser.post("/mfa?next=/orders", data=CODE)
    assert (again.status_code, again.headers["location"]) == (303, "/orders")
    assert "set-cookie" not in again.headers
    assert browser.get("/orders").status_code == 200
    assert len(emulator.sessions(CAREFUL)) == 1


def test_challenge_that_the_service_took_back(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """A form without an earlier click leads to sign-in, and only the first of such forms waits."""
    store = ClickStore()
    browser, _ = half_signed_in(site(client={"store": store}))
    emulator.fail("mfa/verify", status=400, code="mfa_challenge_expired")
    for _ in range(2):
        assert browser.post("/mfa?next=/orders", data=CODE).headers["location"] == EXPIRED
        assert not store.pending()
    assert emulator.calls("mfa/verify") == 1


def test_another_code_ends_the_minute(browsers: Browsers) -> None:
    """Who knows the first cookie only cannot try codes until one fits: one wrong code ends it."""
    second, _ = answered(browsers)
    for code in ("654321", "123456"):
        again = second.post("/mfa?next=/orders", data={"code": code})
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


def test_store_that_does_not_take_the_note(site: Callable[..., Browsers]) -> None:
    """The user is signed in, and only a second click leads to sign-in."""
    store = ClickStore()
    store.fails = True
    second, done = answered(site(client={"store": store}))
    assert COOKIE in set_cookie(done)
    assert second.post("/mfa?next=/orders", data=CODE).headers["location"] == EXPIRED


def test_the_store_keeps_no_cookie_of_an_answered_factor(site: Callable[..., Browsers]) -> None:
    """Neither cookie can be read from the store, which keeps the note for a minute."""
    store = ClickStore()
    second, done = answered(site(client={"store": store}))
    cookies = (second.cookies[COOKIE], set_cookie(done)[COOKIE])
    texts = [text.reveal() for text in store._texts.values()]
    assert not [text for text in (*store._texts, *texts) if any(cookie in text for cookie in cookies)]
    assert store.lives == [600.0, 60.0]


def test_note_that_came_at_the_last_moment_is_used() -> None:
    """Who gives up waiting deletes the challenge, and not the note that has just taken its place."""
    store = ClickStore()
    pending = Pending(store, "@t", lambda: 0.0)
    pending.save_challenge("browser", MfaChallenge("ch_1"))
    assert pending.give_up_challenge("browser") is None
    assert not store.pending()
    pending.save_answered("browser", "seed")
    assert pending.give_up_challenge("browser") == "seed"
    assert store.pending()


def test_the_new_cookie_takes_the_old_one_the_seed_and_the_code() -> None:
    """Whoever lacks one of the three cannot compute it."""
    known = ("c" * 43, "s" * 43, "123456")
    others = [(*known[:place], "other", *known[place + 1 :]) for place in range(3)]
    assert len({derived_cookie(*known), *(derived_cookie(*other) for other in others)}) == 4
    assert len(derived_cookie(*known)) == 43


def test_each_answer_has_a_seed_of_its_own(site: Callable[..., Browsers]) -> None:
    """The same code does not lead to the same cookie, and a note does not keep the challenge."""
    store = ClickStore()
    browsers = site(client={"store": store})
    answered(browsers)
    answered(browsers)
    notes = [json.loads(text) for text in store.pending()]
    assert len({note["answered"] for note in notes}) == 2
    assert {name for note in notes for name in note} == {"answered", "until"}


def test_notes_do_not_pile_up(site: Callable[..., Browsers], emulator: Emulator) -> None:
    """A store without expiry loses them with the next answers, though sign-ins wait for longer."""
    store = ClickStore()
    browsers = site(client={"store": store})
    for _ in range(3):
        answered(browsers)
    emulator.advance("61s")
    answered(browsers)
    assert len(store.pending()) == 1

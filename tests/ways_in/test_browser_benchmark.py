"""The measurement of browser sign-ins: the listener's goals, and a page that names the libraries."""

import re
import socket

import pytest

from benchmarks import _browser_race, browser
from benchmarks._browser_race import Race
from benchmarks._browser_sign_ins import CONTENDERS
from tests.ports import free_port

GOALS = {
    "idle": r"\d+ ms|[1-4]\.\d s",  # on a busy machine
    "forged": "signed in",
    "second": "410",
    "again": "signed in",
}


@pytest.mark.parametrize("situation", GOALS)
def test_listener_reaches_its_goal(situation, monkeypatch):
    """In another process, the sign-in does what the table says."""
    monkeypatch.setattr(_browser_race, "_PERSON", 0.5)
    assert re.fullmatch(GOALS[situation], getattr(Race(CONTENDERS[0]), situation)())


def test_taken_port_is_left_for_another(monkeypatch):
    """The result is that of the contender, even if another process took its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(_browser_race, "_free_port", lambda: next(ports))
        assert Race(CONTENDERS[0]).after("/") == "signed in"


def test_contender_that_begins_nothing_is_named(monkeypatch):
    """The error quotes what its process printed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(_browser_race, "_free_port", lambda: taken.getsockname()[1])
        with pytest.raises(RuntimeError, match=r"hellojohn begins no sign-in.*ConfigurationError"):
            Race(CONTENDERS[0]).after("/")


def test_favicon_changes_nothing():
    """A browser asks for it as soon as it has an address."""
    assert Race(CONTENDERS[0]).after("/favicon.ico") == "signed in"


def test_listener_that_takes_any_request_is_found_out():
    """The measurement can fail: google-auth-oauthlib takes a forged state for the answer."""
    assert Race(CONTENDERS[1]).forged() == "MismatchingStateError"


def test_page_names_the_libraries_and_their_versions(tmp_path, monkeypatch):
    """The table replaces the old one, and the prose around it stays."""
    page = tmp_path / "browser.md"
    page.write_text(f"before\n{browser.BEGIN}old\n{browser.END}after\n", encoding="utf-8")
    monkeypatch.setattr(Race, "rows", lambda _, rounds: [("a row", f"{rounds} rounds")])
    lines = browser.measure(rounds=1, page=page)
    text = page.read_text(encoding="utf-8")
    assert (text.startswith("before\n"), text.endswith("after\n"), "old" in text) == (True, True, False)
    assert lines[-1] == "| a row | 1 rounds | 1 rounds | 1 rounds |"
    published = browser.PAGE.read_text(encoding="utf-8")
    assert published.count(browser.BEGIN) == published.count(browser.END) == 1
    assert all(re.search(rf"{one.package} \d", published) for one in CONTENDERS)

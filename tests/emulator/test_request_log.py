"""The request log: one line a request, without a secret."""

import httpx
import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator


@pytest.fixture
def lines():
    """The lines of the log, as they come."""
    return []


@pytest.fixture
def emulator(clock, lines):
    """A running emulator with a log."""
    with Emulator(clock=clock, log=lines.append) as running:
        yield running


def test_each_request_is_a_line(caller, lines):
    """Method, path, status and duration, in the order of the answers."""
    caller.sign_in()
    caller.call("GET", "/v1/auth/me")
    caller.call("GET", "/nothing")
    assert [(line.method, line.path, line.status) for line in lines] == [
        ("POST", "/v1/auth/sign-in", 200),
        ("GET", "/v1/auth/me", 401),
        ("GET", "/nothing", 404),
    ]
    assert all(0 <= line.milliseconds < 10_000 for line in lines)


def test_a_line_has_no_secret(caller, emulator, lines):
    """Passwords, tokens and the query of a link stay out of it."""
    session = caller.sign_in()
    caller.refresh(session["refresh_token"])
    caller.public("/v1/auth/magic-link", {"email": DEMO_EMAIL})
    link = emulator.inbox[-1].link
    caller.http.get(link)
    text = repr(lines)
    for secret in (DEMO_PASSWORD, session["refresh_token"], session["access_token"], link.split("=")[1]):
        assert secret not in text
    assert lines[-1].path == "/ui/magic-link"


def test_failures_are_lines_as_well(caller, emulator, lines):
    """An ordered status is shown, and a connection that was cut has no status."""
    emulator.fail("auth/me", status=503)
    emulator.fail("auth/me", drop="before")
    caller.call("GET", "/v1/auth/me")
    with pytest.raises(httpx.RemoteProtocolError):
        caller.call("GET", "/v1/auth/me")
    assert [line.status for line in lines] == [503, None]


def test_a_wrong_key_is_a_mistake_of_the_caller(caller, lines):
    """The log shows the refusal of a key like any other."""
    caller.call("POST", "/v1/auth/sign-in", bearer="pk_wrong", json={})
    assert lines[-1].status == 401


@pytest.mark.parametrize("error", [ValueError("no such column"), SystemExit(1)])
def test_a_log_that_fails_changes_no_answer(clock, caplog, error):
    """The answer is sent, and the error is reported with its traceback."""

    def fail(line):
        raise error

    with Emulator(clock=clock, log=fail) as emulator, httpx.Client(trust_env=False) as client:
        assert client.get(f"{emulator.url}/resource").status_code == 401
        assert client.get(f"{emulator.url}/nothing").status_code == 404
    assert [record.exc_info[1] for record in caplog.records] == [error, error]


@pytest.mark.parametrize("api", ["v3", None])
def test_an_api_that_it_does_not_speak_is_refused(api):
    """The error names the APIs that there are."""
    with pytest.raises(ConfigurationError, match="v1"):
        Emulator(api=api)

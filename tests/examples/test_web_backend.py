"""The web back end serves browsers over real sockets, with two workers, Valkey and an emulator."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

EXAMPLES = Path(__file__).parents[2] / "examples"
ADA = {"email": "ada@example.com", "password": "correct horse"}
GRACE = {"email": "grace@example.com", "password": "a long pass phrase"}
COOKIE = "__Host-session"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Return the service, with two users, one of them with a second factor."""
    with Emulator() as emulator:
        emulator.add_user(**ADA)
        emulator.add_user(**GRACE, mfa_code="123456")
        yield emulator


@pytest.fixture(scope="module")
def site(emulator, valkey) -> Iterator[str]:
    """Return the address of the example, which uvicorn runs in two processes as in production."""
    settings = {
        "API_URL": emulator.url,
        "HELLOJOHN_API_URL": emulator.url,
        "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        "REDIS_URL": f"unix://{valkey.unix_socket_path}",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ("-m", "uvicorn", "--workers", "2", "--fd", str(listener.fileno()), "web_backend:app")
        with _running(*command, settings=settings, pass_fds=(listener.fileno(),)):
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def valkey_client(valkey, clients) -> redis.Redis:
    """Return a client of the store, after removing all challenges."""
    client = clients(redis.Redis, unix_socket_path=str(valkey.unix_socket_path))
    for key in client.keys("challenge:*"):
        client.delete(key)
    return client


@contextmanager
def _running(*arguments: str, settings: dict[str, str], **options: object) -> Iterator[subprocess.Popen]:
    rest = {name: value for name, value in os.environ.items() if not name.startswith("HELLOJOHN_")}
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=EXAMPLES, env={**rest, **settings}, text=True, **options
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


class HttpsInFront(httpx.HTTPTransport):
    """Replaces the proxy that speaks https to browsers and cleartext to the workers."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on."""
        url = request.url.copy_with(scheme="http")
        return super().handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        )


@pytest.fixture
def browsers(site) -> Iterator[Callable[[], httpx.Client]]:
    """Return a function that opens a browser."""
    opened = []

    def browser() -> httpx.Client:
        opened.append(httpx.Client(base_url=site, transport=HttpsInFront(), timeout=30))
        return opened[-1]

    yield browser
    for client in opened:
        client.close()


@pytest.fixture
def browser(browsers) -> httpx.Client:
    """Return a browser in which Ada is signed in."""
    client = browsers()
    assert client.post("/sign-in", data=ADA).headers["location"] == "/"
    return client


def test_a_stranger_is_sent_to_sign_in(browsers):
    """The protected page leads to the form, which does not mention an ended session."""
    answer = browsers().get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/sign-in")
    assert "Your" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_password_shows_the_form_again(browsers):
    """A failed sign-in sets no cookie, and the page does not repeat the password."""
    answer = browsers().post("/sign-in", data={**ADA, "password": "a bad guess"})
    assert answer.status_code == 401
    assert "password is wrong" in answer.text
    assert "guess" not in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("form", "lasts"), [({}, False), ({"remember": "on"}, True)], ids=["no", "yes"])
def test_cookie_is_random_guarded_and_lasts_on_request(browsers, form, lasts):
    """Scripts, other hosts, cleartext requests and forms of other sites don't get the cookie."""
    cookies = [browsers().post("/sign-in", data={**ADA, **form}).headers["set-cookie"] for _ in range(2)]
    assert cookies[0] != cookies[1]
    for flag in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert flag in cookies[0]
    assert "Domain" not in cookies[0]
    assert ("expires=" in cookies[0]) is lasts


def test_every_worker_knows_the_session(browser):
    """A request finds its session in each of the processes."""
    for _ in range(20):
        assert "Hello ada@example.com" in browser.get("/", headers={"Connection": "close"}).text


def test_browsers_do_not_share_a_session(browser, browsers):
    """A sign-out in one browser leaves the session of another alone."""
    other = browsers()
    other.post("/sign-in", data={"email": DEMO_EMAIL, "password": DEMO_PASSWORD})
    assert "Hello demo@example.com" in other.get("/").text
    other.post("/sign-out")
    assert "Hello ada@example.com" in browser.get("/").text
    assert other.get("/").status_code == 303


def test_a_planted_cookie_is_not_signed_in(browsers):
    """An attacker who planted a cookie does not share the session that starts later."""
    victim, thief = browsers(), browsers()
    for client in (victim, thief):
        client.cookies.set(COOKIE, "planted", domain="127.0.0.1")
    assert victim.post("/sign-in", data=ADA).status_code == 303
    assert thief.get("/").headers["location"].startswith("/sign-in")


def test_another_sign_in_ends_the_session_of_the_old_cookie(browser, emulator):
    """The old session does not stay open at the service when its cookie is replaced."""
    old, before = browser.cookies[COOKIE], emulator.calls("auth/sign-out")
    browser.post("/sign-in", data=ADA)
    assert (browser.cookies[COOKIE] != old, emulator.calls("auth/sign-out")) == (True, before + 1)
    browser.cookies.set(COOKIE, old, domain="127.0.0.1")
    assert browser.get("/").headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(("form", "lasts"), [({}, False), ({"remember": "on"}, True)], ids=["no", "yes"])
def test_a_second_factor_is_a_second_form(browsers, form, lasts):
    """Both workers accept the code, a wrong code can be corrected, and the box still counts."""
    browser = browsers()
    asked = browser.post("/sign-in", data={**GRACE, **form})
    assert asked.headers["location"] == "/code"
    assert "expires=" not in asked.headers["set-cookie"]
    assert 'name="code"' in browser.get("/code").text
    assert browser.get("/").headers["location"].startswith("/sign-in")
    for _ in range(10):
        wrong = browser.post("/code", data={"code": "000000"}, headers={"Connection": "close"})
        assert (wrong.status_code, "code is wrong" in wrong.text) == (401, True)
    right = browser.post("/code", data={"code": "123456"})
    assert right.headers["location"] == "/"
    assert ("expires=" in right.headers["set-cookie"]) is lasts
    assert "Hello grace@example.com" in browser.get("/").text


def test_a_code_that_comes_too_late_leads_to_sign_in(browsers, emulator, valkey_client):
    """A challenge is kept for five minutes and works once."""
    browser = browsers()
    browser.post("/sign-in", data=GRACE)
    (waiting,) = valkey_client.keys("challenge:*")
    assert 0 < valkey_client.ttl(waiting) <= 300
    emulator.advance("6m")
    late = browser.post("/code", data={"code": "123456"}, follow_redirects=True)
    assert (late.url.path, "Your time is up." in late.text) == ("/sign-in", True)
    stranger = browsers().post("/code", data={"code": "123456"})
    assert stranger.headers["location"].startswith("/sign-in")


def test_a_refresh_is_not_noticed(browser, emulator):
    """The user sees the page although the token was refused."""
    before = emulator.rotations
    emulator.reject_access_tokens()
    assert "Status 200" in browser.get("/").text
    assert (emulator.rotations, emulator.reuses) == (before + 1, 0)


def test_end_of_a_session_leads_to_sign_in_with_a_reason(browser, browsers, emulator):
    """After a revoked session, the user sees the reason and can sign in again."""
    emulator.configure(max_sessions_per_user=1)
    browsers().post("/sign-in", data=ADA)
    emulator.configure(max_sessions_per_user=None)
    emulator.reject_access_tokens()
    answer = browser.get("/", follow_redirects=True)
    assert (answer.url.path, answer.status_code) == ("/sign-in", 200)
    assert "Your session was ended elsewhere." in answer.text
    browser.post("/sign-in", data=ADA)
    assert "Hello ada@example.com" in browser.get("/").text


def test_an_outage_is_a_page_that_keeps_the_session(browser, emulator):
    """The cookie and the session survive an outage of the service."""
    emulator.reject_access_tokens()
    emulator.fail("token/refresh", status=502, times=2)
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "set-cookie" not in answer.headers
    time.sleep(float(answer.headers["retry-after"]))  # as the page asks for; the client refreshes no earlier
    assert "Status 200" in browser.get("/").text


def test_another_sites_forms_are_refused(browser, emulator):
    """Another site cannot force a sign-in or a sign-out on its visitor."""
    for path, site in (("/sign-in", "cross-site"), ("/sign-out", "same-site")):
        assert browser.post(path, data=ADA, headers={"Sec-Fetch-Site": site}).status_code == 403
    own = browser.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert own.headers["location"] == "/sign-in"


def test_a_sign_out_reaches_the_service_and_the_browser(browser, emulator):
    """The cookie and the session are gone after a sign-out."""
    cookie, before = browser.cookies[COOKIE], emulator.calls("auth/sign-out")
    browser.post("/sign-out")
    assert (COOKIE in browser.cookies, emulator.calls("auth/sign-out")) == (False, before + 1)
    browser.cookies.set(COOKIE, cookie, domain="127.0.0.1")
    assert browser.get("/").headers["location"].startswith("/sign-in")


def test_it_runs_out_of_the_box_and_survives_its_store(own_valkey):
    """A reader can start it and sign in. Without Redis, the page asks for patience and keeps the cookie."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    settings = {"PORT": port, "REDIS_URL": f"unix://{own_valkey.unix_socket_path}", "PYTHONUNBUFFERED": "1"}
    with _running("-W", "error", "web_backend.py", settings=settings, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while "running on" not in (line := process.stderr.readline()):
            assert line, "it did not start"
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", transport=HttpsInFront()) as browser:
            browser.post("/sign-in", data={"email": DEMO_EMAIL, "password": DEMO_PASSWORD})
            assert "Hello demo@example.com" in browser.get("/").text
            own_valkey.stop()
            assert (browser.get("/").status_code, COOKIE in browser.cookies) == (503, True)

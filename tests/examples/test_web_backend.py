"""The web back end serves browsers over real sockets, with worker processes, Valkey and an emulator."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.ports import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
ADA = {"email": "ada@example.com", "password": "correct horse"}
GRACE = {"email": "grace@example.com", "password": "a long pass phrase"}
DEMO = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
COOKIE = "hellojohn"  # its name on a plain http origin of this machine


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Return the service, with two users, one of them with a second factor."""
    with Emulator() as emulator:
        emulator.add_user(**ADA)
        emulator.add_user(**GRACE, mfa_code="123456")
        yield emulator


@pytest.fixture(scope="module")
def hosts(emulator, valkey) -> Iterator[list[str]]:
    """Return the addresses of two hosts of the site, each with two workers, all with one store."""
    settings = {
        "API_URL": emulator.url,
        "HELLOJOHN_API_URL": emulator.url,
        "HELLOJOHN_TENANT_ID": emulator.tenant_id,
        "HELLOJOHN_PUBLISHABLE_KEY": emulator.publishable_key,
        "REDIS_URL": f"unix://{valkey.unix_socket_path}",
    }
    with ExitStack() as stack:
        addresses = []
        for _ in range(2):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            command = ("-m", "uvicorn", "--workers", "2", "--fd", str(listener.fileno()))
            factory = ("--factory", "web_backend:create_app")
            stack.enter_context(_running(*command, *factory, settings=settings, fds=(listener.fileno(),)))
            addresses.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield addresses


@contextmanager
def _running(*arguments: str, settings: dict[str, str], fds: tuple[int, ...] = ()) -> Iterator[None]:
    names = ("HELLOJOHN_", "ORIGIN", "API_URL")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    command, environment = [sys.executable, *arguments], {**rest, **settings}
    with subprocess.Popen(
        command, cwd=EXAMPLES, env=environment, pass_fds=fds, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with suppress(ProcessLookupError):  # the usual case: all of its workers have ended
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def browsers(hosts) -> Iterator[Callable[[], httpx.Client]]:
    """Return a function that opens a browser, which gives up on an answer after a while."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_browser(hosts[0]))


def _browser(site: str) -> httpx.Client:
    return httpx.Client(base_url=site, headers={"Accept": "text/html"}, timeout=20, trust_env=False)


@pytest.fixture
def browser(browsers) -> httpx.Client:
    """Return a browser in which Ada is signed in."""
    client = browsers()
    assert client.post("/sign-in", data=ADA).headers["location"] == "/"
    return client


def test_a_stranger_is_led_to_sign_in(browsers):
    """The protected page leads to the form, which does not mention an ended session."""
    answer = browsers().get("/", follow_redirects=True)
    assert (answer.status_code, answer.url.path, "Your" in answer.text) == (200, "/sign-in", False)
    assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_password_shows_the_form_again(browsers):
    """A failed sign-in sets no cookie, and the page does not repeat the password."""
    answer = browsers().post("/sign-in", data={**ADA, "password": "a bad guess"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert "password is wrong" in answer.text
    assert "guess" not in answer.text


def test_an_overlong_password_shows_the_form_again(browsers):
    """For any text in the form, the answer is the form and not an error of the server."""
    answer = browsers().post("/sign-in", data={**ADA, "password": "p" * 5_000})
    assert (answer.status_code, "password is too long" in answer.text) == (401, True)


@pytest.mark.parametrize(("form", "lasts"), [({}, False), ({"remember": "on"}, True)], ids=["no", "yes"])
def test_sign_in_sets_a_new_cookie(browsers, form, lasts):
    """The cookie is random, is hidden from scripts and other sites, and lasts on request."""
    cookies = [browsers().post("/sign-in", data={**ADA, **form}).headers["set-cookie"] for _ in range(2)]
    assert cookies[0] != cookies[1]
    assert cookies[0].startswith(f"{COOKIE}=")
    flags = {flag.strip().lower() for flag in cookies[0].split(";")[1:]}
    assert flags >= {"httponly", "samesite=lax", "path=/"}
    assert not flags & {"secure", "domain"}
    assert any(flag.startswith("max-age=") for flag in flags) is lasts


def test_every_worker_of_every_host_knows_the_session(browser, hosts):
    """The page greets the user wherever the request ends up, and the cookie alone makes it so."""
    for host in hosts * 5:
        for path, text in {"/": "Hello ada@example.com", "/orders": "status 200"}.items():
            assert text in browser.get(f"{host}{path}", headers={"Connection": "close"}).text


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=["old", "new"]
)
def test_a_form_of_another_origin_is_refused(browser, emulator, headers):
    """Another site can neither sign its visitor in nor out, and the site's own form still can."""
    before = emulator.calls("auth/sign-out")
    for path in ("/sign-in", "/sign-out"):
        assert browser.post(path, data=ADA, headers=headers).status_code == 403
    assert emulator.calls("auth/sign-out") == before
    own = browser.post("/sign-out", headers={"Origin": str(browser.base_url).rstrip("/")})
    assert own.headers["location"] == "/sign-in"


def test_a_sign_out_reaches_the_service(browser, emulator, hosts):
    """The cookie is removed, and a copy of it opens nothing on any host."""
    cookie, before = browser.cookies[COOKIE], emulator.calls("auth/sign-out")
    browser.post("/sign-out")
    assert (COOKIE in browser.cookies, emulator.calls("auth/sign-out")) == (False, before + 1)
    browser.cookies.set(COOKIE, cookie, domain="127.0.0.1")
    for host in hosts:
        assert browser.get(f"{host}/").headers["location"] == "/sign-in"


def test_a_second_factor_is_a_second_form(browsers, hosts):
    """Any worker accepts the code, a wrong code can be corrected, and a code alone opens nothing."""
    browser = browsers()
    assert browser.post("/sign-in", data=GRACE).headers["location"] == "/code"
    assert 'name="code"' in browser.get("/code").text
    assert browser.get("/").headers["location"].startswith("/sign-in")
    wrong = browser.post("/code", data={"code": "000000"})
    assert (wrong.status_code, "code is wrong" in wrong.text) == (401, True)
    assert browser.post(f"{hosts[1]}/code", data={"code": "123456"}).headers["location"] == "/"
    assert "Hello grace@example.com" in browser.get("/").text
    assert browsers().post("/code", data={"code": "123456"}).headers["location"].startswith("/sign-in")


def test_an_ended_session_leads_back_to_sign_in(browser, browsers, emulator):
    """After a session was ended elsewhere, the user sees the reason and can sign in again."""
    emulator.configure(max_sessions_per_user=1)
    browsers().post("/sign-in", data=ADA)
    emulator.configure(max_sessions_per_user=None)
    emulator.reject_access_tokens()
    answer = browser.get("/orders", follow_redirects=True)
    assert (answer.url.path, "Your session was ended elsewhere." in answer.text) == ("/sign-in", True)
    browser.post("/sign-in", data=ADA)
    assert "Hello ada@example.com" in browser.get("/").text


@pytest.mark.parametrize("program", ["web_backend.py", "flask_app.py", "django_app"])
def test_it_runs_out_of_the_box_and_survives_its_store(own_valkey, program):
    """A reader can start it in any framework and sign in, and without Redis the page asks for patience."""
    port = str(free_port())
    settings = {"PORT": port, "REDIS_URL": f"unix://{own_valkey.unix_socket_path}"}
    with (
        _running("-W", "error", program, settings=settings),
        _browser(f"http://127.0.0.1:{port}") as browser,
    ):
        for _ in range(100):
            with suppress(httpx.ConnectError):
                browser.post("/sign-in", data=DEMO)
                break
            time.sleep(0.1)
        assert "Hello demo@example.com" in browser.get("/").text
        assert "status 200" in browser.get("/orders").text
        own_valkey.stop()
        assert (browser.get("/").status_code, COOKIE in browser.cookies) == (503, True)


def test_an_expired_session_leads_back_to_sign_in(browser, emulator):
    """A user who comes back after a year gets a message that the time is up. The clock then stays ahead."""
    emulator.advance("365d")
    answer = browser.get("/orders", follow_redirects=True)
    assert (answer.url.path, "Your time is up." in answer.text) == ("/sign-in", True)

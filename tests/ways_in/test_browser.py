"""Sign-in with a browser on this machine, and OAuth for web back ends."""

import asyncio
import copy
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hellojohn import (
    AsyncHelloJohn,
    ChallengeExpired,
    ConfigurationError,
    HelloJohn,
    NotSupported,
    OAuthRequest,
    ServiceUnavailable,
    Session,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.both_faces import until
from tests.ports import free_port
from tests.ways_in.conftest import EMAIL, done, settings

BACK = "https://app.example.com/callback"


@pytest.fixture
def port(emulator: Emulator) -> int:
    """A registered port that is free."""
    number = free_port()
    register(emulator, callback_at(number))
    return number


@pytest.fixture(autouse=True)
def provider(emulator: Emulator) -> str | None:
    """How a browser signs in: with a provider on v1, with the server's own login on v2."""
    if emulator.api == "v1":
        return "google"
    emulator.configure(mended=True)
    register(emulator, BACK)
    return None


def register(emulator: Emulator, *addresses: str) -> None:
    """Register the addresses that a browser may come back to. The cloud API takes any."""
    if emulator.client_id is not None:
        emulator.add_client(emulator.client_id, redirect_uris=addresses)


def callback_at(port: int) -> str:
    """Return the address on this machine that a browser comes back to."""
    return f"http://127.0.0.1:{port}/callback"


@pytest.fixture
def client(emulator: Emulator) -> Iterator[HelloJohn]:
    """A client that blocks."""
    with HelloJohn(**settings(emulator)) as client:
        yield client


class Browser:
    """A browser that signs a user in, after a first step that the test chooses.

    Attributes:
        pages: The answers that it got.
    """

    def __init__(self, emulator: Emulator, *first: Any) -> None:
        self._emulator = emulator
        self._first = first
        self.pages: list[httpx.Response] = []
        self.callback = ""

    def __call__(self, url: str) -> None:
        """Open an address."""
        self.callback = self._emulator.authorize(url, EMAIL)
        threading.Thread(target=self._go, args=(url,), daemon=True).start()

    def _go(self, url: str) -> None:
        for step in self._first:
            step(parse_qs(urlsplit(url).query)["redirect_uri"][0])
        self.pages.append(httpx.get(self.callback, trust_env=False))


def quiet(line: str) -> None:
    """Print nothing."""


@pytest.fixture
def sign_in(client: HelloJohn, port: int, provider: str | None) -> Callable[..., Session]:
    """Sign in with a browser on ``port``."""
    return partial(client.auth.sign_in_with_browser, provider, ports=(port,), prompt=quiet)


def test_browser_signs_in(client: HelloJohn, sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """A browser that comes back with a code signs in, with the duration asked for."""
    lines: list[str] = []
    browser = Browser(emulator)
    session = sign_in(open_browser=browser, remember_me=True, prompt=lines.append)
    assert (session.user.email, session.user.name) == (EMAIL, "Ada")
    assert session.duration.days == 30
    assert client.auth.session() == session
    assert client.auth.user().email == EMAIL
    assert lines[0].startswith("Sign in with your browser: http")


def test_page_keeps_no_code(sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """The page removes the code from the address bar, loads nothing and sends no referrer."""
    browser = Browser(emulator)
    sign_in(open_browser=browser)
    until(lambda: browser.pages)
    (page,) = browser.pages
    code = parse_qs(urlsplit(browser.callback).query)["code"][0]
    assert code not in page.text
    assert "replaceState" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_async_browser(emulator: Emulator, port: int, provider: str | None) -> None:
    """An async client signs in with a browser while the event loop runs."""
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    async with AsyncHelloJohn(**settings(emulator)) as hj:
        heart = asyncio.ensure_future(beat())
        session = await hj.auth.sign_in_with_browser(
            provider, ports=(port,), open_browser=Browser(emulator), prompt=quiet
        )
        heart.cancel()
    assert session.user.email == EMAIL
    assert beats > 1


async def test_cancelled_browser_frees_the_port(emulator: Emulator, port: int, provider: str | None) -> None:
    """A sign-in that is cancelled ends its listener, and the port is free again."""
    begun, closed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def stay_open(url: str) -> None:
        loop.call_soon_threadsafe(begun.set)
        closed.wait()

    async with AsyncHelloJohn(**settings(emulator)) as hj:
        task = asyncio.ensure_future(
            hj.auth.sign_in_with_browser(provider, ports=(port,), open_browser=stay_open, prompt=quiet)
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        try:
            await asyncio.to_thread(until, lambda: is_free(port))
        finally:
            closed.set()


def is_free(port: int) -> bool:
    """Return whether another program can listen on a port now."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_browser_that_stays_in_the_foreground(
    sign_in: Callable[..., Session], emulator: Emulator, port: int
) -> None:
    """A browser's command that ends with the browser holds up neither the sign-in nor its end."""
    closed = threading.Event()

    def stay_open(url: str) -> None:
        if emulator.sessions(EMAIL) == []:
            Browser(emulator)(url)
        closed.wait()

    try:
        assert sign_in(open_browser=stay_open).user.email == EMAIL
        with pytest.raises(ServiceUnavailable, match="No browser came back"):
            sign_in(open_browser=stay_open, timeout=0.2)
        assert is_free(port)
    finally:
        closed.set()


def test_browser_that_cannot_be_opened(sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """The person opens the printed address by hand when the command of the browser fails."""
    lines: list[str] = []

    def fail(url: str) -> None:
        raise OSError("no such command")

    def by_hand() -> str:
        return emulator.authorize(lines[0].rpartition(" ")[2], EMAIL)

    assert sign_in(open_browser=fail, prompt=lines.append, paste=by_hand).user.email == EMAIL


def test_strangers_change_nothing(sign_in: Callable[..., Session], emulator: Emulator, port: int) -> None:
    """A favicon, a probe, a forged state, a wrong Host, images and idle connections change nothing."""
    statuses: list[int] = []
    image = {"Sec-Fetch-Dest": "image"}
    idle: list[socket.socket] = []

    def disturb(redirect: str) -> None:
        base = redirect.removesuffix("/callback")
        idle.extend(socket.create_connection(("127.0.0.1", port)) for _ in range(20))
        with httpx.Client(base_url=base, trust_env=False) as stranger:
            statuses.append(stranger.get("/favicon.ico").status_code)
            statuses.append(stranger.get("/callback?code=x&state=forged").status_code)
            statuses.append(stranger.get("/callback?code=x").status_code)
            statuses.append(stranger.get("/callback", headers={"Host": "evil.example.com"}).status_code)
            statuses.append(stranger.post("/callback?code=x&state=y").status_code)
            statuses.append(stranger.get("/callback?error=x&state=forged").status_code)
            statuses.append(stranger.get("/callback?error=access_denied", headers=image).status_code)

    assert sign_in(open_browser=Browser(emulator, disturb)).user.email == EMAIL
    assert statuses == [404, 400, 400, 400, 405, 400, 400]
    for connection in idle:
        connection.close()


def test_second_callback_is_gone(sign_in: Callable[..., Session], emulator: Emulator, port: int) -> None:
    """A tab that is restored sends the callback again: it is answered, and changes nothing."""
    answers: list[bytes] = []

    def come_back_twice(url: str) -> None:
        target = emulator.authorize(url, EMAIL).partition(str(port))[2]
        request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        # The listener accepts in order, so that it has the second connection before it answers the first.
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for connection in reversed(connections):
            with connection:
                connection.sendall(request)
                answers.append(connection.recv(65_536).split(b" ")[1])

    def open_browser(url: str) -> None:
        threading.Thread(target=come_back_twice, args=(url,), daemon=True).start()

    assert sign_in(open_browser=open_browser).user.email == EMAIL
    until(lambda: len(answers) == 2)
    assert answers == [b"200", b"410"]


def test_client_is_ready_when_the_browser_is_back(
    emulator: Emulator, port: int, provider: str | None
) -> None:
    """Loading certificates and the like happens while the person signs in, not while they wait afterwards."""
    ready = threading.Event()

    def transport() -> httpx.BaseTransport:
        ready.set()
        return httpx.HTTPTransport(verify=False)

    browser = Browser(emulator, lambda redirect: ready.wait(30))
    with HelloJohn(**settings(emulator), transport=transport) as hj:
        session = hj.auth.sign_in_with_browser(
            provider, ports=(port,), open_browser=browser, prompt=quiet, timeout=60
        )
    assert session.user.email == EMAIL


def test_eight_sign_ins_at_once(emulator: Emulator, provider: str | None) -> None:
    """Eight programs of one machine share the registered ports, and each gets its own user's session."""
    ports = [free_port() for _ in range(8)]
    register(emulator, *map(callback_at, ports))
    emails = [f"user{number}@example.com" for number in range(8)]
    for email in emails:
        emulator.add_user(email, "Correct-Horse-Battery-9")
    waiting = threading.Barrier(8)

    def sign_in(email: str) -> str | None:
        def browse(url: str) -> None:
            back = emulator.authorize(url, email)
            waiting.wait(30)  # all listen before the first browser comes back
            threading.Thread(target=lambda: httpx.get(back, trust_env=False), daemon=True).start()

        with HelloJohn(**settings(emulator)) as hj:
            return hj.auth.sign_in_with_browser(
                provider, ports=ports, open_browser=browse, prompt=quiet
            ).user.email

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(sign_in, emails)) == emails


def test_pasted_address(sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """A person without a browser on this machine pastes the address that another browser ended on."""
    opened: list[str] = []
    asked = iter(range(3))

    def paste() -> str:
        return "rubbish" if next(asked) == 0 else emulator.authorize(opened[0], EMAIL)

    assert sign_in(open_browser=opened.append, paste=paste).user.email == EMAIL


def test_nothing_is_pasted_after_the_end(sign_in: Callable[..., Session]) -> None:
    """A sign-in that is over asks for no more lines: the next ones belong to the program."""
    with pytest.raises(ServiceUnavailable):
        sign_in(open_browser=quiet, paste=str, timeout=0.2)
    until(lambda: "hellojohn-paste" not in {thread.name for thread in threading.enumerate()})


def test_refused_in_the_browser(sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """A person who declines in the browser gets ChallengeExpired at once."""

    def decline(url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        address = f"{query['redirect_uri'][0]}?error=access_denied&state={query['state'][0]}"
        threading.Thread(target=lambda: httpx.get(address, trust_env=False), daemon=True).start()

    with pytest.raises(ChallengeExpired, match="access_denied"):
        sign_in(open_browser=decline)


@pytest.mark.parametrize("api", ["v2"])
@pytest.mark.parametrize(
    ("code", "message"),
    [("login_required", r"\(login_required\)\. Start over"), ("invalid_scope", "Add it to the client")],
)
def test_error_without_a_state_ends_after_a_grace(
    sign_in: Callable[..., Session], code: str, message: str
) -> None:
    """An error that names no sign-in, as the open-source server sends it, ends the wait after a moment."""

    def fail(url: str) -> None:
        address = f"{parse_qs(urlsplit(url).query)['redirect_uri'][0]}?error={code}"
        threading.Thread(target=lambda: httpx.get(address, trust_env=False), daemon=True).start()

    with pytest.raises(ChallengeExpired, match=message):
        sign_in(open_browser=fail, timeout=20)


@pytest.mark.parametrize("api", ["v1"])
def test_error_without_a_state_is_a_strangers(sign_in: Callable[..., Session], emulator: Emulator) -> None:
    """The cloud API repeats the state with an error, so that no other page can end the sign-in."""
    statuses: list[int] = []

    def disturb(redirect: str) -> None:
        address = f"{redirect}?error=access_denied"
        statuses.append(httpx.get(address, trust_env=False).status_code)

    assert sign_in(open_browser=Browser(emulator, disturb)).user.email == EMAIL
    assert statuses == [400]


def test_no_browser_comes_back(sign_in: Callable[..., Session]) -> None:
    """The error of a wait that is over lists the causes that the browser may show."""
    with pytest.raises(ServiceUnavailable, match="not registered"):
        sign_in(open_browser=lambda url: None, timeout=0.2)


def test_all_ports_in_use(sign_in: Callable[..., Session]) -> None:
    """When every port is taken, the error names the addresses to register."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"http://127.0.0.1:{taken}/callback"):
            sign_in(ports=(taken,), open_browser=lambda url: None)


@pytest.mark.parametrize("ports", [(), (0,), (70_000,), ("8765",), None, 8765])
def test_malformed_ports(sign_in: Callable[..., Session], ports: Any) -> None:
    """Ports are whole numbers that are registered with the client."""
    with pytest.raises(ConfigurationError, match="ports"):
        sign_in(ports=ports, open_browser=lambda url: None)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"timeout": seconds} for seconds in (float("nan"), float("inf"), 0, -1, 1e6, "5", None, True)),
        {"open_browser": None},
        {"prompt": None},
        {"paste": "https://example.com"},
        {"scopes": "openid"},
        {"scopes": None},
    ],
    ids=str,
)
def test_malformed_arguments(sign_in: Callable[..., Session], wrong: dict[str, Any]) -> None:
    """A malformed argument is named before a browser opens."""
    opened: list[str] = []
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        sign_in(**{"open_browser": opened.append, "timeout": 0.2, **wrong})
    assert opened == []


@pytest.mark.parametrize(("api", "other"), [("v1", None), ("v2", "google")])
def test_server_without_a_login_page(client: HelloJohn, port: int, other: str | None) -> None:
    """The cloud API needs a provider, and the open-source server has none. No browser opens before that."""
    opened: list[str] = []
    with pytest.raises(NotSupported, match="provider"):
        client.auth.sign_in_with_browser(other, ports=(port,), open_browser=opened.append)
    assert opened == []


# ------------------------------------------------------------------ web back ends


async def test_back_end_completes_a_sign_in(hj: Any, emulator: Emulator, provider: str | None) -> None:
    """A web back end redirects the browser, keeps the request, and completes it once."""
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK, remember_me=True))
    callback = emulator.authorize(request.url, EMAIL)
    session = await done(hj.auth.complete_oauth(request, callback))
    assert (session.user.email, session.duration.days) == (EMAIL, 30)
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.complete_oauth(request, callback))
    assert await done(hj.auth.session()) == session


async def test_back_end_chooses_the_scopes(hj: Any, emulator: Emulator, provider: str | None) -> None:
    """A client that lacks a default scope can sign users in without it, and knows less of them."""
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK, scopes=["openid"]))
    asked = parse_qs(urlsplit(request.url).query).get("scope", [])
    assert asked == ([] if provider else ["openid"])
    session = await done(hj.auth.complete_oauth(request, emulator.authorize(request.url, EMAIL)))
    assert session.user.email == (EMAIL if provider else None)


async def test_scopes_are_a_list(hj: Any, provider: str | None) -> None:
    """One scope as a text would be sent letter by letter."""
    with pytest.raises(ConfigurationError, match="scopes"):
        await done(hj.auth.sign_in_with_oauth(provider, BACK, scopes="openid"))


async def test_request_is_kept_on_the_server(hj: Any, provider: str | None) -> None:
    """A request pickles and copies for the browser session, and its repr hides the secrets."""
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    assert pickle.loads(pickle.dumps(request)) == copy.deepcopy(request) == request
    for secret in (request.state, request.code_verifier, request.nonce, request.url):
        assert secret not in repr(request)


async def test_callback_of_another_browser(hj: Any, emulator: Emulator, provider: str | None) -> None:
    """A callback with the state of another request is refused, and nothing is sent."""
    mine = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    other = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    callback = emulator.authorize(other.url, EMAIL)
    with pytest.raises(ValidationFailed):
        await done(hj.auth.complete_oauth(mine, callback))
    assert await done(hj.auth.session()) is None


@pytest.mark.parametrize(
    "address",
    ["", "junk", BACK, f"{BACK}?state=x", f"{BACK}?state=a&state=b&code=c", "?" + "a=1&" * 9_999, "http://["],
)
async def test_hostile_callbacks(hj: Any, address: str, provider: str | None) -> None:
    """An address that is not the callback is ValidationFailed, in any form."""
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    with pytest.raises(ValidationFailed):
        await done(hj.auth.complete_oauth(request, address))


async def test_request_that_is_over(hj: Any, emulator: Emulator, provider: str | None) -> None:
    """A browser that takes more than ten minutes starts over."""
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    callback = emulator.authorize(request.url, EMAIL)
    emulator.advance("11m")
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.complete_oauth(request, callback))


async def test_wrong_arguments(hj: Any, provider: str | None) -> None:
    """Arguments of the wrong type are the developer's mistake."""
    with pytest.raises(ConfigurationError):
        await done(hj.auth.complete_oauth("request", BACK))
    request = await done(hj.auth.sign_in_with_oauth(provider, BACK))
    assert isinstance(request, OAuthRequest)
    with pytest.raises(ConfigurationError):
        await done(hj.auth.complete_oauth(request, 3))

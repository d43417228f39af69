"""WebSockets of signed-in browsers: the cookie opens them, and only for pages of the site."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from hellojohn import AsyncHelloJohn, Session
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.integrations.fastapi import BrowserSessions
from tests.fake_stores import FailingStore
from tests.integrations.browsers import HTTPS, close_all, opened


class Clock:
    """A clock that knows how often it was read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Show the time of another clock."""
        self._clock = clock
        self._reads = threading.Semaphore(0)

    def __call__(self) -> float:
        """Return the time."""
        self._reads.release()
        return self._clock()

    def wait_for_a_look(self) -> None:
        """Wait until the watcher of the one open socket has compared the time with the socket's end."""
        while self._reads.acquire(blocking=False):
            pass
        for _ in range(6):  # more reads than a look takes
            assert self._reads.acquire(timeout=10)


@pytest.fixture
def store() -> FailingStore:
    """The store of the site."""
    return FailingStore()


@pytest.fixture
def clock(emulator: Emulator) -> Clock:
    """The clock of the site."""
    return Clock(emulator.clock)


@pytest.fixture
def browser(emulator: Emulator, store: FailingStore, clock: Clock) -> Iterator[Any]:
    """A browser on a site with sockets."""
    browsers = BrowserSessions(opened(AsyncHelloJohn, emulator, {"client": {"store": store, "clock": clock}}))
    app = FastAPI()
    browsers.install(app)

    @app.websocket("/live")
    async def live(websocket: WebSocket, session: Annotated[Session, Depends(browsers.session)]) -> None:
        await websocket.accept()
        await websocket.send_text(str(session.user.email))
        await websocket.close()

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, _: Annotated[Session, Depends(browsers.session)]) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            while True:
                await websocket.send_text(await websocket.receive_text())

    @app.get("/")
    async def home(session: Annotated[Session, Depends(browsers.session)]) -> str | None:
        return session.user.email

    @app.post("/sign-out")
    async def sign_out(request: Request) -> Any:
        return await browsers.sign_out(request)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Any:
        return await browsers.sign_in(request, DEMO_EMAIL, DEMO_PASSWORD)

    yield TestClient(app, base_url=HTTPS, follow_redirects=False)
    close_all()


WSS = HTTPS.replace("https", "wss")


def open_chat(browser: Any) -> Any:
    """Open a socket that stays open."""
    return browser.websocket_connect(f"{WSS}/chat", headers={"Origin": HTTPS})


def echo(socket: Any, text: str = "hello") -> str:
    """Return the answer to a message."""
    socket.send_text(text)
    return socket.receive_text()


def end_of(socket: Any) -> int:
    """Return the code that a socket is closed with."""
    with pytest.raises(WebSocketDisconnect) as caught:
        socket.receive_text()
    return caught.value.code


def hello(browser: Any, **headers: str) -> str | int:
    """Return the first message of the socket, or the code that it is closed with."""
    try:
        with browser.websocket_connect(f"{WSS}/live", headers=headers) as socket:
            return socket.receive_text()
    except WebSocketDisconnect as error:
        return error.code


def test_socket_of_a_browser(browser: Any) -> None:
    """A page of the site opens a socket by its cookie; another site's page and a visitor do not."""
    assert hello(browser, Origin=HTTPS) == 1008
    assert browser.post("/sign-in").status_code == 303
    assert hello(browser, Origin=HTTPS) == DEMO_EMAIL
    assert hello(browser, Origin="https://evil.com") == 1008


def test_socket_ends_with_the_session(browser: Any, emulator: Emulator) -> None:
    """A socket is closed within a second of the end of the session that has opened it."""
    emulator.configure(session_duration="30m")
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        emulator.advance("29m")
        assert echo(socket) == "hello"
        began = time.monotonic()
        emulator.advance("1m")
        assert end_of(socket) == 1008
        assert time.monotonic() - began < 1.0


def test_socket_ends_with_its_access_token(browser: Any, emulator: Emulator) -> None:
    """Without other requests of the browser, the end of the token is the end of the socket."""
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        emulator.advance("1h")
        assert end_of(socket) == 1008
    with open_chat(browser) as socket:
        assert echo(socket) == "hello"


def test_socket_outlives_a_refreshed_token(browser: Any, emulator: Emulator, clock: Clock) -> None:
    """If the browser's requests keep the session alive, its socket stays open."""
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        for rotations, minutes in ((1, 59), (2, 58)):
            emulator.advance(timedelta(minutes=minutes, seconds=58))  # two seconds before the token's end
            assert browser.get("/").status_code == 200
            assert emulator.rotations == rotations
            emulator.advance("1m")
            clock.wait_for_a_look()
            assert echo(socket) == "hello"


def test_socket_ends_after_sign_out(browser: Any, emulator: Emulator) -> None:
    """A sign-out closes the open sockets of the browser within ten seconds."""
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        browser.post("/sign-out")
        emulator.advance("10s")
        assert end_of(socket) == 1008


def test_socket_stays_open_in_an_outage(
    browser: Any, emulator: Emulator, store: FailingStore, clock: Clock
) -> None:
    """If the store is away, the socket stays open until its access token ends."""
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        store.fail("load")
        emulator.advance("30m")
        clock.wait_for_a_look()
        assert echo(socket) == "hello"
        emulator.advance("30m")
        assert end_of(socket) == 1008


def test_socket_ends_with_its_client(browser: Any, emulator: Emulator) -> None:
    """A socket that nothing can watch any more is closed."""
    browser.post("/sign-in")
    with open_chat(browser) as socket:
        close_all()
        emulator.advance("10s")
        assert end_of(socket) == 1008

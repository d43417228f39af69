"""WebSockets of signed-in browsers: the cookie opens them, and only for pages of the site."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from hellojohn import AsyncHelloJohn, Session
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.integrations.fastapi import BrowserSessions
from tests.integrations.browsers import HTTPS, close_all, opened


@pytest.fixture
def browser(emulator: Emulator) -> Iterator[Any]:
    """A signed-in browser on a site with a socket."""
    browsers = BrowserSessions(opened(AsyncHelloJohn, emulator, {}))
    app = FastAPI()
    browsers.install(app)

    @app.websocket("/live")
    async def live(websocket: WebSocket, session: Annotated[Session, Depends(browsers.session)]) -> None:
        await websocket.accept()
        await websocket.send_text(str(session.user.email))
        await websocket.close()

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Any:
        return await browsers.sign_in(request, DEMO_EMAIL, DEMO_PASSWORD)

    yield TestClient(app, base_url=HTTPS, follow_redirects=False)
    close_all()


def hello(browser: Any, **headers: str) -> str | int:
    """Return the first message of the socket, or the code that it is closed with."""
    url = HTTPS.replace("https", "wss") + "/live"
    try:
        with browser.websocket_connect(url, headers=headers) as socket:
            return socket.receive_text()
    except WebSocketDisconnect as error:
        return error.code


def test_socket_of_a_browser(browser: Any) -> None:
    """A page of the site opens a socket by its cookie; another site's page and a visitor do not."""
    assert hello(browser, Origin=HTTPS) == 1008
    assert browser.post("/sign-in").status_code == 303
    assert hello(browser, Origin=HTTPS) == DEMO_EMAIL
    assert hello(browser, Origin="https://evil.com") == 1008

"""Guarded WebSockets of FastAPI and Starlette: refused with a bad token, closed when the token ends."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from hellojohn import TokenClaims
from hellojohn.emulator import Emulator
from hellojohn.integrations import fastapi as for_fastapi
from hellojohn.integrations import starlette as for_starlette
from tests.integrations.apps import guards_of

LEFT: list[Any] = []
"""The errors that endpoints have ended with."""


async def serve(websocket: WebSocket, claims: TokenClaims | None) -> None:
    """Accept, and answer every message with the user; after ``send``, send without an end."""
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive_text()
            await websocket.send_text("" if claims is None else claims.user_id)
            while message == "send":
                await asyncio.sleep(0.01)
                await websocket.send_text("more")
    except WebSocketDisconnect as error:
        LEFT.append(error.code)


def fastapi_app(client: Any) -> FastAPI:
    """Build the app with dependencies."""
    app = FastAPI()
    for name, guard in guards_of(for_fastapi.Guard(client)).items():

        async def view(websocket: WebSocket, claims: Annotated[TokenClaims | None, Depends(guard)]) -> None:
            await serve(websocket, claims)

        app.websocket(f"/{name}")(view)
    return app


def starlette_app(client: Any) -> Starlette:
    """Build the app with decorators."""

    async def view(websocket: WebSocket) -> None:
        await serve(websocket, websocket.state.hellojohn)

    guards = guards_of(for_starlette.Guard(client))
    return Starlette(routes=[WebSocketRoute(f"/{name}", guard(view)) for name, guard in guards.items()])


@pytest.fixture(params=[fastapi_app, starlette_app])
def browser(request: pytest.FixtureRequest, hj: Any) -> TestClient:
    """A client of each app in turn."""
    LEFT.clear()
    return TestClient(request.param(hj))


def connect(browser: TestClient, path: str, token: str | None) -> Any:
    """Open a socket."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return browser.websocket_connect(path, headers=headers)


def refusal(browser: TestClient, path: str, token: str | None) -> int:
    """Return the code that a socket is refused with."""
    with pytest.raises(WebSocketDisconnect) as caught, connect(browser, path, token):
        pytest.fail("it was accepted")
    return caught.value.code


def test_good_token(browser: TestClient, emulator: Emulator) -> None:
    """A socket with a token knows its user."""
    token = emulator.token(roles=["admin"])
    for path in ("/required", "/role", "/remote", "/optional"):
        with connect(browser, path, token) as socket:
            socket.send_text("who")
            assert socket.receive_text() == emulator.sessions()[-1].user_id


def test_optional_without_token(browser: TestClient) -> None:
    """An optional socket is open to visitors without a token."""
    with connect(browser, "/optional", None) as socket:
        socket.send_text("who")
        assert socket.receive_text() == ""


@pytest.mark.parametrize("path", ["/required", "/optional", "/remote", "/scopes"])
def test_bad_token_is_1008(browser: TestClient, emulator: Emulator, path: str) -> None:
    """A bad or missing token, and a missing scope, break the policy."""
    assert refusal(browser, path, emulator.token(expires_in=timedelta(seconds=-5))) == 1008
    assert refusal(browser, path, "x.y.z") == 1008
    if path != "/optional":
        assert refusal(browser, path, None) == 1008
    if path == "/scopes":
        assert refusal(browser, path, emulator.token(scopes=["other"], roles=[])) == 1008


def test_outage_is_1013(browser: TestClient, emulator: Emulator) -> None:
    """During an outage the client may try again later."""
    emulator.fail("jwks", status=503, times=None)
    emulator.fail("sessions/verify", status=503, times=None)
    token = emulator.token()
    assert {refusal(browser, path, token) for path in ("/required", "/optional", "/remote")} == {1013}


@pytest.mark.parametrize("message", ["wait", "send"])
def test_socket_ends_with_its_token(browser: TestClient, emulator: Emulator, message: str) -> None:
    """An endpoint that waits or sends sees a disconnect within a second of the token's end."""
    with connect(browser, "/required", emulator.token(expires_in="1h")) as socket:
        socket.send_text(message)
        socket.receive_text()
        emulator.advance("59m")
        began = time.monotonic()
        emulator.advance("1m")
        with pytest.raises(WebSocketDisconnect) as caught:
            drain(socket.receive_text)
        assert caught.value.code == 1008
        assert time.monotonic() - began < 1.0
        while message == "send" and not LEFT and time.monotonic() < began + 10:
            time.sleep(0.01)  # the end of the block cancels the endpoint
    assert len(LEFT) == 1


@pytest.mark.parametrize("path", ["/required", "/remote", "/optional"])
def test_socket_ends_with_a_revocation(browser: TestClient, emulator: Emulator, hj: Any, path: str) -> None:
    """A webhook that revokes the session closes its open sockets within a second, and no others."""
    token, other = emulator.token(), emulator.token()
    with connect(browser, path, other) as staying, connect(browser, path, token) as socket:
        began = time.monotonic()
        revoking = hj.revocations.add(session_id=emulator.sessions()[0].id)
        if inspect.isawaitable(revoking):
            asyncio.run(wait_for(revoking))
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_text()
        assert caught.value.code == 1008
        assert time.monotonic() - began < 1.5
        staying.send_text("who")
        assert staying.receive_text()


async def wait_for(awaitable: Awaitable[None]) -> None:
    """Await it."""
    await awaitable


def drain(receive: Callable[[], str]) -> None:
    """Receive until the socket ends."""
    while receive():
        pass


def test_no_watcher_outlives_its_socket(browser: TestClient, emulator: Emulator) -> None:
    """A closed socket leaves nothing behind on the event loop."""
    with browser:
        with connect(browser, "/required", emulator.token()) as socket:
            socket.send_text("who")
            socket.receive_text()
            assert browser.portal is not None
            assert browser.portal.call(watchers) == 1
        ends_at = time.monotonic() + 5
        while browser.portal.call(watchers) and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert browser.portal.call(watchers) == 0


async def watchers() -> int:
    """Count the tasks that watch sockets."""
    return sum("_watch" in repr(task.get_coro()) for task in asyncio.all_tasks())

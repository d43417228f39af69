"""Transports that never leave the process, such as a framework's test client: cleartext is allowed there."""

import httpx
import httpx2
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient

from hellojohn import AsyncHelloJohn, ConfigurationError, HelloJohn
from tests.behaviour.scripted import EMAIL, PASSWORD, ScriptedService
from tests.both_faces import close, settle

app = FastAPI()


@app.get("/token")
@app.post("/token")
def token(request: Request) -> dict[str, str | None]:
    """Return the token that came."""
    return {"token": request.headers.get("authorization")}


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    """Send the token that came."""
    await websocket.accept()
    await websocket.send_json({"token": websocket.headers.get("authorization")})
    await websocket.close()


def wsgi(environ, start_response):
    """Answer with the token that came."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("HTTP_AUTHORIZATION", "none").encode()]


@pytest.fixture
def service() -> ScriptedService:
    """Return a service without sockets."""
    return ScriptedService()


@pytest.fixture
def hj(service) -> HelloJohn:
    """Return a client that is signed in."""
    hj: HelloJohn = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD)
    return hj


@pytest.fixture
async def async_hj(service) -> AsyncHelloJohn:
    """Return an async client that is signed in."""
    hj: AsyncHelloJohn = service.client(AsyncHelloJohn)
    await hj.auth.sign_in(EMAIL, PASSWORD)
    return hj


@pytest.mark.parametrize("base_url", ["http://testserver", "http://test", "http://api.internal:8000"])
def test_test_client_of_a_framework(hj, base_url):
    """hj.wrap(TestClient(app)) sends the token to any cleartext base URL."""
    with hj.wrap(TestClient(app, base_url=base_url)) as api:
        assert api.get("/token").json() == {"token": "Bearer at_1"}
        assert api.post("/token").json() == {"token": "Bearer at_1"}
        assert api.get("https://elsewhere.example/token").json() == {"token": None}


def test_websocket_of_a_test_client(hj):
    """A websocket of the same origin carries the token."""
    with hj.wrap(TestClient(app)) as api, api.websocket_connect("/socket") as socket:
        assert socket.receive_json() == {"token": "Bearer at_1"}


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_asgi_transport(async_hj, library):
    """An AsyncClient on an ASGI app may have a cleartext base URL."""
    client = library.AsyncClient(transport=library.ASGITransport(app=app), base_url="http://test")
    api = async_hj.wrap(client)
    assert (await api.get("/token")).json() == {"token": "Bearer at_1"}
    await close(api)


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_wsgi_transport(hj, library):
    """A Client on a WSGI app may have a cleartext base URL."""
    with hj.wrap(library.Client(transport=library.WSGITransport(app=wsgi), base_url="http://test")) as api:
        assert api.get("/").text == "Bearer at_1"


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
async def test_mock_transport(service, library, owner):
    """A mock never leaves the process."""
    hj = service.client(owner)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    seen = []

    def answer(request):
        seen.append(request.headers.get("authorization"))
        return library.Response(200)

    kind = library.Client if owner is HelloJohn else library.AsyncClient
    api = hj.wrap(kind(transport=library.MockTransport(answer), base_url="http://api.internal"))
    await settle(api.get("/x"))
    await close(api)
    assert seen == ["Bearer at_1"]


def test_refused_token_in_process(hj, service):
    """A 401 of an app in this process is repeated as any other."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401 if request.headers["authorization"] == "Bearer at_1" else 200)

    with hj.client(base_url="http://test", transport=httpx.MockTransport(answer)) as api:
        assert api.get("/x").status_code == 200
    assert service.presented() == ["rt_1"]


def test_mount_that_leaves_the_process(hj):
    """A client whose requests may leave the process by another mount is not in the process."""
    mounts = {"all://real.example": httpx.HTTPTransport()}
    client = httpx.Client(
        base_url="http://test", transport=httpx.MockTransport(lambda _: httpx.Response(200)), mounts=mounts
    )
    with client, pytest.raises(ConfigurationError, match="cleartext"):
        hj.wrap(client)


def test_cleartext_over_the_network_is_refused(hj):
    """A client with a real transport and a cleartext base URL is refused."""
    with pytest.raises(ConfigurationError, match="use https"):
        hj.client(base_url="http://api.internal")
    client = httpx.Client(base_url="http://test", transport=httpx.HTTPTransport())
    with client, pytest.raises(ConfigurationError, match="use https"):
        hj.wrap(client)


def test_listed_origins_stay_strict_in_process(hj):
    """An in-process transport allows its own base URL, and no cleartext origin of the list."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with pytest.raises(ConfigurationError, match="use https"):
        hj.client(base_url="http://test", origins=["http://other.example"], transport=transport)

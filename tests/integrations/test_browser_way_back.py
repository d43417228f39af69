"""After sign-in a user is on the very page that they visited, as real servers hand it to the frameworks."""

import http.client
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.test import override_settings
from django.urls import re_path
from fastapi import FastAPI
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from werkzeug.serving import make_server

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import Emulator
from hellojohn.integrations import django as for_django
from hellojohn.integrations import fastapi as for_fastapi
from hellojohn.integrations import flask as for_flask
from hellojohn.integrations import starlette as for_starlette
from hellojohn.integrations._redirects import visited
from tests.integrations.browsers import EMAIL, PASSWORD, close_all, opened

PAGES = [
    *("/x/a%3Fb", "/x/a%23b", "/x/a%25b", "/x/a%2523b", "/x/50%25off", "/x/a%5Cb", "/x/a%252e%252e"),
    *("/x/%C3%BC", "/x/%c3%bc", "/x/a%20b", "/x/a;v=1,2/(b)", "/x/a%3Bb", "/x/~a:b@c!$&'*+"),
    *("/x/a?q=a%20b+c%2Bd", "/x/a?q=%26%3D%23%3F%25&r=a?b/c", "/x/a?q=%C3%BC", "/x/a%2Fb"),
]
UNQUOTED = "/x/a|b[c]?q=[1]|{2}"
"""Characters that browsers send as they stand, and that frameworks quote in a redirect."""


def with_fastapi(emulator: Emulator) -> Any:
    """Build the site."""
    browsers = for_fastapi.BrowserSessions(opened(AsyncHelloJohn, emulator, {}))
    app = FastAPI()
    browsers.install(app)

    @app.get("/x/{rest:path}")
    async def page(request: Request, rest: str) -> Any:
        await browsers.session(request)
        return rest

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        return await browsers.sign_in(request, EMAIL, PASSWORD)

    return app


def with_starlette(emulator: Emulator) -> Any:
    """Build the site."""
    browsers = for_starlette.BrowserSessions(opened(AsyncHelloJohn, emulator, {}))

    async def page(request: Request) -> Response:
        await browsers.session(request)
        return PlainTextResponse("in")

    async def sign_in(request: Request) -> Response:
        return await browsers.sign_in(request, EMAIL, PASSWORD)

    routes = [Mount("/x", routes=[Route("/{rest:path}", page)])]
    app = Starlette(routes=[*routes, Route("/sign-in", sign_in, methods=["POST"])])
    browsers.install(app)
    return app


def with_flask(emulator: Emulator) -> Any:
    """Build the site."""
    browsers = for_flask.BrowserSessions(opened(HelloJohn, emulator, {}))
    app = Flask("pages")
    browsers.install(app)

    @app.get("/x/<path:rest>")
    def page(rest: str) -> str:
        browsers.session(flask_request)
        return rest

    @app.post("/sign-in")
    def sign_in() -> Any:
        return browsers.sign_in(flask_request, EMAIL, PASSWORD)

    return app


def with_django(emulator: Emulator, get_application: Callable[[], Any] = get_wsgi_application) -> Any:
    """Build the site."""
    browsers = for_django.BrowserSessions(opened(HelloJohn, emulator, {}))

    def page(request: Any) -> Any:
        browsers.session(request)
        return HttpResponse()

    def sign_in(request: Any) -> Any:
        return browsers.sign_in(request, EMAIL, PASSWORD)

    urls: Any = types.ModuleType("tests_integrations_way_back")
    urls.urlpatterns = [re_path("^x/", page), re_path("^sign-in$", sign_in)]
    urls.middleware = browsers.middleware
    sys.modules[urls.__name__] = urls
    with override_settings(MIDDLEWARE=[f"{urls.__name__}.middleware"]):
        return get_application()


def with_async_django(emulator: Emulator) -> Any:
    """Build the site for an ASGI server."""
    return with_django(emulator, get_asgi_application)


@contextmanager
def uvicorn_serves(app: Any) -> Iterator[int]:
    """Serve an ASGI app."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def werkzeug_serves(app: Any) -> Iterator[int]:
    """Serve a WSGI app."""
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SITES = {
    "fastapi": (with_fastapi, uvicorn_serves),
    "starlette": (with_starlette, uvicorn_serves),
    "flask": (with_flask, werkzeug_serves),
    "django": (with_django, werkzeug_serves),
    "django-asgi": (with_async_django, uvicorn_serves),
}


@pytest.fixture(params=SITES)
def port(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[int]:
    """A port of this machine at which a real server serves the site of each framework in turn."""
    emulator.add_user(EMAIL, PASSWORD)
    build, serve = SITES[request.param]
    with ExitStack() as stack:
        stack.callback(close_all)
        stack.enter_context(override_settings(ROOT_URLCONF="tests_integrations_way_back"))
        yield stack.enter_context(serve(build(emulator)))


def location(port: int, method: str, target: str) -> str:
    """Send a request whose address arrives as it stands here; return where the answer leads."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, headers={"Accept": "text/html"})
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 303, (target, reply.status)
        return reply.headers["Location"]
    finally:
        connection.close()


def test_user_lands_on_the_page_they_visited(port: int) -> None:
    """The way through sign-in changes no byte of the page's address."""
    landed = {}
    for page in PAGES:
        way = location(port, "GET", page)
        landed[page] = location(port, "POST", way)
    assert landed == {page: page for page in PAGES}
    assert unquote(location(port, "POST", location(port, "GET", UNQUOTED))) == UNQUOTED


@pytest.mark.parametrize(
    ("sent", "path", "query", "target"),
    [
        (b"/a%3Fb", "/a?b", b"", "/a%3Fb"),
        (b"", "/a?b#c%d", b"e=%20", "/a%3Fb%23c%25d?e=%20"),
        (b"", "/\u00fc/b;c=d", b"", "/%C3%BC/b;c=d"),
        (b"/orders%3F", "/shop/orders?", b"", "/shop/orders%3F"),
        (b"http://evil.com/a", "/a", b"", "/a"),
        (b"//evil.com/a", "/a", b"", "/a"),
        (b"/a\xff", "/a\ufffd", b'\xfc="<', '/a%FF?%FC="<'),
    ],
)
def test_address_that_a_server_gives(sent: bytes, path: str, query: bytes, target: str) -> None:
    """What the server has decoded is quoted, where it keeps nothing else or a proxy has added to it."""
    assert visited(sent, path, query) == target

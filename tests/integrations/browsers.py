"""The same site in each framework, and browsers that visit it."""

import asyncio
import sys
import types
from collections.abc import Callable
from typing import Annotated, Any

import httpx
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path as django_path
from fastapi import Depends, FastAPI, Form
from flask import Flask, g
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from hellojohn import ApiError, AsyncHelloJohn, HelloJohn, Session
from hellojohn.emulator import Emulator
from hellojohn.integrations import django as for_django
from hellojohn.integrations import fastapi as for_fastapi
from hellojohn.integrations import flask as for_flask
from hellojohn.integrations import starlette as for_starlette
from hellojohn.testing._settings import settings_for
from tests.integrations import apps

__all__ = ["SITES", "Browsers"]

HTTPS = "https://app.example.com"
EMAIL, PASSWORD = "ada@example.com", "Correct-Horse-Battery-9"
CAREFUL = "bob@example.com"
"""A user with a second factor."""
SCOPES = ("openid", "email")  # not the default ones, so that a test sees them arrive

Browsers = Callable[..., Any]
"""Returns a new browser. Takes its ``base_url`` and more headers."""


OPENED: list[HelloJohn | AsyncHelloJohn] = []
"""The clients of the sites of this test."""


def close_all() -> None:
    """Close the clients."""
    while OPENED:
        client = OPENED.pop()
        if isinstance(client, HelloJohn):
            client.close()
        else:
            asyncio.run(client.aclose())


def opened(kind: Any, emulator: Emulator, settings: dict[str, Any]) -> Any:
    """Make a client, which ``close_all`` closes."""
    client = kind(**{**settings_for(emulator), **settings.pop("client", {})})
    OPENED.append(client)
    return client


def provider_of(emulator: Emulator) -> str | None:
    """Return how a browser signs in: with a provider, or at the open-source server's own login."""
    return "google" if emulator.api == "v1" else None


def _email(session: Session | None) -> dict[str, Any]:
    return {"email": session.user.email if session is not None else None}


def fastapi_site(emulator: Emulator, **settings: Any) -> Browsers:  # noqa: C901 - as below
    """Build the site with dependencies."""
    hj = opened(AsyncHelloJohn, emulator, settings)
    browsers = for_fastapi.BrowserSessions(hj, **settings)
    app = FastAPI()
    browsers.install(app)
    Field = Annotated[str, Form()]  # noqa: N806 - a type

    @app.get("/")
    @app.post("/")
    async def home(client: Annotated[AsyncHelloJohn, Depends(browsers.client)]) -> Any:
        return _email(await client.auth.session())

    @app.get("/a b/c")
    @app.get("/orders")
    @app.post("/orders")
    async def orders(session: Annotated[Session, Depends(browsers.session)]) -> Any:
        return _email(session)

    @app.get("/token")
    async def token(client: Annotated[AsyncHelloJohn, Depends(browsers.client)]) -> Any:
        return {"token": await client.auth.access_token()}

    @app.post("/sign-in")
    async def sign_in(request: Request, email: Field, password: Field, remember: Field = "") -> Any:
        try:
            return await browsers.sign_in(request, email, password, remember_me=bool(remember))
        except ApiError as error:
            return PlainTextResponse(type(error).__name__, 401)

    @app.post("/oauth")
    async def oauth(request: Request, remember: Field = "") -> Any:
        provider, remembered = provider_of(emulator), bool(remember)
        return await browsers.sign_in_with_oauth(request, provider, remember_me=remembered, scopes=SCOPES)

    @app.get("/callback")
    async def callback(request: Request) -> Any:
        return await browsers.complete_oauth(request)

    @app.post("/mfa")
    async def mfa(request: Request, code: Field) -> Any:
        try:
            return await browsers.verify_mfa(request, code)
        except ApiError as error:
            return PlainTextResponse(type(error).__name__, 401)

    @app.post("/sign-out")
    async def sign_out(request: Request, everywhere: Field = "") -> Any:
        return await browsers.sign_out(request, everywhere=bool(everywhere))

    return _asgi(app)


def starlette_site(emulator: Emulator, **settings: Any) -> Browsers:
    """Build the site with calls."""
    hj = opened(AsyncHelloJohn, emulator, settings)
    browsers = for_starlette.BrowserSessions(hj, **settings)

    async def home(request: Request) -> Response:
        return JSONResponse(_email(await (await browsers.client(request)).auth.session()))

    async def orders(request: Request) -> Response:
        return JSONResponse(_email(await browsers.session(request)))

    async def token(request: Request) -> Response:
        return JSONResponse({"token": await (await browsers.client(request)).auth.access_token()})

    async def sign_in(request: Request) -> Response:
        form: Any = await request.form()
        try:
            remember = bool(form.get("remember"))
            return await browsers.sign_in(request, form["email"], form["password"], remember_me=remember)
        except ApiError as error:
            return PlainTextResponse(type(error).__name__, 401)

    async def mfa(request: Request) -> Response:
        form: Any = await request.form()
        try:
            return await browsers.verify_mfa(request, form["code"])
        except ApiError as error:
            return PlainTextResponse(type(error).__name__, 401)

    async def sign_out(request: Request) -> Response:
        return await browsers.sign_out(request, everywhere="everywhere" in await request.form())

    async def oauth(request: Request) -> Response:
        remember = "remember" in await request.form()
        provider = provider_of(emulator)
        return await browsers.sign_in_with_oauth(request, provider, remember_me=remember, scopes=SCOPES)

    pages: dict[str, Any] = {"": home, "orders": orders, "a b/c": orders, "token": token}
    pages["callback"] = browsers.complete_oauth
    forms: dict[str, Any] = {"sign-in": sign_in, "mfa": mfa, "sign-out": sign_out, "oauth": oauth}
    app = Starlette(
        routes=[
            *(Route(f"/{name}", view, methods=["GET", "POST"]) for name, view in pages.items()),
            *(Route(f"/{name}", view, methods=["POST"]) for name, view in forms.items()),
        ]
    )
    browsers.install(app)
    return _asgi(app)


def flask_site(emulator: Emulator, **settings: Any) -> Browsers:  # noqa: C901 - one small view for each page
    """Build the site with ``g``."""
    hj = opened(HelloJohn, emulator, settings)
    browsers = for_flask.BrowserSessions(hj, **settings)
    app = Flask("site")
    app.testing = True
    browsers.install(app)

    def home() -> Any:
        return _email(g.hellojohn_client.auth.session())

    def orders() -> Any:
        return _email(browsers.session(flask_request))

    def token() -> Any:
        return {"token": g.hellojohn_client.auth.access_token()}

    def sign_in() -> Any:
        form = flask_request.form
        remember = bool(form.get("remember"))
        try:
            return browsers.sign_in(flask_request, form["email"], form["password"], remember_me=remember)
        except ApiError as error:
            return type(error).__name__, 401

    def mfa() -> Any:
        try:
            return browsers.verify_mfa(flask_request, flask_request.form["code"])
        except ApiError as error:
            return type(error).__name__, 401

    def sign_out() -> Any:
        return browsers.sign_out(flask_request, everywhere="everywhere" in flask_request.form)

    def oauth() -> Any:
        remember = "remember" in flask_request.form
        provider = provider_of(emulator)
        return browsers.sign_in_with_oauth(flask_request, provider, remember_me=remember, scopes=SCOPES)

    def callback() -> Any:
        return browsers.complete_oauth(flask_request)

    app.add_url_rule("/a b/c", view_func=orders)
    for name, view in {"": home, "orders": orders, "token": token, "callback": callback}.items():
        app.add_url_rule(f"/{name}", view.__name__, view, methods=["GET", "POST"])
    for name, view in {"sign-in": sign_in, "mfa": mfa, "sign-out": sign_out, "oauth": oauth}.items():
        app.add_url_rule(f"/{name}", view.__name__, view, methods=["POST"])
    return _wsgi(app)


def django_site(emulator: Emulator, **settings: Any) -> Browsers:  # noqa: C901 - as above
    """Build the site with a middleware."""
    hj = opened(HelloJohn, emulator, settings)
    browsers = for_django.BrowserSessions(hj, **settings)

    def home(request: Any) -> Any:
        return JsonResponse(_email(request.hellojohn_client.auth.session()))

    def orders(request: Any) -> Any:
        return JsonResponse(_email(browsers.session(request)))

    def token(request: Any) -> Any:
        return JsonResponse({"token": request.hellojohn_client.auth.access_token()})

    def sign_in(request: Any) -> Any:
        form = request.POST
        remember = bool(form.get("remember"))
        try:
            return browsers.sign_in(request, form["email"], form["password"], remember_me=remember)
        except ApiError as error:
            return HttpResponse(type(error).__name__, status=401)

    def mfa(request: Any) -> Any:
        try:
            return browsers.verify_mfa(request, request.POST["code"])
        except ApiError as error:
            return HttpResponse(type(error).__name__, status=401)

    def sign_out(request: Any) -> Any:
        return browsers.sign_out(request, everywhere="everywhere" in request.POST)

    def oauth(request: Any) -> Any:
        return browsers.sign_in_with_oauth(
            request, provider_of(emulator), remember_me="remember" in request.POST, scopes=SCOPES
        )

    pages = {"": home, "orders": orders, "a b/c": orders, "token": token}
    views = {**pages, "sign-in": sign_in, "mfa": mfa, "sign-out": sign_out, "oauth": oauth}
    views["callback"] = browsers.complete_oauth
    urls: Any = types.ModuleType("tests_integrations_site")
    urls.urlpatterns = [django_path(name, view) for name, view in views.items()]
    urls.middleware = browsers.middleware
    sys.modules[urls.__name__] = urls
    with override_settings(MIDDLEWARE=[f"{urls.__name__}.middleware"]):
        app = get_wsgi_application()

    def with_urls(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=urls):
            return app(environ, start_response)

    return _wsgi(with_urls)


def _asgi(app: Any) -> Browsers:
    def browser(base_url: str = HTTPS, **headers: str) -> Any:
        return TestClient(
            app,
            base_url=base_url,
            headers={"Accept": "text/html", "User-Agent": "Firefox", **headers},
            follow_redirects=False,
        )

    return browser


def _wsgi(app: Any) -> Browsers:
    def browser(base_url: str = HTTPS, **headers: str) -> Any:
        return httpx.Client(
            transport=httpx.WSGITransport(app),
            base_url=base_url,
            headers={"Accept": "text/html", "User-Agent": "Firefox", **headers},
        )

    return browser


assert apps.django_settings.configured
SITES: dict[str, Callable[..., Browsers]] = {
    "fastapi": fastapi_site,
    "starlette": starlette_site,
    "flask": flask_site,
    "django": django_site,
}

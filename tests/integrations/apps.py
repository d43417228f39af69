"""The same guarded routes in each framework.

``/required``, ``/optional``, ``/scopes`` (two of them), ``/role`` and ``/remote`` answer with the user's id.
"""

import types
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import django
import httpx
from django.conf import settings as django_settings
from django.http import JsonResponse
from django.test import Client, override_settings
from django.urls import path as django_path
from fastapi import Depends, FastAPI
from flask import Flask, g
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hellojohn import TokenClaims
from hellojohn.integrations import django as for_django
from hellojohn.integrations import fastapi as for_fastapi
from hellojohn.integrations import flask as for_flask
from hellojohn.integrations import starlette as for_starlette

SCOPES = ("orders:read", "orders:write")
ROLE = "admin"

if not django_settings.configured:
    django_settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG_PROPAGATE_EXCEPTIONS=True)
    django.setup()


class Reply(NamedTuple):
    """An answer: status, headers with names in lower case, and the JSON document."""

    status: int
    headers: dict[str, str]
    document: Any


Caller = Callable[..., Reply]
"""Takes a path, the values of the ``Authorization`` headers, and the query."""


def user_of(claims: TokenClaims | None) -> dict[str, str | None]:
    """Return what each route answers with."""
    return {"user": None if claims is None else claims.user_id}


def guards_of(guard: Any) -> dict[str, Any]:
    """Return what guards each route."""
    return {
        "required": guard.require_session,
        "optional": guard.optional,
        "scopes": guard.require_scope(*SCOPES),
        "role": guard.require_role(ROLE),
        "remote": guard.require_session_remote,
    }


def fastapi_app(client: Any, *, is_async: bool) -> FastAPI:
    """Build the app with dependencies."""
    app = FastAPI()
    for name, guard in guards_of(for_fastapi.Guard(client)).items():

        def view(claims: Annotated[TokenClaims | None, Depends(guard)]) -> Any:
            return user_of(claims)

        async def async_view(claims: Annotated[TokenClaims | None, Depends(guard)]) -> Any:
            return user_of(claims)

        app.get(f"/{name}")(async_view if is_async else view)
    return app


def starlette_app(client: Any, *, is_async: bool) -> Starlette:
    """Build the app with decorators."""

    def view(request: Request) -> Any:
        return JSONResponse(user_of(request.state.hellojohn))

    async def async_view(request: Request) -> Any:
        return JSONResponse(user_of(request.state.hellojohn))

    guards = guards_of(for_starlette.Guard(client))
    chosen = async_view if is_async else view
    return Starlette(routes=[Route(f"/{name}", guard(chosen)) for name, guard in guards.items()])


def flask_app(client: Any, *, is_async: bool) -> Flask:
    """Build the app with decorators."""
    app = Flask("guarded")
    app.testing = True  # pass errors on, as the other test clients do

    def view() -> Any:
        return user_of(g.hellojohn)

    async def async_view() -> Any:
        return user_of(g.hellojohn)

    for name, guard in guards_of(for_flask.Guard(client)).items():
        app.add_url_rule(f"/{name}", name, guard(async_view if is_async else view))
    return app


def django_urls(client: Any, *, is_async: bool) -> types.ModuleType:
    """Build the URL configuration with decorated views."""

    def view(request: Any) -> Any:
        return JsonResponse(user_of(request.hellojohn))

    async def async_view(request: Any) -> Any:
        return JsonResponse(user_of(request.hellojohn))

    urls: Any = types.ModuleType("urls")
    chosen = async_view if is_async else view
    guards = guards_of(for_django.Guard(client))
    urls.urlpatterns = [django_path(name, guard(chosen)) for name, guard in guards.items()]
    return urls


def _asgi(build: Callable[..., Any]) -> Callable[..., Caller]:
    def make(client: Any, *, is_async: bool) -> Caller:
        browser = TestClient(build(client, is_async=is_async))

        def call(path: str, *tokens: str, query: str = "") -> Reply:
            headers = [(b"Authorization", token.encode("latin-1")) for token in tokens]
            return _reply(browser.get(f"{path}?{query}", headers=headers))

        return call

    return make


def _flask(client: Any, *, is_async: bool) -> Caller:
    # The test client keeps one of two headers, and a server joins them as here.
    browser = flask_app(client, is_async=is_async).test_client()

    def call(path: str, *tokens: str, query: str = "") -> Reply:
        headers = {"Authorization": ",".join(tokens)} if tokens else {}
        answer = browser.get(path, query_string=query, headers=headers)
        return Reply(answer.status_code, _lower(answer.headers), answer.json)

    return call


def _django(client: Any, *, is_async: bool) -> Caller:
    urls = django_urls(client, is_async=is_async)

    def call(path: str, *tokens: str, query: str = "") -> Reply:
        headers = {"Authorization": ",".join(tokens)} if tokens else {}
        with override_settings(ROOT_URLCONF=urls):
            answer = Client(headers=headers).get(f"{path}?{query}")
        return Reply(answer.status_code, _lower(answer.headers), answer.json())

    return call


def _reply(answer: httpx.Response) -> Reply:
    return Reply(answer.status_code, _lower(answer.headers), answer.json())


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


FRAMEWORKS: dict[str, Callable[..., Caller]] = {
    "fastapi": _asgi(fastapi_app),
    "starlette": _asgi(starlette_app),
    "flask": _flask,
    "django": _django,
}

"""What only one framework has, and the mistakes that a guard refuses when it is made."""

import asyncio
import types
from typing import Annotated, Any

import pytest
from django.http import JsonResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path as django_path
from django.utils.decorators import method_decorator
from django.views import View
from fastapi import Depends, FastAPI, Security
from flask import Flask, g
from flask.views import MethodView
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from hellojohn import ConfigurationError
from hellojohn.emulator import Emulator
from hellojohn.integrations import django as for_django
from hellojohn.integrations import fastapi as for_fastapi
from hellojohn.integrations import flask as for_flask
from hellojohn.integrations import starlette as for_starlette
from tests.integrations.apps import fastapi_app

ROOMS: list[Any] = [for_fastapi, for_starlette, for_flask, for_django]
MIDDLEWARE: Any = None
"""The middleware under test: Django looks it up by its name."""


def test_openapi_shows_the_scheme(hj: Any) -> None:
    """The documentation page of an API has a box for the token."""
    document = fastapi_app(hj, is_async=True).openapi()
    assert document["components"]["securitySchemes"] == {
        "HelloJohn": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert document["paths"]["/scopes"]["get"]["security"] == [{"HelloJohn": []}]


SCOPED = {
    "required": (lambda guard: guard.require_session, ["orders:write"]),
    "more": (lambda guard: guard.require_scope("orders:read"), ["orders:read", "orders:write"]),
    "optional": (lambda guard: guard.optional, ["orders:write"]),
    "remote": (lambda guard: guard.require_session_remote, ["orders:write"]),
}


@pytest.mark.parametrize("kind", SCOPED)
def test_scopes_of_fastapis_security(hj: Any, emulator: Emulator, kind: str) -> None:
    """The scopes that the documentation page shows for a route are demanded, beside those of the guard."""
    guard_of, needed = SCOPED[kind]
    app = FastAPI()
    guard = guard_of(for_fastapi.Guard(hj))

    @app.get("/orders")
    async def orders(claims: Annotated[Any, Security(guard, scopes=["orders:write"])]) -> None:
        pass

    shown = app.openapi()["paths"]["/orders"]["get"]["security"]
    assert shown == [{"HelloJohn": ["orders:write"]}]
    statuses = {}
    with TestClient(app) as web:
        for scopes in ([], ["orders:read"], needed):
            headers = {"Authorization": f"Bearer {emulator.token(scopes=scopes)}"}
            statuses[" ".join(scopes)] = web.get("/orders", headers=headers).status_code
    assert statuses == {"": 403, "orders:read": 403, " ".join(needed): 200}


def test_dependency_is_called_by_hand(hj: Any) -> None:
    """A dependency of an app may call it, and has no scopes to pass."""
    request = Request({"type": "http", "headers": [], "query_string": b""})
    assert asyncio.run(for_fastapi.Guard(hj).optional(request)) is None


def test_scopes_of_a_router(hj: Any, emulator: Emulator) -> None:
    """A dependency of a whole router demands them for each of its routes."""
    guard = for_fastapi.Guard(hj).require_session
    app = FastAPI(dependencies=[Security(guard, scopes=["orders:write"])])

    @app.get("/orders")
    async def orders(claims: Annotated[Any, Depends(guard)]) -> None:
        pass

    with TestClient(app) as web:
        assert web.get("/orders", headers={"Authorization": f"Bearer {emulator.token()}"}).status_code == 403


@pytest.mark.parametrize("room", ROOMS)
def test_other_objects_than_clients(room: Any) -> None:
    """The error names the classes that a guard takes."""
    with pytest.raises(TypeError, match="not str"):
        room.Guard("tnt_1")


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    "wrong", [(), ("",), ("a b",), ('a"',), ("a\\",), ("é",), (["a"],), (None,)], ids=repr
)
def test_wrong_scopes(room: Any, hj: Any, wrong: Any) -> None:
    """A scope that cannot stand in a challenge is refused when the route is made."""
    with pytest.raises(ConfigurationError, match="scope"):
        room.Guard(hj).require_scope(*wrong)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("wrong", [(), ("",), (["a"],), (print,)], ids=repr)
def test_wrong_roles(room: Any, hj: Any, wrong: Any) -> None:
    """So is a role that is not text, such as the view of a decorator without brackets."""
    with pytest.raises(ConfigurationError, match="role"):
        room.Guard(hj).require_role(*wrong)


def test_starlette_endpoint_class(hj: Any, emulator: Emulator) -> None:
    """The methods of an endpoint class can be guarded; the class cannot, and the error says so."""
    guard = for_starlette.Guard(hj)

    class Orders(HTTPEndpoint):
        @guard.require_session
        async def get(self, request: Request) -> JSONResponse:
            return JSONResponse({"user": request.state.hellojohn.user_id})

    browser = TestClient(Starlette(routes=[Route("/", Orders)]))
    assert browser.get("/").status_code == 401
    assert browser.get("/", headers={"Authorization": f"Bearer {emulator.token()}"}).status_code == 200
    with pytest.raises(TypeError, match="methods"):
        guard.require_session(Orders)


def test_flask_view_class(hj: Any, emulator: Emulator) -> None:
    """The decorators of a view class can be guards."""
    guard = for_flask.Guard(hj)

    class Orders(MethodView):
        decorators = (guard.require_session,)

        def get(self) -> Any:
            return {"user": g.hellojohn.user_id}

    app = Flask("classes")
    app.add_url_rule("/", view_func=Orders.as_view("orders"))
    assert app.test_client().get("/").status_code == 401
    headers = {"Authorization": f"Bearer {emulator.token()}"}
    assert app.test_client().get("/", headers=headers).status_code == 200


def urls_of(**views: Any) -> Any:
    """Return a URL configuration."""
    urls: Any = types.ModuleType("urls")
    urls.urlpatterns = [django_path(name, view) for name, view in views.items()]
    return urls


@pytest.mark.parametrize("is_async", [False, True])
async def test_django_view_class(hj: Any, emulator: Emulator, *, is_async: bool) -> None:
    """``as_view()`` and a method of a class can be guarded, on both kinds of server."""
    guard = for_django.Guard(hj)

    class Orders(View):
        def get(self, request: Any) -> Any:
            return JsonResponse({"user": request.hellojohn.user_id})

    class AsyncOrders(View):
        async def get(self, request: Any) -> Any:
            return JsonResponse({"user": request.hellojohn.user_id})

    class Inside(View):
        @method_decorator(guard.require_session)
        def get(self, request: Any) -> Any:
            return JsonResponse({"user": request.hellojohn.user_id})

    outside = guard.require_session((AsyncOrders if is_async else Orders).as_view())
    with override_settings(ROOT_URLCONF=urls_of(outside=outside, inside=Inside.as_view())):
        for path in ("/outside", "/inside"):
            headers = {"Authorization": f"Bearer {emulator.token()}"}
            assert (await AsyncClient().get(path)).status_code == 401
            assert (await AsyncClient().get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize("is_async", [False, True])
async def test_django_middleware(hj: Any, emulator: Emulator, *, is_async: bool) -> None:
    """The middleware gives every view the claims or ``None``, and refuses a bad token."""
    global MIDDLEWARE  # noqa: PLW0603 - the name that Django looks up
    MIDDLEWARE = for_django.Guard(hj).middleware

    def view(request: Any) -> Any:
        return JsonResponse({"signed_in": request.hellojohn is not None})

    async def async_view(request: Any) -> Any:
        return view(request)

    named = [f"{__name__}.MIDDLEWARE"]
    chosen = urls_of(who=async_view if is_async else view)
    good, bad = ({"Authorization": f"Bearer {token}"} for token in (emulator.token(), "x"))
    with override_settings(ROOT_URLCONF=chosen, MIDDLEWARE=named):
        assert (await AsyncClient().get("/who")).json() == {"signed_in": False}
        assert (await AsyncClient().get("/who", headers=good)).json() == {"signed_in": True}
        assert (await AsyncClient().get("/who", headers=bad)).status_code == 401


def test_django_middleware_on_wsgi(hj: Any, emulator: Emulator) -> None:
    """The same middleware serves a synchronous server."""
    global MIDDLEWARE  # noqa: PLW0603 - the name that Django looks up
    MIDDLEWARE = for_django.Guard(hj).middleware
    chosen = urls_of(who=lambda request: JsonResponse({"signed_in": request.hellojohn is not None}))
    headers = {"Authorization": f"Bearer {emulator.token()}"}
    with override_settings(ROOT_URLCONF=chosen, MIDDLEWARE=[f"{__name__}.MIDDLEWARE"]):
        assert Client(headers=headers).get("/who").json() == {"signed_in": True}

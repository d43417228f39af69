"""The table of the routes of v2.

A route that is asked with a method that it does not take answers by itself: the server's answer differs from
route to route. An administrator's route leaves that to the router, as the server does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.app import ANY_METHOD, ANY_SIZE, Call, Handler
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.v2.problems import OAuthProblem, V2Problem
from hellojohn.emulator.v2.routes.account import AccountRoutes
from hellojohn.emulator.v2.routes.admin import AdminRoutes
from hellojohn.emulator.v2.routes.auth import AuthRoutes
from hellojohn.emulator.v2.routes.mfa import MfaRoutes
from hellojohn.emulator.v2.routes.oauth import AUTHORIZE, LOGIN_PAGE, OAuthRoutes
from hellojohn.emulator.v2.routes.passwords import PasswordRoutes
from hellojohn.emulator.v2.routes.wellknown import WellKnownRoutes

_TENANT: Final = "/v2/admin/tenants/{tenant}"
_JWKS: Final = ".well-known/jwks.json"
_DISCOVERY: Final = ".well-known/openid-configuration"
_NAMES_ON_V1: Final = {
    "auth/login": ("auth/sign-in",),
    "auth/register": ("auth/sign-up",),
    "auth/refresh": ("auth/token/refresh",),
    "auth/logout": ("auth/sign-out",),
    "me": ("auth/me",),
    "mfa/totp/challenge": ("mfa/verify",),
}
Row = tuple[str, str, Handler]


@dataclass(frozen=True, slots=True)
class Routes:
    """The handlers of v2, by topic."""

    auth: AuthRoutes
    account: AccountRoutes
    mfa: MfaRoutes
    passwords: PasswordRoutes
    oauth: OAuthRoutes
    admin: AdminRoutes
    wellknown: WellKnownRoutes


def table(routes: Routes, *, locked: Callable[[Handler], Handler]) -> list[Call]:
    """Return every route of v2. ``locked`` puts the service's lock around a handler."""
    below_v2 = [(name, f"/v2/{name}", method, handler) for method, name, handler in _api(routes)]
    elsewhere = [(path[1:], path, method, handler) for method, path, handler in _outside(routes)]
    calls = [
        Call(name, ANY_METHOD, path, locked(_only(method, handler)), other_names=_NAMES_ON_V1.get(name, ()))
        for name, path, method, handler in (*below_v2, *elsewhere)
    ]
    others = [
        Call(call.name, call.methods, call.path, locked(call.handler), call.largest_body)
        for call in (*_keys(routes.wellknown), *_admin(routes.admin), *_rest(routes))
    ]
    return [*calls, *others]


def _api(routes: Routes) -> list[Row]:
    auth, account, mfa, passwords = routes.auth, routes.account, routes.mfa, routes.passwords
    return [
        ("POST", "auth/login", auth.login),
        ("POST", "auth/register", auth.register),
        ("POST", "auth/refresh", auth.refresh),
        ("POST", "auth/logout", auth.logout),
        ("POST", "auth/logout-all", auth.logout_all),
        ("GET", "auth/password-policy", passwords.policy),
        ("POST", "auth/forgot", passwords.forgot),
        ("POST", "auth/reset", passwords.reset),
        ("POST", "auth/verify-email/start", passwords.start_verification),
        ("GET", "auth/verify-email", passwords.verify),
        ("POST", "session/login", auth.session_login),
        ("GET", "csrf", auth.csrf),
        ("GET", "me", account.me),
        ("GET", "profile", account.profile),
        ("POST", "mfa/totp/challenge", mfa.challenge("totp")),
        ("POST", "mfa/sms/challenge", mfa.challenge("sms")),
        ("POST", "mfa/email/challenge", mfa.challenge("email")),
        ("POST", "mfa/sms/send", mfa.send("sms")),
        ("POST", "mfa/email/send", mfa.send("email")),
        ("GET", "mfa/factors", mfa.factors),
        ("PUT", "mfa/factors/preference", mfa.prefer),
        ("POST", "mfa/totp/enroll", mfa.enroll),
        ("POST", "mfa/totp/verify", mfa.confirm),
        ("POST", "mfa/totp/disable", mfa.disable),
        ("POST", "mfa/recovery/rotate", mfa.new_recovery_codes),
    ]


def _outside(routes: Routes) -> list[Row]:
    return [
        ("GET", AUTHORIZE, routes.oauth.authorize),
        ("POST", "/oauth2/token", routes.oauth.token),
        ("GET, POST", "/userinfo", routes.account.userinfo),
        ("GET, HEAD", "/.well-known/openid-configuration", routes.wellknown.discovery),
    ]


def _keys(wellknown: WellKnownRoutes) -> list[Call]:
    rows = (
        ("/.well-known/jwks.json", wellknown.jwks),
        ("/.well-known/jwks/{tenant}.json", wellknown.tenant_jwks),
    )
    keys = [Call(_JWKS, ANY_METHOD, path, _only("GET, HEAD", handler)) for path, handler in rows]
    return [
        *keys,
        Call(f"t/{_DISCOVERY}", ("GET",), f"/t/{{tenant}}/{_DISCOVERY}", wellknown.tenant_discovery),
    ]


def _admin(admin: AdminRoutes) -> list[Call]:
    rows: list[Row] = [
        ("GET", "clients", admin.list_clients),
        ("GET", "clients/{client_id}", admin.get_client),
        ("PUT", "clients/{client_id}", admin.replace_client),
        ("POST", "tokens/revoke-by-user", admin.revoke_by_user),
    ]
    return [Call(f"admin/{name}", (method,), f"{_TENANT}/{name}", handler) for method, name, handler in rows]


def _rest(routes: Routes) -> list[Call]:
    wellknown, oauth, resource = routes.wellknown, routes.oauth, routes.account.resource
    return [
        Call("readyz", ("GET",), "/readyz", wellknown.ready),
        Call("readyz", ("GET",), "/health", wellknown.ready),
        Call("ping", ("GET",), "/ping", wellknown.ping),
        Call("login page", ("GET",), LOGIN_PAGE, oauth.login_page),
        Call("login page", ("POST",), LOGIN_PAGE, oauth.submit_login),
        Call("inbox page", ("GET",), "/inbox", wellknown.inbox),
        Call("resource", ANY_METHOD, "/resource", resource, ANY_SIZE),
        Call("resource", ANY_METHOD, "/resource/{path:path}", resource, ANY_SIZE),
    ]


def _only(methods: str, handler: Handler) -> Handler:
    """Return a handler that refuses any other method. ``methods`` is what ``Allow`` says."""

    def checked(request: Request) -> Response:
        if request.method in methods.split(", "):
            return handler(request)
        raise _wrong_method(request.url.path, methods)

    return checked


def _wrong_method(path: str, methods: str) -> ApiProblem:
    headers = {"Allow": methods}
    if path == AUTHORIZE:
        return V2Problem("method_not_allowed", headers=headers)
    if path == "/oauth2/token":
        return OAuthProblem("invalid_request", "Only POST method is allowed", status=405, headers=headers)
    return V2Problem("METHOD_NOT_ALLOWED", headers=headers)

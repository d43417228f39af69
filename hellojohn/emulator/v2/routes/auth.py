"""Signing in and out, registering, refreshing, and signing a browser in."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.records import NewUser
from hellojohn.emulator.requests import body, device
from hellojohn.emulator.v2.names import is_id, new_token
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import Client
from hellojohn.emulator.v2.requests import (
    FORM,
    JSON,
    LOGIN_LIMIT,
    LOGOUT_LIMIT,
    REFRESH_LIMIT,
    Values,
    check_csrf,
    cookie,
    limit_body,
    media_type,
    named_tenant,
    need_fields,
    read_form,
    read_json,
    read_json_or_form,
    read_json_with_tenant,
)
from hellojohn.emulator.v2.responses import (
    DEVICE_COOKIE,
    SESSION_COOKIE,
    answer,
    end_session_cookie,
    nothing,
    set_session_cookie,
    signed_in,
    tokens,
)
from hellojohn.emulator.v2.rules import Grant, need_known_database
from hellojohn.emulator.v2.server import ADMIN_EMAIL, ADMIN_PASSWORD, Server
from hellojohn.emulator.v2.tenants import Tenant

_REGISTER_FIELDS: Final = ("tenant_id", "client_id", "email", "password", "custom_fields")
_ALL_NEEDED: Final = "email, password, tenant_id and client_id are required"
_OTHER_DEVICE_COOKIE: Final = "mfa_trust"


class AuthRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server
        self._rules = server.rules

    def login(self, request: Request) -> Response:
        """Begin a session. Without a tenant or a client, an administrator is taken to sign in."""
        limit_body(request, LOGIN_LIMIT)
        fields = read_json_or_form(request)
        email, password = fields.text("email"), fields.secret("password")
        if not email or not password.reveal():
            raise V2Problem("BAD_REQUEST", _ALL_NEEDED)
        if not fields.text("tenant_id") or not fields.text("client_id"):
            return self._admin_login(fields)
        tenant, client = self._need_client(fields)
        need_known_database(tenant, "TENANT_NO_DATABASE")
        if not client.takes_passwords:
            raise V2Problem("UNAUTHORIZED", "password login is disabled")
        user = self._rules.authenticate(tenant, email, password)
        trusted = (cookie(request, DEVICE_COOKIE), cookie(request, _OTHER_DEVICE_COOKIE))
        return signed_in(self._rules.sign_in(tenant, client, user, device=device(request), trusted=trusted))

    def register(self, request: Request) -> Response:
        """Add a user and begin a session, also where sign-in would refuse the new address."""
        limit_body(request, LOGIN_LIMIT)
        fields = read_json(request, known=_REGISTER_FIELDS)
        email, password = fields.text("email"), fields.secret("password")
        named = (fields.text("tenant_id"), fields.text("client_id"))
        if email and password.reveal() and not any(named):
            raise V2Problem("SERVICE_UNAVAILABLE", "FS-admin registration not available in V2 yet")
        if not email or not password.reveal() or not all(named):
            raise V2Problem("BAD_REQUEST", _ALL_NEEDED)
        tenant = self._server.directory.find(named[0])
        client = None if tenant is None else tenant.client(named[1])
        if tenant is None or client is None:
            raise V2Problem("UNAUTHORIZED", "invalid tenant or client")
        need_known_database(tenant, "SERVICE_UNAVAILABLE", "database not available for this tenant")
        if not client.takes_passwords:
            raise V2Problem("UNAUTHORIZED", "password registration disabled for this client")
        new = NewUser(email=email, password=password, verified=False)
        user = self._rules.register(tenant, new, dict(fields.mapping("custom_fields")))
        if not self._rules.switches.register_signs_in:
            return answer({"user_id": user.id})
        grant = self._rules.begin(tenant, client, user, device=device(request), roles=())
        return signed_in(grant, user_id=user.id)

    def refresh(self, request: Request) -> Response:
        """Replace a refresh token."""
        limit_body(request, REFRESH_LIMIT)
        fields = read_json_or_form(request)
        named = (
            request.headers.get("x-tenant-id")
            or request.query_params.get("tenant_id")
            or fields.text("tenant_id")
        )
        client_id, token = fields.text("client_id"), fields.token("refresh_token")
        if not client_id or not token.reveal() or not named:
            raise V2Problem("BAD_REQUEST", "client_id and refresh_token are required")
        tenant = self._server.directory.find(named)
        if tenant is None:
            raise V2Problem("CLIENT_NOT_FOUND")
        need_known_database(tenant, "TENANT_NO_DATABASE")
        return answer(tokens(self._rules.refresh(tenant, client_id, token)))

    def logout(self, request: Request) -> Response:
        """End the session of a refresh token. 204 proves nothing: an unknown token is 204 as well."""
        check_csrf(request)
        limit_body(request, LOGOUT_LIMIT, "invalid request body")
        response = self._logged_out(request, _logout_fields(request))
        browser = cookie(request, SESSION_COOKIE)
        if browser is not None:
            self._server.authorization.close_session(browser)
            end_session_cookie(response)
        return response

    def logout_all(self, request: Request) -> Response:
        """End every session of a user, or those with one client. Anyone may ask."""
        fields = read_json(request)
        named = request.headers.get("x-tenant-id") or request.query_params.get("tenant_id", "")
        user_id = fields.text("user_id")
        if not user_id or not named:
            raise V2Problem("BAD_REQUEST", "missing required fields")
        tenant = self._server.directory.find(named)
        if tenant is None:
            raise V2Problem("UNAUTHORIZED", "client_id mismatch")
        need_known_database(tenant, "SERVICE_UNAVAILABLE", "database not available")
        tenant.need_database(detail="failed to revoke tokens")
        if not is_id(user_id):
            raise V2Problem("INTERNAL_SERVER_ERROR", "failed to revoke tokens")
        self._rules.revoke_user(tenant, user_id, client_id=fields.text("client_id"))
        return nothing()

    def session_login(self, request: Request) -> Response:
        """Sign a browser in at the server's own address."""
        tenant, fields = read_json_with_tenant(request, self._server.directory)
        need_fields(fields, "email", "password")
        user = self._rules.authenticate(tenant, fields.text("email"), fields.secret("password"))
        response = nothing()
        cookie_value = self._server.authorization.open_session(fields.text("tenant_id"), user)
        set_session_cookie(response, cookie_value)
        return response

    def csrf(self, _request: Request) -> Response:
        """Return a CSRF token, also as a cookie."""
        token = new_token().reveal()
        response = answer({"csrf_token": token})
        response.set_cookie("csrf_token", token, expires=1_800, samesite="lax")
        return response

    def _need_client(self, fields: Values) -> tuple[Tenant, Client]:
        tenant = self._server.directory.find(fields.text("tenant_id"))
        client = None if tenant is None else tenant.client(fields.text("client_id"))
        if tenant is None or client is None:
            raise V2Problem("CLIENT_NOT_FOUND")
        return tenant, client

    def _admin_login(self, fields: Values) -> Response:
        if (fields.text("email"), fields.text("password")) != (ADMIN_EMAIL, ADMIN_PASSWORD):
            raise V2Problem("INVALID_CREDENTIALS")
        return answer(tokens(Grant(*self._server.admin_tokens())))

    def _logged_out(self, request: Request, fields: Values) -> Response:
        token = fields.token("refresh_token")
        if not token.reveal():
            return nothing()
        client_id = fields.text("client_id")
        named = named_tenant(request) or fields.text("tenant_id")
        if not client_id or not named:
            raise V2Problem("BAD_REQUEST", "missing required fields")
        tenant = self._server.directory.find(named)
        if tenant is None:
            raise V2Problem("UNAUTHORIZED", "client_id mismatch")
        need_known_database(tenant, "SERVICE_UNAVAILABLE", "database not available")
        self._rules.sign_out(tenant, client_id, token)
        client = tenant.client(client_id)
        wanted = fields.text("post_logout_redirect_uri")
        if client is not None and wanted in client.post_logout_redirect_uris:
            return answer({"post_logout_redirect_uri": wanted})
        return nothing()


def _logout_fields(request: Request) -> Values:
    """Return the fields of a sign-out. A body of an unknown type is read as JSON as far as that goes."""
    if media_type(request) == FORM:
        return read_form(request)
    if not body(request):
        return Values({})
    try:
        return read_json(request)
    except V2Problem:
        if media_type(request) == JSON:
            raise
        return Values({})

"""Forgotten passwords and the proof of an address. Both links are mailed to the inbox."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.addresses import with_query
from hellojohn.emulator.mail import Mail
from hellojohn.emulator.v2.links import LinkKind
from hellojohn.emulator.v2.policy import SERVER_DEFAULT
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.requests import (
    Values,
    check_same_tenant,
    is_redirect,
    need_fields,
    need_tenant,
    read_json_with_tenant,
)
from hellojohn.emulator.v2.responses import answer, nothing, redirect
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tenants import Tenant

_SUBJECTS: Final = {LinkKind.RESET: "Set a new password", LinkKind.VERIFICATION: "Confirm your address"}
_PATHS: Final = {LinkKind.RESET: "/v2/auth/reset", LinkKind.VERIFICATION: "/v2/auth/verify-email"}
_NOT_GOOD: Final = "token invalid or expired"


class PasswordRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server

    def policy(self, request: Request) -> Response:
        """Return the rules for new passwords. Only ``tenant_id`` in the query gives a tenant's own."""
        named = request.query_params.get("tenant_id", "")
        if not named:
            return answer({"configured": False, "source": "default", **SERVER_DEFAULT.as_json()})
        tenant = self._server.directory.find(named)
        if tenant is None:
            raise V2Problem("NOT_FOUND", "tenant not found")
        found = {"configured": True, "source": "tenant", "tenant_id": tenant.id}
        return answer({**found, **tenant.policy.as_json()})

    def forgot(self, request: Request) -> Response:
        """Mail a link for a new password. The answer is the same without such a user."""
        tenant, fields = self._read(request)
        need_fields(fields, "client_id", "email")
        self._mail(tenant, LinkKind.RESET, fields)
        return answer({"status": "ok"})

    def reset(self, request: Request) -> Response:
        """Set a new password. The user is not signed in, and loses the sessions with this client only."""
        tenant, fields = self._read(request)
        need_fields(fields, "client_id", "token", "new_password")
        token, password = fields.token("token"), fields.secret("new_password")
        user_id = tenant.data.links.user_of(LinkKind.RESET, token)
        user = None if user_id is None else tenant.user(user_id)
        if user is None:
            raise V2Problem("BAD_REQUEST", _NOT_GOOD)
        if not tenant.policy.accepts(password, email=user.email, used=user.history):
            raise V2Problem("BAD_REQUEST", "password does not meet policy")
        tenant.data.links.use_up(token)
        tenant.data.accounts.set_password(user, password)
        self._server.rules.revoke_user(tenant, user.id, client_id=fields.text("client_id"))
        return nothing()

    def start_verification(self, request: Request) -> Response:
        """Mail a link that proves the address, also when it is verified already.

        An address of a page to go on to has to be https or loopback, but it need not be registered.
        """
        tenant, fields = self._read(request)
        need_fields(fields, "client_id", "email")
        self._mail(tenant, LinkKind.VERIFICATION, fields)
        return nothing()

    def verify(self, request: Request) -> Response:
        """Verify an address: a visit of the link is enough. Then the browser goes where the link says."""
        tenant = need_tenant(request, self._server.directory)
        query = Values(dict(request.query_params))
        check_same_tenant(tenant, self._server.directory, query.text("tenant_id"))
        token = query.token("token")
        if not token.reveal():
            raise V2Problem("BAD_REQUEST", "token is required")
        user_id = tenant.data.links.user_of(LinkKind.VERIFICATION, token)
        user = None if user_id is None else tenant.user(user_id)
        if user is None:
            raise V2Problem("BAD_REQUEST", _NOT_GOOD)
        tenant.data.links.use_up(token)
        tenant.data.accounts.keep(replace(user, verified=True))
        to = query.text("redirect_uri")
        return (
            redirect(with_query(to, status="verified")) if is_redirect(to) else answer({"status": "verified"})
        )

    def _read(self, request: Request) -> tuple[Tenant, Values]:
        tenant, fields = read_json_with_tenant(request, self._server.directory)
        check_same_tenant(tenant, self._server.directory, fields.text("tenant_id"))
        return tenant, fields

    def _mail(self, tenant: Tenant, kind: LinkKind, fields: Values) -> None:
        user = tenant.data.accounts.find(fields.text("email"))
        if user is None:
            return
        redirect_uri = fields.text("redirect_uri")
        if kind is LinkKind.VERIFICATION and redirect_uri and not is_redirect(redirect_uri):
            raise V2Problem("INTERNAL_SERVER_ERROR")
        query = {name: fields.text(name) for name in ("client_id", "redirect_uri")}
        query |= {"tenant_id": tenant.slug, "token": tenant.data.links.new(kind, user.id).reveal()}
        given = urlencode({name: value for name, value in query.items() if value})
        link = f"{self._server.issuer.url}{_PATHS[kind]}?{given}"
        mail = Mail(to=user.email, subject=_SUBJECTS[kind], link=link, sent_at=self._server.clock())
        self._server.inbox.deliver(mail)

"""The calls of a back end with an API key: a tenant's clients, and the end of a user's sessions."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hellojohn._secret import Secret
from hellojohn.emulator.v2.errors import JSON_HEADERS
from hellojohn.emulator.v2.names import is_id
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import Client, Database
from hellojohn.emulator.v2.requests import Values, bearer, is_redirect, read_json
from hellojohn.emulator.v2.responses import answer, client_json
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tenants import Tenant
from hellojohn.emulator.v2.tokens import ADMIN

_SAFE_METHODS: Final = ("GET", "HEAD")
_SHORTEST_KEY: Final = 20


class AdminRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server

    def list_clients(self, request: Request) -> Response:
        """Return every client of a tenant."""
        tenant = self._need_tenant(request)
        shown = [client_json(client) for client in tenant.clients.values()]
        return JSONResponse(shown, 200, JSON_HEADERS)

    def get_client(self, request: Request) -> Response:
        """Return a client."""
        return answer(client_json(self._need_client(request, self._need_tenant(request))))

    def replace_client(self, request: Request) -> Response:
        """Replace a client. Fields that are missing are lost, such as scopes, providers and lives.

        The name, the kinds, the secret and the redirect addresses stay as they are.
        """
        tenant = self._need_tenant(request)
        old = self._need_client(request, tenant)
        new = _changed_client(old, read_json(request))
        for uri in new.redirect_uris:
            if not is_redirect(uri):
                raise V2Problem("BAD_REQUEST", f"control plane: bad input: invalid redirect uri: {uri}")
        tenant.clients[old.id] = new
        return answer(client_json(new))

    def revoke_by_user(self, request: Request) -> Response:
        """End every session of a user."""
        tenant = self._need_tenant(request)
        user_id = read_json(request).text("user_id")
        if not user_id:
            raise V2Problem("MISSING_FIELDS", "user_id is required")
        if not is_id(user_id):
            raise V2Problem("INTERNAL_SERVER_ERROR")
        if tenant.database is Database.UNKNOWN:
            raise V2Problem("TENANT_NO_DATABASE", "tenant has no database configured")
        tenant.need_database()
        count = self._server.rules.revoke_user(tenant, user_id)
        return answer({"revoked_count": count, "message": f"{count} tokens revoked for the user"})

    def _need_client(self, request: Request, tenant: Tenant) -> Client:
        client = tenant.client(request.path_params["client_id"])
        if client is None:
            raise V2Problem("NOT_FOUND", "control plane: client not found")
        return client

    def _need_tenant(self, request: Request) -> Tenant:
        """Return the tenant of the address, for a caller that may work on it."""
        named = str(request.path_params["tenant"])
        tenant = self._server.directory.find(named)
        key = request.headers.get("x-api-key")
        if not key:
            self._need_admin(request)
        else:
            self._check_key(request, Secret(key), "" if tenant is None else tenant.slug)
        if tenant is None:
            raise V2Problem("TENANT_NOT_FOUND", named)
        return tenant

    def _need_admin(self, request: Request) -> None:
        token = bearer(request)
        if token is None:
            raise V2Problem("UNAUTHORIZED", "authorization header required")
        read = self._server.issuer.read(token)
        if read is None or read.claims["aud"] != ADMIN:
            raise V2Problem("UNAUTHORIZED", "invalid admin token")

    def _check_key(self, request: Request, key: Secret, slug: str) -> None:
        scopes = [scope for scope, known in self._server.api_keys.items() if known == key]
        if not scopes:
            is_key = key.reveal().startswith("hj_") and len(key.reveal()) >= _SHORTEST_KEY
            detail = "invalid or expired API key" if is_key else "invalid API key format"
            raise V2Problem("UNAUTHORIZED", detail)
        if scopes[0] == "readonly" and request.method not in _SAFE_METHODS:
            raise V2Problem("FORBIDDEN", "readonly key cannot mutate")
        if scopes[0].startswith("tenant:") and scopes[0] != f"tenant:{slug}":
            raise V2Problem("FORBIDDEN", "API key scope insufficient for this endpoint")


def _changed_client(old: Client, fields: Values) -> Client:
    return Client(
        id=old.id,
        name=fields.text("name") or old.name,
        type=fields.text("type") or old.type,
        auth_profile=fields.text("auth_profile") or old.auth_profile,
        secret=old.secret,
        redirect_uris=fields.texts("redirect_uris") or old.redirect_uris,
        providers=fields.texts("providers"),
        scopes=fields.texts("scopes"),
        access_token_ttl=fields.number("access_token_ttl"),
        refresh_token_ttl=fields.number("refresh_token_ttl"),
        verified_only=fields.flag("require_email_verification"),
    )

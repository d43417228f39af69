"""The published keys, the discovery documents, the health of the server, and the inbox page."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.pages import inbox_page
from hellojohn.emulator.responses import json_response, timestamp
from hellojohn.emulator.v2.errors import JSON_HEADERS
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.responses import answer
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tenants import Tenant

_CLAIMS: Final = (
    *("iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "auth_time"),
    *("acr", "amr", "at_hash", "tid", "email", "email_verified"),
)


class WellKnownRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server

    def jwks(self, _request: Request) -> Response:
        """Return the server's own keys."""
        return answer(self._server.issuer.keys.published())

    def tenant_jwks(self, request: Request) -> Response:
        """Return a tenant's keys. An unknown tenant is an error of the server."""
        tenant = self._server.directory.find(request.path_params["tenant"])
        if tenant is None:
            raise V2Problem("INTERNAL_SERVER_ERROR")
        return answer(tenant.keys.published())

    def discovery(self, _request: Request) -> Response:
        """Return the discovery document of the server."""
        document = self._document(self._server.issuer.url, "/.well-known/jwks.json")
        cached = {"Cache-Control": "public, max-age=600, must-revalidate"}
        return json_response(document, headers={**JSON_HEADERS, **cached})

    def tenant_discovery(self, request: Request) -> Response:
        """Return the discovery document of a tenant, which is found by its UUID only.

        Its issuer is one that no token carries.
        """
        named = str(request.path_params["tenant"])
        tenant = self._server.directory.find(named)
        if tenant is None or named != tenant.id or tenant.issuer_mode == "global":
            raise V2Problem("NOT_FOUND", "tenant not found")
        return answer(self._document(*self._place(tenant)))

    def ready(self, _request: Request) -> Response:
        """Say that the server is ready, also while a tenant's database is away."""
        return answer(
            {
                "status": "ready",
                "components": {
                    "control_plane": {"status": "ok"},
                    "db_global": {"status": "disabled", "message": "FS-only mode"},
                    "keystore": {"status": "ok"},
                    "redis": {"status": "disabled", "message": "memory cache only"},
                    "tenant_pools": {"status": "ok", "message": "active pools: 1"},
                },
                "active_key_id": self._server.issuer.keys.current,
                "timestamp": timestamp(self._server.clock()),
                "cluster": {"mode": "off"},
            }
        )

    def ping(self, _request: Request) -> Response:
        """Say that the server is there."""
        return answer({"status": "ok"})

    def inbox(self, _request: Request) -> Response:
        """Show the mails that were sent."""
        return inbox_page(self._server.inbox)

    def _place(self, tenant: Tenant) -> tuple[str, str]:
        return f"{self._server.issuer.url}/t/{tenant.id}", f"/.well-known/jwks/{tenant.id}.json"

    def _document(self, issuer: str, jwks_path: str) -> dict[str, object]:
        url = self._server.issuer.url
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{url}/oauth2/authorize",
            "token_endpoint": f"{url}/oauth2/token",
            "userinfo_endpoint": f"{url}/userinfo",
            "jwks_uri": f"{url}{jwks_path}",
            "revocation_endpoint": f"{url}/oauth2/revoke",
            "introspection_endpoint": f"{url}/oauth2/introspect",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "claims_supported": list(_CLAIMS),
        }

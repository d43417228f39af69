"""The signed-in user as the server shows it, and the sample resource."""

import hashlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.requests import body
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import User
from hellojohn.emulator.v2.requests import bearer
from hellojohn.emulator.v2.responses import answer
from hellojohn.emulator.v2.server import Server
from hellojohn.emulator.v2.tokens import Read

_SHOWN: Final = ("sub", "tid", "aud", "amr", "custom", "exp")
_PROFILE_SCOPE: Final = "profile:read"


class AccountRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, server: Server) -> None:
        """Serve this server."""
        self._server = server

    def me(self, request: Request) -> Response:
        """Return claims of the access token. Nothing is looked up: revoked and deleted users pass."""
        claims = self.need_user(request).claims
        return answer({name: claims[name] for name in _SHOWN if name in claims})

    def userinfo(self, request: Request) -> Response:
        """Return the user, as far as the scopes allow. Only the server's own keys count here."""
        read = self.need_user(request)
        if not self._server.issuer.has_server_key(read):
            detail = "token invalid or expired"
            raise V2Problem("UNAUTHORIZED", detail, headers=_challenge("userinfo", detail))
        user = None if read.tenant is None else read.tenant.user(str(read.claims["sub"]))
        shown: dict[str, object] = {} if user is None else _visible(user, read)
        fields = {} if user is None else dict(user.custom_fields)
        return answer({"sub": read.claims["sub"], **shown, "custom_fields": fields})

    def profile(self, request: Request) -> Response:
        """Refuse: the server compares the tenant's id with its slug."""
        scopes = _scopes(self.need_user(request))
        if _PROFILE_SCOPE not in scopes:
            challenge = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{_PROFILE_SCOPE}"'}
            raise V2Problem("INSUFFICIENT_SCOPES", f"required scope: {_PROFILE_SCOPE}", headers=challenge)
        raise V2Problem("FORBIDDEN", "tenant mismatch")

    def resource(self, request: Request) -> Response:
        """Echo a request to a protected resource, which takes any method and any size."""
        token = bearer(request)
        read = None if token is None else self._server.issuer.read_for_resource(token)
        if read is None or self._server.issuer.is_rejected(read):
            raise _refused(missing=token is None)
        return json_response(
            {
                "method": request.method,
                "path": request.url.path,
                "body_length": len(body(request)),
                "body_sha256": hashlib.sha256(body(request)).hexdigest(),
                "user_id": read.claims["sub"],
            }
        )

    def need_user(self, request: Request) -> Read:
        """Return the access token that was sent.

        Raises:
            V2Problem: The token is missing, or it is not good.
        """
        token = bearer(request)
        read = None if token is None else self._server.issuer.read(token)
        if read is None:
            raise _refused(missing=token is None)
        return read


def _refused(*, missing: bool) -> V2Problem:
    if missing:
        return V2Problem("TOKEN_MISSING", headers=_challenge("api", "missing bearer token"))
    return V2Problem("TOKEN_INVALID", "invalid_jwt", headers=_challenge("api", "invalid_jwt"))


def _challenge(realm: str, description: str) -> dict[str, str]:
    value = f'Bearer realm="{realm}", error="invalid_token", error_description="{description}"'
    return {"WWW-Authenticate": value}


def _scopes(read: Read) -> list[str]:
    scopes: str | list[str] = read.claims.get("scp") or []
    return scopes.split() if isinstance(scopes, str) else scopes


def _visible(user: User, read: Read) -> dict[str, object]:
    shown: dict[str, object] = {}
    name = user.profile.name
    if name:
        given, _, family = name.partition(" ")
        shown |= {"name": name, "given_name": given} | ({"family_name": family} if family else {})
    if "email" in _scopes(read):
        shown["email"] = user.email
        if user.verified:
            shown["email_verified"] = True
    return shown

"""The documented calls of v1, each one method: read the request, ask the rules, write the answer.

Nothing here decides about a session (``rules`` does), or goes wrong on purpose (``app`` sees to that).
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator import responses
from hellojohn.emulator.policy import Policy, seconds
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Grant, Profile, SessionStatus
from hellojohn.emulator.requests import (
    bearer,
    body,
    device,
    page,
    read_fields,
    read_object,
    refuse,
)
from hellojohn.emulator.rules import Rules
from hellojohn.emulator.tokens import AccessToken, Issuer, key_set

_NO_CONTENT = 204


class Api:
    """The handlers of one tenant. Each takes a request and returns an answer or raises a ``ApiProblem``."""

    def __init__(
        self,
        *,
        rules: Rules,
        issuer: Issuer,
        clock: Callable[[], float],
        publishable_key: Secret,
        secret_key: Secret,
        shape: responses.Shape,
    ) -> None:
        """Serve these rules."""
        self._rules = rules
        self._issuer = issuer
        self._clock = clock
        self._publishable_key = publishable_key
        self._secret_key = secret_key
        self._shape: responses.Shape = shape

    # Signing in and out

    def sign_up(self, request: Request) -> Response:
        """Add a user and begin a session."""
        self._need_publishable_key(request)
        fields = read_fields(request, "email", "password", "name", "username", "metadata", "session_options")
        grant = self._rules.sign_up(
            fields.text("email"),
            fields.secret("password"),
            profile=Profile(
                fields.optional_text("name"), fields.optional_text("username"), fields.mapping("metadata")
            ),
            duration=fields.session_duration(),
            device=device(request),
        )
        return self._signed_in(grant, status=201)

    def sign_in(self, request: Request) -> Response:
        """Begin a session."""
        self._need_publishable_key(request)
        fields = read_fields(request, "email", "password", "captcha_token", "session_options")
        fields.optional_text("captcha_token")
        grant = self._rules.sign_in(
            fields.text("email"),
            fields.secret("password"),
            duration=fields.session_duration(),
            device=device(request),
        )
        return self._signed_in(grant)

    def verify_mfa(self, request: Request) -> Response:
        """Finish a sign-in with its second factor."""
        self._need_tenant(request)
        fields = read_fields(request, "challenge_id", "factor_id", "code")
        grant = self._rules.answer_challenge(
            fields.text("challenge_id"), fields.text("factor_id"), fields.secret("code")
        )
        return self._signed_in(grant)

    def refresh(self, request: Request) -> Response:
        """Rotate a refresh token."""
        self._need_tenant(request)
        fields = read_fields(request, "refresh_token")
        grant = self._rules.refresh(fields.secret("refresh_token"))
        return _json(responses.refreshed(grant, self._issue(grant)))

    def sign_out(self, request: Request) -> Response:
        """End the session, or all of the user's. An access token whose life is over will do."""
        self._need_tenant(request)
        claims = self._issuer.read(bearer(request), now=None)
        fields = read_fields(request, "refresh_token", "everywhere")
        self._rules.sign_out(
            fields.secret("refresh_token"),
            session_id=str(claims["session_id"]),
            everywhere=fields.flag("everywhere"),
        )
        return Response(status_code=_NO_CONTENT)

    def me(self, request: Request) -> Response:
        """Return the user. A revoked session's access token works until its end."""
        self._need_tenant(request)
        claims = self._issuer.read(bearer(request), now=self._clock())
        return _json(responses.user_json(self._rules.user(str(claims["sub"]))))

    # Sessions

    def list_sessions(self, request: Request) -> Response:
        """Return one page of sessions, the newest first."""
        self._need_secret_key(request)
        query = request.query_params
        limit, below = page(request)
        found = self._rules.sessions(user_id=query.get("user_id"), status=_status(query.get("status")))
        rest = [session for session in found if below is None or session.serial < below]
        shown = rest[:limit]
        return _json(
            responses.page_json(
                [responses.session_json(session, tenant_id=self._issuer.tenant_id) for session in shown],
                total=len(found),
                limit=limit,
                cursor=str(shown[-1].serial) if len(rest) > limit else None,
            )
        )

    def get_session(self, request: Request) -> Response:
        """Return one session."""
        self._need_secret_key(request)
        session = self._rules.session(request.path_params["session_id"])
        return _json(responses.session_json(session, tenant_id=self._issuer.tenant_id))

    def revoke_session(self, request: Request) -> Response:
        """End one session."""
        self._need_secret_key(request)
        self._rules.revoke(request.path_params["session_id"])
        return Response(status_code=_NO_CONTENT)

    def revoke_sessions(self, request: Request) -> Response:
        """End all sessions of a user."""
        self._need_secret_key(request)
        user_id = request.query_params.get("user_id")
        if not user_id:
            refuse("user_id is missing: say whose sessions to end.")
        self._rules.revoke_all(user_id)
        return Response(status_code=_NO_CONTENT)

    def verify_session(self, request: Request) -> Response:
        """Tell whether an access token and its session are good at this moment."""
        self._need_secret_key(request)
        token = read_fields(request, "token").secret("token")
        with suppress(ApiProblem):
            claims = self._issuer.read(token, now=self._clock())
            session = self._rules.session(str(claims["session_id"]))
            if session.status is SessionStatus.ACTIVE:
                shown = responses.session_json(session, tenant_id=self._issuer.tenant_id)
                return _json({"valid": True, "session": shown, "claims": claims})
        return _json({"valid": False})

    # Settings, keys and the sample resource

    def get_config(self, request: Request) -> Response:
        """Return the four settings."""
        self._need_secret_key(request, otherwise="cp_admin_required")
        return _json(self._rules.policy.as_json())

    def change_config(self, request: Request) -> Response:
        """Change any of the four settings and return them all."""
        self._need_secret_key(request, otherwise="cp_admin_required")
        return _json(self._changed(read_object(request)).as_json())

    def jwks(self, _request: Request) -> Response:
        """Return the keys that verify access tokens."""
        return _json(key_set(), headers={"Cache-Control": "public, max-age=3600"})

    def resource(self, request: Request) -> Response:
        """Echo a request to a protected resource, which takes any method and any size."""
        claims = self._issuer.read(bearer(request), now=self._clock())
        if self._issuer.is_rejected(claims):
            raise ApiProblem("invalid_token")
        return _json(
            {
                "method": request.method,
                "path": request.url.path,
                "body_length": len(body(request)),
                "body_sha256": hashlib.sha256(body(request)).hexdigest(),
                "session_id": claims["session_id"],
            }
        )

    # Who may call

    def _need_tenant(self, request: Request) -> None:
        if request.headers.get("x-tenant-id") != self._issuer.tenant_id:
            raise ApiProblem("tenant_mismatch")

    def _need_publishable_key(self, request: Request) -> None:
        self._need_tenant(request)
        if bearer(request) != self._publishable_key:
            raise ApiProblem("invalid_publishable_key")

    def _need_secret_key(self, request: Request, *, otherwise: str = "insufficient_permissions") -> None:
        self._need_tenant(request)
        credential = bearer(request)
        if credential == self._secret_key:
            return
        raise ApiProblem(otherwise if self._is_known(credential) else "invalid_api_key")

    def _is_known(self, credential: Secret) -> bool:
        if credential == self._publishable_key:
            return True
        with suppress(ApiProblem):
            self._issuer.read(credential, now=None)
            return True
        return False

    # Answers

    def _signed_in(self, grant: Grant, *, status: int = 200) -> Response:
        return _json(responses.signed_in(grant, self._issue(grant), shape=self._shape), status=status)

    def _issue(self, grant: Grant) -> AccessToken:
        ttl = int(seconds(self._rules.policy.access_token_ttl))
        return self._issuer.issue(grant.user, grant.session, now=self._clock(), ttl=ttl)

    def _changed(self, settings: dict[str, object]) -> Policy:
        try:
            return self._rules.configure(settings)
        except ConfigurationError as error:
            refuse(str(error))


def _status(text: str | None) -> SessionStatus | None:
    if text is None:
        return None
    try:
        return SessionStatus(text)
    except ValueError:
        refuse("status is active, expired or revoked.")


def _json(
    value: Mapping[str, object],
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    return Response(responses.encode(value), status, headers, media_type="application/json")

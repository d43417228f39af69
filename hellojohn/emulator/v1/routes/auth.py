"""Signing up, in and out, refreshing, and the signed-in user."""

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.records import NewUser, Profile
from hellojohn.emulator.requests import device, read_fields
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v1 import responses
from hellojohn.emulator.v1.credentials import Credentials
from hellojohn.emulator.v1.grants import Grants, session_duration
from hellojohn.emulator.v1.rules import Rules


class AuthRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(self, rules: Rules, credentials: Credentials, grants: Grants) -> None:
        """Serve these rules."""
        self._rules = rules
        self._credentials = credentials
        self._grants = grants

    def sign_up(self, request: Request) -> Response:
        """Add a user and begin a session."""
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "email", "password", "name", "username", "metadata", "session_options")
        profile = Profile(
            fields.optional_text("name"), fields.optional_text("username"), fields.mapping("metadata")
        )
        new = NewUser(
            email=fields.text("email"), password=fields.secret("password"), profile=profile, verified=False
        )
        grant = self._rules.sign_up(new, duration=session_duration(fields), device=device(request))
        return self._grants.signed_in(grant, status=201)

    def sign_in(self, request: Request) -> Response:
        """Begin a session. A remembered device needs no second factor."""
        self._credentials.need_publishable_key(request)
        fields = read_fields(request, "email", "password", "captcha_token", "session_options", "device_token")
        fields.optional_text("captcha_token")
        grant = self._rules.sign_in(
            fields.text("email"),
            fields.secret("password"),
            duration=session_duration(fields),
            device=device(request),
            device_token=fields.optional_secret("device_token"),
        )
        return self._grants.signed_in(grant)

    def refresh(self, request: Request) -> Response:
        """Rotate a refresh token."""
        self._credentials.need_tenant(request)
        token = read_fields(request, "refresh_token").secret("refresh_token")
        return self._grants.refreshed(self._rules.refresh(token))

    def sign_out(self, request: Request) -> Response:
        """End the session, or all of the user's. An expired access token is enough."""
        claims = self._credentials.need_user(request, expired=True)
        fields = read_fields(request, "refresh_token", "everywhere")
        self._rules.sign_out(
            fields.secret("refresh_token"),
            session_id=str(claims["session_id"]),
            everywhere=fields.flag("everywhere"),
        )
        return Response(status_code=204)

    def me(self, request: Request) -> Response:
        """Return the user. A revoked session's access token works until it expires."""
        claims = self._credentials.need_user(request)
        return json_response(responses.user_json(self._rules.user(str(claims["sub"]))))

"""Sessions and settings for a back end with the secret key, the published keys, and the sample resource."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn._errors import ConfigurationError
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import SessionStatus
from hellojohn.emulator.requests import bearer, body, read_fields, read_object, refuse
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v1 import responses
from hellojohn.emulator.v1.credentials import Credentials
from hellojohn.emulator.v1.policy import Policy
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Session
from hellojohn.emulator.v1.rules import Rules
from hellojohn.emulator.v1.tokens import Issuer

_LARGEST_PAGE: Final = 100
_USUAL_PAGE: Final = 20
_CURSOR: Final = "cur_"


class AdminRoutes:
    """The handlers. Each takes a request, and returns an answer or raises ``ApiProblem``."""

    def __init__(
        self, rules: Rules, issuer: Issuer, credentials: Credentials, *, clock: Callable[[], float]
    ) -> None:
        """Serve these rules."""
        self._rules = rules
        self._issuer = issuer
        self._credentials = credentials
        self._clock = clock

    # Sessions

    def list_sessions(self, request: Request) -> Response:
        """Return one page of sessions, the newest first."""
        self._credentials.need_secret_key(request)
        query = request.query_params
        limit, below = _page(request)
        found = self._rules.sessions(user_id=query.get("user_id"), status=_status(query.get("status")))
        rest = [session for session in found if below is None or session.serial < below]
        shown = rest[:limit]
        more = f"{_CURSOR}{shown[-1].serial}" if len(rest) > limit else None
        data = [self._shown(session) for session in shown]
        return json_response(responses.page_json(data, total=len(found), limit=limit, cursor=more))

    def get_session(self, request: Request) -> Response:
        """Return one session."""
        self._credentials.need_secret_key(request)
        return json_response(self._shown(self._rules.session(request.path_params["session_id"])))

    def revoke_session(self, request: Request) -> Response:
        """End one session."""
        self._credentials.need_secret_key(request)
        self._rules.revoke(request.path_params["session_id"])
        return Response(status_code=204)

    def revoke_sessions(self, request: Request) -> Response:
        """End all sessions of a user."""
        self._credentials.need_secret_key(request)
        user_id = request.query_params.get("user_id")
        if not user_id:
            refuse("user_id is missing: say whose sessions to end.")
        self._rules.revoke_all(user_id)
        return Response(status_code=204)

    def verify_session(self, request: Request) -> Response:
        """Return whether an access token and its session are good at this moment."""
        self._credentials.need_secret_key(request)
        token = read_fields(request, "token").secret("token")
        with suppress(ApiProblem):
            claims = self._issuer.read(token, now=self._clock())
            session = self._rules.session(str(claims["session_id"]))
            if session.status is SessionStatus.ACTIVE:
                return json_response({"valid": True, "session": self._shown(session), "claims": claims})
        return json_response({"valid": False})

    # Settings, keys and the sample resource

    def get_config(self, request: Request) -> Response:
        """Return the four settings."""
        self._credentials.need_secret_key(request, otherwise="cp_admin_required")
        return json_response(self._rules.policy.as_json())

    def change_config(self, request: Request) -> Response:
        """Change any of the four settings and return them all."""
        self._credentials.need_secret_key(request, otherwise="cp_admin_required")
        return json_response(self._changed(read_object(request)).as_json())

    def jwks(self, _request: Request) -> Response:
        """Return the keys that verify access tokens."""
        return json_response(self._issuer.keys.published(), headers={"Cache-Control": "public, max-age=3600"})

    def resource(self, request: Request) -> Response:
        """Echo a request to a protected resource, which takes any method and any size."""
        claims = self._issuer.read(bearer(request), now=self._clock())
        if self._issuer.is_rejected(claims):
            raise V1Problem("invalid_token")
        return json_response(
            {
                "method": request.method,
                "path": request.url.path,
                "body_length": len(body(request)),
                "body_sha256": hashlib.sha256(body(request)).hexdigest(),
                "session_id": claims["session_id"],
            }
        )

    def _shown(self, session: Session) -> dict[str, object]:
        return responses.session_json(session, tenant_id=self._issuer.tenant_id)

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


def _page(request: Request) -> tuple[int, int | None]:
    """Return how many sessions the caller wants, and the serial number that they must be below."""
    query = request.query_params
    limit = _number(query.get("limit", str(_USUAL_PAGE)))
    if limit is None or not 1 <= limit <= _LARGEST_PAGE:
        refuse(f"limit is a number from 1 to {_LARGEST_PAGE}.")
    if "cursor" not in query:
        return limit, None
    prefix, cursor = query["cursor"][: len(_CURSOR)], _number(query["cursor"][len(_CURSOR) :])
    if prefix != _CURSOR or cursor is None:
        refuse("cursor is the next_cursor of the page before, unchanged.")
    return limit, cursor


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None  # noqa: PLR2004

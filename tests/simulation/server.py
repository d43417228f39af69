"""The service: the emulator's own session rules behind v1's bytes, with neither sockets nor signatures."""

import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from hellojohn._secret import Secret
from hellojohn._wire import ApiRequest, ApiResponse
from hellojohn.emulator import answers
from hellojohn.emulator.policy import seconds
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Device, SessionStatus, TokenResponse
from hellojohn.emulator.rules import Rules
from hellojohn.emulator.tokens import AccessToken
from tests.simulation.facts import Facts
from tests.simulation.plan import Plan

API = "https://api.example.com/v1"
TENANT = "tnt_1"
KEY = Secret("pk_1")
EMAIL, PASSWORD = "ada@example.com", Secret("correct horse")

_DEVICE = Device()


class Server:
    """One tenant with one user."""

    def __init__(self, clock: Callable[[], float], facts: Facts, plan: Plan) -> None:
        self.rules = Rules(clock=clock, reuse_grace=plan.grace)
        self.rules.configure(
            {"session_duration": plan.duration, "access_token_ttl": plan.ttl, "idle_timeout": plan.idle}
        )
        self.rules.add_user(EMAIL, PASSWORD)
        self._clock = clock
        self._facts = facts
        self._plan = plan
        self.idle = None if plan.idle is None else seconds(plan.idle)
        self._ttl = int(seconds(plan.ttl))
        self._live: dict[str, str] = {}
        self._good_until: dict[str, float] = {}
        self._routes = {
            "/auth/sign-in": self._sign_in,
            "/auth/token/refresh": self._refresh,
            "/auth/sign-out": self._sign_out,
            "/auth/me": self._me,
        }

    def answer(self, call: ApiRequest) -> ApiResponse:
        """Carry out a call."""
        bearer = None if call.bearer is None else call.bearer.reveal()
        try:
            status, body = self._routes[call.path](json.loads(call.encode() or b"{}"), bearer)
        except ApiProblem as refusal:
            status, body = refusal.status, answers.error_json(refusal, request_id="req_1")
        headers = {"date": formatdate(self._clock(), usegmt=True), "content-type": "application/json"}
        return ApiResponse(status, headers, b"" if body is None else answers.encode(body), call.secrets())

    def accepts(self, access: str) -> bool:
        """Return whether an API takes this access token."""
        return self._clock() < self._good_until[access]

    def reject(self) -> None:
        """Make every API refuse the access tokens issued so far."""
        self._good_until = dict.fromkeys(self._good_until, 0.0)

    def steal(self, refresh: str) -> None:
        """Have somebody else use a refresh token."""
        grant = self.rules.refresh(Secret(refresh))
        self._facts.pairs[refresh].stolen = True
        self._issue(grant, refresh)

    def live_token(self, session_id: str) -> str | None:
        """Return the refresh token that a session would take; ``None`` when it is over."""
        alive = self.rules.session(session_id).status is SessionStatus.ACTIVE
        return self._live[session_id] if alive else None

    # ------------------------------------------------------------------ routes

    def _sign_in(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, dict[str, object]]:
        assert bearer == KEY.reveal()
        asked = None if self._plan.deaf else fields.get("session_options", {}).get("duration")
        grant = self.rules.sign_in(
            fields["email"], Secret(fields["password"]), duration=asked, device=_DEVICE
        )
        shape: answers.Shape = "nested" if self._plan.nested else "flat"
        return 200, answers.signed_in(grant, self._issue(grant, None), shape=shape)

    def _refresh(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, dict[str, object]]:
        assert bearer is None
        given: str = fields["refresh_token"]
        grant = self.rules.refresh(Secret(given))
        token = self._issue(grant, given)
        return 200, answers.refreshed(grant, token)

    def _sign_out(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, None]:
        session_id = self._facts.by_access[bearer or ""].session.id
        everywhere = bool(fields.get("everywhere"))
        self.rules.sign_out(Secret(fields["refresh_token"]), session_id=session_id, everywhere=everywhere)
        return 204, None

    def _me(self, _fields: dict[str, Any], bearer: str | None) -> tuple[int, dict[str, object]]:
        if not self.accepts(bearer or ""):
            raise ApiProblem("token_expired")
        session = self.rules.session(self._facts.by_access[bearer or ""].session.id)
        return 200, answers.user_json(self.rules.user(session.user_id))

    def _issue(self, grant: TokenResponse, given: str | None) -> AccessToken:
        refresh, access = grant.refresh_token.reveal(), f"at_{len(self._good_until) + 1}"
        self._live[grant.session.id] = refresh
        self._good_until[access] = self._clock() + self._ttl
        self._facts.issued(grant.session.id, refresh, access, given)
        return AccessToken(Secret(access), self._ttl, int(self._clock() + self._ttl))

"""The open-source server, with v2's bytes: like ``server``, and with its outages that look like ends.

It is written from the description of the protocol and shares nothing with the emulator. Its access tokens
name their session, which a real one's do not: the judges need to know which it is.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.facts import Facts
from tests.simulation.plan import Plan
from tests.simulation.server import NO_USER, PASSWORD, TENANT, Refused, Server, ServerSession

CLIENT = "cli_1"

_ERRORS = {
    "invalid_credentials": (401, "INVALID_CREDENTIALS", ""),
    "account_disabled": (423, "user_disabled", ""),
    "token_expired": (401, "TOKEN_EXPIRED", ""),
    "session_revoked": (401, "UNAUTHORIZED", "refresh token is revoked"),
    "refresh_token_reused": (401, "REFRESH_TOKEN_REUSE", ""),
    "session_expired": (401, "SESSION_EXPIRED", ""),
    "refresh_token_invalid": (401, "SESSION_EXPIRED", ""),
    "away": (500, "store_error", ""),
}


class ServerV2(Server):
    """One tenant and its database."""

    def __init__(self, clock: Callable[[], float], facts: Facts, plan: Plan) -> None:
        super().__init__(clock, facts, plan)
        self.idle = None  # only clients know an idle timeout

    def _refusal(self, code: str) -> tuple[int, Mapping[str, object]]:
        status, shown, detail = _ERRORS[code]
        return status, {"code": shown, "message": "Words.", "detail": detail}

    # ------------------------------------------------------------------ routes

    def _sign_in(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object]]:
        assert bearer is None
        assert (fields["tenant_id"], fields["client_id"]) == (TENANT, CLIENT)
        user = fields["email"]
        if self.is_away or fields["password"] != PASSWORD:
            raise Refused("invalid_credentials")
        if user in self.disabled:
            raise Refused("account_disabled")
        _, refresh, access = self._begin(user, self._longest, fields.get("turnstile_token"))
        return 200, self._pair(refresh, access)

    def _refresh(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object]]:
        assert bearer is None
        given: str = fields["refresh_token"]
        session = self._of_token.get(given)
        if self.is_away or session is None:
            raise Refused("session_expired")
        if given in self._rotated_at:
            if not self._plan.detects_reuse:
                raise Refused("session_revoked")
            session.revoked = True
            raise Refused("refresh_token_reused")
        ending = self._ending(session)
        if ending is not None:
            raise Refused(ending)
        session.ends_at = self._clock() + self._longest  # each rotation starts a new life
        return 200, self._pair(*self._rotate(session, given))

    def _sign_out(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, None]:
        assert bearer is not None
        if "user_id" in fields:
            if self.is_away:
                raise Refused("away")
            self._revoke_all(fields["user_id"].removeprefix("usr_"))
        elif not self.is_away and fields["refresh_token"] in self._of_token:
            self._of_token[fields["refresh_token"]].revoked = True
        return 204, None  # to end one session, whether that was carried out or not

    def _look(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object] | None]:
        """Answer a request that needs the database: the user's factors, or the sign-out of no user."""
        if bearer is not None and not self.accepts(bearer):
            raise Refused("token_expired")
        if self.is_away:
            raise Refused("away")
        return (204, None) if fields.get("user_id") == NO_USER else (200, {"factors": []})

    def _me(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object]]:
        status, user = super()._me(fields, bearer)
        return status, {"sub": user["id"], "email": user["email"]}

    # ------------------------------------------------------------------ tokens

    def _access_token(self, session: ServerSession, number: int) -> str:
        claims = {"sub": f"usr_{session.user}", "sid": session.id, "jti": number}
        content = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"e30.{content}.{number}"

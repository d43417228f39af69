"""The service: one tenant, two users, and v1's bytes, with neither sockets nor signatures.

It is written from the description of the protocol and shares nothing with the emulator, so that a misreading
in one of them shows.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cache, lru_cache
from typing import Any

from hellojohn._duration import parse_duration
from hellojohn._wire import ApiRequest, ApiResponse
from tests.simulation.facts import Facts
from tests.simulation.plan import Plan

API = "https://api.example.com"
TENANT = "tnt_1"
KEY = "pk_1"
PASSWORD = "correct horse"
USERS = ("ada@example.com", "bob@example.com")
REFRESH, SIGN_IN, SIGN_OUT, ME = "/auth/token/refresh", "/auth/sign-in", "/auth/sign-out", "/auth/me"
LOOK = "second look"
"""The question whether the service works at all, before its word that a session has ended is believed."""

NO_USER = "00000000-0000-0000-0000-000000000000"
_PATHS_OF_V2 = {
    "/v2/auth/login": SIGN_IN,
    "/v2/auth/refresh": REFRESH,
    "/v2/auth/logout": SIGN_OUT,
    "/v2/auth/logout-all": SIGN_OUT,
    "/v2/mfa/factors": LOOK,
    "/userinfo": ME,
}

_STATUS = {
    "invalid_credentials": 401,
    "account_disabled": 403,
    "token_expired": 401,
    "invalid_token": 401,
    "session_expired": 401,
    "session_revoked": 401,
    "refresh_token_expired": 401,
    "refresh_token_invalid": 401,
    "refresh_token_reused": 401,
}


_to_json = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=8)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def path_of(request: ApiRequest) -> str:
    """Return the path of a request as in v1, below the version, for both dialects."""
    if (request.body or {}).get("user_id") == NO_USER:
        return LOOK
    return _PATHS_OF_V2.get(request.path) or request.path.removeprefix("/v1")


class Refused(Exception):
    """An answer that is an error; the first argument is its code."""


@dataclass(eq=False)
class ServerSession:
    """A session, as the service knows it."""

    id: str
    user: str
    ends_at: float
    active_at: float
    live: str
    revoked: bool = False


class Server:
    """One tenant.

    Attributes:
        idle: The idle timeout in seconds, if there is one.
        disabled: The users whose accounts are disabled.
        refuses: Whether every API refuses every access token.
        is_away: Whether its database is away. Only the open-source server has such outages.
    """

    def __init__(self, clock: Callable[[], float], facts: Facts, plan: Plan) -> None:
        self._clock = clock
        self._facts = facts
        self._plan = plan
        self.idle = None if plan.idle is None else _seconds(plan.idle)
        self._ttl = int(_seconds(plan.ttl))
        self._longest = _seconds(plan.duration)
        self._grace = -1.0 if plan.grace is None else _seconds(plan.grace)
        self.disabled: set[str] = set()
        self.refuses = False
        self.is_away = False
        self._sessions: dict[str, ServerSession] = {}
        self._of_token: dict[str, ServerSession] = {}
        self._rotated_at: dict[str, float] = {}
        self._good_until: dict[str, float] = {}
        self._routes = {
            SIGN_IN: self._sign_in,
            REFRESH: self._refresh,
            SIGN_OUT: self._sign_out,
            ME: self._me,
            LOOK: self._look,
        }

    def answer(self, request: ApiRequest) -> ApiResponse:
        """Carry out a request."""
        bearer = None if request.bearer is None else request.bearer.reveal()
        fields = json.loads(request.encode() or b"{}")
        try:
            status, body = self._routes[path_of(request)](fields, bearer)
        except Refused as refusal:
            status, body = self._refusal(refusal.args[0])
        headers = {"date": _date(int(self._clock())), "content-type": "application/json"}
        data = b"" if body is None else _to_json(body).encode()
        return ApiResponse(status, headers, data, request.secrets())

    def _refusal(self, code: str) -> tuple[int, Mapping[str, object]]:
        status = _STATUS[code]
        error = {"code": code, "message": "Words.", "status": status, "request_id": "req_1"}
        return status, {"error": error}

    # ------------------------------------------------------------------ for the world

    def accepts(self, access: str) -> bool:
        """Return whether an API takes this access token."""
        return not self.refuses and self._clock() < self._good_until[access]

    def reject(self, user: str | None = None) -> None:
        """Make every API refuse the access tokens issued so far, of a user or of all."""
        for access in self._good_until:
            if user in (None, self._facts.by_access[access].session.user):
                self._good_until[access] = 0.0

    def revoke(self, session_id: str) -> None:
        """End a session."""
        self._sessions[session_id].revoked = True

    def expire(self) -> None:
        """End all sessions."""
        for session in self._sessions.values():
            session.ends_at = min(session.ends_at, self._clock())

    def disable(self, user: str) -> None:
        """Disable a user's account, which revokes the user's sessions."""
        self.disabled.add(user)
        self._revoke_all(user)

    def steal(self, refresh: str) -> None:
        """Have another party use a refresh token."""
        self._rotate(self._of_token[refresh], refresh)
        self._facts.pairs[refresh].stolen = True

    def live_token(self, session_id: str) -> str | None:
        """Return the refresh token that a session would take; ``None`` when it has ended."""
        session = self._sessions[session_id]
        return session.live if self._ending(session) is None else None

    def idle_since(self, session_id: str) -> float:
        """Return when a session was last active."""
        return self._sessions[session_id].active_at

    # ------------------------------------------------------------------ routes

    def _sign_in(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object] | None]:
        assert bearer == KEY
        user = fields["email"]
        if fields["password"] != PASSWORD:
            raise Refused("invalid_credentials")
        if user in self.disabled:
            raise Refused("account_disabled")
        asked = None if self._plan.deaf else fields.get("session_options", {}).get("duration")
        now = self._clock()
        length = self._longest if asked is None else min(self._longest, _seconds(asked))
        session, refresh, access = self._begin(user, length, fields.get("captcha_token"))
        if not self._plan.nested:
            return 200, {**self._pair(refresh, access), "session_id": session.id}
        tokens = {
            "id": session.id,
            "access_token": access,
            "refresh_token": refresh,
            "access_token_expires_at": _written(now + self._ttl),
            "refresh_token_expires_at": _written(session.ends_at),
        }
        return 200, {"user": {"id": f"usr_{user}", "email": user}, "session": tokens}

    def _refresh(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object]]:
        assert bearer is None
        given: str = fields["refresh_token"]
        session = self._of_token.get(given)
        if session is None:
            raise Refused("refresh_token_invalid")
        rotated_at = self._rotated_at.get(given)
        if rotated_at is not None and self._clock() - rotated_at > self._grace:
            if self._clock() >= session.ends_at:
                raise Refused("refresh_token_expired")
            session.revoked = True
            raise Refused("refresh_token_reused")
        ending = self._ending(session)
        if ending is not None:
            raise Refused(ending)
        return 200, self._pair(*self._rotate(session, given))

    def _sign_out(self, fields: dict[str, Any], bearer: str | None) -> tuple[int, None]:
        session = self._of_token.get(fields["refresh_token"])
        if session is None or session.id != self._facts.by_access[bearer or ""].session.id:
            raise Refused("refresh_token_invalid")
        session.revoked = True
        if fields.get("everywhere"):
            self._revoke_all(session.user)
        return 204, None

    def _me(self, _fields: dict[str, Any], bearer: str | None) -> tuple[int, Mapping[str, object]]:
        if not self.accepts(bearer or ""):
            raise Refused("token_expired")
        user = self._facts.by_access[bearer or ""].session.user
        return 200, {"id": f"usr_{user}", "email": user}

    def _look(self, _fields: dict[str, Any], _bearer: str | None) -> tuple[int, Mapping[str, object] | None]:
        raise NotImplementedError("this dialect believes a refusal at once")

    # ------------------------------------------------------------------ a session's life

    def _begin(self, user: str, length: float, mark: str | None) -> tuple[ServerSession, str, str]:
        """Begin a session; return it and its first pair."""
        now, number = self._clock(), len(self._sessions) + 1
        session = ServerSession(f"ses_{number}", user, now + length, now, "")
        self._sessions[session.id] = session
        refresh, access = self._issue(session)
        self._facts.began(session.id, user, mark)
        self._facts.issued(session.id, refresh, access, None)
        return session, refresh, access

    def _ending(self, session: ServerSession) -> str | None:
        now = self._clock()
        if session.user in self.disabled:
            return "account_disabled"
        if session.revoked:
            return "session_revoked"
        idle = self.idle is not None and now - session.active_at > self.idle
        return "session_expired" if idle or now >= session.ends_at else None

    def _rotate(self, session: ServerSession, given: str) -> tuple[str, str]:
        self._rotated_at[session.live] = session.active_at = self._clock()
        refresh, access = self._issue(session)
        self._facts.issued(session.id, refresh, access, given)
        return refresh, access

    def _issue(self, session: ServerSession) -> tuple[str, str]:
        number = len(self._good_until) + 1
        refresh, access = f"rt_{number}", self._access_token(session, number)
        session.live = refresh
        self._of_token[refresh] = session
        self._good_until[access] = self._clock() + self._ttl
        return refresh, access

    def _access_token(self, _session: ServerSession, number: int) -> str:
        return f"at_{number}"

    def _pair(self, refresh: str, access: str) -> dict[str, object]:
        return {"access_token": access, "refresh_token": refresh, "expires_in": self._ttl}

    def _revoke_all(self, user: str) -> None:
        for session in self._sessions.values():
            if session.user == user:
                session.revoked = True


@cache
def _seconds(duration: str | timedelta) -> float:
    return parse_duration(duration, name="duration").total_seconds()


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

"""A service without sockets, whose time a test sets, and a token store over a dict."""

import itertools
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn
from tests.dialects import Api

START = 1_700_000_000.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"
TTL = 3_600.0

Answer = httpx.Response | Callable[[], httpx.Response]


_V1_PATHS = {
    "/v2/auth/login": "auth/sign-in",
    "/v2/auth/register": "auth/sign-up",
    "/v2/auth/refresh": "auth/token/refresh",
    "/v2/auth/logout": "auth/sign-out",
    "/v2/auth/logout-all": "auth/sign-out",
}
_REFUSALS = {
    "v1": {
        "revoked": (401, "session_revoked", None),
        "reused": (401, "refresh_token_reused", None),
        "disabled": (403, "account_disabled", None),
        "wrong password": (401, "invalid_credentials", None),
        "too many requests": (429, "rate_limit_exceeded", None),
        "unavailable": (503, "unavailable", None),
    },
    "v2": {
        "revoked": (401, "UNAUTHORIZED", "refresh token is revoked"),
        "reused": (401, "REFRESH_TOKEN_REUSE", None),
        "disabled": (423, "user_disabled", None),
        "wrong password": (401, "INVALID_CREDENTIALS", None),
        "too many requests": (429, "RATE_LIMIT_EXCEEDED", None),
        "unavailable": (503, "TENANT_NO_DATABASE", None),
    },
}


class ScriptedService:
    """Grants every request: the n-th pair of tokens is ``at_n`` and ``rt_n``.

    On v2 an answer names neither the session nor its user nor its end.

    Attributes:
        api: The dialect.
        now: The time, in seconds since the epoch.
        asked: The requests that came: the path below the version, as v1 spells it, and the body.
        dates: The service's own time, where the client's clock is wrong.
        lasts: When the session ends, in seconds after ``START``; ``None`` to name no end. v2 names none.
        is_down: Whether no connection can be made.
        answers: What to answer to the next requests other than sign-outs, instead of a grant.
    """

    def __init__(self, api: Api = "v1") -> None:
        self.api = api
        self.now = START
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.dates: float | None = None
        self.lasts: float | None = None
        self.is_down = False
        self.answers: list[Answer] = []
        self._numbers = itertools.count(1)

    def clock(self) -> float:
        """Return the time that was set."""
        return self.now

    def at(self, **after: float) -> None:
        """Set the time to so long after ``START``."""
        self.now = START + timedelta(**after).total_seconds()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        path = _V1_PATHS.get(request.url.path) or request.url.path.rpartition(f"/{self.api}/")[2]
        body = json.loads(request.content or b"{}")
        self.asked.append((path, body))
        if self.is_down:
            raise httpx.ConnectError("connection refused")
        if path == "auth/sign-out":
            return httpx.Response(204)
        if self.answers:
            answer = self.answers.pop(0)
            return answer() if callable(answer) else answer
        return self.grant(**{"user": {"id": "usr_1", "email": body["email"]}} if "email" in body else {})

    def grant(self, **changes: object) -> httpx.Response:
        """Return the next pair of tokens; a sign-in names its user."""
        number = next(self._numbers)
        if self.api == "v2":
            pair = {"access_token": f"at_{number}", "refresh_token": f"rt_{number}", "token_type": "Bearer"}
            return httpx.Response(200, json={**pair, "expires_in": TTL})
        session: dict[str, object] = {"id": "ses_1"}
        if self.lasts is not None:
            session["refresh_token_expires_at"] = datetime.fromtimestamp(START + self.lasts, UTC).isoformat()
        shown = datetime.fromtimestamp(self.now if self.dates is None else self.dates, UTC)
        now = shown.strftime("%a, %d %b %Y %H:%M:%S GMT")
        body = {
            "access_token": f"at_{number}",
            "refresh_token": f"rt_{number}",
            "expires_in": TTL,
            "session": session,
            **changes,
        }
        return httpx.Response(200, json=body, headers={"Date": now})

    def refusal(self, kind: str, **headers: str) -> httpx.Response:
        """Return an error in the words of the dialect."""
        status, code, detail = _REFUSALS[self.api][kind]
        if self.api == "v1":
            return problem(status, code, **headers)
        body = {"code": code, "message": "Words.", **({} if detail is None else {"detail": detail})}
        return httpx.Response(status, json=body, headers=_header_names(headers))

    def challenge(self) -> httpx.Response:
        """Return the answer that asks for a second factor."""
        if self.api == "v1":
            return problem(403, "mfa_required")
        asked = {"mfa_required": True, "mfa_token": "chl_1", "available_factors": ["totp"]}
        return httpx.Response(200, json=asked)

    @property
    def session_id(self) -> str:
        """The id of every session; empty where the service names none."""
        return "ses_1" if self.api == "v1" else ""

    def paths(self) -> list[str]:
        """Return the paths that were requested."""
        return [path for path, _ in self.asked]

    def presented(self, path: str = "auth/token/refresh") -> list[str]:
        """Return the refresh tokens that came at a path, in order."""
        return [body["refresh_token"] for asked, body in self.asked if asked == path]

    def client(self, owner: type[HelloJohn | AsyncHelloJohn] = HelloJohn, **settings: Any) -> Any:
        """Return a client of this service."""
        usual: dict[str, Any] = {
            "api": self.api,
            "client_id": None if self.api == "v1" else "web",
            "tenant_id": "tnt_1",
            "publishable_key": "pk_test_1",
            "api_url": "https://api.example.com",
            "transport": httpx.MockTransport(self),
            "clock": self.clock,
        }
        return owner(**{**usual, **settings})


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """Return an error in the documented shape. Underscores in the names of headers stand for hyphens."""
    error = {"error": {"code": code, "message": "Words.", "status": status}, "challenge_id": "chl_1"}
    return httpx.Response(status, json=error, headers=_header_names(headers))


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class DictStore:
    """A token store of an app: the four methods of the protocol, over a dict that a test can look at.

    Attributes:
        texts: The stored texts.
    """

    def __init__(self) -> None:
        self.texts: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}

    def load(self, key: str) -> str | None:
        """Load."""
        found: str | None = self.texts.get(key)
        return found

    def save(self, key: str, text: str) -> None:
        """Save."""
        self.texts[key] = text

    def delete(self, key: str) -> None:
        """Delete."""
        self.texts.pop(key, None)

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
        """Lock."""
        return self._locks.setdefault(key, threading.Lock())

    def text(self) -> str:
        """Return the only text."""
        (text,) = self.texts.values()
        return text

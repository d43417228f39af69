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

START = 1_700_000_000.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"
TTL = 3_600.0

Answer = httpx.Response | Callable[[], httpx.Response]


class ScriptedService:
    """Grants every request: the n-th pair of tokens is ``at_n`` and ``rt_n``.

    Attributes:
        now: The time, in seconds since the epoch.
        asked: The requests that came: the path below the version, and the body.
        dates: The service's own time, where the client's clock is wrong.
        lasts: When the session ends, in seconds after ``START``; ``None`` to name no end.
        is_down: Whether no connection can be made.
        answers: What to answer to the next requests other than sign-outs, instead of a grant.
    """

    def __init__(self) -> None:
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
        path, body = request.url.path.rpartition("/v1/")[2], json.loads(request.content or b"{}")
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

    def paths(self) -> list[str]:
        """Return the paths that were requested."""
        return [path for path, _ in self.asked]

    def presented(self, path: str = "auth/token/refresh") -> list[str]:
        """Return the refresh tokens that came at a path, in order."""
        return [body["refresh_token"] for asked, body in self.asked if asked == path]

    def client(self, owner: type[HelloJohn | AsyncHelloJohn] = HelloJohn, **settings: Any) -> Any:
        """Return a client of this service."""
        usual: dict[str, Any] = {
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
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=error, headers=named)


class DictStore:
    """A token store of an app: the four methods of the protocol, over a dict that a test can look at.

    Attributes:
        texts: What is stored.
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

"""A token endpoint of v2 without sockets, whose answers and time a test sets."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx

from hellojohn import HelloJohn
from tests.ways_in.conftest import START

TTL = 900.0
SECRET = "s3cret-of-the-worker"

Answer = httpx.Response | Exception


class TokenEndpoint:
    """Grants every request: the n-th token is ``st_n``.

    Attributes:
        now: The time, in seconds since the epoch.
        asked: The forms that came.
        answers: What to answer to the next requests instead.
        is_down: Whether no connection can be made.
    """

    def __init__(self) -> None:
        self.now = START
        self.asked: list[dict[str, str]] = []
        self.answers: deque[Answer] = deque()
        self.is_down = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        assert request.url.path == "/oauth2/token"
        self.asked.append(dict(parse_qsl(request.content.decode())))
        if self.is_down:
            raise httpx.ConnectError("connection refused")
        if not self.answers:
            return granted(f"st_{len(self.asked)}")
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, owner: Callable[..., Any] = HelloJohn, **settings: Any) -> Any:
        """Return a client of this server."""
        usual: dict[str, Any] = {
            "api": "v2",
            "api_url": "https://auth.example.com",
            "tenant_id": "acme",
            "client_id": "worker",
            "transport": httpx.MockTransport(self),
            "clock": lambda: self.now,
        }
        return owner(**{**usual, **settings})


def granted(token: str, **changes: Any) -> httpx.Response:
    """Return an answer with a token, as the server gives it."""
    body = {"access_token": token, "token_type": "Bearer", "expires_in": TTL, "scope": "a", **changes}
    return httpx.Response(200, content=json.dumps(body))


def refused(status: int, error: str, **headers: str) -> httpx.Response:
    """Return an error of the OAuth routes. Underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"error": error, "error_description": "Words."}
    return httpx.Response(status, json=body, headers=named)

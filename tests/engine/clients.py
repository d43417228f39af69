"""Whole clients for the engine's tests: a service behind ``httpx.MockTransport``, and a time that is set."""

import inspect
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from hellojohn import AsyncHelloJohn, AuthEvent, HelloJohn, MemoryStore
from tests.engine.rig import START

EMAIL, PASSWORD = "ada@example.com", "correct horse"
TTL = 3_600.0


class Service:
    """Grants whatever is asked for, as the keeper of one session.

    Attributes:
        asked: The calls that came: their path below the API's base, and their body.
        lasts: When the service ends the session, in seconds after ``START``; ``None`` to say nothing.
        is_down: Whether nobody can connect.
        answers: What to answer to the next calls, in place of a grant.
    """

    def __init__(self) -> None:
        self.now = START
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.lasts: float | None = None
        self.is_down = False
        self.answers: list[httpx.Response] = []
        self._numbers = itertools.count(1)

    def clock(self) -> float:
        """Return the time that was set."""
        return self.now

    def at(self, **after: float) -> None:
        """Set the time to so long after ``START``."""
        self.now = START + timedelta(**after).total_seconds()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        path = request.url.path.removeprefix("/v1/")
        self.asked.append((path, json.loads(request.content or b"{}")))
        if self.is_down:
            raise httpx.ConnectError("nobody there")
        if self.answers:
            return self.answers.pop(0)
        return httpx.Response(204) if path == "auth/sign-out" else self._grant()

    def _grant(self) -> httpx.Response:
        number = next(self._numbers)
        answer = {"access_token": f"at_{number}", "refresh_token": f"rt_{number}", "expires_in": TTL}
        session: dict[str, object] = {"id": "ses_1"}
        if self.lasts is not None:
            session["expires_at"] = datetime.fromtimestamp(START + self.lasts, UTC).isoformat()
        now = datetime.fromtimestamp(self.now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        user = {"id": "usr_1", "email": EMAIL}
        return httpx.Response(200, json={**answer, "session": session, "user": user}, headers={"Date": now})

    def paths(self) -> list[str]:
        """Return the paths that were called."""
        return [path for path, _ in self.asked]

    def client(
        self, owner: type[HelloJohn | AsyncHelloJohn] = HelloJohn, **settings: Any
    ) -> HelloJohn | AsyncHelloJohn | Any:
        """Make a client of this service."""
        usual: dict[str, Any] = {
            "tenant_id": "tnt_1",
            "publishable_key": "pk_test_1",
            "api_url": "https://api.example.com",
            "transport": httpx.MockTransport(self),
            "clock": self.clock,
        }
        return owner(**{**usual, **settings})


class Watch:
    """What a client's events tell, in order.

    Attributes:
        events: The events.
    """

    def __init__(self, hj: HelloJohn | AsyncHelloJohn) -> None:
        self.events: list[AuthEvent] = []
        self.stop = hj.on(self.events.append)

    def told(self) -> list[str]:
        """Return the types, and the reasons where there are any."""
        return [":".join(filter(None, (event.type, event.reason))) for event in self.events]


def stored(hj: HelloJohn | AsyncHelloJohn, store: MemoryStore) -> str | None:
    """Return what the store holds for the client."""
    return store.load(hj._account.key)


async def settle(value: Any) -> Any:
    """Await what an asynchronous client returned; take what a blocking one did."""
    return await value if inspect.isawaitable(value) else value

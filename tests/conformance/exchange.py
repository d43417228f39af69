"""Carries out one row: a client makes the call, and the service answers as the row says."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx

from hellojohn import HelloJohn, MemoryStore, OAuthRequest
from tests.conformance.keys import URL
from tests.conformance.outcome import outcome_of
from tests.conformance.rows import ACCESS, NOW, Answer, Call, Reply

CREDENTIALS = {
    None: "none",
    "Bearer pk_1": "publishable key",
    f"Bearer {ACCESS}": "access token",
    "Bearer sk_1": "secret key",
}
GRANT = {"access_token": ACCESS, "refresh_token": "rt_1", "expires_in": 900, "session_id": "ses_1"}
SIGNED_IN = Reply(200, {**GRANT, "user": {"id": "usr_1", "email": "ada@example.com"}})


class Exchange:
    """The requests of a call, and its result.

    Attributes:
        sent: The requests of the call, in order.
        outcome: The result, in the words of the table.
        is_signed_in: Whether there is a session afterwards.
    """

    def __init__(self, api: str, call: Call, answer: Answer | None) -> None:
        self.sent: list[httpx.Request] = []
        self._answers: Mapping[str, Reply | str] | None = None
        with self._client(api) as hj:
            hj.auth.sign_in("ada@example.com", "Correct-Horse-9")
            usual: dict[str, Reply | str] = dict(call.usual)
            self._answers = {
                **usual,
                **({} if answer is None else {**answer.beside, call.line: answer.reply}),
            }
            waits = answer is not None and answer.names_a_wait
            self.outcome = outcome_of(lambda: self._seen(call.run(hj)), waits=waits)
            self.is_signed_in = hj.auth.session() is not None

    def request(self, line: str) -> httpx.Request:
        """Return the request with this method and path."""
        return next(request for request in self.sent if _line(request) == line)

    def lines(self) -> list[str]:
        """Return the methods and paths that were sent."""
        return list(map(_line, self.sent))

    def _seen(self, result: object) -> object:
        """Count the address to which the browser is sent as a request."""
        if isinstance(result, OAuthRequest):
            self.sent.append(httpx.Request("GET", result.url))
        return result

    def _client(self, api: Any) -> HelloJohn:
        return HelloJohn(
            api=api,
            tenant_id="acme",
            client_id="web",
            publishable_key="pk_1",
            secret_key="sk_1",
            api_url=URL,
            store=MemoryStore(),
            transport=httpx.MockTransport(self._answer),
            clock=lambda: NOW,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self._answers is None:
            return SIGNED_IN.response()
        self.sent.append(request)
        reply = self._answers.get(_line(request), Reply(404, "404 page not found"))
        if isinstance(reply, str):
            raise httpx.ReadError("cut off")
        return reply.response()


def _line(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def credential(request: httpx.Request) -> str:
    """Return the kind of credential that a request carries."""
    if "X-API-Key" in request.headers:
        return "API key"
    return CREDENTIALS[request.headers.get("Authorization")]


def fields(request: httpx.Request) -> set[str]:
    """Return the names of the fields that a request carries: of its body, else of its query."""
    body = request.content.decode()
    if body.startswith("{"):
        return set(json.loads(body))
    return set(parse_qs(body or request.url.query.decode(), keep_blank_values=True))

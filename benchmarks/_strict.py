"""A strict auth server and the API behind it, in a process of its own. It speaks to every library.

Each sign-in starts a session. A refresh token works once: it is replaced at every refresh, and one that comes
again ends its session. Access tokens are good while their session is, except the one of the sign-in, which
the API never takes: whoever wants an answer has to refresh.

    POST .../sign-in, .../token with grant_type=password          a session; a user may sign in once
    POST .../refresh, .../token with grant_type=refresh_token     the next pair of tokens
    GET  /api                                                     200, or 401
    GET  /report?user=...                                         what happened to that user's session

A form or JSON, as the library likes.
"""

import asyncio
import json
import multiprocessing
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

EXPIRED = "expired"
"""What the name of a user begins with whose first access token lives for ``SHORT`` seconds, not an hour."""
SHORT = 1
_LIFE = 3_600


class Report(NamedTuple):
    """What happened to one session.

    Attributes:
        refreshes: Refreshes asked for, granted or not.
        reused: How many of them brought a token that had been used before.
        alive: Whether the session is still good.
    """

    refreshes: int
    reused: int
    alive: bool


@contextmanager
def strict_server(*, takes: float) -> Iterator[str]:
    """Run the server, which takes so many seconds for a refresh, and yield its URL."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(theirs, takes), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


@dataclass
class _Session:
    user: str
    number: int = 0
    refreshes: int = 0
    reused: int = 0
    alive: bool = True
    tokens: dict[str, int] = field(default_factory=dict[str, int])

    def next_tokens(self) -> tuple[str, str]:
        """Issue the next pair."""
        self.number += 1
        pair = secrets.token_hex(32), secrets.token_hex(32)
        self.tokens.update(dict.fromkeys(pair, self.number))
        return pair


class _Refused(Exception):
    """The request gets a 4xx; the code says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Rules:
    """Who is signed in, and what is wrong with a token."""

    def __init__(self) -> None:
        self._of_user: dict[str, _Session] = {}
        self._of_token: dict[str, _Session] = {}

    def sign_in(self, user: str) -> dict[str, object]:
        if user in self._of_user:
            raise _Refused("invalid_credentials")
        session = self._of_user[user] = _Session(user)
        return self._grant(session, SHORT if user.startswith(EXPIRED) else _LIFE)

    def refresh(self, token: str) -> dict[str, object]:
        session = self._of_token.get(token)
        if session is None:
            raise _Refused("refresh_token_invalid")
        session.refreshes += 1
        if session.tokens[token] != session.number:
            session.reused += 1
            session.alive = False
            raise _Refused("refresh_token_reused")
        if not session.alive:
            raise _Refused("session_revoked")
        return self._grant(session, _LIFE)

    def call(self, token: str) -> dict[str, object]:
        session = self._of_token.get(token)
        if session is None or not session.alive or session.tokens[token] == 1:
            raise _Refused("invalid_token")
        return {}

    def report(self, user: str) -> dict[str, object]:
        session = self._of_user[user]
        return Report(session.refreshes, session.reused, session.alive)._asdict()

    def _grant(self, session: _Session, life: int) -> dict[str, object]:
        access, refresh = session.next_tokens()
        self._of_token[access] = self._of_token[refresh] = session
        return {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "bearer",
            "expires_in": life,
            "session_id": session.user,
            "user": {
                "id": session.user,
                "aud": "bench",
                "app_metadata": {},
                "user_metadata": {},
                "created_at": "2026-01-01T00:00:00Z",
            },
        }


class _Connection(asyncio.Protocol):
    """One connection, its requests one after another."""

    def __init__(self, rules: _Rules, takes: float) -> None:
        self._rules = rules
        self._takes = takes
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        if not end:
            return
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._waiting = rest[length:]
        self._carry_out(line.split()[1], headers, rest[:length])

    def _carry_out(self, target: str, headers: Mapping[str, str], body: bytes) -> None:
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        try:
            answer = _encoded(200, self._answer(path, headers, {**query, **_fields(headers, body)}))
        except _Refused as refusal:
            answer = _refusal(path, refusal.code)
        late = self._takes if path.endswith(("/refresh", "/token")) else 0.0
        asyncio.get_running_loop().call_later(late, self._transport.write, answer)

    def _answer(
        self, path: str, headers: Mapping[str, str], fields: Mapping[str, str]
    ) -> Mapping[str, object]:
        if path == "/api":
            return self._rules.call(headers.get("authorization", "").removeprefix("Bearer "))
        if path == "/report":
            return self._rules.report(fields["user"])
        if "refresh_token" in fields:
            return self._rules.refresh(fields["refresh_token"])
        return self._rules.sign_in(fields.get("username") or fields["email"])


def _fields(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    if "json" in headers.get("content-type", ""):
        return dict(json.loads(body))
    return dict(parse_qsl(body.decode()))


def _refusal(path: str, code: str) -> bytes:
    """Refuse as v1 does, or as OAuth does at its token endpoint."""
    if path.endswith("/token"):
        return _encoded(400, {"error": "invalid_grant", "error_description": code})
    return _encoded(401, {"error": {"code": code, "message": code, "status": 401, "request_id": "bench"}})


def _encoded(status: int, answer: Mapping[str, object]) -> bytes:
    content = json.dumps(answer)
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return f"{head}\r\n\r\n{content}".encode()


def _serve(pipe: Connection, takes: float) -> None:
    async def serve() -> None:
        rules = _Rules()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(rules, takes), "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())

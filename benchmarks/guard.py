"""The FastAPI guard beside a minimal hand-written asynchronous guard that verifies in the same way.

Requests go straight into the ASGI app: a socket would cost more than either guard and hide the difference.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request

from benchmarks._bench import ratio, settings
from benchmarks._clock import now
from hellojohn import AsyncHelloJohn, TokenClaims, TokenInvalid
from hellojohn.emulator import Emulator
from hellojohn.integrations.fastapi import Guard

Verify = Callable[[str], Awaitable[TokenClaims]]


def measure(rounds: int = 60, calls: int = 100) -> list[str]:
    """Return the ratio of both guards, in one run."""
    with Emulator(port=0) as emulator:
        return asyncio.run(_measure(emulator, rounds, calls))


async def _measure(emulator: Emulator, rounds: int, calls: int) -> list[str]:
    async with AsyncHelloJohn(**settings(emulator)) as hj:
        ours, by_hand = _app(Guard(hj).require_session), _app(_guard_by_hand(hj.verify_token))
        scope = _scope(emulator.token())
        for app in (ours, by_hand):
            await _time(app, scope, calls)
        pairs = [(await _time(ours, scope, calls), await _time(by_hand, scope, calls)) for _ in range(rounds)]
    return [f"FastAPI guard / by hand {ratio([one for one, _ in pairs], [other for _, other in pairs])}"]


def _guard_by_hand(verify: Verify) -> Callable[..., Any]:
    async def guard(request: Request) -> TokenClaims:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        try:
            return await verify(token)
        except TokenInvalid:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None

    return guard


def _app(guard: Callable[..., Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def who(claims: Annotated[TokenClaims, Depends(guard)]) -> dict[str, str]:
        return {"user": claims.user_id}

    return app


def _scope(token: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
    if message["type"] == "http.response.start" and message["status"] != 200:  # noqa: PLR2004
        raise AssertionError(message)


async def _time(app: FastAPI, scope: dict[str, Any], calls: int) -> float:
    began = now()
    for _ in range(calls):
        await app(dict(scope), _receive, _send)
    return (now() - began) / calls

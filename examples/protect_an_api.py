"""An API that lets signed-in users in: a guard for each route, and the answers that callers get.

It runs without an account, against an emulator of the service in the same process:

    pip install '.[emulator,fastapi]'
    python examples/protect_an_api.py

A real API has no emulator: ``AsyncHelloJohn()`` reads ``HELLOJOHN_TENANT_ID``. It needs no key to verify
tokens.
"""

import asyncio
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI

from hellojohn import AsyncHelloJohn, TokenClaims
from hellojohn.emulator import DEMO_EMAIL, Emulator
from hellojohn.integrations.fastapi import Guard


def make_app(hj: AsyncHelloJohn) -> FastAPI:
    """Return the API."""
    app, guard = FastAPI(), Guard(hj)

    @app.get("/orders")
    async def orders(claims: Annotated[TokenClaims, Depends(guard.require_session)]) -> str:
        return f"the orders of {claims.email}"

    @app.post("/orders")
    async def order(claims: Annotated[TokenClaims, Depends(guard.require_scope("orders:write"))]) -> str:
        return f"an order by {claims.email}"

    @app.get("/news")
    async def news(claims: Annotated[TokenClaims | None, Depends(guard.optional)]) -> str:
        return f"news for {claims.email if claims else 'everyone'}"

    return app


async def main() -> None:
    """Call the API without a token, with tokens of several kinds, and with one that was revoked."""
    with Emulator() as emulator:
        async with AsyncHelloJohn(tenant_id=emulator.tenant_id, api_url=emulator.url) as hj:
            transport = httpx.ASGITransport(make_app(hj))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as api:

                async def show(method: str, path: str, token: str = "") -> None:
                    headers = {"Authorization": f"Bearer {token}"} if token else {}
                    answer = await api.request(method, path, headers=headers)
                    print(f"{method} {path}: {answer.status_code}, {answer.text}")

                reader, writer = emulator.token(), emulator.token(scopes=["orders:write"])
                await show("GET", "/orders")
                await show("GET", "/news")
                await show("GET", "/news", reader)
                await show("GET", "/orders", reader)
                await show("POST", "/orders", reader)
                await show("POST", "/orders", writer)
                for session in emulator.sessions(DEMO_EMAIL):
                    await hj.revocations.add(session_id=session.id)
                await show("GET", "/orders", reader)


if __name__ == "__main__":
    asyncio.run(main())

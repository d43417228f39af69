"""An API that only answers requests with a valid access token.

It runs as it is, against an emulator of the service inside this process, and asks itself:

    pip install 'hellojohn[fastapi,emulator]' && python examples/protect_an_api.py

The API needs no key, only ``HELLOJOHN_TENANT_ID``: it verifies tokens with the service's published keys.
"""

import asyncio
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI

from hellojohn import AsyncHelloJohn, TokenClaims
from hellojohn.emulator import Emulator
from hellojohn.integrations.fastapi import Guard


def create_app(hj: AsyncHelloJohn) -> FastAPI:
    """Make the API."""
    app = FastAPI()
    guard = Guard(hj)

    @app.get("/orders")
    async def orders(user: Annotated[TokenClaims, Depends(guard.require_session)]) -> dict[str, str]:
        return {"orders of": user.user_id}

    @app.post("/orders")
    async def order(
        writer: Annotated[TokenClaims, Depends(guard.require_scope("orders:write"))],
    ) -> dict[str, str]:
        return {"ordered by": writer.user_id}

    @app.get("/offers")
    async def offers(visitor: Annotated[TokenClaims | None, Depends(guard.optional)]) -> dict[str, bool]:
        return {"signed in": visitor is not None}

    return app


async def main() -> None:
    """Ask the API with different tokens."""
    with Emulator() as emulator:
        async with AsyncHelloJohn(tenant_id=emulator.tenant_id, api_url=emulator.url) as hj:
            transport = httpx.ASGITransport(create_app(hj))
            reader = {"Authorization": f"Bearer {emulator.token(scopes=['orders:read'])}"}
            writer = {"Authorization": f"Bearer {emulator.token(scopes=['orders:write'])}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as api:
                for method, path, headers in (
                    ("GET", "/offers", {}),
                    ("GET", "/orders", {}),
                    ("GET", "/orders", reader),
                    ("POST", "/orders", reader),
                    ("POST", "/orders", writer),
                ):
                    answer = await api.request(method, path, headers=headers)
                    challenge = answer.headers.get("WWW-Authenticate", "")
                    print(method, path, answer.status_code, challenge)


if __name__ == "__main__":
    asyncio.run(main())

"""The libraries that verify tokens with fetched keys, each set up as its documentation has it.

A contender is made with the key server's URL, and verifies a token or raises. An asynchronous one runs on the
event loop of one thread, as in a web service.

Auth0's library is not here: it fetches from https only. WorkOS's fetches with PyJWKClient.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import jwt

from benchmarks._clock import now
from benchmarks._key_server import AUDIENCE

Verify = Callable[[str], object]


class Contender(NamedTuple):
    """One column of the table.

    Attributes:
        name: How it is called.
        package: Whose version it has.
        make: Takes the key server's URL, and returns what verifies; awaitable if ``is_async``.
        is_async: Whether it is.
    """

    name: str
    package: str
    make: Callable[[str], Callable[[str], Any]]
    is_async: bool = False


def _verifier(url: str) -> Any:  # noqa: ANN401 - of this package
    from hellojohn._http._keys import KeyFetcher  # noqa: PLC0415 - after the clocks were replaced
    from hellojohn.verify import Verifier  # noqa: PLC0415

    return Verifier(
        api="v1",
        api_url=url,
        tenant_id=AUDIENCE,
        client_id=None,
        check_token=_ask_nothing,
        fetch=KeyFetcher(transport=None, verify=False),
        send=_ask_nothing,
        clock=time.time,
    )


def _ask_nothing(*_: object) -> Any:  # noqa: ANN401 - never called
    raise NotImplementedError


def _hellojohn(url: str) -> Verify:
    return _verifier(url).verify_token


def _hellojohn_async(url: str) -> Callable[[str], Awaitable[object]]:
    return _verifier(url).verify_token_async


def _pyjwt(url: str) -> Verify:
    client = jwt.PyJWKClient(f"{url}/.well-known/jwks.json")

    def verify(token: str) -> object:
        key = client.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=url)

    return verify


def _jwks_client(url: str) -> Callable[[str], Awaitable[object]]:
    from jwks_client import JWKSClient, JWTVerifier  # noqa: PLC0415

    client = JWKSClient(f"{url}/.well-known/jwks.json")
    return JWTVerifier(client, algorithms=["RS256"], audience=AUDIENCE, issuer=url).verify


def _clerk(url: str) -> Verify:
    from clerk_backend_api.security.types import VerifyTokenOptions  # noqa: PLC0415
    from clerk_backend_api.security.verifytoken import verify_token  # noqa: PLC0415

    options = VerifyTokenOptions(audience=AUDIENCE, secret_key="sk_test_bench", api_url=url)
    return lambda token: verify_token(token, options)


def _descope(url: str) -> Verify:
    from descope import DescopeClient  # noqa: PLC0415

    return DescopeClient(project_id=AUDIENCE, base_url=url).validate_session


CONTENDERS = (
    Contender("hellojohn, threads", "hellojohn", _hellojohn),
    Contender("hellojohn, tasks", "hellojohn", _hellojohn_async, is_async=True),
    Contender("PyJWKClient", "PyJWT", _pyjwt),
    Contender("jwks-client", "jwks-client", _jwks_client, is_async=True),
    Contender("Clerk", "clerk-backend-api", _clerk),
    Contender("Descope", "descope", _descope),
)


class Loop:
    """An event loop on another thread."""

    def __init__(self) -> None:
        """Start it."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def call(self, work: Callable[[str], Awaitable[object]]) -> Verify:
        """Return ``work`` for callers on threads."""

        async def one(token: str) -> object:
            return await work(token)

        return lambda token: asyncio.run_coroutine_threadsafe(one(token), self._loop).result()

    def time(self, work: Callable[[str], Awaitable[object]], token: str, rounds: int) -> float:
        """Return the seconds that so many awaited calls take, without the way to the loop."""

        async def many() -> float:
            began = now()
            for _ in range(rounds):
                await work(token)
            return now() - began

        return asyncio.run_coroutine_threadsafe(many(), self._loop).result()

    def waits(
        self, work: Callable[[str], Awaitable[object]], token: str, calls: int
    ) -> tuple[list[float], float]:
        """Return what each of so many awaited calls takes, and the longest stall of the loop meanwhile."""

        async def each() -> list[float]:
            found: list[float] = []
            for _ in range(calls):
                began = now()
                await work(token)
                found.append(now() - began)
                await asyncio.sleep(0)
            return found

        async def both() -> tuple[list[float], float]:
            task, stall, last = asyncio.ensure_future(each()), 0.0, now()
            while not task.done():
                await asyncio.sleep(0)
                stall, last = max(stall, now() - last), now()
            return task.result(), stall

        return asyncio.run_coroutine_threadsafe(both(), self._loop).result()

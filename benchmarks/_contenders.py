"""The libraries in the race, each set up as its documentation has it: one object for the whole program.

A contender gets the server's URL and a user, signs in, and yields the race: so many callers at once, each of
whom wants one answer of the API.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, NamedTuple

import httpx
import requests
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials
from httpx_auth import OAuth2ResourceOwnerPasswordCredentials
from requests_oauthlib import OAuth2Session
from supabase_auth import SyncGoTrueClient

from hellojohn import AsyncHelloJohn, HelloJohn

Race = Callable[[int], list[bool]]


class Contender(NamedTuple):
    """One row of the table.

    Attributes:
        name: How the row is called.
        package: Whose version it tells.
        enter: Signs a user in at a server, and yields the race.
    """

    name: str
    package: str
    enter: Callable[[str, str], AbstractContextManager[Race]]


@contextmanager
def _hellojohn(url: str, user: str) -> Iterator[Race]:
    with HelloJohn(**_settings(url)) as hj, hj.client(base_url=url) as api:
        hj.auth.sign_in(user, "password")
        yield _threads(lambda: api.get("/api").status_code)


@contextmanager
def _hellojohn_async(url: str, user: str) -> Iterator[Race]:
    with asyncio.Runner() as runner:
        hj = AsyncHelloJohn(**_settings(url))
        api = hj.client(base_url=url)
        runner.run(hj.auth.sign_in(user, "password"))
        yield _tasks(runner, lambda: api.get("/api"))
        runner.run(api.aclose())
        runner.run(hj.aclose())


@contextmanager
def _google_auth(url: str, user: str) -> Iterator[Race]:
    grant = _grant(url, user)
    ends_at = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=grant["expires_in"])
    credentials = Credentials(
        grant["access_token"],
        refresh_token=grant["refresh_token"],
        token_uri=f"{url}/token",
        client_id="bench",
        client_secret="bench",
        expiry=ends_at,
    )
    with AuthorizedSession(credentials) as api:
        yield _threads(lambda: api.get(f"{url}/api").status_code)


@contextmanager
def _authlib(url: str, user: str) -> Iterator[Race]:
    with AuthlibSession("bench", token=_grant(url, user), token_endpoint=f"{url}/token") as api:
        yield _threads(lambda: api.get(f"{url}/api").status_code)


@contextmanager
def _authlib_async(url: str, user: str) -> Iterator[Race]:
    api = AsyncOAuth2Client("bench", token=_grant(url, user), token_endpoint=f"{url}/token")
    with asyncio.Runner() as runner:
        yield _tasks(runner, lambda: api.get(f"{url}/api"))
        runner.run(api.aclose())


@contextmanager
def _requests_oauthlib(url: str, user: str) -> Iterator[Race]:
    saved: list[dict[str, Any]] = []
    with OAuth2Session(
        "bench", token=_grant(url, user), auto_refresh_url=f"{url}/token", token_updater=saved.append
    ) as api:
        yield _threads(lambda: api.get(f"{url}/api").status_code)


@contextmanager
def _httpx_auth(url: str, user: str) -> Iterator[Race]:
    auth = OAuth2ResourceOwnerPasswordCredentials(f"{url}/token", user, "password")
    with httpx.Client(auth=auth) as api:
        api.get(f"{url}/api")  # signs in
        yield _threads(lambda: api.get(f"{url}/api").status_code)


@contextmanager
def _supabase_auth(url: str, user: str) -> Iterator[Race]:
    with SyncGoTrueClient(url=url, auto_refresh_token=False) as auth, httpx.Client() as api:
        auth.sign_in_with_password({"email": user, "password": "password"})

        def call() -> int:
            session = auth.get_session()
            assert session is not None
            headers = {"Authorization": f"Bearer {session.access_token}"}
            return api.get(f"{url}/api", headers=headers).status_code

        yield _threads(call)


CONTENDERS = (
    Contender("hellojohn, threads", "hellojohn", _hellojohn),
    Contender("hellojohn, tasks", "hellojohn", _hellojohn_async),
    Contender("google-auth", "google-auth", _google_auth),
    Contender("Authlib, threads", "authlib", _authlib),
    Contender("Authlib, tasks", "authlib", _authlib_async),
    Contender("requests-oauthlib", "requests-oauthlib", _requests_oauthlib),
    Contender("httpx_auth", "httpx-auth", _httpx_auth),
    Contender("supabase-auth", "supabase-auth", _supabase_auth),
)


def _settings(url: str) -> dict[str, str]:
    return {"api_url": url, "tenant_id": "tnt_bench", "publishable_key": "pk_live_bench"}


def _grant(url: str, user: str) -> dict[str, Any]:
    """Sign in for a library that is given its tokens."""
    answer = requests.post(f"{url}/token", data={"grant_type": "password", "username": user}, timeout=10)
    answer.raise_for_status()
    return dict(answer.json())


def _threads(call: Callable[[], int]) -> Race:
    def race(callers: int) -> list[bool]:
        barrier = Barrier(callers)

        def one() -> bool:
            barrier.wait()
            return call() == httpx.codes.OK

        with ThreadPoolExecutor(callers) as pool:
            futures = [pool.submit(one) for _ in range(callers)]
        return [future.exception() is None and future.result() for future in futures]

    return race


def _tasks(runner: asyncio.Runner, call: Callable[[], Awaitable[Any]]) -> Race:
    async def all_of(callers: int) -> list[bool]:
        answers = await asyncio.gather(*(call() for _ in range(callers)), return_exceptions=True)
        return [getattr(answer, "status_code", None) == httpx.codes.OK for answer in answers]

    return lambda callers: runner.run(all_of(callers))

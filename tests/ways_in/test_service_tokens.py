"""Service to service: the hook and the tokens of a client that signs in with its own secret."""

import asyncio
import copy
import os
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import requests

from hellojohn import (
    AsyncHelloJohn,
    ConfigurationError,
    HelloJohn,
    NotSupported,
    ServiceUnavailable,
)
from hellojohn._limits import MOST_SERVICE_ACCOUNTS, RETIRE_WAIT
from hellojohn.emulator import Emulator
from tests.both_faces import PATIENCE, EventLog, close, settle, until
from tests.counts import count
from tests.fake_stores import FailingStore
from tests.stores.forking import in_forked_child
from tests.transport.backend import Backend
from tests.transport.kinds import KINDS, Kind
from tests.ways_in.conftest import EMAIL, PASSWORD, START, settings
from tests.ways_in.token_endpoint import SECRET, TTL, TokenEndpoint

API = "https://api.example.com"
SCOPES = ["orders:read"]
USUAL = {"client_secret": SECRET, "scopes": SCOPES}
YOUNG = 60.0
"""The seconds in which a refused token is not replaced."""


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the four kinds of HTTP client."""
    return request.param


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync", "async"])
def owner(request: pytest.FixtureRequest) -> Any:
    """Each of the two clients."""
    return request.param


@pytest.fixture
def server() -> TokenEndpoint:
    """A server without sockets."""
    return TokenEndpoint()


@pytest.fixture
async def hj(owner: Any, server: TokenEndpoint) -> AsyncIterator[Any]:
    """A client of either face that is the service ``worker``."""
    client = server.client(owner)
    yield client
    await close(client)


class Api:
    """An API that notes the tokens that it gets.

    Attributes:
        tokens: The values of the ``Authorization`` header, in order.
        refuses: Whether it refuses a token.
    """

    def __init__(self) -> None:
        self.tokens: list[str | None] = []
        self.refuses: Callable[[str | None], bool] = lambda token: False

    def __call__(self, request: Any) -> Any:
        """Answer a request of either library."""
        token = request.headers.get("Authorization")
        self.tokens.append(token)
        library = httpx if isinstance(request, httpx.Request) else __import__("httpx2")
        return library.Response(401 if self.refuses(token) else 200)


def hook(kind: Kind, hj: Any, **options: Any) -> Any:
    """Return the service's hook for a kind of HTTP client."""
    make = hj.service_auth if kind.library is httpx else hj.httpx2_service_auth
    return make(**{**USUAL, "origins": [API], **options})


# ---------------------------------------------------------------- on the emulator


@pytest.mark.parametrize("api", ["v2"])
async def test_token_carries_the_service_and_its_scopes(emulator: Emulator, owner: Any) -> None:
    """The API verifies the token, and reads the service and the scopes from it."""
    secret = emulator.add_client("worker", scopes=["orders:read", "orders:write"], confidential=True)
    hj = owner(**settings(emulator, client_id="worker"))
    token = await settle(hj.service_token(client_secret=secret, scopes=SCOPES))
    claims = await settle(hj.verify_token(token))
    assert (claims.user_id, set(claims.scopes)) == ("worker", {"orders:read"})
    everything = await settle(hj.service_token(client_secret=secret))
    assert set((await settle(hj.verify_token(everything))).scopes) == {"orders:read", "orders:write"}
    await close(hj)


@pytest.mark.parametrize("api", ["v2"])
async def test_service_token_beside_a_session(emulator: Emulator, owner: Any) -> None:
    """A back end's client serves its users and is a service: neither token is taken for the other."""
    secret = emulator.add_client("worker", confidential=True)
    emulator.add_user("user@example.com", PASSWORD)
    hj = owner(**settings(emulator, client_id="worker"))
    service = await settle(hj.service_token(client_secret=secret))
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    user = await settle(hj.auth.access_token())
    assert user != service == await settle(hj.service_token(client_secret=secret))
    await settle(hj.auth.sign_out())
    assert await settle(hj.service_token(client_secret=secret)) == service
    await close(hj)


@pytest.mark.parametrize("api", ["v2"])
async def test_real_refusals_of_the_settings(emulator: Emulator, owner: Any) -> None:
    """A wrong secret, a scope that the client lacks, and a public client are named."""
    secret = emulator.add_client("worker", scopes=["orders:read"], confidential=True)
    emulator.add_client("app")
    worker = owner(**settings(emulator, client_id="worker"))
    app = owner(**settings(emulator, client_id="app"))
    for hj, arguments, named in (
        (worker, {"client_secret": "wrong"}, "HELLOJOHN_CLIENT_ID"),
        (worker, {"client_secret": secret, "scopes": ["orders:read", "admin"]}, "orders:read, admin"),
        (app, {"client_secret": secret}, "confidential"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            await settle(hj.service_token(**arguments))
    await close(worker)
    await close(app)


@pytest.mark.parametrize("api", ["v1"])
async def test_v1_has_no_service_tokens(emulator: Emulator, owner: Any) -> None:
    """The cloud API has not published them, and the SDK says so before it sends anything."""
    hj = owner(**settings(emulator))
    for call in (hj.service_auth, hj.httpx2_service_auth, hj.requests_service_auth):
        with pytest.raises(NotSupported, match=r"service_auth and service_token: .*v1"):
            call(client_secret=SECRET, scopes=SCOPES, origins=[API])
    with pytest.raises(NotSupported, match=r"service_auth and service_token: .*v1"):
        await settle(hj.service_token(**USUAL))
    await close(hj)
    assert emulator.calls("auth/sign-in") == 0


@pytest.mark.parametrize("api", ["v2"])
async def test_fifty_threads_and_fifty_tasks(emulator: Emulator) -> None:
    """Fifty threads and fifty tasks that share a hook over an expiry cost one request."""
    secret = emulator.add_client("worker", confidential=True)
    hj = HelloJohn(**settings(emulator, client_id="worker"))
    auth = hj.service_auth(client_secret=secret, origins=[API])
    good = httpx.MockTransport(lambda request: httpx.Response(200))
    together = threading.Barrier(51)

    def call() -> int:
        together.wait(PATIENCE)
        return client.get(API).status_code

    with httpx.Client(auth=auth, transport=good) as client, ThreadPoolExecutor(50) as pool:
        async with httpx.AsyncClient(auth=auth, transport=good) as tasks:
            for number in range(1, count(30) + 1):
                begun = [pool.submit(call) for _ in range(50)]
                waiting = [asyncio.create_task(tasks.get(API)) for _ in range(50)]
                await asyncio.to_thread(together.wait, PATIENCE)
                answers = await asyncio.gather(*waiting)
                assert {answer.status_code for answer in answers} == {200}
                assert {each.result(PATIENCE) for each in begun} == {200}
                assert emulator.calls("oauth2/token") == number
                emulator.advance("20m")
    hj.close()


# ---------------------------------------------------------------- the hook


async def test_token_goes_to_allowed_origins_only(kind: Kind, server: TokenEndpoint) -> None:
    """The hook's origins are pinned like those of a user's hook."""
    hj, api = server.client(kind.owner), Api()
    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(api))
    addresses = (API, "https://other.example.com", f"{API}:8443", "http://api.example.com", f"{API}/x")
    for address in addresses:
        assert (await settle(client.get(address))).status_code == 200
    assert api.tokens == ["Bearer st_1", None, None, None, "Bearer st_1"]
    assert len(server.asked) == 1
    await kind.close(client)
    await close(hj)


@pytest.mark.parametrize("origins", [(), ["nonsense"], ["http://api.example.com"], API])
def test_origins_are_checked_at_once(kind: Kind, server: TokenEndpoint, origins: Any) -> None:
    """A hook without a safe origin is refused when it is made."""
    with pytest.raises(ConfigurationError, match=r"origin|cleartext"):
        hook(kind, server.client(), origins=origins)
    assert server.asked == []


async def test_token_does_not_follow_a_redirect(kind: Kind, server: TokenEndpoint) -> None:
    """A redirect to another origin goes there without the token."""
    hj, seen = server.client(kind.owner), []

    def answer(request: Any) -> Any:
        seen.append((request.url.host, request.headers.get("Authorization")))
        moved = request.url.host == "api.example.com"
        return kind.library.Response(307 if moved else 200, headers={"Location": "https://evil.example.com/"})

    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(answer), follow_redirects=True)
    await settle(client.get(API))
    assert seen == [("api.example.com", "Bearer st_1"), ("evil.example.com", None)]
    await kind.close(client)
    await close(hj)


def test_requests_of_the_other_library(server: TokenEndpoint) -> None:
    """A ``requests.Session`` sends the token to the allowed origin, and shares it with all other callers."""
    with Backend() as backend, Backend() as stranger, server.client() as hj, requests.Session() as session:
        session.trust_env = False
        session.auth = hj.requests_service_auth(**USUAL, origins=[backend.url])
        assert [session.get(url).status_code for url in (backend.url, stranger.url)] == [200, 200]
        assert hj.service_token(**USUAL) == "st_1"
    assert (backend.tokens, stranger.tokens, len(server.asked)) == (["Bearer st_1"], [None], 1)


async def test_header_of_the_app_wins(kind: Kind, server: TokenEndpoint) -> None:
    """A request that the app signs itself is left alone."""
    hj, api = server.client(kind.owner), Api()
    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(api))
    await settle(client.get(API, headers={"Authorization": "Bearer own"}))
    assert (api.tokens, server.asked) == (["Bearer own"], [])
    await kind.close(client)
    await close(hj)


async def test_fresh_token_that_is_refused_is_not_replaced(kind: Kind, server: TokenEndpoint) -> None:
    """An API that refuses everything costs one token, however often it is called."""
    hj, api = server.client(kind.owner), Api()
    api.refuses = lambda token: True
    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(api))
    for _ in range(20):
        assert (await settle(client.get(API))).status_code == 401
    assert (api.tokens, len(server.asked)) == (["Bearer st_1"] * 20, 1)
    await kind.close(client)
    await close(hj)


async def test_older_token_that_is_refused_is_replaced(kind: Kind, server: TokenEndpoint) -> None:
    """A key that was rotated, or a clock that is ahead, costs one token a minute and no answer."""
    hj, api = server.client(kind.owner), Api()
    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(api))
    await settle(client.get(API))
    api.refuses = lambda token: token == "Bearer st_1"
    server.now += YOUNG
    response = await settle(client.post(API, json={"item": 1}))
    assert (response.status_code, api.tokens[1:]) == (200, ["Bearer st_1", "Bearer st_2"])
    api.refuses = lambda token: True
    assert (await settle(client.get(API))).status_code == 401
    assert len(server.asked) == 2
    await kind.close(client)
    await close(hj)


async def test_token_is_replaced_before_it_expires(kind: Kind, server: TokenEndpoint) -> None:
    """A stale token is sent at once and replaced in the background; an expiring one is waited for."""
    hj, api = server.client(kind.owner), Api()
    client = kind.bare(auth=hook(kind, hj), transport=kind.mock(api))
    await settle(client.get(API))
    server.now += TTL - 100
    await settle(client.get(API))
    until(lambda: len(server.asked) == 2)
    until(lambda: not any(engine.context.flights for engine in hj._parts._services.engines))
    server.now += TTL - 10
    await settle(client.get(API))
    assert (api.tokens[1], api.tokens[2]) == ("Bearer st_1", "Bearer st_3")
    await kind.close(client)
    await close(hj)


async def test_no_background_refresh(server: TokenEndpoint) -> None:
    """A client without background refresh asks only when a request has to wait for it."""
    with server.client(background_refresh=False, idle_timeout="1m") as hj:
        assert hj.service_token(**USUAL) == "st_1"
        server.now += TTL - 100
        assert hj.service_token(**USUAL) == "st_1"
        server.now += 80
        assert hj.service_token(**USUAL) == "st_2"


# ---------------------------------------------------------------- tokens


async def test_callers_share_a_token(hj: Any, server: TokenEndpoint) -> None:
    """Calls and hooks with one secret and the same scopes, in any order, share one token."""
    both = {"client_secret": SECRET, "scopes": ["a", "b"]}
    assert await settle(hj.service_token(**both)) == "st_1"
    assert await settle(hj.service_token(client_secret=SECRET, scopes=("b", "a"))) == "st_1"
    assert await settle(hj.for_account("other").service_token(**both)) == "st_1"
    api = Api()
    auth = hj.service_auth(**both, origins=[API])
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(api)) as client:
        await client.get(API)
    assert api.tokens == ["Bearer st_1"]
    assert server.asked == [
        {"grant_type": "client_credentials", "client_id": "worker", "client_secret": SECRET, "scope": "a b"}
    ]


async def test_other_scopes_and_secrets_have_other_tokens(hj: Any, server: TokenEndpoint) -> None:
    """A token is never sent for other scopes or another secret than it was asked for with."""
    tokens = [
        await settle(hj.service_token(**arguments))
        for arguments in (USUAL, {"client_secret": SECRET}, {**USUAL, "client_secret": "other"})
    ]
    assert tokens == ["st_1", "st_2", "st_3"]
    assert "scope" not in server.asked[1]


async def test_list_of_scopes_may_change_later(hj: Any, server: TokenEndpoint) -> None:
    """A list that changes after the call does not change the scopes."""
    scopes = ["a"]
    await settle(hj.service_token(client_secret=SECRET, scopes=scopes))
    scopes.append("b")
    server.now += 2 * TTL
    await settle(hj.service_token(client_secret=SECRET, scopes=iter(["a"])))
    assert [form["scope"] for form in server.asked] == ["a", "a"]


async def test_refused_token_of_another_transport(hj: Any, server: TokenEndpoint) -> None:
    """An older token is replaced once for all callers; one of a moment ago is not."""
    first = await settle(hj.service_token(**USUAL))
    with pytest.raises(ServiceUnavailable, match="only a moment old") as caught:
        await settle(hj.service_token(**USUAL, refused=first))
    assert caught.value.retry_after == YOUNG
    server.now += YOUNG
    assert await settle(hj.service_token(**USUAL, refused=first)) == "st_2"
    assert await settle(hj.service_token(**USUAL, refused=first)) == "st_2"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"client_secret": ""}, "client_secret"),
        ({"client_secret": None}, "client_secret"),
        ({"client_secret": f"{SECRET}\n"}, "client_secret"),
        ({"scopes": "orders:read"}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"scopes": ["orders:read orders:write"]}, "scopes"),
    ],
)
async def test_wrong_arguments_are_refused_at_once(
    hj: Any, server: TokenEndpoint, wrong: dict[str, Any], named: str
) -> None:
    """An unset variable and a text for a list are named before anything is sent."""
    with pytest.raises(ConfigurationError, match=named):
        hj.service_auth(**{**USUAL, **wrong}, origins=[API])
    with pytest.raises(ConfigurationError, match=named):
        await settle(hj.service_token(**{**USUAL, **wrong}))
    assert server.asked == []


async def test_refused_token_must_be_text(hj: Any) -> None:
    """An object in the place of the refused token is named."""
    with pytest.raises(ConfigurationError, match="refused must be the text"):
        await settle(hj.service_token(**USUAL, refused=5))


async def test_nothing_is_stored_or_announced(owner: Any, server: TokenEndpoint) -> None:
    """A service has no session: the store is not touched, no event comes, and no user is signed in."""
    store = FailingStore()
    hj = server.client(owner, store=store)
    log = EventLog(hj)
    for _ in range(3):
        await settle(hj.service_token(**USUAL))
        server.now += 2 * TTL
    assert (dict(store.used), log.events) == ({}, [])
    assert await settle(hj.auth.session()) is None
    await close(hj)


async def test_accounts_are_bounded(hj: Any, server: TokenEndpoint) -> None:
    """A program that makes scopes up does not fill its memory, and a hook keeps its token."""
    auth = hj.service_auth(**USUAL, origins=[API])
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(Api())) as client:
        await client.get(API)
        for number in range(2 * MOST_SERVICE_ACCOUNTS):
            hj.service_auth(client_secret=SECRET, scopes=[f"s{number}"], origins=[API])
        assert len(hj._parts._services._accounts) == MOST_SERVICE_ACCOUNTS
        await client.get(API)
        assert len(server.asked) == 1
        await settle(hj.service_token(**USUAL))
        assert len(server.asked) == 2
        await close(hj)
        with pytest.raises(ConfigurationError, match="closed"):
            await client.get(API)


async def test_account_in_use_is_kept(hj: Any, server: TokenEndpoint) -> None:
    """Of too many accounts, the one that was not asked for in the longest time is forgotten."""
    for number in range(2 * MOST_SERVICE_ACCOUNTS):
        assert await settle(hj.service_token(**USUAL)) == "st_1"
        hj.service_auth(client_secret=SECRET, scopes=[f"s{number}"], origins=[API])
    assert len(server.asked) == 1


# ---------------------------------------------------------------- the client's life


async def test_closed_client_gives_no_token(owner: Any, server: TokenEndpoint) -> None:
    """After close, the hook and the call raise, although the token would live on."""
    hj = server.client(owner)
    auth = hj.service_auth(**USUAL, origins=[API])
    await settle(hj.service_token(**USUAL))
    await close(hj)
    async with httpx.AsyncClient(auth=auth, transport=httpx.MockTransport(Api())) as client:
        for call in (lambda: client.get(API), lambda: hj.service_token(**USUAL)):
            with pytest.raises(ConfigurationError, match="closed"):
                await settle(call())
    with pytest.raises(ConfigurationError, match="closed"):
        hj.service_auth(**USUAL, origins=[API])
    assert len(server.asked) == 1


def test_closing_waits_for_no_token(server: TokenEndpoint) -> None:
    """Nothing has to be saved, so a server that hangs does not hold up close. The caller learns of it."""
    reached, leave = threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        reached.set()
        assert leave.wait(PATIENCE)
        return server(request)

    hj = server.client(transport=httpx.MockTransport(answer))
    with ThreadPoolExecutor(2) as pool:
        token = pool.submit(hj.service_token, **USUAL)
        assert reached.wait(PATIENCE)
        closed = pool.submit(hj.close)
        try:
            closed.result(PATIENCE)
        finally:
            leave.set()
        with pytest.raises(ConfigurationError, match="closed"):
            token.result(PATIENCE)
    assert len(server.asked) == 1


def test_closing_many_services_waits_once(server: TokenEndpoint) -> None:
    """Beside another client's slow call, which the threads go on with, close does not wait per service."""
    reached, leave = threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        reached.set()
        assert leave.wait(PATIENCE)
        return server(request)

    with ThreadPoolExecutor(1) as pool, server.client(transport=httpx.MockTransport(answer)) as other:
        token = pool.submit(other.service_token, **USUAL)
        assert reached.wait(PATIENCE)
        hj = server.client()
        for number in range(10):
            hj.service_auth(client_secret=SECRET, scopes=[f"s{number}"], origins=[API])
        began = time.monotonic()
        hj.close()
        took = time.monotonic() - began
        leave.set()
        assert token.result(PATIENCE) == "st_1"
    assert took < 5 * RETIRE_WAIT


async def test_service_begun_while_closing(owner: Any, server: TokenEndpoint) -> None:
    """A call that overlaps with close asks for no token."""
    hj = server.client(owner)

    def scopes() -> Iterator[str]:
        hj._parts.close()
        yield "a"

    with pytest.raises(ConfigurationError, match="closed"):
        await settle(hj.service_token(client_secret=SECRET, scopes=scopes()))
    assert server.asked == []


async def test_service_begun_while_others_are_listed(hj: Any) -> None:
    """Close, which goes through the services, is not disturbed by a thread that begins one."""
    first = hj.service_auth(**USUAL, origins=[API])
    others = [
        hj.service_auth(client_secret=SECRET, scopes=["another"], origins=[API])
        for _ in hj._parts._services.engines
    ]
    assert len(hj._parts._services.engines) == len([first, *others]) == 2


async def test_cancelled_caller_leaves_the_token(server: TokenEndpoint) -> None:
    """A task that gives up does not keep the others from the token that it asked for."""
    leave = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        assert leave.wait(PATIENCE)
        return server(request)

    async with server.client(AsyncHelloJohn, transport=httpx.MockTransport(answer)) as hj:
        first = asyncio.create_task(hj.service_token(**USUAL))
        second = asyncio.create_task(hj.service_token(**USUAL))
        await asyncio.sleep(0)
        first.cancel()
        leave.set()
        assert await second == "st_1"
        with pytest.raises(asyncio.CancelledError):
            await first
    assert len(server.asked) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")
@pytest.mark.parametrize("api", ["v2"])
def test_forked_child_uses_and_replaces_the_token(emulator: Emulator) -> None:
    """A child goes on with its parent's token, and asks for its own when that expires."""
    secret = emulator.add_client("worker", confidential=True)
    now = [START]
    hj = HelloJohn(**settings(emulator, client_id="worker", clock=lambda: now[0]))
    token = hj.service_token(client_secret=secret)
    assert in_forked_child(lambda: str(hj.service_token(client_secret=secret) == token)) == "True"
    assert emulator.calls("oauth2/token") == 1

    def child() -> str:
        now[0] += 3_600
        return str(bool(hj.service_token(client_secret=secret)))

    assert in_forked_child(child) == "True"
    assert emulator.calls("oauth2/token") == 2
    assert hj.service_token(client_secret=secret) == token
    hj.close()


async def test_hook_is_shown_and_not_copied(hj: Any) -> None:
    """A repr shows no secret. A copy or a pickle would carry it, and is refused."""
    await settle(hj.service_token(**USUAL))
    for make in (hj.service_auth, hj.httpx2_service_auth, hj.requests_service_auth):
        auth = make(**USUAL, origins=[API])
        assert SECRET not in f"{auth!r} {vars(auth)} {vars(hj)}"
        for duplicate in (copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="do not pickle or deep-copy"):
                duplicate(auth)

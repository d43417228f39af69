"""One expiry, or one refused token, costs exactly one refresh, however many callers there are."""

import asyncio
from contextlib import ExitStack
from functools import cache

import httpx
import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import FileStore, MemoryStore
from tests.behaviour.crowd import (
    BASE,
    FEW_ROUNDS,
    ROUNDS,
    Api,
    Crowd,
    Ledger,
    Loop,
    OneConnection,
    gathered,
    good,
    signed_in,
)
from tests.both_faces import PATIENCE, close_now, emulated
from tests.dialects import both_dialects, route

STORES = pytest.mark.parametrize("kind", [MemoryStore, FileStore])


@pytest.fixture(scope="module")
def running():
    """Return a function that gives one emulator for all tests of a dialect."""
    with ExitStack() as stack:

        @cache
        def start(api):
            emulator = stack.enter_context(Emulator(api=api))
            emulator.configure(session_duration="1y")
            return emulator

        yield start


@pytest.fixture
def emulator(api, running):
    """Return one emulator for all rounds: sessions outlive them, and access tokens do not."""
    return running(api)


@pytest.fixture
def hj(emulator):
    """Return a client that is signed in."""
    with signed_in(emulator, MemoryStore()) as client:
        yield client


def expire(emulator: Emulator, _api: Api, _token: str) -> None:
    """Let the access token expire."""
    emulator.advance("2h")


def refuse(emulator: Emulator, api: Api, token: str) -> None:
    """Let the API refuse the access token, which an ordinary refresh or the sign-in has brought."""
    api.refused = {f"Bearer {token}"}


CAUSES = pytest.mark.parametrize("cause", [expire, refuse], ids=["expired", "refused"])


def rounds(emulator: Emulator) -> int:
    """Return how many rounds a test of both dialects has."""
    return ROUNDS if emulator.api == "v1" else FEW_ROUNDS


def age(emulator: Emulator) -> None:
    """Let a minute pass: only then may a token that a refusal has brought be replaced again."""
    emulator.advance("61s")


def make_store(kind, tmp_path):
    """Return a store of the kind."""
    return MemoryStore() if kind is MemoryStore else FileStore(tmp_path / "sessions")


@CAUSES
def test_fifty_threads(emulator, hj, cause):
    """Fifty threads that share a session."""
    api = Api(callers=50)
    client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.answer))
    ledger = Ledger(emulator)
    with client, Crowd(*[lambda: client.get("/").raise_for_status()] * 50) as crowd:
        for _ in range(ROUNDS):
            age(emulator)
            cause(emulator, api, hj.auth.access_token())
            crowd.round()
    ledger.check(ROUNDS)


@both_dialects
@CAUSES
async def test_fifty_tasks(emulator, cause):
    """Fifty tasks of one event loop that share a session."""
    api = Api(callers=50)
    async with (
        AsyncHelloJohn(**emulated(emulator)) as hj,
        hj.client(base_url=BASE, transport=httpx.MockTransport(api.answer_task)) as client,
    ):
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        ledger = Ledger(emulator)
        for _ in range(rounds(emulator)):
            age(emulator)
            cause(emulator, api, await hj.auth.access_token())
            await gathered(50, lambda: good(client.get("/")))
    ledger.check(rounds(emulator))


@CAUSES
@STORES
def test_threads_and_event_loops_of_two_clients(emulator, tmp_path, cause, kind):
    """Twenty threads of one client, and three event loops that use another client on the same store."""
    store = make_store(kind, tmp_path)
    api = Api()
    other = AsyncHelloJohn(**emulated(emulator, store=store))
    loops = [Loop(other, api, tasks=2) for _ in range(3)]
    with (
        signed_in(emulator, store) as hj,
        hj.client(base_url=BASE, transport=httpx.MockTransport(api.answer)) as client,
    ):
        ledger = Ledger(emulator)
        threads = [lambda: client.get("/").raise_for_status()] * 20
        with Crowd(*threads, *(loop.work for loop in loops)) as crowd:
            for _ in range(ROUNDS):
                age(emulator)
                cause(emulator, api, hj.auth.access_token())
                crowd.round()
        ledger.check(ROUNDS)
    for loop in loops:
        loop.close()
    close_now(other)


@both_dialects
@CAUSES
@STORES
def test_two_clients_on_one_store(emulator, tmp_path, cause, kind):
    """Two clients of one process that share nothing but the store and its lock."""
    store = make_store(kind, tmp_path)
    api = Api()
    with signed_in(emulator, store) as one, HelloJohn(**emulated(emulator, store=store)) as two:
        clients = [it.client(base_url=BASE, transport=httpx.MockTransport(api.answer)) for it in (one, two)]
        works = [lambda client=client: client.get("/").raise_for_status() for client in clients]
        ledger = Ledger(emulator)
        with Crowd(*works * 8) as crowd:
            for _ in range(rounds(emulator)):
                age(emulator)
                cause(emulator, api, one.auth.access_token())
                crowd.round()
        ledger.check(rounds(emulator))
        for client in clients:
            client.close()


@CAUSES
def test_three_event_loops(emulator, cause):
    """One AsyncHelloJohn serves three event loops at once."""
    api = Api()
    hj = AsyncHelloJohn(**emulated(emulator))
    asyncio.run(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    loops = [Loop(hj, api, tasks=10) for _ in range(3)]
    with Crowd(*(loop.work for loop in loops)) as crowd:
        ledger = Ledger(emulator)
        for _ in range(ROUNDS):
            age(emulator)
            cause(emulator, api, asyncio.run(_token(hj)))
            crowd.round()
        ledger.check(ROUNDS)
    for loop in loops:
        loop.close()
    close_now(hj)


async def _token(hj: AsyncHelloJohn) -> str:
    return await hj.auth.access_token()


@CAUSES
def test_fifty_threads_with_one_connection(emulator, hj, cause):
    """The refresh uses other connections: no thread waits for it while it holds the only one."""
    api = Api()
    ledger = Ledger(emulator)
    with (
        hj.client(base_url=BASE, transport=OneConnection(api.answer)) as client,
        Crowd(*[lambda: client.get("/").raise_for_status()] * 50) as crowd,
    ):
        for _ in range(ROUNDS):
            age(emulator)
            cause(emulator, api, hj.auth.access_token())
            crowd.round()
    ledger.check(ROUNDS)


@pytest.mark.parametrize("trouble", ["expired", "refused"])
async def test_tasks_with_one_connection(emulator, trouble):
    """The same for tasks, where a held connection would stop the loop for good. Real sockets."""
    async with (
        AsyncHelloJohn(**emulated(emulator)) as hj,
        hj.client(base_url=emulator.url, limits=httpx.Limits(max_connections=1), timeout=PATIENCE) as client,
    ):
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        ledger = Ledger(emulator)
        for _ in range(ROUNDS):
            age(emulator)
            emulator.advance("2h") if trouble == "expired" else emulator.reject_access_tokens()
            await gathered(5, lambda: good(client.get("/resource")))
        ledger.check(ROUNDS)


@both_dialects
def test_all_ways_of_asking_join_one_refresh(emulator, hj):
    """A token for a websocket, the user and a request that meet an expired token share one refresh."""
    api = Api()
    client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.answer))
    works = [hj.auth.access_token, hj.auth.user, lambda: client.get("/"), hj.auth.access_token]
    ledger = Ledger(emulator)
    with client, Crowd(*works * 3) as crowd:
        for _ in range(rounds(emulator)):
            emulator.advance("2h")
            crowd.round()
    ledger.check(rounds(emulator))


@both_dialects
async def test_forced_refreshes_at_one_moment_are_one(emulator):
    """Twenty tasks that call refresh() while one is at work get the result of that one."""
    async with AsyncHelloJohn(**emulated(emulator)) as hj:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        ledger = Ledger(emulator)
        with emulator.hold(route(emulator, "refresh")) as hold:
            tasks = [asyncio.create_task(hj.auth.refresh()) for _ in range(20)]
            await asyncio.to_thread(hold.wait_arrived)
        sessions = await asyncio.gather(*tasks)
        assert len({session.access_token_expires_at for session in sessions}) == 1
        ledger.check(1)


@both_dialects
def test_first_refresh_of_a_new_process_is_one(emulator):
    """refresh() as the first call, with an expired token in the store, costs one refresh and not two."""
    store = MemoryStore()
    with signed_in(emulator, store):
        pass
    emulator.advance("2h")
    ledger = Ledger(emulator)
    with HelloJohn(**emulated(emulator, store=store)) as again:
        assert again.auth.refresh()
    ledger.check(1)


@both_dialects
@pytest.mark.parametrize("count", [1, 20])
def test_refused_token_of_another_transport(emulator, hj, count):
    """Twenty workers of a gRPC client that report one refused token get one newer token."""
    refused = hj.auth.access_token()
    tokens = []
    ledger = Ledger(emulator)
    with Crowd(*[lambda: tokens.append(hj.auth.access_token(refused=refused))] * count) as crowd:
        crowd.round()
    assert set(tokens) == {hj.auth.access_token()} != {refused}
    ledger.check(1)

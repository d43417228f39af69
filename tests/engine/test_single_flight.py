"""One expiry costs exactly one refresh and no rotated token is presented again, however many callers."""

import asyncio

import httpx
import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import FileStore, MemoryStore
from tests.engine.crowd import (
    BASE,
    ROUNDS,
    Api,
    Crowd,
    Ledger,
    Loop,
    OnePlace,
    gathered,
    good,
    settings,
    signed_in,
)
from tests.engine.rig import in_thread, until

SMALL_POOL = httpx.Limits(max_connections=1)


@pytest.fixture(scope="module")
def emulator():
    """One emulator for all rounds: sessions outlive them, access tokens do not."""
    with Emulator() as running:
        running.configure(session_duration="1y")
        yield running


@pytest.fixture
def hj(emulator):
    """A client that is signed in."""
    with signed_in(emulator, MemoryStore()) as client:
        yield client


def _expire(emulator: Emulator, _api: Api, _hj: HelloJohn) -> None:
    emulator.advance("2h")


def _refuse(_emulator: Emulator, api: Api, hj: HelloJohn) -> None:
    api.refused = {f"Bearer {hj.auth.access_token()}"}


CAUSES = pytest.mark.parametrize("cause", [_expire, _refuse], ids=["expired", "refused"])


@CAUSES
def test_fifty_threads(emulator, hj, cause):
    """50 threads share a session."""
    api = Api(callers=50)
    client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.sync))
    ledger = Ledger(emulator)
    with client, Crowd(*[lambda: client.get("/").raise_for_status()] * 50) as crowd:
        for _ in range(ROUNDS):
            cause(emulator, api, hj)
            crowd.round()
    ledger.check(ROUNDS)


@CAUSES
async def test_fifty_tasks(emulator, hj, cause):
    """50 tasks of one event loop share a session."""
    api = Api(callers=50)
    ledger = Ledger(emulator)
    async with (
        AsyncHelloJohn(**settings(emulator, MemoryStore())) as other,
        other.client(base_url=BASE, transport=httpx.MockTransport(api.tasks)) as client,
    ):
        await other.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        for _ in range(ROUNDS):
            api.refused = {f"Bearer {await other.auth.access_token()}"} if cause is _refuse else set()
            if cause is _expire:
                emulator.advance("2h")
            await gathered(50, lambda: good(client.get("/")))
    ledger.check(ROUNDS)


@CAUSES
@pytest.mark.parametrize("kind", [MemoryStore, FileStore])
def test_twenty_threads_and_three_event_loops(emulator, tmp_path, cause, kind):
    """20 threads of one client, and 3 event loops that use another on the same store at once."""
    store = MemoryStore() if kind is MemoryStore else FileStore(tmp_path / "sessions")
    api = Api()
    other = AsyncHelloJohn(**settings(emulator, store))
    loops = [Loop(other, api, tasks=2) for _ in range(3)]
    with (
        signed_in(emulator, store) as hj,
        hj.client(base_url=BASE, transport=httpx.MockTransport(api.sync)) as client,
    ):
        ledger = Ledger(emulator)
        threads = [lambda: client.get("/").raise_for_status()] * 20
        with Crowd(*threads, *(loop.work for loop in loops)) as crowd:
            for _ in range(ROUNDS):
                cause(emulator, api, hj)
                crowd.round()
        ledger.check(ROUNDS)
    for loop in loops:
        loop.close()
    asyncio.run(other.aclose())


@CAUSES
@pytest.mark.parametrize("kind", [MemoryStore, FileStore])
def test_two_clients_on_one_store(emulator, tmp_path, cause, kind):
    """Two clients of one process know nothing of each other, and the store's lock is enough."""
    store = MemoryStore() if kind is MemoryStore else FileStore(tmp_path / "sessions")
    api = Api()
    with signed_in(emulator, store) as one, HelloJohn(**settings(emulator, store)) as two:
        clients = [it.client(base_url=BASE, transport=httpx.MockTransport(api.sync)) for it in (one, two)]
        works = [lambda client=client: client.get("/").raise_for_status() for client in clients]
        ledger = Ledger(emulator)
        with Crowd(*works * 8) as crowd:
            for _ in range(ROUNDS):
                cause(emulator, api, one)
                crowd.round()
        ledger.check(ROUNDS)
        for client in clients:
            client.close()


@CAUSES
def test_three_event_loops(emulator, cause):
    """One ``AsyncHelloJohn`` belongs to no loop: three of them use it at once."""
    api = Api()
    store = MemoryStore()
    other = AsyncHelloJohn(**settings(emulator, store))
    loops = [Loop(other, api, tasks=10) for _ in range(3)]
    with signed_in(emulator, store) as hj, Crowd(*(loop.work for loop in loops)) as crowd:
        crowd.round()
        ledger = Ledger(emulator)
        for _ in range(ROUNDS):
            api.refused = {f"Bearer {asyncio.run(other.auth.access_token())}"}
            if cause is _expire:
                _expire(emulator, api, hj)
            crowd.round()
        ledger.check(ROUNDS)
    for loop in loops:
        loop.close()
    asyncio.run(other.aclose())


@CAUSES
def test_fifty_threads_with_a_connection_pool_of_one(emulator, hj, cause):
    """The refresh uses connections of its own, and nobody waits for it with the only one in hand."""
    api = Api()
    ledger = Ledger(emulator)
    with (
        hj.client(base_url=BASE, transport=OnePlace(api.sync)) as client,
        Crowd(*[lambda: client.get("/").raise_for_status()] * 50) as crowd,
    ):
        for _ in range(ROUNDS):
            cause(emulator, api, hj)
            crowd.round()
    ledger.check(ROUNDS)


@pytest.mark.parametrize("trouble", ["expired", "refused"])
async def test_tasks_with_a_connection_pool_of_one(emulator, trouble):
    """The same for tasks, where a connection that is held would stop the loop for good."""
    ledger = Ledger(emulator)
    async with (
        AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj,
        hj.client(base_url=emulator.url, limits=SMALL_POOL, timeout=20) as client,
    ):
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        for _ in range(ROUNDS):
            emulator.advance("2h") if trouble == "expired" else emulator.reject_access_tokens()
            await gathered(5, lambda: good(client.get("/resource")))
    ledger.check(ROUNDS)


def test_every_way_of_asking_joins_the_same_refresh(emulator, hj):
    """A forced refresh, a token for a websocket, the user and a request: one expiry, one refresh."""
    api = Api()
    client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.sync))
    works = [hj.auth.access_token, hj.auth.user, lambda: client.get("/"), hj.auth.access_token]
    ledger = Ledger(emulator)
    with client, Crowd(*works * 3) as crowd:
        for _ in range(20):
            emulator.advance("2h")
            crowd.round()
    ledger.check(20)


def test_forced_refreshes_at_one_moment_are_one(emulator, hj):
    """Twenty buttons pressed at once while the service is slow: all get the answer of one request."""
    ledger = Ledger(emulator)
    with Crowd(*[hj.auth.refresh] * 20) as crowd, emulator.hold("token/refresh") as hold:
        begun = in_thread(crowd.round)
        hold.wait_arrived()
        until(lambda: _waiting(hj) == 20)
        hold.release()
        assert begun() is None
    ledger.check(1)


def _waiting(hj: HelloJohn) -> int:
    """Return how many threads wait for the flight that is up."""
    flight = hj._account._flight
    return 0 if flight is None else flight.landed._condition._waiters.__len__()

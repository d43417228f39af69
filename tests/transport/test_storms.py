"""No storms: an endpoint that refuses every token costs one refresh a minute, however many callers it has."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from hellojohn import MemoryStore, ServiceUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import PATIENCE, close, emulated, settle
from tests.dialects import A_NEW_SECOND, on_both_emulators, route
from tests.transport.backend import UNAUTHORIZED, Say
from tests.transport.kinds import TLS

CALLS = 50


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app, for the backend, which refuses every token."""
    backend.script = lambda seen: UNAUTHORIZED
    client = kind.wrapped(hj, base_url=backend.url)
    yield client
    await kind.close(client)


@on_both_emulators
async def test_calls_in_a_row_cost_one_refresh(api, emulator, backend):
    """Fifty calls of an endpoint that always answers 401 cost one refresh and one repetition."""
    for _ in range(CALLS):
        assert (await settle(api.get("/x"))).status_code == 401
    assert emulator.calls(route(emulator, "refresh")) == 1
    assert len(backend.seen) == CALLS + 1


async def test_calls_at_once_cost_one_refresh(kind, api, emulator):
    """The same for fifty calls at the same moment."""
    if kind.is_async:
        answers = await asyncio.gather(*(api.get("/x") for _ in range(CALLS)))
    else:
        with ThreadPoolExecutor(10) as pool:
            begun = [pool.submit(api.get, "/x") for _ in range(CALLS)]
            answers = [call.result(PATIENCE) for call in begun]
    assert {answer.status_code for answer in answers} == {401}
    assert emulator.calls(route(emulator, "refresh")) == 1


async def test_one_refresh_a_minute(api, emulator):
    """An endpoint that is polled for ten minutes costs at most one refresh a minute."""
    for _ in range(60):
        await settle(api.get("/x"))
        emulator.advance("10s")
    assert 9 <= emulator.calls(route(emulator, "refresh")) <= 10


async def test_storm_limit_of_a_short_token(kind, emulator, backend):
    """For a token that lives five minutes the limit is a tenth of its life."""
    emulator.configure(access_token_ttl="5m")
    hj = kind.owner(**emulated(emulator, verify=TLS))
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    backend.script = lambda seen: UNAUTHORIZED
    async_or_not = kind.wrapped(hj, base_url=backend.url)
    for advance, refreshes in (("1s", 1), ("20s", 1), ("10s", 2), ("20s", 2)):
        emulator.advance(advance)
        await settle(async_or_not.get("/x"))
        assert emulator.calls(route(emulator, "refresh")) == refreshes
    await kind.close(async_or_not)
    await close(hj)


@on_both_emulators
async def test_storm_limit_holds_in_other_processes(kind, emulator, backend):
    """Ten clients on one store, as ten workers, cost one refresh together."""
    store = MemoryStore()
    backend.script = lambda seen: UNAUTHORIZED
    first = kind.owner(**emulated(emulator, store=store, verify=TLS))
    await settle(first.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    await close(first)
    for _ in range(10):
        hj = kind.owner(**emulated(emulator, store=store, verify=TLS))
        api = kind.wrapped(hj, base_url=backend.url)
        for _ in range(3):
            assert (await settle(api.get("/x"))).status_code == 401
        await kind.close(api)
        await close(hj)
    assert emulator.calls(route(emulator, "refresh")) == 1


async def test_good_endpoint_beside_a_refusing_one(api, emulator, backend):
    """Calls of a good endpoint are served with the token that another endpoint refuses."""
    backend.script = lambda seen: Say(body=b"fine") if seen.target == "/good" else UNAUTHORIZED
    for _ in range(10):
        assert (await settle(api.get("/bad"))).status_code == 401
        assert (await settle(api.get("/good"))).text == "fine"
    assert emulator.calls(route(emulator, "refresh")) == 1


@on_both_emulators
async def test_token_of_an_ordinary_refresh_may_be_refused(kind, hj, emulator, backend):
    """A token that an expiry or refresh() has brought is replaced when it is refused, at any age."""
    await settle(hj.auth.refresh())
    emulator.advance(A_NEW_SECOND)
    refused = f"Bearer {await settle(hj.auth.access_token())}"
    backend.script = lambda seen: UNAUTHORIZED if seen.token == refused else Say(body=b"fine")
    api = kind.wrapped(hj, base_url=backend.url)
    assert (await settle(api.get("/x"))).text == "fine"
    await kind.close(api)
    assert emulator.rotations == 2


@on_both_emulators
async def test_sign_in_ends_the_storm_limit(kind, hj, emulator, backend):
    """A token of a new sign-in may be refused at once, and is replaced once."""
    backend.script = lambda seen: UNAUTHORIZED
    api = kind.wrapped(hj, base_url=backend.url)
    await settle(api.get("/x"))
    emulator.advance(A_NEW_SECOND)
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    await settle(api.get("/x"))
    await settle(api.get("/x"))
    await kind.close(api)
    assert emulator.calls(route(emulator, "refresh")) == 2


@on_both_emulators
@pytest.mark.parametrize("calls", [1, 20])
async def test_refused_token_of_another_transport(hj, emulator, calls):
    """access_token(refused=...) has the same limit: a token that a refusal brought is not replaced."""
    first = await settle(hj.auth.access_token())
    second = await settle(hj.auth.access_token(refused=first))
    assert second != first
    for _ in range(calls):
        assert await settle(hj.auth.access_token(refused=first)) == second
        with pytest.raises(ServiceUnavailable):
            await settle(hj.auth.access_token(refused=second))
    assert emulator.calls(route(emulator, "refresh")) == 1

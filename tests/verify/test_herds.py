"""Many callers at once, over threads, tasks and loops: they share one fetch, and the others never wait."""

import asyncio
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from hellojohn._errors import KeysUnavailable, TokenInvalid
from tests.verify.conftest import NOW
from tests.verify.keyserver import JWKS


@pytest.fixture
def token(signer, claims):
    """Return a token that stays good for two days."""
    return signer.sign({**claims, "exp": int(NOW) + 2 * 86_400})


def herd(verifier, token, *, threads, loops, tasks):
    """Verify from so many threads, and from so many tasks on each of so many loops, all at once."""
    barrier = threading.Barrier(threads + loops)

    def on_thread():
        barrier.wait()
        return [verifier.verify_token(token)]

    async def in_tasks():
        return await asyncio.gather(*(verifier.verify_token_async(token) for _ in range(tasks)))

    def on_loop():
        barrier.wait()
        return asyncio.run(in_tasks())

    with ThreadPoolExecutor(threads + loops) as pool:
        futures = [pool.submit(on_thread) for _ in range(threads)] + [
            pool.submit(on_loop) for _ in range(loops)
        ]
        return [claims for future in futures for claims in future.result(20)]


def test_a_cold_herd_of_both_faces_costs_one_fetch(verifier, server, token):
    """Fifty threads and fifty tasks on three loops wait for the same answer."""
    server.gate.clear()
    opener = threading.Thread(target=lambda: (server.wait_for_fetches(1), time.sleep(0.1), server.gate.set()))
    opener.start()
    found = herd(verifier, token, threads=50, loops=3, tasks=17)
    opener.join()
    assert len(found) == 50 + 3 * 17
    assert {claims.user_id for claims in found} == {"usr_1"}
    assert server.fetches == [JWKS]


def test_a_quiet_herd_costs_one_fetch(verifier, server, clocks, token):
    """The same in the morning."""
    verifier.verify_token(token)
    clocks.advance(3_600)
    herd(verifier, token, threads=20, loops=3, tasks=10)
    assert server.fetches == [JWKS, JWKS]


def test_known_tokens_never_wait_behind_a_hanging_server(verifier, server, clocks, stranger, token, claims):  # noqa: PLR0917 - fixtures
    """The keys ran out, the key server hangs, and strangers' kids arrive: 2,000 known tokens pass at once."""
    verifier.verify_token(token)
    server.gate.clear()
    clocks.advance(301)
    strange = stranger.sign(claims)

    def unknown():
        with pytest.raises((KeysUnavailable, TokenInvalid)):
            verifier.verify_token(strange)

    with ThreadPoolExecutor(5) as pool:
        strangers = [pool.submit(unknown) for _ in range(5)]
        server.wait_for_fetches(2)
        waits = []
        for _ in range(2_000):
            began = time.perf_counter()
            verifier.verify_token(token)
            waits.append(time.perf_counter() - began)
        server.gate.set()
        for one in strangers:
            one.result(10)
    assert max(waits) < 2  # a wait for the server would take its whole deadline
    assert len(server.fetches) == 2


def test_the_event_loop_goes_on_while_keys_are_fetched(make, server, token):
    """Only the task that needs the keys waits."""
    server.gate.clear()

    async def main():
        verifier = make()
        waiting = asyncio.create_task(verifier.verify_token_async(token))
        turns = 0
        while not server.fetches:
            await asyncio.sleep(0)
            turns += 1
        server.gate.set()
        return turns, (await waiting).user_id

    turns, user = asyncio.run(main())
    assert (turns > 1, user) == (True, "usr_1")


def test_a_cancelled_caller_leaves_the_fetch_to_the_others(make, server, token):
    """The first of two tasks gives up; the second gets the keys that the first asked for."""
    server.gate.clear()

    async def main():
        verifier = make()
        first, second = (asyncio.create_task(verifier.verify_token_async(token)) for _ in range(2))
        await asyncio.to_thread(server.wait_for_fetches, 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.gate.set()
        return (await second).user_id

    assert asyncio.run(main()) == "usr_1"
    assert server.fetches == [JWKS]


def test_a_closed_loop_harms_nobody(make, server, token):
    """A loop that ends while its task waits takes nothing with it."""
    server.gate.clear()
    verifier = make()

    async def main():
        task = asyncio.create_task(verifier.verify_token_async(token))
        await asyncio.to_thread(server.wait_for_fetches, 1)
        task.cancel()

    asyncio.run(main())
    server.gate.set()
    assert verifier.verify_token(token).user_id == "usr_1"
    assert server.fetches == [JWKS]


def test_trio_waits_like_asyncio(make, server, token):
    """A nursery of callers shares one fetch, and a time limit of trio's ends the wait."""
    server.gate.clear()
    users = []

    async def main():
        verifier = make()
        with trio.move_on_after(0.05) as limit:
            await verifier.verify_token_async(token)
        assert limit.cancelled_caught
        server.gate.set()

        async def one():
            users.append((await verifier.verify_token_async(token)).user_id)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one)

    trio.run(main)
    assert users == ["usr_1"] * 10
    assert server.fetches == [JWKS]


def test_a_half_imported_trio_is_not_trio(make, token, monkeypatch):
    """The HTTP library imports trio on the worker thread, while tasks of asyncio begin to wait."""
    half = types.ModuleType("trio")
    for number in range(2):
        verifier = make(jwks_max_age=f"{number + 1}h")
        monkeypatch.setitem(sys.modules, "trio", half)
        assert asyncio.run(verifier.verify_token_async(token)).user_id == "usr_1"
        half.lowlevel = types.ModuleType("trio.lowlevel")

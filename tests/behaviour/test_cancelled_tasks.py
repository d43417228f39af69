"""A task that is cancelled at any moment loses no session and disturbs no other task. Under asyncio."""

import asyncio
import contextlib
from collections import Counter

import httpx
import pytest

from hellojohn import AsyncHelloJohn, HelloJohn, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.pace import POINTS, Paced
from tests.both_faces import EventLog, close_now, emulated, in_thread, until
from tests.dialects import active, both_dialects, name_of, route

BASE = "https://api.example.com"
TURNS = range(8)
"""Turns of the event loop that a task gets at a point before it is cancelled."""


@both_dialects
def test_points_of_a_refresh(api):
    """A refresh passes as many points as the tests below count."""
    paced = Paced(HelloJohn, api)
    assert paced.hj.auth.access_token() == "at_1"
    paced.begin()
    refreshing = in_thread(paced.hj.auth.access_token)
    paced.pace.open()
    assert refreshing() == "at_2"
    paced.hj.close()
    assert paced.pace.reached == POINTS


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("point", range(POINTS))
async def test_cancel_at_any_point_of_a_refresh(point, turns):
    """A caller that is cancelled at any point of a refresh loses nothing: the refresh is stored."""
    paced = Paced()
    assert await paced.hj.auth.access_token() == "at_1"
    paced.begin()
    task = asyncio.create_task(paced.hj.auth.access_token())
    await asyncio.sleep(0)
    await asyncio.to_thread(paced.pace.advance, point)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(paced.finish)
    assert await paced.hj.auth.access_token() == "at_2"


@pytest.mark.parametrize("turns", range(6))
async def test_cancel_when_the_token_has_come(turns):
    """A caller that is cancelled when its token has come, and was not taken yet, loses nothing."""
    paced = Paced()
    await paced.hj.auth.access_token()
    paced.begin()
    task = asyncio.create_task(paced.hj.auth.access_token())
    await asyncio.sleep(0)
    await asyncio.to_thread(paced.finish)
    for _ in range(turns):
        await asyncio.sleep(0)
    cancelled = task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        assert await task == "at_2"
    assert task.cancelled() or not cancelled
    assert await paced.hj.auth.access_token() == "at_2"


@both_dialects
async def test_cancel_some_of_many_callers(api):
    """When every other task is cancelled, the task that began the refresh too, the rest get the token."""
    paced = Paced(api=api)
    await paced.hj.auth.access_token()
    paced.begin()
    tasks = [asyncio.create_task(paced.hj.auth.access_token()) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    paced.pace.open()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    kinds = Counter("at_2" if result == "at_2" else type(result).__name__ for result in results)
    assert kinds == {"CancelledError": 10, "at_2": 10}
    await asyncio.to_thread(paced.finish)


@both_dialects
async def test_errors_of_a_shared_refresh_are_separate(api):
    """Each of many callers gets a separate error object, without the traceback of another caller."""
    paced = Paced(api=api)
    await paced.hj.auth.access_token()
    paced.begin()
    paced.service.answers = [paced.service.refusal("revoked")]
    tasks = [asyncio.create_task(paced.hj.auth.access_token()) for _ in range(5)]
    await asyncio.sleep(0)
    paced.pace.open()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {SessionExpired}
    assert len({id(error) for error in errors}) == 5
    assert all(error.__cause__ is None and error.__context__ is None for error in errors)


@both_dialects
async def test_timeout_of_the_callers_own(new_client, emulator):
    """asyncio.wait_for around any call loses nothing when it fires during a refresh."""
    hj = new_client(AsyncHelloJohn)
    await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh"), when="after"):
        for call in (hj.auth.access_token, hj.auth.refresh, hj.auth.user):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(), 0.01)
    assert await hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@both_dialects
@pytest.mark.parametrize("cause", ["expired", "refused"])
async def test_cancelled_request_loses_nothing(new_client, emulator, cause):
    """A request that is cancelled while it waits for a new token leaves the token to the next request."""
    refused: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401 if request.headers["Authorization"] in refused else 200)

    hj = new_client(AsyncHelloJohn)
    await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    async with hj.client(base_url=BASE, transport=httpx.MockTransport(answer)) as api:
        refused.add(f"Bearer {await hj.auth.access_token()}")
        if cause == "expired":
            emulator.advance("2h")
        with emulator.hold(route(emulator, "refresh"), when="after") as hold:
            task = asyncio.create_task(api.get("/"))
            await asyncio.to_thread(hold.wait_arrived)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await api.get("/")).status_code == 200
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@both_dialects
@pytest.mark.parametrize("when", ["before", "after"])
async def test_cancelled_sign_in_is_kept(new_client, emulator, when):
    """A sign-in whose caller was cancelled is stored when it is granted, as long as nothing came later."""
    hj = new_client(AsyncHelloJohn)
    log = EventLog(hj)
    with emulator.hold(route(emulator, "sign-in"), when=when) as hold:
        task = asyncio.create_task(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.to_thread(log.wait_for, "SIGNED_IN")
    session = await hj.auth.session()
    assert active(emulator) == [name_of(session)]


# ---------------------------------------------------------------- event loops that end


@pytest.fixture
def signed_in(emulator):
    """Return an async client that is signed in, to be used from one event loop after another."""
    hj = AsyncHelloJohn(**emulated(emulator))
    asyncio.run(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    yield hj
    close_now(hj)


async def _token(hj: AsyncHelloJohn) -> str:
    return await hj.auth.access_token()


@both_dialects
def test_loop_that_ends_during_a_background_refresh(emulator, signed_in):
    """asyncio.run may return while a background refresh is at work: its answer is stored."""

    async def main(hold) -> str:
        token = await signed_in.auth.access_token()
        await asyncio.to_thread(hold.wait_arrived)
        return token

    first = asyncio.run(_token(signed_in))
    emulator.advance("58m")
    with emulator.hold(route(emulator, "refresh"), when="after") as hold:
        assert asyncio.run(main(hold)) == first
    until(lambda: asyncio.run(_token(signed_in)) != first)
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@both_dialects
def test_loop_that_ends_under_a_waiting_task(emulator, signed_in):
    """asyncio.run cancels the tasks that are left. The refresh that one waits for goes on."""

    async def main(hold) -> None:
        task = asyncio.create_task(signed_in.auth.access_token())
        await asyncio.to_thread(hold.wait_arrived)
        assert not task.done()

    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh")) as hold:
        asyncio.run(main(hold))
    assert asyncio.run(_token(signed_in))
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@both_dialects
async def test_close_waits_for_the_refresh_of_a_cancelled_task(emulator):
    """aclose() stores the result of a refresh whose caller is gone, while the loop runs on."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    hj = AsyncHelloJohn(**emulated(emulator))
    await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    log = EventLog(hj)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh"), when="after") as hold:
        task = asyncio.create_task(hj.auth.access_token())
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        counting = asyncio.create_task(count_turns())
        closing = asyncio.create_task(hj.aclose())
        await asyncio.sleep(0.05)
        assert not closing.done()
    await closing
    counting.cancel()
    assert turns > 3
    await asyncio.to_thread(log.wait_for, "TOKEN_REFRESHED")
    assert emulator.rotations == 1

"""Streamed answers, small pools, time limits and hooks of the app's: all goes on as without our hook."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hellojohn import HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import PATIENCE, settle
from tests.transport.backend import UNAUTHORIZED, Say, zipped
from tests.transport.kinds import KINDS


@pytest.fixture
async def api(kind, hj, backend):
    """A client of the app's with a single connection, for the backend."""
    client = kind.wrapped(hj, base_url=backend.url, **kind.narrow())
    yield client
    await kind.close(client)


def refuse_first(backend, say=UNAUTHORIZED):
    """Let the backend refuse its first request."""
    backend.script = lambda seen: Say(body=b"fine") if backend.seen else say


def one_shot(kind):
    """Return a body that can be sent once."""

    async def parts():
        yield b"some"

    return parts() if kind.is_async else iter([b"some"])


async def each_at_once(kind, count, call):
    """Make ``count`` calls at once, in threads or in tasks; fail when they hang."""
    if kind.is_async:
        return await asyncio.wait_for(asyncio.gather(*(call() for _ in range(count))), PATIENCE)
    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(call) for _ in range(count)]
        return [future.result(PATIENCE) for future in begun]


async def test_a_healed_stream_is_still_a_stream(kind, api, backend):
    """The app reads the second answer as it comes; the first one is out of the way."""
    refuse_first(backend)
    async with kind.stream(api, "GET", "/x") as response:
        assert response.status_code == 200
        assert not response.is_stream_consumed
        assert await kind.raw(response) == b"fine"
    assert backend.connections == 1


async def test_a_second_401_of_a_stream_is_left_unread(kind, api, backend):
    """It is returned as it is: the app decides what to do with its body."""
    backend.script = lambda seen: UNAUTHORIZED
    async with kind.stream(api, "GET", "/x") as response:
        assert not response.is_stream_consumed
        assert await kind.raw(response) == UNAUTHORIZED.body
    assert backend.connections == 1


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("way", ["read", "raw"])
async def test_a_401_handed_back_can_be_streamed(kind, api, backend, compressed, way):
    """A proxy passes the answer on as it came, though it was read once to free the connection."""
    say = zipped(UNAUTHORIZED) if compressed else UNAUTHORIZED
    refuse_first(backend, say)
    async with kind.stream(api, "POST", "/x", content=one_shot(kind)) as response:
        assert response.status_code == 401
        if way == "raw":
            assert await kind.raw(response) == say.body
        else:
            assert await kind.read(response) == UNAUTHORIZED.body
            assert response.json() == {"error": {"code": "invalid_token"}}
        assert response.elapsed.total_seconds() > 0
    assert response.is_closed
    assert (await settle(api.get("/next"))).text == "fine"
    assert backend.connections == 1


async def test_a_stream_in_use_keeps_its_connection_and_no_other(kind, hj, backend):
    """While one answer is read slowly, another request is healed on a second connection."""
    api = kind.wrapped(hj, base_url=backend.url, limits=kind.library.Limits(max_connections=2))
    backend.script = lambda seen: UNAUTHORIZED if len(backend.seen) == 1 else Say(body=b"fine")
    async with kind.stream(api, "GET", "/slow") as slow:
        assert (await settle(api.get("/x"))).text == "fine"
        assert await kind.read(slow) == b"fine"
    await kind.close(api)


async def test_a_401_already_read_by_a_hook_is_healed(kind, hj, backend):
    """A logging hook reads every answer: there is nothing left to read, and nothing to stumble over."""

    async def look_async(response):
        await response.aread()

    def look(response):
        response.read()

    hooks = {"response": [look_async if kind.is_async else look]}
    api = kind.wrapped(hj, base_url=backend.url, event_hooks=hooks)
    refuse_first(backend)
    assert (await settle(api.get("/x"))).text == "fine"
    backend.seen.clear()
    async with kind.stream(api, "POST", "/x", content=one_shot(kind)) as response:
        assert await kind.read(response) == UNAUTHORIZED.body
    await kind.close(api)


async def test_a_401_half_read_by_a_hook_gives_its_connection_back(kind, hj, backend):
    """A hook looked at the beginning and kept the rest for later: there is no later."""
    kept = []

    async def peek_async(response):
        kept.append(response.aiter_raw())
        await kept[-1].__anext__()

    def peek(response):
        kept.append(response.iter_raw())
        next(kept[-1])

    hooks = {"response": [peek_async if kind.is_async else peek]}
    api = kind.wrapped(hj, base_url=backend.url, event_hooks=hooks, **kind.narrow(pool=0.5))
    refuse_first(backend, Say(401, b"x" * 300_000))
    async with kind.stream(api, "POST", "/x", content=one_shot(kind)) as response:
        assert response.is_closed

        api.event_hooks = {}
        assert (await settle(api.get("/x"))).text == "fine"
    for steps in kept:
        await settle(steps.aclose() if kind.is_async else steps.close())
    await kind.close(api)


async def test_one_connection_serves_many_callers_through_a_401(kind, hj, api, backend, emulator):
    """Nobody waits for the new token while holding the connection that somebody else needs."""
    new = []

    def script(seen):
        if seen.token == first:
            return UNAUTHORIZED
        new.append(seen.token)
        return Say(body=b"fine")

    first = f"Bearer {await settle(hj.auth.access_token())}"
    backend.script = script
    with emulator.hold("token/refresh") as hold:
        letting_go = threading.Thread(target=lambda: (hold.wait_arrived(), hold.release()))
        letting_go.start()
        answers = await each_at_once(kind, 20, lambda: api.get("/x"))
        letting_go.join(PATIENCE)
    assert [answer.text for answer in answers] == ["fine"] * 20
    assert len(set(new)) == 1
    assert (emulator.rotations, emulator.reuses) == (1, 0)


async def test_one_connection_serves_many_callers_through_an_expiry(kind, api, backend, emulator):
    """Nobody takes the connection before there is a token to send on it."""
    emulator.advance("2h")
    answers = await each_at_once(kind, 20, lambda: api.get("/x"))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(set(backend.tokens)) == 1
    assert (emulator.rotations, emulator.reuses) == (1, 0)


async def test_one_connection_serves_many_streams_through_a_401(kind, hj, api, backend, emulator):
    """The same for streamed answers, each read to its end."""
    first = f"Bearer {await settle(hj.auth.access_token())}"
    backend.script = lambda seen: UNAUTHORIZED if seen.token == first else Say(body=b"fine")

    def read():
        with api.stream("GET", "/x") as response:
            return response.read()

    async def read_async():
        async with api.stream("GET", "/x") as response:
            return await response.aread()

    assert await each_at_once(kind, 10, read_async if kind.is_async else read) == [b"fine"] * 10
    assert (emulator.rotations, emulator.reuses) == (1, 0)


async def test_the_app_s_time_limits_hold_for_the_replay(kind, api, backend):
    """A request that an auth flow makes up has no time limit; the replayed one keeps its own."""

    def script(seen):
        if len(backend.seen) == 1:
            backend.released.wait(PATIENCE)
        return UNAUTHORIZED

    backend.script = script
    with pytest.raises(kind.library.ReadTimeout):
        await settle(api.get("/x", timeout=kind.library.Timeout(PATIENCE, read=0.2)))


async def test_a_transport_error_stays_what_it_is(kind, hj, backend):
    """The app's own network trouble is the app's to handle."""
    api = kind.wrapped(hj, base_url=backend.url, origins=["http://127.0.0.1:9"])
    with pytest.raises(kind.library.ConnectError):
        await settle(api.get("http://127.0.0.1:9/"))
    await kind.close(api)


async def test_a_hook_that_raises_on_401_switches_the_recovery_off(kind, hj, backend, emulator):
    """It runs before the SDK sees the answer; ``wrap`` says so."""

    async def check_async(response):
        response.raise_for_status()

    def check(response):
        response.raise_for_status()

    hooks = {"response": [check_async if kind.is_async else check]}
    api = kind.wrapped(hj, base_url=backend.url, event_hooks=hooks)
    refuse_first(backend)
    with pytest.raises(kind.library.HTTPStatusError):
        await settle(api.get("/x"))
    await kind.close(api)
    assert (len(backend.seen), emulator.calls("token/refresh")) == (1, 0)
    assert "switches the recovery off" in " ".join(HelloJohn.wrap.__doc__.split())


async def test_hooks_see_both_attempts(kind, hj, backend):
    """A logging hook shows what went over the wire."""
    said = []

    async def note_async(thing):
        said.append(getattr(thing, "status_code", "request"))

    def note(thing):
        said.append(getattr(thing, "status_code", "request"))

    hook = note_async if kind.is_async else note
    api = kind.wrapped(hj, base_url=backend.url, event_hooks={"request": [hook], "response": [hook]})
    refuse_first(backend)
    await settle(api.get("/x"))
    await kind.close(api)
    assert said == ["request", 401, "request", 200]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.is_async], ids=str)
async def test_a_cancelled_caller_leaves_the_connection_and_the_session(api, backend, emulator, hj):
    """A caller that gives up while the new token is fetched harms neither the pool nor the refresh."""
    first = f"Bearer {await hj.auth.access_token()}"
    backend.script = lambda seen: UNAUTHORIZED if seen.token == first else Say(body=b"fine")
    with emulator.hold("token/refresh") as hold:
        task = asyncio.create_task(api.get("/x"))
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await asyncio.wait_for(api.get("/x"), PATIENCE)).text == "fine"
    assert (emulator.rotations, emulator.reuses, backend.connections) == (1, 0, 1)


async def test_the_emulator_and_the_hook_agree(kind, signed_out, emulator):
    """The SDK's own sample resource, end to end, for a streamed upload and download."""
    await settle(signed_out.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    api = kind.wrapped(signed_out, base_url=emulator.url)
    emulator.reject_access_tokens()
    async with kind.stream(api, "PUT", "/resource/deep", content=b"x" * 100_000) as response:
        await kind.read(response)
    await kind.close(api)
    assert response.json()["body_length"] == 100_000
    assert emulator.rotations == 1

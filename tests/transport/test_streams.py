"""Streamed answers, small pools, timeouts and the app's own hooks work as without the auth hook."""

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
    """Return a client of the app with one connection, for the backend."""
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
    """Make ``count`` calls at once, in threads or tasks, and fail when they hang."""
    if kind.is_async:
        return await asyncio.wait_for(asyncio.gather(*(call() for _ in range(count))), PATIENCE)
    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(call) for _ in range(count)]
        return [future.result(PATIENCE) for future in begun]


async def test_repeated_stream_is_still_a_stream(kind, api, backend):
    """After a 401 the app reads the second answer as it comes, on the same connection."""
    refuse_first(backend)
    async with kind.stream(api, "GET", "/x") as response:
        assert response.status_code == 200
        assert not response.is_stream_consumed
        assert await kind.raw(response) == b"fine"
    assert backend.connections == 1


async def test_second_401_of_a_stream_is_left_unread(kind, api, backend):
    """A second 401 is returned as a stream that the app may read."""
    backend.script = lambda seen: UNAUTHORIZED
    async with kind.stream(api, "GET", "/x") as response:
        assert not response.is_stream_consumed
        assert await kind.raw(response) == UNAUTHORIZED.body
    assert backend.connections == 1


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("way", ["read", "raw"])
async def test_returned_401_can_be_streamed(kind, api, backend, compressed, way):
    """A 401 that was read to free its connection can be read again, raw or decoded."""
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


async def test_open_stream_keeps_one_connection(kind, hj, backend):
    """While one answer is read slowly, another request is repeated on a second connection."""
    api = kind.wrapped(hj, base_url=backend.url, limits=kind.library.Limits(max_connections=2))
    backend.script = lambda seen: UNAUTHORIZED if len(backend.seen) == 1 else Say(body=b"fine")
    async with kind.stream(api, "GET", "/slow") as slow:
        assert (await settle(api.get("/x"))).text == "fine"
        assert await kind.read(slow) == b"fine"
    await kind.close(api)


async def test_401_that_a_hook_has_read_is_repeated(kind, hj, backend):
    """A logging hook that reads every answer does not prevent the repetition."""

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


async def test_401_that_a_hook_has_half_read_frees_its_connection(kind, hj, backend):
    """A hook that has read the beginning of a 401 does not keep its connection."""
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


async def test_one_connection_serves_callers_through_a_401(kind, hj, api, backend, emulator):
    """No request waits for the new token while it holds the only connection."""
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


async def test_one_connection_serves_callers_through_an_expiry(kind, api, backend, emulator):
    """No request takes the connection before there is a token to send on it."""
    emulator.advance("2h")
    answers = await each_at_once(kind, 20, lambda: api.get("/x"))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(set(backend.tokens)) == 1
    assert (emulator.rotations, emulator.reuses) == (1, 0)


async def test_one_connection_serves_streams_through_a_401(kind, hj, api, backend, emulator):
    """The same for streamed answers that are read to their end."""
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


async def test_timeouts_hold_for_the_repeated_request(kind, api, backend):
    """A repeated request keeps the timeouts of the first."""

    def script(seen):
        if len(backend.seen) == 1:
            backend.released.wait(PATIENCE)
        return UNAUTHORIZED

    backend.script = script
    with pytest.raises(kind.library.ReadTimeout):
        await settle(api.get("/x", timeout=kind.library.Timeout(PATIENCE, read=0.2)))


async def test_network_error_is_passed_on(kind, hj, backend):
    """A network error of a request reaches the app."""
    api = kind.wrapped(hj, base_url=backend.url, origins=["http://127.0.0.1:9"])
    with pytest.raises(kind.library.ConnectError):
        await settle(api.get("http://127.0.0.1:9/"))
    await kind.close(api)


async def test_hook_that_raises_on_401_prevents_the_refresh(kind, hj, backend, emulator):
    """A response hook that raises runs before the SDK sees the 401, as wrap() documents."""

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
    assert "so prevents the refresh" in " ".join(HelloJohn.wrap.__doc__.split())


async def test_hooks_see_both_attempts(kind, hj, backend):
    """A logging hook sees each request that is sent."""
    seen = []

    async def note_async(thing):
        seen.append(getattr(thing, "status_code", "request"))

    def note(thing):
        seen.append(getattr(thing, "status_code", "request"))

    hook = note_async if kind.is_async else note
    api = kind.wrapped(hj, base_url=backend.url, event_hooks={"request": [hook], "response": [hook]})
    refuse_first(backend)
    await settle(api.get("/x"))
    await kind.close(api)
    assert seen == ["request", 401, "request", 200]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.is_async], ids=str)
async def test_cancelled_request_harms_neither_pool_nor_session(api, backend, emulator, hj):
    """A request that is cancelled during a refresh leaves the connection and the session usable."""
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


async def test_emulator_accepts_the_hook(kind, signed_out, emulator):
    """The emulator's sample resource takes a streamed upload after a refused token."""
    await settle(signed_out.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    api = kind.wrapped(signed_out, base_url=emulator.url)
    emulator.reject_access_tokens()
    async with kind.stream(api, "PUT", "/resource/deep", content=b"x" * 100_000) as response:
        await kind.read(response)
    await kind.close(api)
    assert response.json()["body_length"] == 100_000
    assert emulator.rotations == 1

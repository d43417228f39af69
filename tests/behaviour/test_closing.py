"""Closing a client, and what no client leaves behind: threads, tasks, a late exit."""

import asyncio
import gc
import threading
import time
import weakref

import httpx
import pytest

from hellojohn import AsyncHelloJohn, ConfigurationError, HelloJohn, MemoryStore, ServiceUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore
from tests.both_faces import PATIENCE, EventLog, close, emulated, in_thread, settle, until
from tests.dialects import both_dialects, route

BASE = "https://api.example.com"
CLOSED = r"^This client was closed\. Create a new one\.$"


@pytest.fixture
def hj(owner, service):
    """Return a client of either kind."""
    return service.client(owner)


# ---------------------------------------------------------------- a closed client


async def test_closing_twice_is_allowed(hj):
    """A second close does nothing."""
    await close(hj)
    await close(hj)


@both_dialects
@pytest.mark.parametrize("when", ["before the first use", "with a fresh token", "with an expired token"])
async def test_every_use_after_close_fails(hj, service, when):
    """After close() every call names the fix at once, also one that a fresh token could serve."""
    ada = hj.for_account("ada")
    if when != "before the first use":
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
        await settle(ada.auth.sign_in(EMAIL, PASSWORD))
    if when == "with an expired token":
        service.at(hours=2)
    await close(hj)
    asked = len(service.asked)
    for client in (hj, ada):
        for call in (
            lambda client=client: client.auth.sign_in(EMAIL, PASSWORD),
            lambda client=client: client.auth.sign_up(EMAIL, PASSWORD),
            lambda client=client: client.auth.sign_in_with_oauth("google", f"{BASE}/callback"),
            lambda client=client: client.auth.sign_in_with_browser("google", open_browser=pytest.fail),
            client.auth.session,
            client.auth.access_token,
            client.auth.refresh,
            client.auth.user,
            client.auth.sign_out,
            client.doctor,
            lambda client=client: client.for_account("bob"),
            lambda client=client: client.on(print),
            lambda client=client: client.verify_token("x.y.z"),
            lambda client=client: client.revocations.add(user_id="usr_1"),
            lambda client=client: client.client(base_url=BASE),
            lambda client=client: client.httpx_auth(origins=[BASE]),
            lambda client=client: client.httpx2_auth(origins=[BASE]),
            lambda client=client: client.requests_auth(origins=[BASE]),
        ):
            with pytest.raises(ConfigurationError, match=CLOSED):
                await settle(call())
    assert len(service.asked) == asked


def test_store_that_closes_its_client(service):
    """close() inside an operation does not wait for that operation, and closes the rest."""

    class Closing(MemoryStore):
        def save(self, key, text, **options):
            super().save(key, text, **options)
            hj.close()

    hj = service.client(store=Closing())
    hj.auth.sign_in(EMAIL, PASSWORD)
    with pytest.raises(ConfigurationError, match=CLOSED):
        hj.auth.session()


async def test_wrapped_client_fails_after_close(hj, service):
    """An HTTP client that a closed client is attached to fails at once, with the same message."""
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    api = hj.client(base_url=BASE, transport=httpx.MockTransport(lambda request: httpx.Response(200)))
    assert (await settle(api.get("/"))).status_code == 200
    await close(hj)
    with pytest.raises(ConfigurationError, match=CLOSED):
        await settle(api.get("/"))
    await close(api)


async def test_closing_a_bound_client_closes_nothing(hj):
    """A client made by for_account shares the first client's parts, and need not be closed."""
    ada = hj.for_account("ada")
    await close(ada)
    await settle(ada.auth.sign_in(EMAIL, PASSWORD))
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    await close(hj)
    with pytest.raises(ConfigurationError, match=CLOSED):
        await settle(ada.auth.refresh())


@both_dialects
async def test_session_outlives_its_client(owner, service):
    """Closing signs no user out."""
    store = MemoryStore()
    first = service.client(owner, store=store)
    session = await settle(first.auth.sign_in(EMAIL, PASSWORD))
    await close(first)
    assert await settle(service.client(owner, store=store).auth.session()) == session


def _fail_inside(hj: HelloJohn) -> None:
    with hj as same:
        assert same is hj
        raise KeyError


async def _fail_inside_async(hj: AsyncHelloJohn) -> None:
    async with hj as same:
        assert same is hj
        raise KeyError


async def test_with_block_closes_after_an_error(hj):
    """A with block hands out the client itself, closes it, and lets the error through."""
    with pytest.raises(KeyError):
        await _fail_inside_async(hj) if isinstance(hj, AsyncHelloJohn) else _fail_inside(hj)
    with pytest.raises(ConfigurationError, match=CLOSED):
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))


async def test_with_block_of_a_bound_client_closes_nothing(hj):
    """A request's own with block does not close the back end's client."""
    ada = hj.for_account("ada")
    if isinstance(ada, AsyncHelloJohn):
        async with ada:
            pass
    else:
        with ada:
            pass
    assert await settle(hj.auth.sign_in(EMAIL, PASSWORD))


# ---------------------------------------------------------------- waiting


@both_dialects
def test_close_waits_for_a_refresh(new_client, emulator):
    """close() returns when the pair that a refresh brought is stored."""
    store = MemoryStore()
    hj = new_client(store=store)
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("58m")
    first = hj.auth.access_token
    with emulator.hold(route(emulator, "refresh"), when="after") as hold:
        old = first()
        hold.wait_arrived()
        closing = in_thread(hj.close)
        threading.Event().wait(0.05)
    assert closing() is None
    assert new_client(store=store).auth.access_token() != old
    assert (emulator.rotations, emulator.reuses) == (1, 0)


class StuckStore(DictStore):
    """A store whose reads do not return until the test ends."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def load(self, key: str) -> str | None:
        """Wait."""
        self.reached.set()
        self.go_on.wait(PATIENCE)
        return super().load(key)


async def test_close_does_not_wait_for_a_read(service):
    """aclose() does not wait for a keyring that never answers a mere read."""
    store = StuckStore()
    hj = service.client(AsyncHelloJohn, store=store)
    reading = asyncio.create_task(hj.auth.session())
    await asyncio.to_thread(store.reached.wait, PATIENCE)
    begun = time.monotonic()
    await hj.aclose()
    assert time.monotonic() - begun < 3
    store.go_on.set()
    await asyncio.wait([reading])
    reading.exception() if not reading.cancelled() else None


# ---------------------------------------------------------------- threads and memory


def threads() -> set[str]:
    """Return the names of the threads that are neither the test's nor the emulator's."""
    return {
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("hellojohn-") and thread.name != "hellojohn-emulator"
    }


@both_dialects
def test_client_at_rest_has_no_thread(emulator):
    """A client without work has no thread: after a sign-in, a background refresh or a sign-out."""
    until(lambda: not threads())
    with HelloJohn(**emulated(emulator)) as hj:
        log = EventLog(hj)
        assert not threads()
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        emulator.advance("58m")
        hj.auth.access_token()
        log.wait_for("TOKEN_REFRESHED")
        until(lambda: not threads())
        emulator.advance("20d")
        assert not threads()
        hj.auth.sign_out()
        until(lambda: not threads())
    assert emulator.calls(route(emulator, "refresh")) == 1


@both_dialects
def test_async_client_at_rest_has_no_task(emulator):
    """An async client leaves no task behind that a loop would have to cancel."""
    until(lambda: not threads())  # of the tests before

    async def main() -> set[asyncio.Task[object]]:
        async with AsyncHelloJohn(**emulated(emulator)) as hj:
            log = EventLog(hj)
            await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
            emulator.advance("58m")
            await hj.auth.access_token()
            await asyncio.to_thread(log.wait_for, "TOKEN_REFRESHED")
            return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    until(lambda: not threads())  # that of aclose() ends a moment after it has said that it is done


def test_close_leaves_no_thread(service):
    """When close() returns, the threads of the client have ended."""
    until(lambda: not threads())
    with service.client() as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        hj.auth.refresh()
    assert not threads()


def test_stored_session_is_used_without_a_thread(service):
    """A sync client reads the store on the caller's thread, and a fresh token costs nothing."""
    store = MemoryStore()
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    until(lambda: not threads())
    again = service.client(store=store)
    for _ in range(10):
        assert again.auth.access_token() == "at_1"
        assert again.auth.session() is not None
        assert not threads()


async def test_unused_client_is_freed(owner, service):
    """No registry and no thread keeps a client that the app has dropped."""
    hj = service.client(owner)
    hj.on(lambda event: None)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    await close(hj)
    gone = weakref.ref(hj)
    del hj
    until(lambda: (gc.collect(), gone() is None)[1])


# ---------------------------------------------------------------- no thread can be started


@pytest.fixture
def no_threads(monkeypatch):
    """Let no thread start, as at a process's limit."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    until(lambda: not threads())
    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


@both_dialects
def test_sync_call_without_a_thread_runs(service, no_threads):
    """A sync caller does the work itself when no thread can be started."""
    hj = service.client()
    no_threads()
    assert hj.auth.sign_in(EMAIL, PASSWORD).id == service.session_id
    service.at(hours=2)
    assert hj.auth.access_token() == "at_2"
    assert hj.auth.sign_out() is True


async def test_async_call_without_a_thread_fails(service, no_threads):
    """A task gets a typed error when no thread can be started: nothing blocks the event loop."""
    hj = service.client(AsyncHelloJohn)
    no_threads()
    with pytest.raises(ServiceUnavailable, match="No thread can be started"):
        await hj.auth.sign_in(EMAIL, PASSWORD)
    assert service.asked == []
    await hj.aclose()

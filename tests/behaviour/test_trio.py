"""``AsyncHelloJohn`` under trio: the same promises as under asyncio, with the clients of httpx and httpx2."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
import trio

from hellojohn import (
    AsyncHelloJohn,
    ExpiryReason,
    FileStore,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
)
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.pace import POINTS, Paced
from tests.behaviour.scripted import EMAIL, PASSWORD
from tests.both_faces import PATIENCE, EventLog, emulated

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])


def in_trio(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run a test's body under trio, for a limited time."""

    async def limited() -> Any:
        with trio.fail_after(PATIENCE):
            return await main()

    return trio.run(limited)


@asynccontextmanager
async def signed_in(emulator, **settings):
    """Yield a client of the emulator that is signed in."""
    async with AsyncHelloJohn(**emulated(emulator, **settings)) as hj:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield hj


def test_life_of_a_session(emulator, tmp_path):
    """Sign-in, use, refresh, user, doctor and sign-out work under trio."""

    async def main() -> None:
        async with signed_in(emulator, store=FileStore(tmp_path / "sessions")) as hj:
            log = EventLog(hj)
            first = await hj.auth.access_token()
            emulator.advance("2h")
            assert await hj.auth.access_token() != first
            assert (await hj.auth.refresh()).user.email == DEMO_EMAIL
            assert (await hj.auth.user()).email == DEMO_EMAIL
            assert (await hj.doctor()).account == "default"
            assert await hj.auth.sign_out() is True
            with pytest.raises(NotSignedIn):
                await hj.auth.access_token()
            assert log.names() == ["TOKEN_REFRESHED", "TOKEN_REFRESHED", "SIGNED_OUT"]

    in_trio(main)
    assert (emulator.rotations, emulator.reuses) == (2, 0)


def test_stored_session_is_found(emulator, tmp_path):
    """The first use reads the store on a worker thread."""
    store = FileStore(tmp_path / "sessions")

    async def main() -> None:
        async with signed_in(emulator, store=store) as hj:
            session = await hj.auth.session()
        async with AsyncHelloJohn(**emulated(emulator, store=store)) as again:
            assert await again.auth.session() == session
            assert await again.auth.access_token()

    in_trio(main)


def test_end_of_a_session(emulator):
    """The end of a session reaches a trio task with its reason."""

    async def main() -> None:
        async with signed_in(emulator) as hj:
            emulator.revoke((await hj.auth.session()).id)
            with pytest.raises(SessionExpired) as caught:
                await hj.auth.refresh()
            assert caught.value.reason is ExpiryReason.REVOKED

    in_trio(main)


@LIBRARIES
@pytest.mark.parametrize("cause", ["expired", "refused"])
def test_twenty_tasks_share_one_refresh(emulator, library, cause):
    """Twenty requests at once cost one refresh, whether their token expired or the API refused it."""

    async def main() -> None:
        async with (
            signed_in(emulator) as hj,
            hj.wrap(library.AsyncClient(base_url=emulator.url, timeout=PATIENCE)) as api,
        ):
            for _ in range(5):
                emulator.advance("2h")
                await api.get("/resource")
                emulator.advance("2h") if cause == "expired" else emulator.reject_access_tokens()
                before, answers = emulator.rotations, Counter[int]()

                async def ask(answers: Counter[int] = answers) -> None:
                    answers[(await api.get("/resource")).status_code] += 1

                async with trio.open_nursery() as nursery:
                    for _ in range(20):
                        nursery.start_soon(ask)
                assert answers == {200: 20}
                assert emulator.rotations - before == 1

    in_trio(main)
    assert emulator.reuses == 0


@LIBRARIES
def test_requests_of_a_wrapped_client(emulator, library):
    """A wrapped client sends the token, repeats a refused upload, and streams, under trio."""

    async def main() -> None:
        async with signed_in(emulator) as hj, hj.wrap(library.AsyncClient(base_url=emulator.url)) as api:
            assert (await api.get("/resource")).status_code == 200
            emulator.reject_access_tokens()
            answer = await api.post("/resource/upload", content=b"x" * 100_000)
            assert (answer.status_code, answer.json()["body_length"]) == (200, 100_000)
            async with api.stream("GET", "/resource") as response:
                assert await response.aread()

    in_trio(main)
    assert (emulator.rotations, emulator.reuses) == (1, 0)


@LIBRARIES
def test_request_timeout_bounds_the_wait(emulator, library):
    """A request with a short timeout does not wait longer for its token, under trio as well."""

    async def main() -> None:
        async with signed_in(emulator) as hj, hj.wrap(library.AsyncClient(base_url=emulator.url)) as api:
            emulator.advance("2h")
            with emulator.hold("token/refresh"):
                begun = trio.current_time()
                with pytest.raises(ServiceUnavailable):
                    await api.get("/resource", timeout=0.2)
                assert trio.current_time() - begun < 2
            assert (await api.get("/resource")).status_code == 200

    in_trio(main)
    assert emulator.rotations == 1


@pytest.mark.parametrize("point", range(POINTS))
def test_cancel_at_any_point_of_a_refresh(point):
    """A task that is cancelled at any point of a refresh loses nothing: the refresh is stored."""

    async def main() -> None:
        paced = Paced()
        assert await paced.hj.auth.access_token() == "at_1"
        paced.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(paced.hj.auth.access_token)
            await trio.to_thread.run_sync(paced.pace.advance, point)
            nursery.cancel_scope.cancel()
        await trio.to_thread.run_sync(paced.finish)
        assert await paced.hj.auth.access_token() == "at_2"

    in_trio(main)


def test_time_limit_of_the_callers_own(emulator):
    """trio.move_on_after around any call loses nothing when it fires during a refresh."""

    async def main() -> None:
        async with signed_in(emulator) as hj:
            emulator.advance("2h")
            with emulator.hold("token/refresh", when="after"):
                for call in (hj.auth.access_token, hj.auth.refresh, hj.auth.user):
                    with trio.move_on_after(0.01) as scope:
                        await call()
                    assert scope.cancelled_caught
            assert await hj.auth.access_token()

    in_trio(main)
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_run_that_ends_during_a_background_refresh(emulator, tmp_path):
    """trio.run may return while a background refresh is at work: its answer is stored."""
    store = FileStore(tmp_path / "sessions")
    hj = AsyncHelloJohn(**emulated(emulator, store=store))

    async def sign_in() -> str:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        return await hj.auth.access_token()

    first = in_trio(sign_in)
    emulator.advance("58m")
    with emulator.hold("token/refresh", when="after") as hold:

        async def use() -> str:
            token = await hj.auth.access_token()
            await trio.to_thread.run_sync(hold.wait_arrived)
            return token

        assert in_trio(use) == first
    in_trio(hj.aclose)

    async def use_again() -> str:
        async with AsyncHelloJohn(**emulated(emulator, store=store)) as again:
            return await again.auth.access_token()

    assert in_trio(use_again) != first
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_client_serves_trio_and_asyncio(service):
    """One client serves trio, then asyncio, then trio again: it belongs to no event loop."""
    hj = service.client(AsyncHelloJohn)

    async def use() -> str:
        return await hj.auth.access_token()

    async def sign_in() -> None:
        await hj.auth.sign_in(EMAIL, PASSWORD)

    in_trio(sign_in)
    assert in_trio(use) == "at_1"
    service.at(hours=2)
    assert asyncio.run(use()) == "at_2"
    service.at(hours=4)
    assert in_trio(use) == "at_3"

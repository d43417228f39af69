"""Cancelling a caller, at whatever moment, loses no session and stops no other caller."""

import asyncio
import linecache
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

import hellojohn
from hellojohn import AsyncHelloJohn, ServiceUnavailable
from hellojohn._errors import SessionExpired
from hellojohn._secret import Secret
from hellojohn._session.flight import run, run_async
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from hellojohn.stores import MemoryStore
from tests.engine.crowd import BASE, Api, settings
from tests.engine.pace import POINTS, Pace, PacedStore, paced
from tests.engine.rig import DEAD, STALE, Bench, Rotating, a_record, in_thread, until

PACKAGE = str(Path(hellojohn.__file__).parent)
TURNS = 17
"""Turns of the event loop that a caller gets at each point of the refresh before it is cancelled."""


class Slow:
    """An engine whose next refresh goes on step by step, at a service that forgives nothing."""

    def __init__(self) -> None:
        self.service = Rotating()
        self.store = PacedStore()
        self.bench = Bench(store=self.store, service=paced(lambda: self.store.pace, self.service))
        self.bench.put(a_record())
        self.bench.token()
        self.pace = self.store.pace = Pace()
        self.bench.at(DEAD)

    def end(self) -> None:
        """Let the refresh go on to its end, and check that it was the only one and is stored."""
        self.pace.open()
        self.bench.settle()
        self.store.pace = None
        assert self.bench.token() == "at_2"
        stored = self.bench.stored()
        assert stored is not None
        assert stored.refresh_token == Secret(f"rt_{self.service.current}")
        assert (self.service.rotations, self.service.reuses) == (1, 0)
        assert self.bench.told() == ["TOKEN_REFRESHED"]


def test_a_refresh_passes_the_points_that_the_moments_are_counted_by():
    """Else the moments below would miss a part of it."""
    slow = Slow()
    begun = in_thread(slow.bench.token)
    slow.pace.open()
    assert begun() == "at_2"
    slow.bench.settle()
    assert slow.pace.reached == POINTS


@pytest.mark.parametrize("point", range(POINTS))
async def test_cancelling_a_caller_at_any_moment_of_a_refresh_loses_nothing(point):
    """204 moments: at each point of a refresh, after each of the first turns of the event loop."""
    for turns in range(TURNS):
        slow = Slow()
        task = asyncio.create_task(run_async(slow.acquire(bench.account)))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(slow.pace.advance, point)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(slow.end)


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_a_caller_around_the_landing_loses_nothing(turns):
    """The token is there and the caller is cancelled before it could take it."""
    slow = Slow()
    task = asyncio.create_task(run_async(slow.acquire(bench.account)))
    await asyncio.sleep(0)
    slow.pace.open()
    await asyncio.to_thread(slow.bench.settle)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(slow.end)


async def test_cancelling_one_of_many_callers_leaves_the_others_alone():
    """The task that began the refresh goes away; the others still get its token."""
    slow = Slow()
    tasks = [asyncio.create_task(run_async(slow.acquire(bench.account))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    slow.pace.open()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    tokens = Counter(type(result).__name__ for result in results)
    assert tokens == {"CancelledError": 10, "View": 10}
    await asyncio.to_thread(slow.end)


async def test_a_timeout_of_the_callers_own_loses_nothing(emulator):
    """``asyncio.wait_for`` fires while the service takes its time; the answer is stored when it comes."""
    async with AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        emulator.advance("2h")
        with emulator.hold("token/refresh", when="after"):
            for call in (hj.auth.access_token, hj.auth.refresh, hj.auth.user):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(call(), 0.01)
        assert await hj.auth.access_token()
    assert (emulator.rotations, emulator.reuses) == (1, 0)


async def test_a_request_that_is_cancelled_during_its_refresh_loses_nothing(emulator):
    """A web client hangs up, and its handler's request to the API with it."""
    api = Api()
    async with AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj:
        await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.sync))
        for cause in ("expired", "refused"):
            if cause == "expired":
                emulator.advance("2h")
            else:
                api.refused = {f"Bearer {await hj.auth.access_token()}"}
            with emulator.hold("token/refresh", when="after") as hold:
                task = asyncio.create_task(client.get("/"))
                await asyncio.to_thread(hold.wait_arrived)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await client.get("/")).status_code == 200
        await client.aclose()
    assert (emulator.rotations, emulator.reuses) == (2, 0)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_sign_in_that_is_cancelled_is_kept_or_never_was(emulator, when):
    """What the service has granted is stored, although nobody waits for it any more."""
    async with AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj:
        with emulator.hold("sign-in", when=when) as hold:
            task = asyncio.create_task(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
            await asyncio.to_thread(hold.wait_arrived)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.to_thread(until, lambda: not hj._engine.context.flights)
        session = await hj.auth.session()
        assert session is not None
        assert [it.id for it in emulator.sessions() if it.status == "active"] == [session.id]


@pytest.fixture
def signed_in(emulator):
    """An async client that is signed in, used from one event loop after the other."""
    hj = AsyncHelloJohn(**settings(emulator, MemoryStore()))
    asyncio.run(_sign_in(hj))
    yield hj
    asyncio.run(hj.aclose())


async def _sign_in(hj: AsyncHelloJohn) -> None:
    await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)


def test_ending_the_event_loop_right_behind_a_background_refresh_loses_nothing(emulator, signed_in):
    """``asyncio.run`` returns while the service takes its time: the answer is stored all the same."""

    async def main(hold) -> str:
        token = await signed_in.auth.access_token()
        await asyncio.to_thread(hold.wait_arrived)
        return token

    first = asyncio.run(_token(signed_in))
    emulator.advance("58m")
    with emulator.hold("token/refresh", when="after") as hold:
        assert asyncio.run(main(hold)) == first
    until(lambda: _generation(signed_in) == 2)
    assert asyncio.run(_token(signed_in)) != first
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def test_ending_the_event_loop_under_a_waiting_caller_loses_nothing(emulator, signed_in):
    """``asyncio.run`` cancels what is left; the refresh is not among it."""

    async def main(hold) -> None:
        task = asyncio.create_task(signed_in.auth.access_token())
        await asyncio.to_thread(hold.wait_arrived)
        assert not task.done()

    emulator.advance("2h")
    with emulator.hold("token/refresh") as hold:
        asyncio.run(main(hold))
    until(lambda: _generation(signed_in) == 2)
    assert asyncio.run(_token(signed_in))
    assert (emulator.rotations, emulator.reuses) == (1, 0)


def _generation(hj: AsyncHelloJohn) -> int:
    record = hj._engine.context.storage.load(hj._account.key)
    assert record is not None
    return record.generation


async def _token(hj: AsyncHelloJohn) -> str:
    return await hj.auth.access_token()


# Ctrl-C


class _Interrupt:
    """Raises ``KeyboardInterrupt`` in this thread at the n-th line that it runs in the package.

    A signal's handler never runs between the end of a ``with`` block and its exit, so neither does this.
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.raised = False

    def __call__(self, frame, _event, _arg):
        """Trace the package's frames."""
        return self._trace if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _trace(self, frame, event, _arg):
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with "):
            self._lines -= 1
            if self._lines == 0:
                self.raised = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._trace


def _interrupted(call, lines: int) -> bool:
    """Call, be interrupted, and say whether that happened at all."""
    before, interrupt = sys.gettrace(), _Interrupt(lines)
    sys.settrace(interrupt)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return interrupt.raised


@pytest.mark.parametrize("after", [DEAD, STALE], ids=["waiting", "in the background"])
def test_ctrl_c_at_any_line_of_a_call_loses_nothing_and_stops_nobody_else(after):
    """Whatever the main thread was doing, the next caller gets its token from the one refresh."""
    for lines in range(1, 400):
        service = Rotating()
        bench = Bench(service=service)
        bench.put(a_record())
        bench.token()
        bench.at(after)
        if not _interrupted(bench.token, lines):
            break
        bench.at(DEAD)
        assert in_thread(bench.token)() == "at_2", f"line {lines}"
        assert bench.settle().told() == ["TOKEN_REFRESHED"]
        assert (service.rotations, service.reuses) == (1, 0)
    assert 30 < lines < 400


def test_ctrl_c_at_any_line_of_a_sign_out_leaves_a_client_that_works():
    """It was signed out or it was not; the next call says which, and does not hang."""
    for lines in range(1, 400):
        bench = Bench(service=Rotating())
        bench.put(a_record())
        bench.token()
        if not _interrupted(bench.sign_out, lines):
            break
        assert in_thread(bench.sign_out)() is None, f"line {lines}"
        assert bench.settle().stored() is None
        assert bench.told() == ["SIGNED_OUT"]
    assert 20 < lines < 400


def test_errors_reach_every_waiter_as_its_own():
    """One failure, many callers: none sees the traceback of another, or keeps its frames alive."""
    slow = Slow()
    slow.service.current = 9
    joins = [in_thread(lambda: run(slow.acquire(bench.account))) for _ in range(5)]
    until(lambda: slow.pace.reached == 1)
    slow.pace.open()
    errors = [join() for join in joins]
    assert {type(error) for error in errors} == {SessionExpired}
    assert len({id(error) for error in errors}) == 5
    assert all(error.__cause__ is None and error.__context__ is None for error in errors)
    assert not any(isinstance(error, ServiceUnavailable) for error in errors)

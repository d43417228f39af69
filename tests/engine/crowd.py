"""Crowds of callers: threads, tasks and event loops that act at the same moment, round after round."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Self

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import TokenStore

ROUNDS = 100
BASE = "https://api.example.com"


class Crowd:
    """Threads that do their work together, once a round."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self._begin, self._end = threading.Barrier(len(works) + 1), threading.Barrier(len(works) + 1)
        self._over = False
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._live, args=(work,), daemon=True) for work in works]

    def round(self) -> None:
        """Let everybody work once; raise what the first of them raised."""
        self._begin.wait(20)
        self._end.wait(20)
        if self._failures:
            raise self._failures[0]

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the threads."""
        self._over = True
        self._begin.wait(20)
        for thread in self._threads:
            thread.join(10)

    def _live(self, work: Callable[[], object]) -> None:
        while self._begin.wait(20) is not None and not self._over:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the round raises it
                self._failures.append(error)
            self._end.wait(20)


class Api:
    """Somebody's API: it refuses the access tokens it was told to, when all who carry one have come."""

    def __init__(self, callers: int = 1) -> None:
        self.refused: set[str] = set()
        self.seen: set[str] = set()
        self._callers = callers
        self._gate = threading.Barrier(callers)
        self._arrived = 0
        self._all = asyncio.Event()

    def sync(self, request: httpx.Request) -> httpx.Response:
        """Answer a thread."""
        token = request.headers["Authorization"]
        self.seen.add(token)
        if token not in self.refused:
            return httpx.Response(200)
        self._gate.wait(20)
        return httpx.Response(401)

    async def tasks(self, request: httpx.Request) -> httpx.Response:
        """Answer a task."""
        token = request.headers["Authorization"]
        self.seen.add(token)
        if token not in self.refused:
            return httpx.Response(200)
        self._arrived += 1
        if self._arrived == self._callers:
            self._arrived = 0
            self._all.set()
            self._all = asyncio.Event()
        else:
            await self._all.wait()
        return httpx.Response(401)


class OnePlace(httpx.BaseTransport):
    """A pool of one connection, which is free again when its answer was read to the end or closed.

    httpx's own pool, shared by threads, now and then closes a connection that another thread has just begun
    to use; that is not what is tested here.
    """

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self._place = threading.Semaphore(1)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the place, and answer."""
        if not self._place.acquire(timeout=10):
            raise httpx.PoolTimeout("Somebody keeps the only connection.", request=request)
        return httpx.Response(self._answer(request).status_code, stream=_Reading(self._place.release))


class _Reading(httpx.SyncByteStream):
    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        yield b"{}"

    def close(self) -> None:
        """Give the place back."""
        self._close()


@contextmanager
def signed_in(emulator: Emulator, store: TokenStore) -> Iterator[HelloJohn]:
    """Make a client that is signed in."""
    with HelloJohn(**settings(emulator, store)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        hj.auth.access_token()
        yield hj


def settings(emulator: Emulator, store: TokenStore | None = None) -> dict:
    """Return what a client of the emulator is made with."""
    return {
        "tenant_id": emulator.tenant_id,
        "publishable_key": emulator.publishable_key,
        "api_url": emulator.url,
        "clock": emulator.clock,
        "store": store,
    }


class Ledger:
    """What the emulator counted: one refresh a round, and never a rotated token again."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._rotations = emulator.rotations
        self._calls = emulator.calls("token/refresh")

    def check(self, rounds: int) -> None:
        """Check that so many rounds cost so many refreshes."""
        assert self._emulator.rotations - self._rotations == rounds
        assert self._emulator.calls("token/refresh") - self._calls == rounds
        assert self._emulator.reuses == 0


class Loop:
    """An event loop on a thread of its own, with an API client of its own."""

    def __init__(self, hj: AsyncHelloJohn, api: Api, tasks: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.sync))
        self._tasks = tasks

    def work(self) -> None:
        """Send requests from so many tasks at once."""
        self._loop.run_until_complete(gathered(self._tasks, lambda: good(self._client.get("/"))))

    def close(self) -> None:
        """Close the client and the loop."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


async def gathered(count: int, work: Callable[[], Awaitable[object]]) -> None:
    """Carry ``work`` out in so many tasks at once."""
    await asyncio.gather(*(work() for _ in range(count)))


async def good(response: Awaitable[httpx.Response]) -> None:
    """Expect success."""
    assert (await response).status_code == 200

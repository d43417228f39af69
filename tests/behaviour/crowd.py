"""Crowds of callers: threads, tasks and event loops that use a session at the same moment, in rounds."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import TokenStore
from tests.both_faces import PATIENCE, emulated
from tests.dialects import route

ROUNDS = 12
FEW_ROUNDS = 3
"""On the second dialect: the same engine, with other requests and answers."""
BASE = "https://api.example.com"


class Crowd:
    """Threads that do their work together, once a round."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self._begin, self._end = threading.Barrier(len(works) + 1), threading.Barrier(len(works) + 1)
        self._over = False
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._live, args=(work,), daemon=True) for work in works]

    def round(self) -> None:
        """Let every thread work once; raise the first error."""
        self._begin.wait(PATIENCE)
        self._end.wait(PATIENCE)
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
        self._begin.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _live(self, work: Callable[[], object]) -> None:
        while self._begin.wait(PATIENCE) is not None and not self._over:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the round raises it
                self._failures.append(error)
            self._end.wait(PATIENCE)


class Api:
    """An API that refuses chosen access tokens, once all callers that carry one have arrived.

    Attributes:
        refused: The refused values of the ``Authorization`` header.
    """

    def __init__(self, callers: int = 1) -> None:
        self.refused: set[str] = set()
        self._callers = callers
        self._gate = threading.Barrier(callers)
        self._arrived = 0
        self._all = asyncio.Event()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a thread."""
        if request.headers["Authorization"] not in self.refused:
            return httpx.Response(200)
        self._gate.wait(PATIENCE)
        return httpx.Response(401)

    async def answer_task(self, request: httpx.Request) -> httpx.Response:
        """Answer a task."""
        if request.headers["Authorization"] not in self.refused:
            return httpx.Response(200)
        self._arrived += 1
        if self._arrived == self._callers:
            self._arrived = 0
            self._all.set()
            self._all = asyncio.Event()
        else:
            await self._all.wait()
        return httpx.Response(401)


class OneConnection(httpx.BaseTransport):
    """A pool of one connection, which is free again when its answer was read to the end or closed.

    httpx's own pool, shared by threads, may close a connection that another thread has just begun to use.
    """

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self._free = threading.Semaphore(1)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Wait for the connection, and answer."""
        if not self._free.acquire(timeout=PATIENCE):
            raise httpx.PoolTimeout("Another request keeps the only connection.", request=request)
        return httpx.Response(self._answer(request).status_code, stream=_Reading(self._free.release))


class _Reading(httpx.SyncByteStream):
    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close

    def __iter__(self) -> Iterator[bytes]:
        yield b"{}"

    def close(self) -> None:
        self._close()


@contextmanager
def signed_in(emulator: Emulator, store: TokenStore) -> Iterator[HelloJohn]:
    """Yield a client of the emulator that is signed in."""
    with HelloJohn(**emulated(emulator, store=store)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        yield hj


class Ledger:
    """The counters of the emulator: one refresh per round, and no refresh token twice."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._rotations = emulator.rotations
        self._calls = emulator.calls(route(emulator, "refresh"))

    def check(self, rounds: int) -> None:
        """Check that so many rounds cost so many refreshes."""
        assert self._emulator.rotations - self._rotations == rounds
        assert self._emulator.calls(route(self._emulator, "refresh")) - self._calls == rounds
        assert self._emulator.reuses == 0


class Loop:
    """An event loop for one thread, with a client of an API."""

    def __init__(self, hj: AsyncHelloJohn, api: Api, tasks: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = hj.client(base_url=BASE, transport=httpx.MockTransport(api.answer))
        self._tasks = tasks

    def work(self) -> None:
        """Send requests from all tasks at once."""
        self._loop.run_until_complete(gathered(self._tasks, lambda: good(self._client.get("/"))))

    def close(self) -> None:
        """Close the client and the loop."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


async def gathered(count: int, work: Callable[[], Awaitable[Any]]) -> None:
    """Do ``work`` in so many tasks at once."""
    await asyncio.gather(*(work() for _ in range(count)))


async def good(response: Awaitable[httpx.Response]) -> None:
    """Expect a success."""
    assert (await response).status_code == 200

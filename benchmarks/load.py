"""Ten thousand requests across an expiry, while the auth service takes half a second for the refresh.

Each task has a client of its own: httpx's pool, shared by ten tasks, lets single requests wait for seconds
behind those that came later, with or without an auth hook.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx

from benchmarks._bench import DEMO, quick_server, settings
from hellojohn import AsyncHelloJohn
from hellojohn.emulator import Emulator

_TASKS = 10
_REFRESH_TAKES = 0.5


class _Clock:
    """A clock that can be put forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def measure(requests: int = 10_000) -> list[str]:
    """Return the tails of a run with and one without an expiry, and how many requests waited."""
    with quick_server() as url, Emulator(port=0) as emulator:
        plain = asyncio.run(_run(url, emulator, requests, expiry=False))
        across = asyncio.run(_run(url, emulator, requests, expiry=True))
        refreshes = emulator.rotations
    waited = sum(1 for seconds in across if seconds >= _REFRESH_TAKES / 2)
    tails = f"p99.9 without an expiry {_tail(plain) * 1e3:.2f} ms, across one {_tail(across) * 1e3:.2f} ms"
    return [
        f"{tails}: {_tail(across) / _tail(plain):.3f}",
        f"waited for the refresh: {waited} of {len(across)}; refreshes: {refreshes}",
    ]


def _tail(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.999)]


async def _run(url: str, emulator: Emulator, requests: int, *, expiry: bool) -> list[float]:
    clock, times = _Clock(), []

    def note(seconds: float) -> None:
        times.append(seconds)
        if expiry and len(times) == requests // 5:
            clock.ahead = 57 * 60.0

    async with AsyncHelloJohn(**settings(emulator), clock=clock) as hj:
        await hj.auth.sign_in(*DEMO)
        async with AsyncExitStack() as clients:
            apis = [await clients.enter_async_context(hj.client(base_url=url)) for _ in range(_TASKS)]
            await asyncio.gather(*(_requests(api, 20, _ignore) for api in apis))
            emulator.fail("token/refresh", delay=_REFRESH_TAKES, times=1)
            await asyncio.gather(*(_requests(api, requests // _TASKS, note) for api in apis))
    return times


def _ignore(_seconds: float) -> None:
    """Take no note of a request that opens a connection."""


async def _requests(api: httpx.AsyncClient, count: int, note: Callable[[float], None]) -> None:
    for _ in range(count):
        began = time.perf_counter()
        await api.get("/things")
        note(time.perf_counter() - began)

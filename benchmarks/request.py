"""A whole request on loopback with a valid token, beside a client with a fixed Authorization header."""

import asyncio
import time
from collections.abc import Callable

import httpx

from benchmarks._bench import quick_server, ratio, signed_in

_STATIC = {"Authorization": "Bearer " + "x" * 600}


def measure(pairs: int = 6_000) -> list[str]:
    """Return the ratio of the median times, sync and async, the requests interleaved."""
    with quick_server() as url, signed_in() as (hj, _):
        lines = [f"sync  {_sync(url, hj.httpx_auth(origins=[url]), pairs)}"]
        lines.append(f"async {asyncio.run(_async(url, hj.httpx_auth(origins=[url]), pairs))}")
    return lines


def _sync(url: str, auth: httpx.Auth, pairs: int) -> str:
    ours: list[float] = []
    baseline: list[float] = []
    with (
        httpx.Client(base_url=url, auth=auth) as hooked,
        httpx.Client(base_url=url, headers=_STATIC) as plain,
    ):
        for _ in range(pairs):
            baseline.append(_timed(lambda: plain.get("/things")))
            ours.append(_timed(lambda: hooked.get("/things")))
    return ratio(ours, baseline)


async def _async(url: str, auth: httpx.Auth, pairs: int) -> str:
    ours: list[float] = []
    baseline: list[float] = []
    async with (
        httpx.AsyncClient(base_url=url, auth=auth) as hooked,
        httpx.AsyncClient(base_url=url, headers=_STATIC) as plain,
    ):
        for _ in range(pairs):
            for client, times in ((plain, baseline), (hooked, ours)):
                began = time.perf_counter()
                await client.get("/things")
                times.append(time.perf_counter() - began)
    return ratio(ours, baseline)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

"""The hook alone, stepped by hand, beside a flow that only sets a header."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from statistics import median

import httpx

from benchmarks._bench import signed_in

_URL = "https://api.example.com/v1/things"


class _Header(httpx.Auth):
    """The least that an auth flow can do."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = "Bearer token"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = "Bearer token"
        yield request


def measure(rounds: int = 60, steps: int = 1_000) -> list[str]:
    """Return the added cost of the hook in microseconds, sync and async."""
    with signed_in() as (hj, _), asyncio.Runner() as runner:
        ours, baseline = hj.httpx_auth(origins=["https://api.example.com"]), _Header()
        sync = [(_sync_round(ours, steps), _sync_round(baseline, steps)) for _ in range(rounds)]
        both = [
            (runner.run(_async_round(ours, steps)), runner.run(_async_round(baseline, steps)))
            for _ in range(rounds)
        ]
    return [_line("sync", sync), _line("async", both)]


def _line(name: str, pairs: list[tuple[float, float]]) -> str:
    ours, baseline = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    return f"{name:5} hook {ours:.2f} us, header only {baseline:.2f} us: {ours - baseline:+.2f} us"


def _requests(count: int) -> list[httpx.Request]:
    return [httpx.Request("GET", _URL) for _ in range(count)]


def _sync_round(auth: httpx.Auth, steps: int) -> float:
    requests, answer = _requests(steps), httpx.Response(200)
    began = time.perf_counter()
    for request in requests:
        flow = auth.sync_auth_flow(request)
        next(flow)
        try:  # noqa: SIM105 - suppress() would be timed as well
            flow.send(answer)
        except StopIteration:
            pass
    return (time.perf_counter() - began) / steps * 1e6


async def _async_round(auth: httpx.Auth, steps: int) -> float:
    requests, answer = _requests(steps), httpx.Response(200)
    began = time.perf_counter()
    for request in requests:
        flow = auth.async_auth_flow(request)
        await anext(flow)
        try:  # noqa: SIM105 - as above
            await flow.asend(answer)
        except StopAsyncIteration:
            pass
    return (time.perf_counter() - began) / steps * 1e6

"""Refreshes a second of distinct accounts in one process, beside their commands and calls alone."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median
from typing import NamedTuple

import httpx

from benchmarks._accounts import Accounts, Service, key_in
from hellojohn import RedisStore

_ROUNDS = 5
_THREADS = {0.0: 8, 0.05: 100}
"""By the seconds that the service takes: as many callers as keep the process busy."""

_Pair = tuple[str, str]


class _Rate(NamedTuple):
    per_second: float
    processor: float


def refreshes(held: Accounts, number: int) -> list[str]:
    """Return the rates against a service that answers at once and one that takes its time."""
    lines = [f"refreshes by the engine alone, the records in memory: {_alone(held, number):.0f} a second"]
    for takes, threads in _THREADS.items():
        bare: list[_Rate] = []
        ours: list[_Rate] = []
        with held.hello_john(takes) as hj, httpx.Client(transport=Service(takes)) as http:
            alone = _Alone(RedisStore(held.client), http)
            for share in _shares(held, number):
                bare.append(_rate(alone.refresh, share, threads))
                ours.append(_rate(lambda pair: hj.for_account(pair[0]).auth.refresh(), share, threads))
        lines += [
            f"refreshes, the service taking {takes * 1e3:.0f} ms, {threads} callers:",
            *_told(ours, bare),
        ]
    return [*lines, f"commands of one refresh: {_commands(held)}"]


def _alone(held: Accounts, number: int) -> float:
    with held.copied_to_memory(number) as hj:
        return _rate(
            lambda pair: hj.for_account(pair[0]).auth.refresh(), list(held.records.items())[:number], 1
        ).per_second


def _told(ours: list[_Rate], bare: list[_Rate]) -> list[str]:
    mine, theirs = (median(rate.per_second for rate in rates) for rates in (ours, bare))
    spent, without = (median(rate.processor for rate in rates) * 1e3 for rates in (ours, bare))
    return [
        f"  {mine:.0f} a second / the same commands and calls alone {theirs:.0f} = {mine / theirs:.2f}",
        f"  processor time each {spent:.2f} ms / {without:.2f} ms: the engine's own {spent - without:.2f} ms",
    ]


def _commands(held: Accounts) -> str:
    with held.hello_john() as hj:
        one = hj.for_account(next(iter(held.records)))
        return held.commands(one.auth.refresh)


class _Alone:
    """What one refresh sends, and nothing else."""

    def __init__(self, store: RedisStore, http: httpx.Client) -> None:
        self._store = store
        self._http = http

    def refresh(self, pair: _Pair) -> None:
        """Send the commands and the call of one refresh."""
        key = key_in(pair[1])
        self._store.load(key)
        with self._store.lock(key, 5.0) as value:
            text = value.load() or ""
            value.save(text, expires_in=86_400)
            self._http.post("https://api.example.com/v1/auth/token/refresh", json={"refresh_token": "r"})
            value.load()
            value.save(text, expires_in=86_400, release=True)


def _shares(held: Accounts, number: int) -> Iterator[list[_Pair]]:
    pairs = iter(held.records.items())
    for _ in range(_ROUNDS):
        yield list(islice(pairs, max(number // _ROUNDS, 1)))


def _rate(refresh: Callable[[_Pair], object], pairs: list[_Pair], threads: int) -> _Rate:
    with ThreadPoolExecutor(threads) as pool:
        began, spent = time.perf_counter(), time.process_time()
        for _ in pool.map(refresh, pairs):
            pass
        elapsed, spent = time.perf_counter() - began, time.process_time() - spent
    return _Rate(len(pairs) / elapsed, spent / len(pairs))

"""A web back end's accounts in Valkey: memory while idle, the first request, and refreshes a second."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from benchmarks._accounts import Accounts, accounts
from benchmarks._bench import ratio
from benchmarks._refreshes import refreshes
from hellojohn import HelloJohn
from hellojohn._session.record_format import parse

_FEW = 100


def measure(idle: int = 100_000, first: int = 5_000, refreshed: int = 5_000) -> list[str]:
    """Return the figures of so many idle accounts, first requests and refreshes."""
    with accounts(max(idle, first, refreshed)) as held:
        return [*_memory(held, idle), *_first_requests(held, first), *refreshes(held, refreshed)]


def _memory(held: Accounts, number: int) -> list[str]:
    names = list(islice(held.records, number))
    kept = names[: max(number // 10, 1)]
    with held.hello_john() as hj:
        list(_touched(hj, names[:_FEW]))  # loads what is loaded late
        idle = _grown(lambda: sum(1 for _ in _touched(hj, names))) / len(names)
        in_hand = _grown(lambda: list(_touched(hj, kept))) / len(kept)
    return [
        f"memory of an idle account, its client dropped: {idle:.1f} bytes ({len(names)} accounts)",
        f"memory of an account whose client is kept:   {in_hand:.0f} bytes ({len(kept)} accounts)",
    ]


def _touched(hj: HelloJohn, names: Iterable[str]) -> Iterator[HelloJohn]:
    for name in names:
        one = hj.for_account(name)
        assert one.auth.session() is not None
        yield one


def _grown(work: Callable[[], object]) -> int:
    """Return by how many bytes the heap has grown when the work's result is still there."""
    gc.collect()
    tracemalloc.start()
    result = work()
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return grown


def _first_requests(held: Accounts, number: int) -> list[str]:
    ours: list[float] = []
    baseline: list[float] = []
    with held.hello_john() as hj:
        for name, key in islice(held.records.items(), number):
            began = time.perf_counter()
            parse(held.client.get(key).decode())
            between = time.perf_counter()
            hj.for_account(name).auth.access_token()
            ended = time.perf_counter()
            baseline.append(between - began)
            ours.append(ended - between)
        few = list(held.records)[:_FEW]
        sent = held.commands(lambda: [hj.for_account(name).auth.access_token() for name in few])
    return [
        f"first request / raw GET and parse: {ratio(ours, baseline)}",
        f"commands of {len(few)} first requests: {sent}",
    ]

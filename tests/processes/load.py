"""Processes that send requests all the time, while a test disturbs their store."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from tests.processes.fleet import CHILDREN, PATIENCE

PROCESSES = 3
_THREADS = 2
_PACE = 0.005
_EXPECTED = re.compile(r"(200|(ServiceUnavailable|StoreUnavailable|StoreLocked)\(.*)", re.DOTALL)


class Load:
    """The requests of several processes, and their outcomes."""

    def __init__(self) -> None:
        """Start without processes."""
        self._over = CHILDREN.Event()
        self._served = CHILDREN.Value("i", 0)
        self._outcomes = Counter[str]()

    @contextmanager
    def from_clients(self, opened: Callable[..., Any], *arguments: object) -> Iterator[None]:
        """Send requests while the block lasts, with what ``opened(*arguments)`` opens in each process."""
        pairs = [CHILDREN.Pipe() for _ in range(PROCESSES)]
        work = (self._over, self._served, opened, arguments)
        children = [CHILDREN.Process(target=_work, args=(*work, theirs), daemon=True) for _, theirs in pairs]
        try:
            for child in children:
                child.start()
            self.wait_served()
            yield
            self._over.set()
            for ours, _ in pairs:
                assert ours.poll(PATIENCE), "a process hangs"
                self._outcomes.update(ours.recv())
        finally:
            for child in children:
                child.kill()

    def wait_served(self) -> None:
        """Wait until there were several more answers for every thread."""
        wanted, ends_at = self._served.value + 5 * PROCESSES * _THREADS, time.monotonic() + PATIENCE
        while self._served.value < wanted:
            assert time.monotonic() < ends_at, "no request is answered any more"
            time.sleep(_PACE)

    @property
    def unexpected(self) -> list[str]:
        """The outcomes that are neither an answer nor an error that means "try later"."""
        return [outcome for outcome in self._outcomes if not _EXPECTED.fullmatch(outcome)]


def _work(over, served, opened, arguments, pipe) -> None:
    with opened(*arguments) as api, ThreadPoolExecutor(_THREADS) as pool:
        tallies = pool.map(lambda _: _keep_asking(api, over, served), range(_THREADS))
        pipe.send(sum(tallies, Counter()))


def _keep_asking(api: httpx.Client, over, served) -> Counter[str]:
    tally = Counter[str]()
    while not over.wait(_PACE):
        outcome = _outcome(api)
        tally[outcome] += 1
        if outcome == "200":
            with served.get_lock():
                served.value += 1
    return tally


def _outcome(api: httpx.Client) -> str:
    try:
        return str(api.get("/resource").status_code)
    except Exception as error:  # noqa: BLE001 - the test compares it
        return repr(error)

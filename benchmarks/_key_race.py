"""One contender in each situation: ``python -m benchmarks._key_race NAME CALLERS``, in a new process.

Prints a JSON object: each row's name and its figure. The clocks are moved, the waits are real.
"""

import json
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple

import jwt

from benchmarks._clock import now
from benchmarks._key_server import AUDIENCE, KeyServer, Signer, advance, key_server, travel
from benchmarks._verifiers import CONTENDERS, Contender, Loop, Verify

SLOW = 3.0
PATIENCE = 8.0
"""What a measurement waits for a contender that waits for a hanging key server."""

_SOON = 0.2
_LATE = 0.005
_RUNS = 3
_STEPS = (1, 31, 61, 301, 601, 3_601, 86_401)


class Field(NamedTuple):
    """The parts of a situation."""

    server: KeyServer
    verify: Verify
    token: str
    forged: str
    strangers: list[str]


class Waited(NamedTuple):
    """How long the slowest caller has waited, and whether all got their claims.

    Attributes:
        seconds: The wait; infinity beyond ``PATIENCE``.
        good: Whether no caller got an error.
    """

    seconds: float
    good: bool = True

    def shown(self) -> str:
        """Return the figure of the table."""
        if self.seconds == math.inf:
            return f"> {PATIENCE:.0f} s"
        shown = f"{self.seconds * 1e3:.0f} ms" if self.seconds < 1 else f"{self.seconds:.1f} s"
        return shown if self.good else f"{shown}, error"


class Race:
    """The situations, one method each, with a new server and a new client for each."""

    def __init__(self, contender: Contender, callers: int) -> None:
        """Make the keys."""
        self._contender = contender
        self._callers = callers
        self._loop = Loop()
        self._signer, self._stranger = Signer("key-1"), Signer("key-2")

    def rows(self) -> Iterator[tuple[str, str]]:
        """Measure each row of the table."""
        yield f"fetches for {self._callers} cold callers", self._cold()
        yield "fetches for 100 unknown kids / 100 forgeries", self._unknown()
        yield "a new key is accepted after", self._new_key()
        yield "a withdrawn key is refused after", self._withdrawn()
        yield "keys just ran out, key server takes 3 s: callers wait", _best(self._ran_out)
        yield "keys just ran out, key server hangs: callers wait", _best(lambda: self._ran_out(takes=60))
        yield "a known token behind a stranger's kid waits", _best(self._behind_a_stranger)
        runs = [self._known() for _ in range(_RUNS)]
        late, stall = min(late for late, _ in runs), min(stall for _, stall in runs)
        yield "keys just ran out, key server takes 3 s: of 10,000 known tokens, over 5 ms", str(late)
        yield "the same: longest stall of the event loop", f"{stall * 1e3:.0f} ms" if stall else "-"
        yield "cold, key server hangs: a caller waits", self._hangs().shown()
        yield "an outage of 6 min / 61 min", self._outage()
        yield "cost ÷ PyJWT `decode` with a ready key", self._cost()

    @contextmanager
    def _field(self) -> Iterator[Field]:
        with key_server(self._signer.jwk()) as server:
            made = self._contender.make(server.url)
            verify = self._loop.call(made) if self._contender.is_async else made
            yield Field(
                server,
                verify,
                self._signer.sign(server.url),
                self._stranger.sign(server.url, kid="key-1"),
                [self._stranger.sign(server.url, kid=f"stranger-{n}") for n in range(100)],
            )

    def _cold(self) -> str:
        with self._field() as field, ThreadPoolExecutor(self._callers) as pool:
            field.server.takes = _SOON
            barrier = threading.Barrier(self._callers)

            def one() -> None:
                barrier.wait()
                field.verify(field.token)

            for future in [pool.submit(one) for _ in range(self._callers)]:
                future.result()
            return str(field.server.fetches)

    def _unknown(self) -> str:
        with self._field() as field:
            field.verify(field.token)
            advance(31)
            before = field.server.fetches
            for token in field.strangers:
                _is_good(field.verify, token)
            between = field.server.fetches
            for _ in range(100):
                _is_good(field.verify, field.forged)
            return f"{between - before} / {field.server.fetches - between}"

    def _new_key(self) -> str:
        with self._field() as field:
            field.verify(field.token)
            new = self._stranger.sign(field.server.url)
            _is_good(field.verify, new)
            field.server.keys.append(self._stranger.jwk())
            return _after(lambda: _is_good(field.verify, new))

    def _withdrawn(self) -> str:
        with self._field() as field:
            field.verify(field.token)
            field.server.keys[:] = [self._stranger.jwk()]

            def is_refused() -> bool:
                _is_good(field.verify, field.token)
                time.sleep(_SOON)  # a service in use: the next request comes
                return not _is_good(field.verify, field.token)

            return _after(is_refused)

    def _ran_out(self, takes: float = SLOW) -> Waited:
        with self._field() as field:
            field.verify(field.token)
            field.server.takes = takes
            advance(302)
            return _longest(field, [field.token] * 5)

    def _behind_a_stranger(self) -> Waited:
        with self._field() as field, ThreadPoolExecutor(1) as pool:
            field.verify(field.token)
            advance(31)
            field.server.takes = SLOW
            stranger = pool.submit(_is_good, field.verify, field.strangers[0])
            time.sleep(_SOON)
            longest = _longest(field, [field.token] * 5)
            stranger.result()
            return longest

    def _known(self, calls: int = 10_000) -> tuple[int, float]:
        """Verify a known token again and again while stale keys are fetched; 0 without an event loop."""
        with self._field() as field:
            made: Any = self._contender.make(field.server.url)

            def verify(count: int) -> tuple[list[float], float]:
                if self._contender.is_async:
                    return self._loop.waits(made, field.token, count)
                return [_wait(made, field.token) for _ in range(count)], 0.0

            verify(1)
            field.server.takes = SLOW
            advance(302)
            waits, stall = verify(calls)
            return sum(seconds > _LATE for seconds in waits), stall

    def _hangs(self) -> Waited:
        with self._field() as field:
            field.server.takes = 60
            return _longest(field, [field.token])

    def _outage(self) -> str:
        with self._field() as field:
            field.verify(field.token)
            field.server.status = 500
            answers: list[str] = []
            for minutes in (6, 55):
                for _ in range(minutes):
                    advance(61)
                    good = _is_good(field.verify, field.token)
                answers.append("served" if good else "fails")
            return " / ".join(answers)

    def _cost(self, rounds: int = 100, calls: int = 50) -> str:
        with self._field() as field:
            public = self._signer.key.public_key()
            field.verify(field.token)
            made: Any = self._contender.make(field.server.url)

            def ours() -> float:
                if self._contender.is_async:
                    return self._loop.time(made, field.token, calls)
                return _time(made, field.token, calls)

            def baseline(token: str) -> object:
                return jwt.decode(
                    token, public, algorithms=["RS256"], audience=AUDIENCE, issuer=field.server.url
                )

            ours()
            pairs = [(ours(), _time(baseline, field.token, calls)) for _ in range(rounds)]
            return f"{median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs):.2f}"


def _is_good(verify: Verify, token: str) -> bool:
    try:
        verify(token)
    except Exception:  # noqa: BLE001 - each library has its own
        return False
    return True


def _after(came_true: Callable[[], bool]) -> str:
    passed = 0
    for step in _STEPS:
        advance(step - passed)
        passed = step
        if came_true():
            return f"{step} s"
    return "never"


def _longest(field: Field, tokens: list[str]) -> Waited:
    """Let some callers verify at once."""

    def one(token: str) -> tuple[float, bool]:
        began = now()
        good = _is_good(field.verify, token)
        return now() - began, good

    pool = ThreadPoolExecutor(len(tokens))
    futures: list[Future[tuple[float, bool]]] = [pool.submit(one, token) for token in tokens]
    done, late = wait(futures, PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    if late:
        return Waited(math.inf)
    results = [future.result() for future in done]
    return Waited(max(seconds for seconds, _ in results), all(good for _, good in results))


def _best(measure: Callable[[], Waited]) -> str:
    """Measure three times, unless the first wait is too long to come from a busy machine."""
    best = measure()
    for _ in range(_RUNS - 1):
        if best.seconds < 1:
            best = min(best, measure())
    return best.shown()


def _wait(verify: Verify, token: str) -> float:
    began = now()
    verify(token)
    return now() - began


def _time(verify: Verify, token: str, calls: int) -> float:
    began = now()
    for _ in range(calls):
        verify(token)
    return now() - began


if __name__ == "__main__":
    import os

    travel()
    _chosen = next(one for one in CONTENDERS if one.name == sys.argv[1])
    print(json.dumps(dict(Race(_chosen, int(sys.argv[2])).rows())), flush=True)
    os._exit(0)  # some contenders still wait for the hanging server

"""``from hellojohn import HelloJohn`` beside ``import httpx``, each in interpreters of their own."""

import subprocess
import sys

from benchmarks._bench import ratio

_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_OURS, _HTTPX = "from hellojohn import HelloJohn", "import httpx"


def measure(rounds: int = 25) -> list[str]:
    """Return the ratio of the median times."""
    _time(_OURS)
    pairs = [(_time(_OURS), _time(_HTTPX)) for _ in range(rounds)]
    return [f"import {ratio([pair[0] for pair in pairs], [pair[1] for pair in pairs])}"]


def _time(statement: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

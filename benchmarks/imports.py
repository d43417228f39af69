"""``import hellojohn`` beside ``import httpx``, each in interpreters of its own."""

import subprocess
import sys

from benchmarks._bench import ratio

_TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def measure(rounds: int = 25) -> list[str]:
    """Return the ratio of the median times."""
    _time("hellojohn")
    pairs = [(_time("hellojohn"), _time("httpx")) for _ in range(rounds)]
    return [f"import {ratio([pair[0] for pair in pairs], [pair[1] for pair in pairs])}"]


def _time(module: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

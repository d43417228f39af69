"""The measurement of the guard runs from end to end, with counts too small for a figure."""

import re

from benchmarks import guard


def test_guard_is_compared() -> None:
    """Both guards are measured in one run."""
    (line,) = guard.measure(rounds=1, calls=2)
    assert len(re.findall(r"\d+\.\d+ us", line)) == 2

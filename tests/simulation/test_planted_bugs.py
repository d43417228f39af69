"""A simulation that sees nothing proves nothing: each guard of the engine is taken away once, and missed."""

import re

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.running import simulate


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug, report):
    """Within thirty thousand schedules, the invariant breaks that the bug is planted against."""
    run = simulate("--bug", bug, "--schedules", "30000")
    assert run.returncode == 1, f"nobody saw {bug}: {run.stdout}{run.stderr}"
    seen = [line for line in run.stdout.splitlines() if re.match(BUGS[bug].violation, line)]
    assert seen, f"{bug} was caught for another reason: {run.stdout[-1_000:]}"
    report(f"simulation: the planted bug {bug} is caught: {seen[0]}")

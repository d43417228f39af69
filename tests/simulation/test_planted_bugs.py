"""A simulation that sees nothing proves nothing: each guard of the engine is taken away once, and missed."""

import re

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.running import simulate

_CAUGHT = re.compile(r"(\S+) in schedule (\d+): (.+)")


@pytest.mark.timeout(600)
def test_planted_bugs_are_caught(report):
    """Within a thousand schedules, the invariant breaks that each bug is planted against."""
    run = simulate("--bug", "all", "--schedules", "1000")
    assert run.returncode == 0, run.stdout + run.stderr
    found = [match for line in run.stdout.splitlines() if (match := _CAUGHT.fullmatch(line))]
    assert [name for name, _, _ in map(re.Match.groups, found)] == list(BUGS)
    for name, _, violation in map(re.Match.groups, found):
        report(f"simulation: the planted bug {name} is caught: {violation}")


def test_bugs_of_the_open_source_server_are_planted():
    """Its outages that look like ends are believed once, and caught."""
    of_v2 = {name for name, bug in BUGS.items() if bug.api == "v2"}
    assert "the-first-refusal-is-believed" in of_v2

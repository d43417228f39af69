"""Schedules of the simulated engine by the thousand: no invariant breaks, and whoever breaks one is caught.

Each run is a process of its own: coverage counts wrong across greenlets, and a planted bug must not stay.
"""

import subprocess
import sys

import pytest

from tests.counts import FULL
from tests.simulation.bugs import BUGS

SCHEDULES = 100_000 if FULL else 10_000
RARE = {"no-epochs", "save-without-compare", "unsaved-always-wins", "unsaved-is-dropped"}
"""Bugs that only one schedule in thousands shows: the proof plants them."""


def _simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation.run", *arguments]
    return subprocess.run(command, capture_output=True, check=False, text=True)


@pytest.mark.timeout(1_800)
def test_no_schedule_breaks_an_invariant(report):
    """Processes, callers, faults and crashes in any order: what is promised holds after every step."""
    run = _simulate("--schedules", str(SCHEDULES))
    assert run.returncode == 0, run.stdout + run.stderr
    report(f"simulation: {run.stdout.strip()}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", sorted(BUGS if FULL else BUGS.keys() - RARE))
def test_a_planted_bug_is_caught(bug, report):
    """A simulation that sees nothing proves nothing: it must see what each guard in the engine is for."""
    run = _simulate("--schedules", "10000", "--bug", bug)
    assert run.returncode == 1, f"nobody saw {bug}: {run.stdout}{run.stderr}"
    assert "To see it again: scripts/simulate --seed" in run.stdout
    report(f"simulation: the planted bug {bug} is caught")


def test_a_seed_plays_the_same_schedule_again():
    """A violation that cannot be seen again cannot be mended."""
    first = _simulate("--schedules", "10000", "--bug", "no-save").stdout
    seed = first.rpartition("--seed ")[2].split()[0]
    assert _simulate("--schedules", "1", "--seed", seed, "--bug", "no-save").stdout == first

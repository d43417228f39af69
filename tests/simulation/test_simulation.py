"""Schedules of the simulated engine, in both dialects: no invariant breaks, and each can be seen again."""

import pytest

from hellojohn import _assembly
from hellojohn._session import engine
from tests.counts import FULL
from tests.simulation.directed import DIRECTED
from tests.simulation.running import simulate

SCHEDULES = {"v1": 1_000_000, "v2": 200_000} if FULL else {"v1": 800, "v2": 800}
"""The short form takes six seconds of one core, the long form about an hour of two."""

LONGEST = 86_400 if FULL else 300


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("api", SCHEDULES)
def test_no_schedule_breaks_an_invariant(api, report):
    """Processes, callers, faults and crashes in any order: the promises hold after every step."""
    run = simulate("--api", api, "--schedules", str(SCHEDULES[api]))
    assert run.returncode == 0, run.stdout + run.stderr
    report(f"simulation: {run.stdout.strip()}")


@pytest.mark.timeout(LONGEST)
def test_no_directed_schedule_breaks_an_invariant():
    """The schedules that lead straight to one rule end well, in any order of turns."""
    run = simulate("--directed", "all")
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) == len(DIRECTED)


def test_importing_the_simulation_changes_nothing():
    """The other tests of this process use the engine as it is."""
    assert _assembly.Engine is engine.Engine


def test_a_seed_gives_the_same_schedule_whatever_python_hashes():
    """A violation that cannot be seen again cannot be mended."""
    first = simulate("--bug", "no-save", "--schedules", "250")
    assert first.returncode == 1, first.stdout + first.stderr
    seed = first.stdout.rpartition("--seed ")[2].split()[0]
    again = simulate("--bug", "no-save", "--seed", seed, "--schedules", "1", hash_seed=1)
    assert again.stdout == first.stdout


def test_schedules_differ():
    """A thousand times the same schedule would prove nothing."""
    traces = {simulate("--bug", "no-save", "--seed", str(seed)).stdout for seed in (0, 1_000)}
    assert len(traces) == 2

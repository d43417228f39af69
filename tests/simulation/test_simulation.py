"""Schedules of the simulated engine by the thousand: no invariant breaks, and each can be seen again."""

import pytest

from tests.simulation.running import simulate

SCHEDULES = 2_000


@pytest.mark.timeout(1_800)
def test_no_schedule_breaks_an_invariant(report):
    """Processes, callers, faults and crashes in any order: what is promised holds after every step."""
    run = simulate("--schedules", str(SCHEDULES))
    assert run.returncode == 0, run.stdout + run.stderr
    report(f"simulation: {run.stdout.strip()}")


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

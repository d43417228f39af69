"""Runs schedules by the thousand on every core; prints how the first violation came about.

It is ``scripts/simulate``. The tests run it in a process of its own as well: coverage counts wrong across
greenlets, and slows them down.
"""

import argparse
import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.bugs import BUGS, plant
from tests.simulation.schedule import play, steady

_BATCH = 250


def batch(seeds: range) -> int | None:
    """Run the schedules of these seeds; return the first seed that shows a violation."""
    with steady():
        for seed in seeds:
            if play(seed).violations:
                return seed
            gc.collect()
    return None


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (%(default)s)")
    parser.add_argument("--bug", choices=BUGS, help="plant a bug first, to see it caught")
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + asked.schedules)
    broken = next((seed for seed in _results(seeds, asked.bug) if seed is not None), None)
    if broken is None:
        found = "no violation of any invariant"
        sys.stdout.write(f"{len(seeds)} schedules from seed {asked.seed}: {found}\n")
        return 0
    with steady():
        schedule = play(broken)
    again = f"To see it again: scripts/simulate --seed {broken} --schedules 1"
    sys.stdout.writelines(f"{line}\n" for line in (*schedule.trace(), *schedule.violations, again))
    return 1


def _results(seeds: range, bug: str | None) -> Iterator[int | None]:
    plant(bug)
    first = batch(seeds[:_BATCH])  # most bugs show at once, and a schedule alone needs no pool
    yield first
    if first is not None or len(seeds) <= _BATCH:
        return
    batches = [seeds[start : start + _BATCH] for start in range(_BATCH, len(seeds), _BATCH)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=plant, initargs=(bug,)) as pool:
        for result in pool.map(batch, batches):
            yield result
            if result is not None:
                pool.shutdown(cancel_futures=True)
                return


if __name__ == "__main__":
    sys.exit(main())

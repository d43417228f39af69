"""Runs schedules by the thousand on every core; prints how the first violation came about.

It is ``scripts/simulate``. The tests run it in a separate process as well: coverage counts wrong across
greenlets, and slows them down.
"""

import argparse
import multiprocessing
import os
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

from tests.simulation.adapter import install
from tests.simulation.bugs import BUGS, plant
from tests.simulation.directed import DIRECTED, SEEDS
from tests.simulation.schedule import Schedule, play, steady

_BATCH = 250


def batch(seeds: range, api: str) -> int | None:
    """Run the schedules of these seeds; return the first seed that shows a violation."""
    with steady():
        for seed in seeds:
            schedule = play(seed, api)
            if schedule.violations:
                return seed
            schedule.forget()
    return None


def main() -> int:
    """Run the schedules that the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (%(default)s)")
    parser.add_argument("--api", choices=["v1", "v2"], default="v1", help="the dialect (%(default)s)")
    parser.add_argument("--directed", choices=[*DIRECTED, "all"], help="play a directed schedule instead")
    parser.add_argument("--bug", choices=[*BUGS, "all"], help="plant a bug first, to see it caught")
    asked = parser.parse_args()
    install()
    if asked.bug == "all":
        return _report_bugs(asked.schedules)
    plant(asked.bug)
    api = BUGS[asked.bug].api if asked.bug else asked.api
    directed = asked.directed or (BUGS[asked.bug].schedule if asked.bug else None)
    if directed is not None:
        return _report_directed(DIRECTED if directed == "all" else [directed])
    seeds = range(asked.seed, asked.seed + asked.schedules)
    broken = next((seed for seed in _results(seeds, api, asked.bug) if seed is not None), None)
    if broken is None:
        found = "no violation of any invariant"
        sys.stdout.write(f"{api}: {len(seeds)} schedules from seed {asked.seed}: {found}\n")
        return 0
    with steady():
        return _show(play(broken, api), f"--api {api} --seed {broken} --schedules 1")


def _report_directed(names: Iterable[str]) -> int:
    broken = 0
    with steady():
        for name in names:
            schedules = (DIRECTED[name].play(seed) for seed in range(SEEDS))
            found = next((schedule for schedule in schedules if schedule.violations), None)
            if found is None:
                sys.stdout.write(f"{name}: no violation in {SEEDS} orders of its turns\n")
            else:
                broken = _show(found, f"--directed {name}")
    return broken


def _report_bugs(schedules: int) -> int:
    """Plant each bug in a separate process, and say how it is caught."""
    kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    missed, lines = 0, list[str]()  # written at the end: a child that is forked would write the buffer too
    with multiprocessing.get_context(kind).Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        asked = [(name, schedules) for name in BUGS]
        for name, number, violations in pool.imap(_catch, asked, chunksize=1):
            seen = [line for line in violations if re.match(BUGS[name].violation, line)]
            missed += not seen
            after = f"in schedule {number}" if seen else f"not caught in {number} schedules"
            lines.append(f"{name} {after}: {(seen or violations or ['no violation'])[0]}\n")
    sys.stdout.writelines(lines)
    sys.stdout.write(f"{len(BUGS) - missed} of {len(BUGS)} planted bugs are caught\n")
    return min(missed, 1)


def _catch(asked: tuple[str, int]) -> tuple[str, int, list[str]]:
    """Plant a bug in this process; return how many schedules showed its kind of violation, and which.

    A violation of another kind does not count. The first one is returned if there is no other.
    """
    name, schedules = asked
    bug, number, others = BUGS[name], 0, list[str]()
    install()
    bug.plant()
    with steady():
        while number < (SEEDS if bug.schedule else schedules):
            schedule = DIRECTED[bug.schedule].play(number) if bug.schedule else play(number, bug.api)
            number += 1
            if any(re.match(bug.violation, line) for line in schedule.violations):
                return name, number, schedule.violations
            others = others or list(schedule.violations)
            schedule.forget()
    return name, number, others


def _show(schedule: Schedule, arguments: str) -> int:
    again = f"To see it again: scripts/simulate {arguments}"
    sys.stdout.writelines(f"{line}\n" for line in (*schedule.trace(), *schedule.violations, again))
    return 1


def _results(seeds: range, api: str, bug: str | None) -> Iterator[int | None]:
    first = batch(seeds[:_BATCH], api)  # most bugs show at once, and a schedule alone needs no pool
    yield first
    if first is not None or len(seeds) <= _BATCH:
        return
    batches = [seeds[start : start + _BATCH] for start in range(_BATCH, len(seeds), _BATCH)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=_prepare, initargs=(bug,)) as pool:
        for result in pool.map(batch, batches, repeat(api)):
            yield result
            if result is not None:
                pool.shutdown(cancel_futures=True)
                return


def _prepare(bug: str | None) -> None:
    install()
    plant(bug)


if __name__ == "__main__":
    sys.exit(main())

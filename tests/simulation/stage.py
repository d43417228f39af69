"""The stage of directed schedules: what a script can let happen, and the list of scripts."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.network import Fate
from tests.simulation.plan import Plan
from tests.simulation.process import Process
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import Task
from tests.simulation.server import USERS

ADA, BOB = USERS
TTL, DEAD = 600.0, 601.0
SEEDS = 20
_LONGEST = 2_000

Script = Callable[["Stage"], None]


class Directed:
    """A directed schedule: its terms and its script."""

    def __init__(self, script: Script, plan: Plan) -> None:
        self.script = script
        self.plan = plan

    def play(self, seed: int) -> Schedule:
        """Play it once."""
        random.seed(seed)
        schedule = Schedule(seed, self.plan)
        with schedule.playing():
            self.script(Stage(schedule))
            schedule.end()
        return schedule


DIRECTED: dict[str, Directed] = {}


def directed(**terms: Any) -> Callable[[Script], Script]:
    """Register a script under its name, with the terms of its schedule."""

    def add(script: Script) -> Script:
        name = script.__name__.strip("_").replace("_", "-")
        DIRECTED[name] = Directed(script, Plan(**{"calm": False, **terms}))
        return script

    return add


class Stage:
    """The steps that a script directs.

    Attributes:
        world: Everything there is.
        first: The first process.
        second: The second process, if there is one.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.world = schedule.world
        self.first = self.world.processes[0]
        self.second = self.world.processes[-1]
        self._schedule = schedule

    # ------------------------------------------------------------------ what happens

    def call(self, what: str, home: Process | None = None, **how: Any) -> Task:
        """Begin a call."""
        return self.world.callers.start(what, home or self.first, "ada", **how)

    def do(self, what: str, home: Process | None = None, **how: Any) -> None:
        """Make a call, and let everything come to its end."""
        self.call(what, home, **how)
        self.finish()

    def sign_in(self, home: Process | None = None, user: str = ADA) -> None:
        """Sign a user in."""
        self.do("sign_in", home, user=user)

    def next(self, path: str, fate: Fate, seconds: float = 0.0) -> None:
        """Choose what becomes of the next request to a path."""
        self.world.network.next[path].append((fate, seconds))

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        scheduler = self.world.scheduler
        scheduler.advance_to(scheduler.now + seconds)
        self.world.store.expire(losable=False)

    def give_up(self, task: Task) -> None:
        """Let a caller give up where it waits."""
        self.until(lambda: task.stoppable)
        self.world.scheduler.note("gives up", task)
        self.world.scheduler.stop(task)

    def finish(self) -> None:
        """Let everything come to its end."""
        self._schedule.run_out()

    def until(self, condition: Callable[[], bool]) -> None:
        """Take turns until a condition holds."""
        scheduler = self.world.scheduler
        for _ in range(_LONGEST):
            if condition():
                return
            if scheduler.ready:
                self._schedule.turn()
            else:
                moment = scheduler.next_moment()
                assert moment is not None, "it never comes to this"
                scheduler.advance_to(moment)
        raise AssertionError("it does not come to this")

    def alone(self, task: Task) -> None:
        """Let one task take turns, and no other, until it waits."""
        scheduler = self.world.scheduler
        while task in scheduler.ready:
            scheduler.run(scheduler.ready.index(task))

    def until_noted(self, what: str, home: Process | None = None, path: str = "") -> None:
        """Take turns until something happens in a process."""
        begin = len(self.world.scheduler.trace)

        def happened() -> bool:
            return any(
                noted == what
                and getattr(task, "home", None) is (home or self.first)
                and path in (str(detail) if not isinstance(detail, tuple) else str(detail[0]))
                for _, task, noted, detail in self.world.scheduler.trace[begin:]
            )

        self.until(happened)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let every API refuse every token."""
        self.world.server.refuses = True
        yield
        self.world.server.refuses = False

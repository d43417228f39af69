"""One schedule from its seed to its end: mishaps and calls, then calm, then a last look at everything."""

import gc
import logging
import random
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from tests.simulation import adapter
from tests.simulation.mishaps import Mishaps
from tests.simulation.plan import Chance, Plan, draw
from tests.simulation.process import Process
from tests.simulation.scheduler import START
from tests.simulation.world import World

_WHEN_IDLE = 0.5
_COLLECTS_EVERY = 50
_LAST_TURN = 20_000
_LONGEST_WAIT = 900.0
_LONGEST_RETURN = 20_000.0


class Schedule:
    """One schedule.

    Attributes:
        seed: The same seed gives the same schedule.
        world: Everything in it.
        violations: The rules that were broken.
    """

    def __init__(self, seed: int, plan: Plan | None = None, *, api: str = "v1") -> None:
        self.seed = seed
        self._chance = Chance(seed)
        self._plan = draw(self._chance, api) if plan is None else plan
        self.world = World(self._chance, self._plan)
        self.violations = self.world.facts.violations

    def run(self) -> None:
        """Take all turns, up to the first violation."""
        with self.playing():
            self._prelude()
            self._play()
            self.end()

    @contextmanager
    def playing(self) -> Generator[None]:
        """Stop at the first violation, and leave no task behind."""
        scheduler = self.world.scheduler
        adapter.run_in(scheduler)
        try:
            yield
        except Enough:
            pass
        finally:
            for task in tuple(scheduler.tasks):
                scheduler.stop(task, for_good=True)

    def trace(self) -> Iterable[str]:
        """Return what happened, line by line."""
        yield f"seed {self.seed}: {self._plan}"
        for now, task, what, detail in self.world.scheduler.trace:
            words = " ".join(map(str, detail)) if isinstance(detail, tuple) else str(detail)
            yield f"{now - START:13.3f}  {task or 'world'!s:20} {what} {words}".rstrip()

    def forget(self) -> None:
        """Drop everything in the world, which spares the collector a search for it.

        The collector runs after some dozens of schedules, and does not look again at what it has left.
        """
        for part in vars(self.world).values():
            if hasattr(part, "__dict__"):
                vars(part).clear()
        if self.seed % _COLLECTS_EVERY == 0:
            gc.collect()
            gc.freeze()

    def _prelude(self) -> None:
        """Sign in, most of the time."""
        if self._chance.happens(0.8):
            world = self.world
            network, store, mood = world.network.faults, world.store.faults, world.store.mood
            world.recover()
            world.sign_in()
            self.run_out()
            world.network.faults, world.store.faults, world.store.mood = network, store, mood

    def _play(self) -> None:
        world, chance, plan = self.world, self._chance, self._plan
        scheduler, mishaps, calls = world.scheduler, Mishaps(world), plan.callers
        while_busy = plan.callers / plan.turns
        for _ in range(plan.turns):
            mishaps.befall()
            if not world.processes and chance.happens(0.1):
                world.begin_process()
            idle = not scheduler.ready
            if calls <= 0 and not scheduler.tasks:
                break
            roll, calling = chance.random(), 0.0
            if calls > 0 and world.awake:
                calling = _WHEN_IDLE if idle else while_busy
            if roll < calling:
                calls -= world.call()
            elif idle or roll >= 1.0 - plan.haste * (1.0 - calling):
                world.pass_time(idle=idle)
            else:
                self.turn()

    def run_out(self, within: float = _LONGEST_WAIT) -> None:
        """Let everything come to its end, without any mishap (liveness)."""
        world = self.world
        scheduler, until = world.scheduler, world.scheduler.now + within
        while scheduler.tasks:
            moment = scheduler.next_moment()
            if scheduler.ready:
                self.turn()
            elif moment is not None:
                scheduler.advance_to(moment)
                world.store.expire(losable=False)
            else:
                world.facts.wrong(f"liveness: {list(scheduler.tasks)} wait for what never comes")
                raise Enough
            if scheduler.now > until or scheduler.turns > _LAST_TURN:
                world.facts.wrong(f"7: {list(scheduler.tasks)} go on and on")
                raise Enough

    def end(self) -> None:
        """Use every session once more, everywhere; the process that knows most comes first."""
        world = self.world
        world.recover()
        self.run_out()
        if not world.processes:
            world.begin_process()
        knowing = {home for pair in world.facts.pairs.values() for home in pair.known_to}
        for home in sorted(world.processes, key=lambda home: home not in knowing):
            for name in world.names:
                world.callers.start("come_back", home, name)
                self.run_out(within=_LONGEST_RETURN)
        self._check_the_end()

    def _check_the_end(self) -> None:
        world = self.world
        if any(not hold.dead for hold in world.store.holds.values()):
            world.facts.wrong("7: a lock is held, and no task runs")
        world.events.judge(world.processes, world.names)
        for home in world.processes:
            world.rules.check_all_shown(home)
            for entry in home.heard_endings():
                key = world.keys[world.names.index(entry.name)]
                session_id = None if entry.session is None else entry.session.id
                world.rules.expired(home, entry.name, key, session_id, entry.reason)
        world.ends.judge(world.processes, world.dead)
        if world.facts.violations:
            raise Enough
        for home in tuple(world.processes):
            world.close(home)
        self.run_out()
        if world.facts.violations:
            raise Enough

    def turn(self) -> None:
        """Let one task take a turn, and judge the changes."""
        world = self.world
        places = len(world.scheduler.ready)
        place = places - 1
        if places > 1 and self._chance.random() >= self._plan.stickiness:
            place = int(self._chance.random() * places)
        task = world.scheduler.run(place)
        world.facts.settle()
        home = task.home
        if isinstance(home, Process) and home.has_changed:
            world.rules.check_shown(home)
        if self.violations:
            raise Enough


class Enough(Exception):
    """There is a violation: nothing that follows means anything."""


@contextmanager
def steady() -> Generator[None]:
    """Keep out what could make one seed differ from itself: the collector; and what costs time: the log."""
    logger, state = logging.getLogger("hellojohn"), random.getstate()
    disabled, logger.disabled = logger.disabled, True
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        logger.disabled = disabled
        random.setstate(state)


def play(seed: int, api: str = "v1") -> Schedule:
    """Run the schedule of a seed in a dialect. Call it inside ``steady``."""
    random.seed(seed)
    schedule = Schedule(seed, api=api)
    schedule.run()
    return schedule

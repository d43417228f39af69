"""Everything there is in one schedule: the processes, the service, the store, and time."""

from collections.abc import Iterator

from tests.simulation.actors import Callers, key_of
from tests.simulation.call_rules import CallRules
from tests.simulation.end_rules import EndRules
from tests.simulation.event_rules import EventRules
from tests.simulation.facts import Facts
from tests.simulation.idle_rules import IdleRules
from tests.simulation.network import Network
from tests.simulation.plan import Chance, Mood, Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler
from tests.simulation.server import Server
from tests.simulation.server_v2 import ServerV2
from tests.simulation.store import VirtualStore
from tests.simulation.store_rules import StoreRules
from tests.simulation.wire_rules import WireRules

_SLOWLY = 0.05
_TO_A_TIMER, _NEARBY, _FAR_AWAY = 0.4, 0.8, 0.99
_AT_AN_END = 0.15


class World:
    """One schedule's world.

    Attributes:
        processes: Those that are alive.
        awake: Those that are alive and not suspended.
        dead: Those that have crashed.
        closed: Those whose client was closed.
    """

    def __init__(self, chance: Chance, plan: Plan) -> None:
        self.chance = chance
        self.plan = plan
        self.scheduler = Scheduler()
        self.facts = Facts(self.scheduler)
        self.server = (ServerV2 if plan.api == "v2" else Server)(self.scheduler.clock, self.facts, plan)
        self.store = VirtualStore(self.scheduler, chance, self.facts, plan)
        self.wire = WireRules(self.facts, self.store, plan)
        self.network = Network(
            scheduler=self.scheduler,
            chance=chance,
            facts=self.facts,
            server=self.server,
            rules=self.wire,
            plan=plan,
        )
        self.idle = IdleRules(self.facts, plan)
        self.facts.on_idle = self.idle.ends
        self.wire.on_present.append(self.idle.judge_refresh)
        self.store_rules = StoreRules(self.facts, self.store, self.wire, self.idle, plan)
        self.rules = CallRules(self.facts, self.server, self.store, wire=self.wire, idle=self.idle, plan=plan)
        if plan.calm:
            self.wire.on_present.append(self.rules.asked)
        self.callers = Callers(
            scheduler=self.scheduler,
            chance=chance,
            facts=self.facts,
            server=self.server,
            rules=self.rules,
            wire=self.wire,
            plan=plan,
        )
        self.events = EventRules(self.facts, plan)
        self.ends = EndRules(self.facts, self.server)
        self.names = ["ada", "bob"][: plan.accounts]
        self.keys = [key_of(name) for name in self.names]
        self.processes: list[Process] = []
        self.awake: list[Process] = []
        self.dead: list[Process] = []
        self.closed: list[Process] = []
        self._thaws: list[tuple[float, Process, bool]] = []
        for _ in range(plan.processes):
            self.begin_process()

    # ------------------------------------------------------------------ processes and callers

    def begin_process(self) -> Process:
        """Start a process."""
        process = Process(
            f"P{len(self.rules.homes) + 1}",
            scheduler=self.scheduler,
            chance=self.chance,
            facts=self.facts,
            send=self.network.send,
            store=self.store,
            plan=self.plan,
            offset=self.chance.uniform(-1, 1) * self.plan.skew,
        )
        self.processes.append(process)
        self.awake.append(process)
        self.rules.homes = (*self.rules.homes, process)
        return process

    def crash(self, home: Process) -> None:
        """Kill a process where its tasks stand."""
        self.scheduler.note("crashes", home)
        home.alive = False
        self._remove(home)
        self.dead.append(home)
        self.facts.crashed(home, self.keys)
        self.store.bury(home)
        for task in [task for task in self.scheduler.tasks if task.home is home]:
            self.scheduler.stop(task, for_good=True)

    def _remove(self, home: Process) -> None:
        self.processes.remove(home)
        if home in self.awake:
            self.awake.remove(home)

    def close(self, home: Process) -> None:
        """Close a process's client; the process lives on, and its application may not know."""

        def carry_out() -> None:
            began, lost = self.scheduler.now, self.rules.lost(home)
            try:
                home.client.close()
            except Exception as error:  # noqa: BLE001 - any exception is a violation
                self.facts.wrong(f"7: close() raised {error!r}")
            home.closed = True
            self.scheduler.note("closed", home)
            self.rules.closed(home, self.scheduler.now - began - (self.rules.lost(home) - lost))

        home.alive = False
        self._remove(home)
        self.closed.append(home)
        self.scheduler.note("closes", home)
        self.scheduler.start(f"{home}.close", carry_out, home)

    def freeze(self, home: Process, seconds: float, *, counted: bool) -> None:
        """Suspend a process; its monotonic clock may not count the time."""
        self.scheduler.note("is suspended", (home, seconds, "" if counted else "and its monotonic clock"))
        home.frozen = True
        self.awake.remove(home)
        self.scheduler.freeze(home)
        self._thaws.append((self.scheduler.now, home, counted))
        self._thaws.sort(key=lambda thaw: thaw[0])

    def thaw(self, home: Process) -> None:
        """Let a suspended process go on."""
        for thaw in tuple(self._thaws):
            if thaw[1] is home:
                self._thaws.remove(thaw)
                self.scheduler.note("goes on", home)
                home.frozen = False
                if home.alive:
                    self.awake = [process for process in self.processes if not process.frozen]
                seconds, counted = self.scheduler.now - thaw[0], thaw[2]
                home.was_suspended(seconds, counted=counted)
                self.scheduler.thaw(home, later=0.0 if counted else seconds)

    @property
    def longest_frozen(self) -> Process | None:
        """The process that has been suspended the longest; it may have been killed since."""
        return self._thaws[0][1] if self._thaws else None

    def sign_in(self) -> None:
        """Have a user sign in."""
        self.callers.start("sign_in", self.chance.one_of(*self.awake), self.chance.one_of(*self.names))

    def call(self) -> int:
        """Have an application make a call, or several at once; return how many."""
        chance = self.chance
        home, name = chance.one_of(*self.awake), chance.one_of(*self.names)
        if self._is_empty(name):
            self.callers.start("sign_in", home, name)
            return 1
        if self.closed and chance.happens(0.2):
            gone = chance.one_of(*self.closed)
            self.callers.start(chance.one_of(*self.plan.calls), gone, name)
        number = chance.one_of(2, 3, 4) if chance.happens(self.plan.bursts) else 1
        for _ in range(number):
            self.callers.start(chance.one_of(*self.plan.calls), home, name)
        return number

    def _is_empty(self, name: str) -> bool:
        absent = self.keys[self.names.index(name)] not in self.facts.records
        return absent and not any(".sign_in-" in task.name for task in self.scheduler.tasks)

    def give_up(self) -> None:
        """Have a caller give up, if one stands where that is possible. None does in a suspended process."""
        callers = (task for task in self.scheduler.tasks if task.stoppable and task.call is not None)
        waiting = [task for task in callers if not task.frozen]
        if waiting:
            task = self.chance.one_of(*waiting)
            self.scheduler.note("gives up", task)
            self.scheduler.stop(task)

    # ------------------------------------------------------------------ time

    def recover(self) -> None:
        """Let nothing fail from now on."""
        for home in tuple(self.processes):
            if home.frozen:
                self.thaw(home)
        self.network.faults = self.store.faults = 0.0
        self.store.mood = Mood.WELL
        self.server.refuses = self.server.is_away = False
        self.server.disabled.clear()

    def pass_time(self, *, idle: bool) -> None:
        """Let time pass."""
        self.scheduler.advance_to(self._moment(idle=idle))
        self.store.expire(losable=self.plan.losable)

    def _moment(self, *, idle: bool) -> float:
        """Choose a moment to go to: while a task could run, a near one."""
        now, timer, roll = self.scheduler.now, self.scheduler.next_moment(), self.chance.random()
        if not idle and (self.plan.calm or self.is_leased()):
            return now + _SLOWLY * roll
        if timer is not None and (roll < _TO_A_TIMER or self.plan.calm or self.is_leased()):
            return timer
        if idle and roll > _FAR_AWAY:
            return now + self.chance.uniform(0.0, 100_000.0)
        if roll > _NEARBY:
            return now + self.chance.uniform(0.0, 2.0)
        bounds = [bound for bound in self._bounds() if bound > now]
        return self.chance.one_of(*bounds) if bounds else now + self.chance.uniform(0.0, 60.0)

    def is_leased(self) -> bool:
        """Whether time must not run away: a living holder's lease would end."""
        return not self.plan.losable and any(
            hold.ends_at is not None and not (hold.dead or hold.task.frozen)
            for hold in self.store.holds.values()
        )

    def _bounds(self) -> Iterator[float]:
        """The moments around which a decision changes; the end of a session is seldom one of them."""
        slack, ends = self.chance.uniform(-2.0, 2.0), self.chance.happens(_AT_AN_END)
        for key, record in self.facts.records.items():
            arrived, ttl, idle = record.refreshed_at, record.ttl, self.server.idle or self.idle.timeout
            yield arrived + ttl - min(ttl / 5, 300.0) + slack
            yield arrived + ttl - min(ttl / 10, 30.0) + slack
            yield arrived + ttl + slack
            for moment in (record.cooldown_until, record.refresh_not_before):
                if moment is not None:
                    yield moment + slack
            if idle is not None:
                yield arrived + (idle if ends else idle / 2) + slack
            if ends and self.idle.timeout is not None:
                yield max(record.active_at, self.facts.used_at.get(key, 0.0)) + self.idle.timeout + slack
            for end in (record.client_ends_at, record.server_ends_at):
                if end is not None:
                    if ends:
                        yield end + slack
                    yield end - min((end - record.created_at) / 10, 86_400.0) + slack

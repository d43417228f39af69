"""Everything there is in one schedule, and what befalls it: time, crashes, junk in the store, revocations."""

import gc
import json
from collections.abc import Iterator

from tests.simulation.actors import Callers
from tests.simulation.facts import Facts
from tests.simulation.invariants import Judge
from tests.simulation.network import Network
from tests.simulation.plan import Chance, Mood, Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.server import API, TENANT, Server
from tests.simulation.store import NEWER, VirtualStore

_SLOWLY = 0.05
_TO_A_TIMER, _NEARBY, _FAR_AWAY = 0.4, 0.8, 0.99
_AT_AN_END = 0.15
_COLLECTS = 0.04


class World:
    """One schedule's world.

    Attributes:
        processes: Those that are alive.
    """

    def __init__(self, chance: Chance, plan: Plan) -> None:
        self.chance = chance
        self.plan = plan
        self.scheduler = Scheduler()
        self.facts = Facts(self.scheduler)
        self.server = Server(self.scheduler.clock, self.facts, plan)
        self.network = Network(self.scheduler, chance, self.facts, self.server, plan)
        self.store = VirtualStore(self.scheduler, chance, self.facts, plan)
        self.store.reason_to_remove = self._reason_to_remove
        self.judge = Judge(self.scheduler, self.facts, self.server, plan)
        if plan.calm:
            self.facts.on_present.append(self.judge.asked)
        self.callers = Callers(self.scheduler, chance, self.facts, self.server, self.judge)
        self.names = ["ada", "bob"][: plan.accounts]
        self.keys = [f"{name}@{TENANT}@api.example.com" for name in self.names]
        self.processes: list[Process] = []
        self._made = 0
        for _ in range(plan.processes):
            self.begin_process()

    # ------------------------------------------------------------------ processes and callers

    def begin_process(self) -> None:
        """Start a process."""
        self._made += 1
        self.processes.append(
            Process(
                f"P{self._made}",
                scheduler=self.scheduler,
                facts=self.facts,
                network=self.network,
                store=self.store,
                plan=self.plan,
                offset=self.chance.uniform(-1, 1) * self.plan.skew,
            )
        )

    def crash(self, home: Process) -> None:
        """Kill a process where its tasks stand."""
        self.scheduler.note("crashes", home)
        self.processes.remove(home)
        self.facts.crashed(home, self.keys)
        self.store.bury(home)
        for task in [task for task in self.scheduler.tasks if task.home is home]:
            self.scheduler.stop(task, for_good=True)

    def close(self, home: Process) -> None:
        """Close a process's client, and end the process."""

        def carry_out() -> None:
            ended = home.close()
            self.scheduler.note("closed" if ended else "gave up closing", home)

        self.processes.remove(home)
        self.scheduler.note("closes", home)
        self.scheduler.start(f"{home}.close", carry_out, home)

    def sign_in(self) -> None:
        """Have somebody sign in."""
        self.callers.start("sign_in", self.chance.one_of(*self.processes), self.chance.one_of(*self.names))

    def call(self) -> int:
        """Have somebody make a call, or several at once; return how many."""
        chance = self.chance
        home, name = chance.one_of(*self.processes), chance.one_of(*self.names)
        if self._nobody_comes(name):
            self.callers.start("sign_in", home, name)
            return 1
        number = chance.one_of(2, 3, 4) if chance.happens(self.plan.bursts) else 1
        for _ in range(number):
            self.callers.start(chance.one_of(*self.plan.calls), home, name)
        return number

    def _nobody_comes(self, name: str) -> bool:
        absent = self.keys[self.names.index(name)] not in self.store.texts
        return absent and not any(".sign_in-" in task.name for task in self.scheduler.tasks)

    def give_up(self) -> None:
        """Have a caller give up, if one stands where that is possible."""
        waiting = [task for task in self.scheduler.tasks if task.stoppable and self._is_caller(task)]
        if waiting:
            task = self.chance.one_of(*waiting)
            self.scheduler.note("gives up", task)
            self.scheduler.stop(task)

    def _is_caller(self, task: Task) -> bool:
        return any(f".{what}-" in task.name for what in self.callers.calls)

    def _reason_to_remove(self, key: str) -> str | None:
        task = self.scheduler.current
        home = None if task is None else task.home
        record = self.facts.records[key]
        if not isinstance(home, Process):
            return None
        pair = self.facts.pair_of(record)
        if pair.refused:
            return "refused"
        if record["deadline"] is not None and record["deadline"] <= max(home.latest, home.wall()):
            return "over"
        asked = home.signing_out[key] or home.touched[key] > (pair.session.saved_at or 0)
        return "signed out" if asked or pair.session.ended_at is not None else None

    # ------------------------------------------------------------------ time

    def recover(self) -> None:
        """Let nothing fail from now on."""
        self.network.faults = self.store.faults = 0.0
        self.store.mood = Mood.WELL

    def pass_time(self, *, idle: bool) -> None:
        """Let time pass."""
        self.scheduler.advance_to(self._moment(idle=idle))
        self.store.expire(losable=self.plan.losable)

    def _moment(self, *, idle: bool) -> float:
        """Choose a moment to go to: while somebody could run, a near one."""
        now, timer, roll = self.scheduler.now, self.scheduler.next_moment(), self.chance.random()
        if not idle and (self.plan.calm or self._leased()):
            return now + _SLOWLY * roll
        if timer is not None and (roll < _TO_A_TIMER or self.plan.calm or self._leased()):
            return timer
        if idle and roll > _FAR_AWAY:
            return now + self.chance.uniform(0.0, 100_000.0)
        if roll > _NEARBY:
            return now + self.chance.uniform(0.0, 2.0)
        bounds = [bound for bound in self._bounds() if bound > now]
        return self.chance.one_of(*bounds) if bounds else now + self.chance.uniform(0.0, 60.0)

    def _leased(self) -> bool:
        """Whether time must not run away: a living holder's lease would end."""
        return not self.plan.losable and any(
            hold.ends_at is not None and not hold.dead for hold in self.store.holds.values()
        )

    def _bounds(self) -> Iterator[float]:
        """The moments around which a decision changes; the end of a session is seldom one of them."""
        slack, ends = self.chance.uniform(-2.0, 2.0), self.chance.happens(_AT_AN_END)
        for record in self.facts.records.values():
            arrived, ttl, idle = record["refreshed_at"], record["ttl"], self.server.idle
            yield arrived + ttl - min(ttl / 5, 300.0) + slack
            yield arrived + ttl - min(ttl / 10, 30.0) + slack
            yield arrived + ttl + slack
            if record["refresh_not_before"] is not None:
                yield record["refresh_not_before"] + slack
            if idle is not None:
                yield arrived + (idle if ends else idle / 2) + slack
            for end in (record["deadline"], record["ends_at"]):
                if ends and end is not None:
                    yield end + slack

    # ------------------------------------------------------------------ mishaps

    def befall(self) -> None:
        """Let happen what the plan makes likely."""
        chance, plan = self.chance, self.plan
        if chance.happens(plan.crash) and self.processes:
            (self.crash if chance.happens(0.8) else self.close)(chance.one_of(*self.processes))
        if chance.happens(plan.corruption):
            self._spoil(chance.one_of(*self.keys))
        if chance.happens(plan.setback) and self.processes:
            home = chance.one_of(*self.processes)
            home.set_clock(chance.one_of(-10.0, -100.0, -7_200.0, -90_000.0, 50.0, 5_000.0))
            self.scheduler.note("sets its clock", (home, home.offset))
        if chance.happens(plan.trouble):
            self._trouble_at_server()
        if plan.losable and self.store.holds and chance.happens(0.02):
            self.store.lose(chance.one_of(*self.store.holds))
        if chance.happens(0.02):
            self.give_up()
        if chance.happens(plan.drops) and self.processes:
            chance.one_of(*self.processes).drop()
            if chance.happens(_COLLECTS):
                gc.collect()
        if chance.happens(plan.moods):
            self.store.mood = chance.one_of(Mood.WELL, chance.one_of(*Mood))
            self.scheduler.note("the store is", self.store.mood.value)

    def _spoil(self, key: str) -> None:
        text, turn = self.store.texts.get(key, ""), self.scheduler.turns
        junk = self.chance.one_of(
            f"{text[: len(text) // 2]}{{{turn}",
            f"junk {turn}",
            json.dumps({"v": 1, "turn": turn}),
            text.replace(API, f"https://other.example.com/{turn}") or f"[{turn}]",
        )
        if key not in self.store.holds and self.chance.happens(0.2):
            junk = NEWER
        self.scheduler.note("spoils", key)
        self.store.corrupt(key, junk)

    def _trouble_at_server(self) -> None:
        if self.chance.happens(0.4) or not self.facts.sessions:
            self.scheduler.note("rejects all access tokens")
            self.server.reject()
            return
        session = self.chance.one_of(*self.facts.sessions.values())
        token = self.server.live_token(session.id)
        if token is None:
            return
        if self.chance.happens(0.5):
            self.scheduler.note("revokes", session)
            self.server.rules.revoke(session.id)
        else:
            self.scheduler.note("steals", self.facts.pairs[token])
            self.server.steal(token)

"""Everything there is in one schedule.

And what happens to it: time, crashes, junk in the store, revocations.
"""

import gc
import json
from collections.abc import Callable, Iterator

from tests.simulation.actors import Callers, key_of
from tests.simulation.call_rules import CallRules
from tests.simulation.end_rules import EndRules
from tests.simulation.event_rules import EventRules
from tests.simulation.facts import Facts
from tests.simulation.network import Network
from tests.simulation.plan import Chance, Mood, Plan
from tests.simulation.process import Process
from tests.simulation.scheduler import Scheduler, Task
from tests.simulation.server import API, USERS, Server
from tests.simulation.server_v2 import ServerV2
from tests.simulation.store import NEWER, SEALED, VirtualStore
from tests.simulation.store_rules import StoreRules
from tests.simulation.wire_rules import WireRules

_SLOWLY = 0.05
_TO_A_TIMER, _NEARBY, _FAR_AWAY = 0.4, 0.8, 0.99
_AT_AN_END = 0.15
_COLLECTS = 0.01
_FREEZES = (5.0, 30.0, 100.0, 4_000.0)


class World:
    """One schedule's world.

    Attributes:
        processes: Those that are alive.
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
        self.store_rules = StoreRules(self.facts, self.store, self.wire, plan)
        self.rules = CallRules(self.facts, self.server, self.store, self.wire, plan)
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
        self.rules.homes = (*self.rules.homes, process)
        return process

    def crash(self, home: Process) -> None:
        """Kill a process where its tasks stand."""
        self.scheduler.note("crashes", home)
        home.alive = False
        self.processes.remove(home)
        self.dead.append(home)
        self.facts.crashed(home, self.keys)
        self.store.bury(home)
        for task in [task for task in self.scheduler.tasks if task.home is home]:
            self.scheduler.stop(task, for_good=True)

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
        self.processes.remove(home)
        self.closed.append(home)
        self.scheduler.note("closes", home)
        self.scheduler.start(f"{home}.close", carry_out, home)

    def freeze(self, home: Process, seconds: float, *, counted: bool) -> None:
        """Suspend a process; its monotonic clock may not count the time."""
        self.scheduler.note("is suspended", (home, seconds, "" if counted else "and its monotonic clock"))
        home.frozen = True
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
                seconds, counted = self.scheduler.now - thaw[0], thaw[2]
                home.was_suspended(seconds, counted=counted)
                self.scheduler.thaw(home, later=0.0 if counted else seconds)

    @property
    def awake(self) -> list[Process]:
        """The processes that are alive and not suspended."""
        return [home for home in self.processes if not home.frozen]

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
        """Have a caller give up, if one stands where that is possible."""
        waiting = [task for task in self.scheduler.tasks if task.stoppable and task.call is not None]
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
        if not idle and (self.plan.calm or self._is_leased()):
            return now + _SLOWLY * roll
        if timer is not None and (roll < _TO_A_TIMER or self.plan.calm or self._is_leased()):
            return timer
        if idle and roll > _FAR_AWAY:
            return now + self.chance.uniform(0.0, 100_000.0)
        if roll > _NEARBY:
            return now + self.chance.uniform(0.0, 2.0)
        bounds = [bound for bound in self._bounds() if bound > now]
        return self.chance.one_of(*bounds) if bounds else now + self.chance.uniform(0.0, 60.0)

    def _is_leased(self) -> bool:
        """Whether time must not run away: a living holder's lease would end."""
        return not self.plan.losable and any(
            hold.ends_at is not None and not (hold.dead or hold.task.frozen)
            for hold in self.store.holds.values()
        )

    def _bounds(self) -> Iterator[float]:
        """The moments around which a decision changes; the end of a session is seldom one of them."""
        slack, ends = self.chance.uniform(-2.0, 2.0), self.chance.happens(_AT_AN_END)
        for record in self.facts.records.values():
            arrived, ttl, idle = record.refreshed_at, record.ttl, self.server.idle
            yield arrived + ttl - min(ttl / 5, 300.0) + slack
            yield arrived + ttl - min(ttl / 10, 30.0) + slack
            yield arrived + ttl + slack
            for moment in (record.cooldown_until, record.refresh_not_before):
                if moment is not None:
                    yield moment + slack
            if idle is not None:
                yield arrived + (idle if ends else idle / 2) + slack
            for end in (record.client_ends_at, record.server_ends_at):
                if end is not None:
                    if ends:
                        yield end + slack
                    yield end - min((end - record.created_at) / 10, 86_400.0) + slack

    # ------------------------------------------------------------------ mishaps

    def befall(self) -> None:
        """Let happen what the plan makes likely."""
        for likelihood, mishap in self._mishaps():
            if self.chance.happens(likelihood):
                mishap()

    def _mishaps(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Each mishap that is possible now, after those before it, and how likely it is."""
        plan = self.plan
        yield plan.crash, self._end_a_process
        yield plan.corruption, lambda: self._spoil(self.chance.one_of(*self.keys))
        yield plan.setback, self._set_a_clock
        yield plan.trouble, self._trouble_at_server
        if plan.outages:
            yield plan.outages, self._toggle_database
        yield plan.freezes, self._freeze_some
        if self._thaws:
            yield 0.02, lambda: self.thaw(self._thaws[0][1])
        if plan.losable and self.store.holds:
            yield 0.02, lambda: self.store.lose(self.chance.one_of(*self.store.holds))
        yield 0.02, self.give_up
        yield plan.drops, self._drop_accounts
        yield plan.moods, self._change_mood

    def _end_a_process(self) -> None:
        if self.processes:
            home = self.chance.one_of(*self.processes)
            if self.chance.happens(0.8):
                self.crash(home)
            elif not home.frozen:
                self.close(home)

    def _set_a_clock(self) -> None:
        if self.processes:
            home = self.chance.one_of(*self.processes)
            home.set_clock(self.chance.one_of(-10.0, -100.0, -7_200.0, -90_000.0, 50.0, 5_000.0))
            self.scheduler.note("sets its clock", (home, home.offset))

    def _drop_accounts(self) -> None:
        if self.awake:
            self.chance.one_of(*self.awake).drop()
            if self.chance.happens(_COLLECTS):
                gc.collect()

    def _change_mood(self) -> None:
        self.store.mood = self.chance.one_of(Mood.WELL, self.chance.one_of(*Mood))
        self.scheduler.note("the store is", self.store.mood.value)

    def _toggle_database(self) -> None:
        """Let the server's database go away or come back.

        It does not go away while a client acts on having seen it: no client could tell that from an end.
        """
        server = self.server
        if server.is_away or not self.network.is_looked_at:
            server.is_away = not server.is_away
            self.scheduler.note("the database is", "away" if server.is_away else "back")

    def _freeze_some(self) -> None:
        """Suspend a process, rather one that holds a lock."""
        if not self.awake:
            return
        holders = [hold.task.home for hold in self.store.holds.values() if hold.task.home in self.awake]
        home = self.chance.one_of(*(holders or self.awake))
        assert isinstance(home, Process)
        seconds = self.chance.one_of(*_FREEZES)
        self.freeze(home, seconds, counted=self.chance.happens(0.5))
        if self.chance.happens(0.5) and not self._is_leased():
            self.scheduler.advance_to(self.scheduler.now + seconds)
            self.store.expire(losable=self.plan.losable)

    def _spoil(self, key: str) -> None:
        text, turn = self.store.texts.get(key, ""), self.scheduler.turns
        junk = self.chance.one_of(
            f"{text[: len(text) // 2]}{{{turn}",
            f"junk {turn}",
            json.dumps({"v": 1, "turn": turn}),
            text.replace(API, f"https://other.example.com/{turn}") or f"[{turn}]",
        )
        if key not in self.store.holds and self.chance.happens(0.3):
            junk = f"{SEALED} {turn}" if self.plan.quarantines and self.chance.happens(0.5) else NEWER
        self.scheduler.note("spoils", (key, junk[:12]))
        self.store.corrupt(key, junk)

    def _trouble_at_server(self) -> None:
        roll, server = self.chance.random(), self.server
        if roll < 0.3 or not self.facts.sessions:
            self.scheduler.note("rejects all access tokens")
            server.reject()
        elif roll < 0.5:
            server.refuses = not server.refuses
            self.scheduler.note("refuses every token" if server.refuses else "accepts tokens again")
        elif server.disabled:
            server.disabled.clear()
            self.scheduler.note("enables all users")
        elif roll < 0.6:
            user = self.chance.one_of(*USERS)
            server.disable(user)
            self.scheduler.note("disables", user)
        else:
            self._trouble_for_one_session()

    def _trouble_for_one_session(self) -> None:
        session = self.chance.one_of(*self.facts.sessions.values())
        token = self.server.live_token(session.id)
        if token is None:
            return
        if self.chance.happens(0.5):
            self.scheduler.note("revokes", session)
            self.server.revoke(session.id)
        else:
            self.scheduler.note("steals", self.facts.pairs[token])
            self.server.steal(token)

    def choose(self, sticky: float) -> Task:
        """Choose the task that takes the next turn, and let it run."""
        places = len(self.scheduler.ready)
        last = self.chance.happens(sticky)
        return self.scheduler.run(places - 1 if last else int(self.chance.random() * places))

"""What goes wrong in a world: crashes, wrong clocks, junk in the store, outages, trouble at the service."""

import gc
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.plan import Chance, Mood
from tests.simulation.process import Process
from tests.simulation.server import API, USERS
from tests.simulation.store import NEWER, SEALED

if TYPE_CHECKING:
    from tests.simulation.world import World

_COLLECTS = 0.01
_SOON = 0.02
_FREEZES = (5.0, 30.0, 100.0, 4_000.0)


class Mishaps:
    """Lets mishaps happen to a world, each independently of the others, as often as its plan says.

    Most turns have none, so the number of turns until the next one is drawn, not every turn.
    """

    def __init__(self, world: "World") -> None:
        self._world = world
        self._note = world.scheduler.note
        self._chance: Chance = world.chance
        plan = world.plan
        self._drops_always = plan.drops >= 1.0
        self._kinds = _with_shares(
            (plan.crash, self._end_a_process),
            (plan.corruption, self._spoil),
            (plan.setback, self._set_a_clock),
            (plan.trouble, self._trouble_at_server),
            (plan.outages, self._toggle_database),
            (plan.freezes, self._freeze_some),
            (_SOON, self._thaw_one),
            (_SOON if plan.losable else 0.0, self._lose_a_lock),
            (_SOON, world.give_up),
            (0.0 if self._drops_always else plan.drops, self._drop_accounts),
            (plan.drops * _COLLECTS, gc.collect),
            (plan.moods, self._change_mood),
        )
        nothing = math.prod(1.0 - likelihood for likelihood, _, _ in self._kinds)
        self._scale = 1.0 / math.log(nothing)
        self._left = self._turns_until_next()

    def befall(self) -> None:
        """Let happen in this turn what the plan makes likely."""
        self._left -= 1
        if self._left == 0:
            self._happen()
            self._left = self._turns_until_next()
        if self._drops_always:
            for home in self._world.awake:
                if home.accounts:
                    self._drop_accounts()
                    break

    def _turns_until_next(self) -> int:
        return 1 + int(math.log(1.0 - self._chance.random()) * self._scale)

    def _happen(self) -> None:
        """Let at least one mishap happen."""
        happened = False
        for likelihood, share, mishap in self._kinds:
            if self._chance.happens(likelihood if happened else share):
                happened = True
                mishap()

    # ------------------------------------------------------------------ the mishaps

    def _end_a_process(self) -> None:
        if self._world.processes:
            home = self._chance.one_of(*self._world.processes)
            if self._chance.happens(0.8):
                self._world.crash(home)
            elif not home.frozen:
                self._world.close(home)

    def _set_a_clock(self) -> None:
        if self._world.processes:
            home = self._chance.one_of(*self._world.processes)
            home.set_clock(self._chance.one_of(-10.0, -100.0, -7_200.0, -90_000.0, 50.0, 5_000.0))
            self._note("sets its clock", (home, home.offset))

    def _drop_accounts(self) -> None:
        """Have a process let go of its accounts. The collector runs seldom, and finds those in cycles."""
        awake = self._world.awake
        if awake:
            self._chance.one_of(*awake).drop()

    def _thaw_one(self) -> None:
        home = self._world.longest_frozen
        if home is not None:
            self._world.thaw(home)

    def _lose_a_lock(self) -> None:
        store = self._world.store
        if store.holds:
            store.lose(self._chance.one_of(*store.holds))

    def _change_mood(self) -> None:
        self._world.store.mood = self._chance.one_of(Mood.WELL, self._chance.one_of(*Mood))
        self._note("the store is", self._world.store.mood.value)

    def _toggle_database(self) -> None:
        """Let the server's database go away or come back.

        It does not go away while a client acts on having seen it: no client could tell that from an end.
        """
        server = self._world.server
        if server.is_away or not self._world.network.is_looked_at:
            server.is_away = not server.is_away
            self._note("the database is", "away" if server.is_away else "back")

    def _freeze_some(self) -> None:
        """Suspend a process, rather one that holds a lock."""
        world, awake = self._world, self._world.awake
        if not awake:
            return
        holders = [hold.task.home for hold in world.store.holds.values() if hold.task.home in awake]
        home = self._chance.one_of(*(holders or awake))
        assert isinstance(home, Process)
        seconds = self._chance.one_of(*_FREEZES)
        world.freeze(home, seconds, counted=self._chance.happens(0.5))
        if self._chance.happens(0.5) and not world.is_leased():
            world.scheduler.advance_to(world.scheduler.now + seconds)
            world.store.expire(losable=world.plan.losable)

    def _spoil(self) -> None:
        world, key = self._world, self._chance.one_of(*self._world.keys)
        text, turn = world.store.texts.get(key, ""), world.scheduler.turns
        junk = self._chance.one_of(
            f"{text[: len(text) // 2]}{{{turn}",
            f"junk {turn}",
            json.dumps({"v": 1, "turn": turn}),
            text.replace(API, f"https://other.example.com/{turn}") or f"[{turn}]",
        )
        if key not in world.store.holds and self._chance.happens(0.3):
            sealed = world.plan.quarantines and self._chance.happens(0.5)
            junk = f"{SEALED} {turn}" if sealed else f'{NEWER}, "turn": {turn}}}'
        self._note("spoils", (key, junk[:12]))
        world.store.corrupt(key, junk)

    def _trouble_at_server(self) -> None:
        roll, server = self._chance.random(), self._world.server
        if roll < 0.3 or not self._world.facts.sessions:
            self._note("rejects all access tokens")
            server.reject()
        elif roll < 0.5:
            server.refuses = not server.refuses
            self._note("refuses every token" if server.refuses else "accepts tokens again")
        elif server.disabled:
            server.disabled.clear()
            self._note("enables all users")
        elif roll < 0.6:
            user = self._chance.one_of(*USERS)
            server.disable(user)
            self._note("disables", user)
        else:
            self._trouble_for_one_session()

    def _trouble_for_one_session(self) -> None:
        session = self._chance.one_of(*self._world.facts.sessions.values())
        token = self._world.server.live_token(session.id)
        if token is None:
            return
        if self._chance.happens(0.5):
            self._note("revokes", session)
            self._world.server.revoke(session.id)
        else:
            self._note("steals", self._world.facts.pairs[token])
            self._world.server.steal(token)


def _with_shares(
    *kinds: tuple[float, Callable[[], object]],
) -> list[tuple[float, float, Callable[[], object]]]:
    """Return the possible kinds, each with its likelihood in a turn with a mishap, but none before it."""
    found: list[tuple[float, float, Callable[[], object]]] = []
    nothing = 1.0
    for likelihood, mishap in reversed([kind for kind in kinds if kind[0] > 0.0]):
        nothing *= 1.0 - likelihood
        found.insert(0, (likelihood, likelihood / (1.0 - nothing), mishap))
    return found

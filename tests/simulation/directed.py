"""Schedules that lead straight to one rule.

Only the order of the turns is drawn, so each is played several times.

Each says which process does which step; the rules that judge all schedules judge these as well.
"""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulation.network import Fate
from tests.simulation.plan import Mood, Plan
from tests.simulation.process import Process
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import Task
from tests.simulation.server import REFRESH, SIGN_IN, SIGN_OUT, USERS
from tests.simulation.store import NEWER, SEALED

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


def _directed(**terms: Any) -> Callable[[Script], Script]:
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


# ---------------------------------------------------------------------- invariant 1


@_directed()
def _slow_answer(stage: Stage) -> None:
    """The service needs 12 s for a refresh: the answer is waited for."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 6.0)
    stage.do("use")


@_directed()
def _no_answer(stage: Stage) -> None:
    """The service never answers: the token is not presented again in the same refresh."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.MUTE)
    stage.do("use")


@_directed()
def _gateway_timeout(stage: Stage) -> None:
    """A gateway gives up while the service is at work: the next refresh asks again, not this one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.GATEWAY)
    stage.do("use")


@_directed()
def _torn_answer(stage: Stage) -> None:
    """An answer breaks off: the next refresh asks again, not this one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.TORN)
    stage.do("use")


@_directed(grace="30s")
def _lost_answer(stage: Stage) -> None:
    """A connection is lost twice.

    The same token is presented once more after a second, and then not again.
    """
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.CUT)
    stage.next(REFRESH, Fate.CUT)
    stage.do("use")


@_directed()
def _not_saved_and_let_go(stage: Stage) -> None:
    """The store does not take a new pair.

    The application lets go of the account, and memory keeps the pair.
    """
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.world.store.mood = Mood.LATE
    stage.do("use")
    stage.first.drop()
    gc.collect()
    stage.world.store.mood = Mood.WELL
    stage.pass_time(DEAD)
    stage.do("use")


# ---------------------------------------------------------------------- invariant 3: the last one wins


@_directed()
def _sign_out_after_a_sign_in_given_up(stage: Stage) -> None:
    """The caller of a slow sign-in gives up, then the user signs out: no session is left anywhere."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    caller = stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.give_up(caller)
    stage.call("sign_out")
    stage.finish()
    stage.do("session")


@_directed()
def _sign_in_after_a_sign_in_given_up(stage: Stage) -> None:
    """The caller of Ada's slow sign-in gives up, then Bob signs in: Bob stays."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    caller = stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.give_up(caller)
    stage.call("sign_in", user=BOB)
    stage.finish()
    stage.do("use")


@_directed()
def _sign_in_overtaken(stage: Stage) -> None:
    """Two sign-ins at once: the one asked for last wins, and the other caller gets an error."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.call("sign_in", user=BOB)
    stage.finish()


@_directed()
def _sign_out_asked_for(stage: Stage) -> None:
    """From the moment a sign-out is asked for, no request carries the session's token."""
    stage.sign_in()
    stage.call("sign_out")
    for _ in range(3):
        stage.call("use")
    stage.finish()


@_directed()
def _sign_in_again(stage: Stage) -> None:
    """Three sign-ins leave one session alive at the service."""
    for _ in range(3):
        stage.sign_in()


@_directed()
def _sign_in_fails_during_a_refresh(stage: Stage) -> None:
    """A wrong password is typed while a refresh is in flight: the refresh's result is kept."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 2.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_in", user=ADA, wrong=True)
    stage.finish()
    stage.do("use")


@_directed()
def _sign_out_during_a_refresh(stage: Stage) -> None:
    """A sign-out is asked for while a refresh is in flight: the new pair is dropped and signed out."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 2.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_out")
    stage.finish()


@_directed(processes=2)
def _signed_out_elsewhere_during_a_refresh(stage: Stage) -> None:
    """Another process signs out while a refresh is in flight.

    It neither gets the lock nor reaches the service.
    """
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(DEAD)
    stage.next(SIGN_OUT, Fate.VANISHES)
    stage.next(REFRESH, Fate.SLOW, 9.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.do("sign_out", stage.second)


# ---------------------------------------------------------------------- rows of the issue


@_directed(processes=2)
def _replaced_by_another_process(stage: Stage) -> None:
    """Another process signs Ada out and Bob in: this one hears of it before it goes on as Bob."""
    stage.sign_in()
    stage.do("use")
    stage.do("sign_out", stage.second)
    stage.sign_in(stage.second, BOB)
    stage.pass_time(DEAD)
    stage.do("use")
    stage.do("use")


@_directed(processes=2)
def _repeated_as_another(stage: Stage) -> None:
    """A request made as Ada is refused after Bob has signed in elsewhere: it is not repeated as Bob."""
    stage.sign_in()
    stage.do("use")
    stage.sign_in(stage.second, BOB)
    stage.world.server.reject(ADA)
    stage.do("use")


@_directed(processes=2)
def _asked_as_another(stage: Stage) -> None:
    """The same for the question who is signed in."""
    stage.sign_in()
    stage.do("use")
    stage.sign_in(stage.second, BOB)
    stage.world.server.reject(ADA)
    stage.do("user")


def _suspended(stage: Stage, *, counted: bool) -> None:
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(DEAD)
    stage.call("use")
    stage.until_noted("saves")
    stage.world.freeze(stage.first, 100.0, counted=counted)
    stage.pass_time(100.0)
    other = stage.call("use", stage.second)
    stage.until(lambda: other not in stage.world.scheduler.tasks)
    stage.world.thaw(stage.first)
    stage.finish()


@_directed(processes=2, lease=60.0)
def _suspended_with_the_lock(stage: Stage) -> None:
    """A process is suspended between the lock and the request, and its clocks show it: it does not send."""
    _suspended(stage, counted=True)


@_directed(processes=2, lease=60.0)
def _suspended_with_its_clock(stage: Stage) -> None:
    """The same, and its monotonic clock stood still."""
    _suspended(stage, counted=False)


@_directed()
def _long_retry_after(stage: Stage) -> None:
    """A maintenance page asks for an hour: one minute later the service is asked again."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.BUSY, 3_600.0)
    stage.do("use")
    stage.do("refresh")


@_directed()
def _caught_by_a_proxy(stage: Stage) -> None:
    """A proxy answers a refresh with its page: the session is kept."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.PROXY)
    stage.do("use")
    stage.do("refresh")


@_directed(processes=2)
def _signed_out_elsewhere_while_unsaved(stage: Stage) -> None:
    """The store does not take a new pair, and another process signs out: the pair does not come back."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(DEAD)
    stage.world.store.mood = Mood.LATE
    stage.do("use")
    stage.world.store.mood = Mood.WELL
    stage.do("sign_out", stage.second)
    stage.do("use")


@_directed(processes=2)
def _wrong_clock(stage: Stage) -> None:
    """A host whose clock is twenty minutes ahead notes a cooldown: it keeps no other host from asking."""
    stage.first.set_clock(1_200.0)
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.BUSY, 3_600.0)
    stage.do("use")
    stage.do("use", stage.second)
    stage.do("refresh", stage.second)


@_directed(processes=2)
def _near_end(stage: Stage) -> None:
    """Back ends that bind an account per request, in two processes, announce a session's end once."""
    stage.sign_in()
    stage.pass_time(29.5 * 86_400)
    for _ in range(3):
        for home in stage.world.processes:
            stage.do("use", home)
            home.drop()


@_directed(processes=2)
def _outage(stage: Stage) -> None:
    """Requests that bind an account each do not ask a broken service one after the other."""
    stage.sign_in()
    stage.pass_time(DEAD)
    for _ in range(2):
        stage.next(REFRESH, Fate.BROKEN)
    stage.do("use")
    for home in stage.world.processes:
        home.drop()
        stage.do("use", home)


@_directed(processes=2)
def _always_refused(stage: Stage) -> None:
    """An endpoint that refuses every token costs one refresh a minute, from however many processes."""
    stage.sign_in()
    with stage.refusing():
        for _ in range(5):
            for home in stage.world.processes:
                stage.do("use", home)
                stage.pass_time(1.0)


@_directed(processes=2)
def _adopted_and_refused(stage: Stage) -> None:
    """A token that another process has brought is refused as well: the same request asks once more."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(TTL / 2)
    stage.do("refresh")
    stage.world.server.reject()
    stage.do("use", stage.second)


def _over(stage: Stage, text: str) -> None:
    stage.world.store.corrupt(stage.world.keys[0], text)
    stage.do("session")


@_directed()
def _sign_in_over_a_later_version(stage: Stage) -> None:
    """A later version has stored a session: signing in works."""
    _over(stage, NEWER)
    stage.sign_in()
    stage.do("use")


@_directed()
def _sign_out_of_a_later_version(stage: Stage) -> None:
    """The same for signing out."""
    _over(stage, NEWER)
    stage.do("sign_out")
    stage.do("session")


@_directed()
def _sign_in_over_a_lost_key(stage: Stage) -> None:
    """The key of an encrypted store was lost: signing in works."""
    _over(stage, SEALED)
    stage.sign_in()
    stage.do("use")


@_directed()
def _sign_out_with_a_lost_key(stage: Stage) -> None:
    """The same for signing out."""
    _over(stage, SEALED)
    stage.do("sign_out")
    stage.do("session")


@_directed()
def _refresh_over_junk(stage: Stage) -> None:
    """The record is damaged while memory has the session: it is quarantined, and the session goes on."""
    stage.sign_in()
    stage.do("use")
    stage.world.store.corrupt(stage.world.keys[0], "junk")
    stage.pass_time(DEAD)
    stage.do("use")


@_directed()
def _sign_in_and_out(stage: Stage) -> None:
    """Sign-ins and sign-outs follow one another closely: their events come in the order of the state."""
    for _ in range(3):
        stage.call("sign_in", user=ADA)
        stage.until_noted("saves")
        stage.call("sign_out")
        stage.finish()


@_directed()
def _sign_out_after_the_lock(stage: Stage) -> None:
    """A sign-out is asked for as soon as a sign-in has given the lock back: its event comes second."""
    stage.call("sign_in", user=ADA)
    stage.until_noted("unlocks")
    stage.alone(stage.call("sign_out"))
    stage.finish()


@_directed(processes=2)
def _revoked_for_all(stage: Stage) -> None:
    """The service has revoked a session: every client that shares the store gives this reason."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.world.server.revoke(next(iter(stage.world.facts.sessions)))
    stage.pass_time(DEAD)
    stage.do("use")
    stage.do("use", stage.second)


@_directed()
def _user_disabled(stage: Stage) -> None:
    """The account was disabled: the session ends, with this reason."""
    stage.sign_in()
    stage.world.server.disable(ADA)
    stage.pass_time(DEAD)
    stage.do("use")


@_directed()
def _use_after_close(stage: Stage) -> None:
    """After close() every call fails, although the token is fresh."""
    stage.sign_in()
    stage.do("use")
    stage.world.close(stage.first)
    stage.finish()
    for what in ("use", "session", "access_token", "refresh", "user", "sign_out", "sign_in"):
        stage.do(what)


@_directed()
def _sign_out_confirmed(stage: Stage) -> None:
    """A sign-out says whether the service has confirmed it."""
    stage.sign_in()
    stage.next(SIGN_OUT, Fate.VANISHES)
    stage.do("sign_out")
    stage.sign_in()
    stage.do("sign_out")


@_directed()
def _sign_out_behind_a_refresh(stage: Stage) -> None:
    """A sign-out does not wait for a refresh of the same process that gets no answer."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.MUTE)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_out")
    stage.finish()


@_directed()
def _sign_in_behind_a_refresh(stage: Stage) -> None:
    """The same for a sign-in."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.MUTE)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_in", user=BOB)
    stage.finish()
    stage.do("use")


@_directed(bounded=1.0)
def _bounded_request(stage: Stage) -> None:
    """A request waits for a token as long as its own timeouts say; the refresh goes on for the next one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 9.0)
    stage.do("use")
    stage.do("use")


@_directed()
def _close_during_a_refresh(stage: Stage) -> None:
    """A client is closed while a refresh is in flight: its tokens are stored."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 4.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.world.close(stage.first)
    stage.finish()


# ---------------------------------------------------------------------- outages that look like ends


@_directed(api="v2")
def _outage_that_looks_like_an_end(stage: Stage) -> None:
    """The database goes away: the server says that the session has expired, and it has not."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.world.server.is_away = True
    stage.do("use")
    stage.do("refresh")
    stage.world.server.is_away = False
    stage.pass_time(DEAD)
    stage.do("use")


@_directed(api="v2")
def _outage_ends_during_the_second_look(stage: Stage) -> None:
    """The database comes back between the refusal and the second look: the refresh is asked once more."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.world.server.is_away = True
    stage.call("use")
    stage.until_noted("hears", path=REFRESH)
    stage.world.server.is_away = False
    stage.finish()
    stage.do("use")


@_directed(api="v2", duration="2h")
def _end_in_v2(stage: Stage) -> None:
    """A refresh token has expired: the second look finds the database, and the second refusal is believed."""
    stage.sign_in()
    stage.pass_time(3_590.0)
    stage.do("use")
    stage.world.server.expire()
    stage.pass_time(DEAD)
    stage.do("use")


@_directed(api="v2")
def _unknown_outcome_of_v2(stage: Stage) -> None:
    """An answer is lost after the rotation, and the old token is refused as revoked: no one revoked it."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.CUT)
    stage.do("use")

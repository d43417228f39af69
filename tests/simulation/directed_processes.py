"""Schedules of several processes, wrong clocks, cooldowns and refusals."""

from tests.simulation.network import Fate
from tests.simulation.plan import Mood
from tests.simulation.server import REFRESH
from tests.simulation.stage import ADA, BOB, DEAD, TTL, Stage, directed


@directed(processes=2)
def _replaced_by_another_process(stage: Stage) -> None:
    """Another process signs Ada out and Bob in: this one hears of it before it goes on as Bob."""
    stage.sign_in()
    stage.do("use")
    stage.do("sign_out", stage.second)
    stage.sign_in(stage.second, BOB)
    stage.pass_time(DEAD)
    stage.do("use")
    stage.do("use")


@directed(processes=2)
def _repeated_as_another(stage: Stage) -> None:
    """A request made as Ada is refused after Bob has signed in elsewhere: it is not repeated as Bob."""
    stage.sign_in()
    stage.do("use")
    stage.sign_in(stage.second, BOB)
    stage.world.server.reject(ADA)
    stage.do("use")


@directed(processes=2)
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


@directed(processes=2, lease=60.0)
def _suspended_with_the_lock(stage: Stage) -> None:
    """A process is suspended between the lock and the request, and its clocks show it: it does not send."""
    _suspended(stage, counted=True)


@directed(processes=2, lease=60.0)
def _suspended_with_its_clock(stage: Stage) -> None:
    """The same, and its monotonic clock stood still."""
    _suspended(stage, counted=False)


@directed()
def _long_retry_after(stage: Stage) -> None:
    """A maintenance page asks for an hour: one minute later the service is asked again."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.BUSY, 3_600.0)
    stage.do("use")
    stage.do("refresh")


@directed()
def _caught_by_a_proxy(stage: Stage) -> None:
    """A proxy answers a refresh with its page: the session is kept."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.PROXY)
    stage.do("use")
    stage.do("refresh")


@directed(processes=2)
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


@directed(processes=2)
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


@directed(processes=2)
def _near_end(stage: Stage) -> None:
    """Back ends that bind an account per request, in two processes, announce a session's end once."""
    stage.sign_in()
    stage.pass_time(29.5 * 86_400)
    for _ in range(3):
        for home in stage.world.processes:
            stage.do("use", home)
            home.drop()


@directed(processes=2)
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


@directed(processes=2)
def _always_refused(stage: Stage) -> None:
    """An endpoint that refuses every token costs one refresh a minute, from however many processes."""
    stage.sign_in()
    with stage.refusing():
        for _ in range(5):
            for home in stage.world.processes:
                stage.do("use", home)
                stage.pass_time(1.0)


@directed(processes=2)
def _adopted_and_refused(stage: Stage) -> None:
    """A token that another process has brought is refused as well: the same request asks once more."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(TTL / 2)
    stage.do("refresh")
    stage.world.server.reject()
    stage.do("use", stage.second)

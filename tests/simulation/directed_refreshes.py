"""Schedules of a refresh whose answer is slow, lost or torn, or whose pair is not saved."""

import gc

from tests.simulation.network import Fate
from tests.simulation.plan import Mood
from tests.simulation.server import REFRESH
from tests.simulation.stage import DEAD, Stage, directed


@directed()
def _slow_answer(stage: Stage) -> None:
    """The service needs 12 s for a refresh: the answer is waited for."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 6.0)
    stage.do("use")


@directed()
def _no_answer(stage: Stage) -> None:
    """The service never answers: the token is not presented again in the same refresh."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.MUTE)
    stage.do("use")


@directed()
def _gateway_timeout(stage: Stage) -> None:
    """A gateway gives up while the service is at work: the next refresh asks again, not this one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.GATEWAY)
    stage.do("use")


@directed()
def _torn_answer(stage: Stage) -> None:
    """An answer breaks off: the next refresh asks again, not this one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.TORN)
    stage.do("use")


@directed(grace="30s")
def _lost_answer(stage: Stage) -> None:
    """A connection is lost twice.

    The same token is presented once more after a second, and then not again.
    """
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.CUT)
    stage.next(REFRESH, Fate.CUT)
    stage.do("use")


@directed()
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

"""Schedules of the open-source server, whose outages look like ends."""

from tests.simulation.network import Fate
from tests.simulation.server import LOOK, REFRESH
from tests.simulation.stage import DEAD, Stage, directed


@directed(api="v2")
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


@directed(api="v2")
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


@directed(api="v2")
def _outage_with_a_torn_second_look(stage: Stage) -> None:
    """The answer to the second look, which refuses the token, is cut off: it shows nothing."""
    stage.sign_in()
    stage.world.server.reject()
    stage.world.server.is_away = True
    stage.next(LOOK, Fate.TORN)
    stage.do("use")
    stage.world.server.is_away = False
    stage.pass_time(DEAD)
    stage.do("use")


@directed(api="v2", duration="2h")
def _end_in_v2(stage: Stage) -> None:
    """A refresh token has expired: the second look finds the database, and the second refusal is believed."""
    stage.sign_in()
    stage.pass_time(3_590.0)
    stage.do("use")
    stage.world.server.expire()
    stage.pass_time(DEAD)
    stage.do("use")


@directed(api="v2")
def _unknown_outcome_of_v2(stage: Stage) -> None:
    """An answer is lost after the rotation, and the old token is refused as revoked: no one revoked it."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.CUT)
    stage.do("use")

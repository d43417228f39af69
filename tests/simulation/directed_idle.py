"""Schedules of idle sessions, which the client ends where the server does not."""

from tests.simulation.network import Fate
from tests.simulation.plan import Mood
from tests.simulation.server import REFRESH
from tests.simulation.stage import Stage, directed

_IDLE = 600.0
_TERMS = {"api": "v2", "idle": "10m", "knows_idle": True, "ttl": "1h"}


@directed(**_TERMS)
def _idle_at_last(stage: Stage) -> None:
    """A session is used, and then is not for as long as the timeout: it ends as idle."""
    stage.sign_in()
    stage.pass_time(0.4 * _IDLE)
    stage.do("use")
    stage.pass_time(1.1 * _IDLE)
    stage.do("use")
    stage.do("session")


@directed(**_TERMS)
def _refreshed_now_and_then(stage: Stage) -> None:
    """A session that is in use lives much longer than the timeout."""
    stage.sign_in()
    for _ in range(4):
        stage.pass_time(0.6 * _IDLE)
        stage.do("use")


@directed(**_TERMS, background=False)
def _used_and_not_refreshed(stage: Stage) -> None:
    """Each request comes within the timeout, and the last refresh does not: the session lives."""
    stage.sign_in()
    stage.pass_time(0.4 * _IDLE)
    stage.do("use")
    stage.pass_time(0.8 * _IDLE)
    stage.do("session")
    stage.next(REFRESH, Fate.NOT_SENT)
    stage.do("use")


@directed(**_TERMS, processes=2, background=False)
def _used_in_an_outage(stage: Stage) -> None:
    """A process uses a session that it cannot refresh: it notes so, and the other one ends nothing."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(0.9 * _IDLE)
    stage.do("use")
    for _ in range(2):
        stage.next(REFRESH, Fate.BROKEN)
    stage.do("refresh")
    stage.pass_time(0.2 * _IDLE)
    stage.do("use", stage.second)


@directed(**_TERMS)
def _used_while_unsaved(stage: Stage) -> None:
    """A session that the store does not take is used: the refresh that saves it notes so."""
    stage.sign_in()
    stage.pass_time(0.6 * _IDLE)
    stage.world.store.mood = Mood.LATE
    stage.do("use")
    stage.world.store.mood = Mood.FULL
    stage.pass_time(10.0)
    stage.do("use")
    stage.world.store.mood = Mood.WELL
    stage.do("refresh")


@directed(**_TERMS, background=False)
def _expired_while_in_use(stage: Stage) -> None:
    """The server ends a session that is in use, a while after the last refresh: it was not idle."""
    stage.sign_in()
    stage.pass_time(0.4 * _IDLE)
    stage.do("use")
    stage.pass_time(0.7 * _IDLE)
    stage.world.server.expire()
    stage.do("use")


@directed(**_TERMS, background=False)
def _used_while_the_store_is_slow(stage: Stage) -> None:
    """A request goes on while a refresh waits for the store: the refresh does not end the session."""
    stage.sign_in()
    stage.pass_time(0.6 * _IDLE)
    using = stage.call("use")
    stage.until_noted("locks")
    stage.pass_time(5.0)
    stage.alone(using)
    stage.pass_time(0.6 * _IDLE)
    stage.finish()


@directed(**_TERMS)
def _used_after_a_wait(stage: Stage) -> None:
    """Two requests wait for the store, one a minute longer: whichever goes on last, the later one counts."""
    stage.sign_in()
    stage.first.drop()
    stage.call("use")
    stage.until_noted("load")
    stage.pass_time(60.0)
    stage.call("use")
    stage.finish()
    for _ in range(2):
        stage.next(REFRESH, Fate.BROKEN)
    stage.do("refresh")

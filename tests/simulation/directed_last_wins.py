"""Schedules of sign-ins and sign-outs that overtake others: the one asked for last wins."""

from tests.simulation.network import Fate
from tests.simulation.server import REFRESH, SIGN_IN, SIGN_OUT
from tests.simulation.stage import ADA, BOB, DEAD, Stage, directed


@directed()
def _sign_out_after_a_sign_in_given_up(stage: Stage) -> None:
    """The caller of a slow sign-in gives up, then the user signs out: no session is left anywhere."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    caller = stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.give_up(caller)
    stage.call("sign_out")
    stage.finish()
    stage.do("session")


@directed()
def _sign_in_after_a_sign_in_given_up(stage: Stage) -> None:
    """The caller of Ada's slow sign-in gives up, then Bob signs in: Bob stays."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    caller = stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.give_up(caller)
    stage.call("sign_in", user=BOB)
    stage.finish()
    stage.do("use")


@directed()
def _sign_in_overtaken(stage: Stage) -> None:
    """Two sign-ins at once: the one asked for last wins, and the other caller gets an error."""
    stage.next(SIGN_IN, Fate.SLOW, 2.0)
    stage.call("sign_in", user=ADA)
    stage.until_noted("sends", path=SIGN_IN)
    stage.call("sign_in", user=BOB)
    stage.finish()


@directed()
def _sign_out_asked_for(stage: Stage) -> None:
    """From the moment a sign-out is asked for, no request carries the session's token."""
    stage.sign_in()
    stage.call("sign_out")
    for _ in range(3):
        stage.call("use")
    stage.finish()


@directed()
def _sign_in_again(stage: Stage) -> None:
    """Three sign-ins leave one session alive at the service."""
    for _ in range(3):
        stage.sign_in()


@directed()
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


@directed()
def _sign_out_during_a_refresh(stage: Stage) -> None:
    """A sign-out is asked for while a refresh is in flight: the new pair is dropped and signed out."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 2.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_out")
    stage.finish()


@directed(processes=2)
def _sign_out_behind_another_process(stage: Stage) -> None:
    """A sign-out overtakes a refresh, and another process gets the lock first.

    It must find that the session was signed out, and must not present the token that was sent.
    """
    stage.sign_in()
    stage.do("use", stage.second)
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 0.05)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("use", stage.second)
    stage.until_noted("waits for the lock", stage.second)
    stage.call("sign_out")
    stage.finish()


@directed(processes=2)
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

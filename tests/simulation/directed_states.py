"""Schedules of damaged records, ends, closing and waiting."""

from tests.simulation.network import Fate
from tests.simulation.server import REFRESH, SIGN_OUT
from tests.simulation.stage import ADA, BOB, DEAD, Stage, directed
from tests.simulation.store import NEWER, SEALED


def _over(stage: Stage, text: str) -> None:
    stage.world.store.corrupt(stage.world.keys[0], text)
    stage.do("session")


@directed()
def _sign_in_over_a_later_version(stage: Stage) -> None:
    """A later version has stored a session: signing in works."""
    _over(stage, f"{NEWER}}}")
    stage.sign_in()
    stage.do("use")


@directed()
def _sign_out_of_a_later_version(stage: Stage) -> None:
    """The same for signing out."""
    _over(stage, f"{NEWER}}}")
    stage.do("sign_out")
    stage.do("session")


@directed()
def _sign_in_over_a_lost_key(stage: Stage) -> None:
    """The key of an encrypted store was lost: signing in works."""
    _over(stage, SEALED)
    stage.sign_in()
    stage.do("use")


@directed()
def _sign_out_with_a_lost_key(stage: Stage) -> None:
    """The same for signing out."""
    _over(stage, SEALED)
    stage.do("sign_out")
    stage.do("session")


@directed()
def _refresh_over_junk(stage: Stage) -> None:
    """The record is damaged while memory has the session: it is quarantined, and the session goes on."""
    stage.sign_in()
    stage.do("use")
    stage.world.store.corrupt(stage.world.keys[0], "junk")
    stage.pass_time(DEAD)
    stage.do("use")


@directed()
def _sign_in_and_out(stage: Stage) -> None:
    """Sign-ins and sign-outs follow one another closely: their events come in the order of the state."""
    for _ in range(3):
        stage.call("sign_in", user=ADA)
        stage.until_noted("saves")
        stage.call("sign_out")
        stage.finish()


@directed()
def _sign_out_after_the_lock(stage: Stage) -> None:
    """A sign-out is asked for as soon as a sign-in has given the lock back: its event comes second."""
    stage.call("sign_in", user=ADA)
    stage.until_noted("unlocks")
    stage.alone(stage.call("sign_out"))
    stage.finish()


@directed(processes=2)
def _revoked_for_all(stage: Stage) -> None:
    """The service has revoked a session: every client that shares the store gives this reason."""
    stage.sign_in()
    stage.do("use", stage.second)
    stage.world.server.revoke(next(iter(stage.world.facts.sessions)))
    stage.pass_time(DEAD)
    stage.do("use")
    stage.do("use", stage.second)


@directed()
def _user_disabled(stage: Stage) -> None:
    """The account was disabled: the session ends, with this reason."""
    stage.sign_in()
    stage.world.server.disable(ADA)
    stage.pass_time(DEAD)
    stage.do("use")


@directed()
def _use_after_close(stage: Stage) -> None:
    """After close() every call fails, although the token is fresh."""
    stage.sign_in()
    stage.do("use")
    stage.world.close(stage.first)
    stage.finish()
    for what in ("use", "session", "access_token", "refresh", "user", "sign_out", "sign_in"):
        stage.do(what)


@directed()
def _sign_out_confirmed(stage: Stage) -> None:
    """A sign-out says whether the service has confirmed it."""
    stage.sign_in()
    stage.next(SIGN_OUT, Fate.VANISHES)
    stage.do("sign_out")
    stage.sign_in()
    stage.do("sign_out")


@directed()
def _sign_out_behind_a_refresh(stage: Stage) -> None:
    """A sign-out does not wait for a refresh of the same process that gets no answer."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.MUTE)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.call("sign_out")
    stage.finish()


@directed()
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


@directed(bounded=1.0)
def _bounded_request(stage: Stage) -> None:
    """A request waits for a token as long as its own timeouts say; the refresh goes on for the next one."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 9.0)
    stage.do("use")
    stage.do("use")


@directed()
def _close_during_a_refresh(stage: Stage) -> None:
    """A client is closed while a refresh is in flight: its tokens are stored."""
    stage.sign_in()
    stage.pass_time(DEAD)
    stage.next(REFRESH, Fate.SLOW, 4.0)
    stage.call("use")
    stage.until_noted("sends", path=REFRESH)
    stage.world.close(stage.first)
    stage.finish()

"""The states before the recordings of a server with reuse detection."""

from collections.abc import Callable

from tests.emulator_v2.givens import Given, given
from tests.emulator_v2.givens_refresh import disabled_after_sign_in, rotated
from tests.emulator_v2.recorded_world import World


def with_detection(*names: str) -> Callable[[Given], Given]:
    """Register a state that begins with reuse detection on."""

    def register(function: Given) -> Given:
        def prepare(world: World) -> None:
            world.switch(reuse_detection=True)
            function(world)

        prepare.__doc__ = f"Reuse detection is on. {function.__doc__}"
        given(*names)(prepare)
        return function

    return register


with_detection(
    *("sessions/refresh.reused.detection_on", "sessions/refresh.reused.detection_on.wrong_client"),
    *("sessions/refresh.retry.detection_on", "sessions/oauth.refresh.reused.detection_on"),
)(rotated)


@with_detection(
    *("sessions/refresh.reused.detection_on.newest", "sessions/refresh.retry.detection_on.newest"),
    *("sessions/refresh.reused.detection_on.wrong_client.newest", "sessions/oauth.refresh.*.newest"),
)
def detected(world: World) -> None:
    """Ana's first refresh token came again; this is the newest of its family."""
    first, newest = world.rotated()
    assert world.present(first) == 401
    world.known["refresh_token"] = newest


@with_detection("sessions/me.detection_on.after_family_revoke")
def first_access_token(world: World) -> None:
    """Ana's first refresh token came again; this is her first access token."""
    world.sign_in()
    access = world.known["access_token"]
    first, newest = world.rotated()
    assert world.present(first) == 401
    world.known["refresh_token"] = newest
    world.known["access_token"] = access


@with_detection("sessions/refresh.reused.detection_on.other_session")
def other_session(world: World) -> None:
    """Another session of Ana was ended by a replay."""
    first, newest = world.rotated()
    assert world.present(first) == 401
    world.known["refresh_token"] = newest
    world.sign_in()


with_detection("sessions/refresh.user.disabled.detection_on")(disabled_after_sign_in)


@with_detection("sessions/refresh.after_logout.detection_on")
def signed_out(world: World) -> None:
    """Ana has signed out."""
    world.signed_out()


@with_detection("sessions/refresh.reused_and_expired.detection_on")
def rotated_and_expired(world: World) -> None:
    """The token was rotated, and its life is over."""
    world.sign_in(client="brief")
    old = world.refresh(client="brief")["refresh_token"]
    world.refresh(client="brief")
    world.known["refresh_token"] = old
    world.advance(seconds=5)


@with_detection("sessions/refresh.expired.detection_on")
def expired_in_ended_family(world: World) -> None:
    """The token has expired, and its family was ended by a replay."""
    first = world.sign_in(client="brief")["refresh_token"]
    world.refresh(client="brief")
    newest = world.refresh(client="brief")["refresh_token"]
    assert world.present(first, client="brief") == 401
    world.known["refresh_token"] = newest
    world.advance(seconds=5)


def chain(world: World, length: int) -> list[str]:
    """Sign Ana in, refresh this often, and return every token."""
    first = world.sign_in()["refresh_token"]
    return [first, *(world.refresh()["refresh_token"] for _ in range(length))]


@with_detection("sessions/refresh.chain260.reuse_first")
def first_of_many(world: World) -> None:
    """The first of 260 tokens comes again."""
    world.known["refresh_token"] = chain(world, 260)[0]


@with_detection("sessions/refresh.chain260.reuse_first.newest")
def last_of_many(world: World) -> None:
    """The first of 260 tokens came again; this is the last."""
    tokens = chain(world, 260)
    assert world.present(tokens[0]) == 401
    world.known["refresh_token"] = tokens[-1]


@with_detection("sessions/refresh.chain260.reuse_last_but_one")
def last_but_one_of_many(world: World) -> None:
    """The last but one of 260 tokens comes again."""
    world.known["refresh_token"] = chain(world, 260)[-2]


@with_detection("sessions/logout.chain258.newest")
def sign_out_of_many(world: World) -> None:
    """The session was refreshed 258 times."""
    chain(world, 258)


@with_detection("sessions/refresh.chain258.after_logout")
def signed_out_of_many(world: World) -> None:
    """The session was refreshed 258 times, and Ana has signed out."""
    chain(world, 258)
    world.sign_out()


@with_detection("sessions/refresh.revoked_by_admin.detection_on")
def revoked_by_administrator(world: World) -> None:
    """An administrator has revoked Ana's tokens."""
    world.sign_in()
    world.server.rules.revoke_user(world.tenant(), world.user().id)

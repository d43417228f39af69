"""``auth.user()``: the service's answer to the question who is signed in."""

import pytest

from hellojohn import ApiError, NotSignedIn, ServiceUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import settle


@pytest.fixture
async def hj(owner, new_client):
    """Return a client of either kind that is signed in."""
    hj = new_client(owner)
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    return hj


@pytest.mark.parametrize("code", ["invalid_token", "token_expired"])
async def test_refused_token_is_replaced_once(emulator, hj, code):
    """When the service refuses the access token, user() asks again with a new one."""
    emulator.fail("auth/me", status=401, code=code)
    assert (await settle(hj.auth.user())).email == DEMO_EMAIL
    assert (emulator.calls("auth/me"), emulator.rotations) == (2, 1)


async def test_second_refusal_is_raised(emulator, hj):
    """A token that is refused again is an ApiError, and ends no session."""
    emulator.fail("auth/me", status=401, code="invalid_token", times=None)
    with pytest.raises(ApiError) as caught:
        await settle(hj.auth.user())
    assert caught.value.code == "invalid_token"
    assert (emulator.calls("auth/me"), emulator.rotations) == (2, 1)
    assert await settle(hj.auth.session()) is not None


async def test_always_refused_token_makes_no_storm(emulator, hj):
    """A service that refuses every token costs one refresh, however often user() is called."""
    emulator.fail("auth/me", status=401, code="invalid_token", times=None)
    for _ in range(10):
        with pytest.raises(ApiError):
            await settle(hj.auth.user())
    assert emulator.rotations == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"status": 403, "code": "insufficient_permissions"}, ApiError),
        ({"status": 503}, ServiceUnavailable),
        ({"status": 200, "body": b"[]"}, ServiceUnavailable),
        ({"status": 401, "body": b"<html>"}, ServiceUnavailable),
    ],
    ids=str,
)
async def test_other_failures_cost_no_refresh(emulator, hj, trouble, kind):
    """Any other answer is raised as it is, without a refresh."""
    emulator.fail("auth/me", **trouble)
    with pytest.raises(kind):
        await settle(hj.auth.user())
    assert (emulator.calls("auth/me"), emulator.rotations) == (1, 0)
    assert (await settle(hj.auth.user())).name == "Demo"


async def test_without_a_session_nothing_is_asked(emulator, new_client, owner):
    """Without a session, user() raises NotSignedIn and sends nothing."""
    with pytest.raises(NotSignedIn):
        await settle(new_client(owner).auth.user())
    assert emulator.calls("auth/me") == 0

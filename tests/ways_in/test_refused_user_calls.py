"""Calls made as the signed-in user recover when the service refuses the access token."""

from collections.abc import Callable
from typing import Any

import pytest

from hellojohn import ApiError, HelloJohn, MemoryStore, ServiceUnavailable, SessionExpired
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done, settings

OTHER = "eve@example.com"
CALLS: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "v1": {
        "user": ("auth/me", lambda hj: hj.auth.user()),
        "change_password": ("password/change", lambda hj: hj.auth.change_password(PASSWORD, f"{PASSWORD}!")),
        "send_email_verification": ("email/verify/send", lambda hj: hj.auth.send_email_verification()),
    },
    "v2": {
        "user": ("userinfo", lambda hj: hj.auth.user()),
        "factors": ("mfa/factors", lambda hj: hj.mfa.factors()),
        "enroll_totp": ("totp/enroll", lambda hj: hj.mfa.enroll_totp()),
    },
}
each_call = pytest.mark.parametrize(
    ("api", "name"), [(api, name) for api, calls in CALLS.items() for name in calls]
)
REFUSAL = {"v1": "invalid_token", "v2": "TOKEN_INVALID"}


def rotations(emulator: Emulator) -> int:
    """Return how often the session was refreshed."""
    return emulator.calls("token/refresh" if emulator.api == "v1" else "auth/refresh")


async def signed_in(hj: Any, emulator: Emulator) -> None:
    """Sign in, where a user can enroll an authenticator app."""
    if emulator.api == "v2":
        emulator.configure(mended=True)
    await done(hj.auth.sign_in(EMAIL, PASSWORD))


@each_call
async def test_refused_token_is_replaced_once(hj: Any, emulator: Emulator, name: str) -> None:
    """When the service refuses the access token, the call is made again with a new one."""
    await signed_in(hj, emulator)
    route, call = CALLS[emulator.api][name]
    emulator.fail(route, status=401, code=REFUSAL[emulator.api])
    await done(call(hj))
    assert (emulator.calls(route), rotations(emulator)) == (2, 1)


@each_call
async def test_always_refused_token_makes_no_storm(hj: Any, emulator: Emulator, name: str) -> None:
    """A service that refuses every token costs one refresh, and ends no session."""
    await signed_in(hj, emulator)
    route, call = CALLS[emulator.api][name]
    emulator.fail(route, status=401, code=REFUSAL[emulator.api], times=None)
    for _ in range(5):
        with pytest.raises(ApiError):
            await done(call(hj))
    assert rotations(emulator) == 1
    assert await done(hj.auth.session()) is not None


@each_call
async def test_other_failures_cost_no_refresh(hj: Any, emulator: Emulator, name: str) -> None:
    """Another refusal, or an outage, is raised as it is."""
    await signed_in(hj, emulator)
    route, call = CALLS[emulator.api][name]
    for trouble, kind in (
        ({"status": 403, "code": "FORBIDDEN"}, ApiError),
        ({"status": 503}, ServiceUnavailable),
    ):
        emulator.fail(route, **trouble)
        with pytest.raises(kind):
            await done(call(hj))
    assert rotations(emulator) == 0


@each_call
async def test_ended_session_is_reported(hj: Any, emulator: Emulator, name: str) -> None:
    """A refused token of a session that has ended is SessionExpired, without the refusal beside it."""
    await signed_in(hj, emulator)
    route, call = CALLS[emulator.api][name]
    emulator.revoke(emulator.sessions(EMAIL)[0].id)
    emulator.fail(route, status=401, code=REFUSAL[emulator.api])
    with pytest.raises(SessionExpired) as caught:
        await done(call(hj))
    assert caught.value.__context__ is None


@each_call
def test_call_is_not_repeated_as_another_user(emulator: Emulator, name: str) -> None:
    """If another process has signed in another user meanwhile, the refusal is raised."""
    store = MemoryStore()
    emulator.add_user(OTHER, PASSWORD)
    if emulator.api == "v2":
        emulator.configure(mended=True)
    route, call = CALLS[emulator.api][name]
    with (
        HelloJohn(**settings(emulator, store=store)) as ours,
        HelloJohn(**settings(emulator, store=store)) as theirs,
    ):
        ours.auth.sign_in(EMAIL, PASSWORD)
        assert ours.auth.access_token()
        theirs.auth.sign_in(OTHER, PASSWORD)
        emulator.fail(route, status=401, code=REFUSAL[emulator.api])
        asked = emulator.calls(route)
        with pytest.raises(ApiError):
            call(ours)
        assert emulator.calls(route) - asked == 1


@each_call
def test_call_is_repeated_in_a_new_session(emulator: Emulator, name: str) -> None:
    """If another process has signed the same user in again, the call goes on in the new session."""
    store = MemoryStore()
    if emulator.api == "v2":
        emulator.configure(mended=True)
    route, call = CALLS[emulator.api][name]
    with (
        HelloJohn(**settings(emulator, store=store)) as ours,
        HelloJohn(**settings(emulator, store=store)) as theirs,
    ):
        ours.auth.sign_in(EMAIL, PASSWORD)
        theirs.auth.sign_in(EMAIL, PASSWORD)
        emulator.fail(route, status=401, code=REFUSAL[emulator.api])
        call(ours)
    assert rotations(emulator) == 0


CANNOT_TELL = b'{"code": "UNAUTHORIZED", "message": "x", "detail": "token invalid or expired"}'


@pytest.mark.parametrize("api", ["v2"])
async def test_token_that_both_routes_refuse(hj: Any, emulator: Emulator) -> None:
    """If ``/v2/me`` refuses the token in the words of ``/userinfo``, it is replaced once, too."""
    await signed_in(hj, emulator)
    for route in ("userinfo", "me"):
        emulator.fail(route, status=401, body=CANNOT_TELL)
    assert (await done(hj.auth.user())).email == EMAIL
    assert (emulator.calls("userinfo"), rotations(emulator)) == (2, 1)


@pytest.mark.parametrize("api", ["v2"])
async def test_route_that_cannot_tell_is_followed_by_one_that_can(hj: Any, emulator: Emulator) -> None:
    """``/userinfo`` refuses good tokens in other words; the refusal of ``/v2/me`` counts."""
    await signed_in(hj, emulator)
    emulator.fail("userinfo", status=401, body=CANNOT_TELL, times=None)
    assert (await done(hj.auth.user())).id
    assert rotations(emulator) == 0
    emulator.fail("me", status=401, code="TOKEN_INVALID")
    assert (await done(hj.auth.user())).id
    assert rotations(emulator) == 1

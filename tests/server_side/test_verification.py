"""Verification through a client: locally, remotely, and with revocations."""

from typing import Any

import pytest

from hellojohn import ConfigurationError, HelloJohn, NotSupported, TokenExpired, TokenRevoked, WrongAudience
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, api, done, emulator, hj, settings

__all__ = ["api", "emulator", "hj"]  # fixtures


async def test_token_of_a_session_verifies(hj: Any) -> None:
    """The token of a signed-in user verifies with the published keys, on both dialects."""
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    claims = await done(hj.verify_token(await done(hj.auth.access_token())))
    assert claims.user_id == session.user.id


async def test_tenant_alone_is_enough(emulator: Emulator) -> None:
    """An API needs no key of the SDK to verify tokens."""
    known = settings(emulator, publishable_key=None, secret_key=None)
    with HelloJohn(**known) as api_side, HelloJohn(**settings(emulator)) as user_side:
        user_side.auth.sign_in(EMAIL, PASSWORD)
        assert api_side.verify_token(user_side.auth.access_token()).user_id


async def test_expired_token(hj: Any, emulator: Emulator) -> None:
    """A token is refused when its life is over."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    token = await done(hj.auth.access_token())
    emulator.advance("2h")
    with pytest.raises(TokenExpired):
        await done(hj.verify_token(token))


async def test_wrong_audience(hj: Any) -> None:
    """A token for another audience is refused."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    with pytest.raises(WrongAudience):
        await done(hj.verify_token(await done(hj.auth.access_token()), audience="someone-else"))


async def test_revoked_user(hj: Any, emulator: Emulator) -> None:
    """A user who was revoked here is refused at once, and may sign in again."""
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    token = await done(hj.auth.access_token())
    emulator.advance("5s")
    await done(hj.revocations.add(user_id=session.user.id))
    with pytest.raises(TokenRevoked):
        await done(hj.verify_token(token))
    emulator.advance("5s")
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    assert await done(hj.verify_token(await done(hj.auth.access_token())))


async def test_remote_check_sees_a_revocation(hj: Any, emulator: Emulator) -> None:
    """The service's own check refuses a revoked session at once; a server without it says so by name."""
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    token = await done(hj.auth.access_token())
    if emulator.api == "v2":
        with pytest.raises(NotSupported):
            await done(hj.verify_token_remote(token))
        return
    assert (await done(hj.verify_token_remote(token))).valid
    emulator.revoke(session.id)
    assert not (await done(hj.verify_token_remote(token))).valid


async def test_remote_check_needs_the_secret_key(emulator: Emulator) -> None:
    """Without the secret key, the remote check names the argument and the variable."""
    if emulator.api == "v2":
        return
    client = HelloJohn(**settings(emulator, secret_key=None))
    with client, pytest.raises(ConfigurationError, match="HELLOJOHN_SECRET_KEY"):
        client.verify_token_remote("x.y.z")


async def test_remote_check_of_a_closed_client(hj: Any, emulator: Emulator) -> None:
    """A closed client checks no token, here or at the service."""
    if emulator.api == "v2":
        return
    token = emulator.token(EMAIL)
    assert (await done(hj.verify_token_remote(token))).valid
    await done(hj.close() if isinstance(hj, HelloJohn) else hj.aclose())
    for check in (hj.verify_token_remote, hj.verify_token):
        with pytest.raises(ConfigurationError, match="was closed"):
            await done(check(token))

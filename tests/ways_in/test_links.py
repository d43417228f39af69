"""Mailed links: magic links and the verification of addresses."""

from typing import Any

import pytest

from hellojohn import ChallengeExpired, NotSupported, SignInRequired
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done


@pytest.mark.parametrize("api", ["v1"])
async def test_magic_link_signs_in_once(hj: Any, emulator: Emulator) -> None:
    """A magic link signs in with the duration asked for, and only once."""
    await done(hj.auth.send_magic_link(EMAIL))
    link = emulator.inbox.latest(EMAIL).link
    session = await done(hj.auth.verify_magic_link(link, remember_me=True))
    assert session.user.email == EMAIL
    assert session.duration.days == 30
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_magic_link(link))
    assert await done(hj.auth.session()) == session


@pytest.mark.parametrize("api", ["v1"])
async def test_old_magic_link(hj: Any, emulator: Emulator) -> None:
    """A link that is too old is ChallengeExpired."""
    await done(hj.auth.send_magic_link(EMAIL))
    link = emulator.inbox.latest(EMAIL).link
    emulator.advance("2d")
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_magic_link(link))


@pytest.mark.parametrize("api", ["v2"])
async def test_magic_links_are_refused_by_name(hj: Any, emulator: Emulator) -> None:
    """The open-source server has no usable magic links: nothing is sent, and the error says so."""
    for call in (hj.auth.send_magic_link, hj.auth.verify_magic_link):
        with pytest.raises(NotSupported, match="magic link"):
            await done(call(EMAIL))
    assert len(emulator.inbox) == 0


async def test_verify_an_address(hj: Any, emulator: Emulator) -> None:
    """A mailed link verifies an address, and only once."""
    await done(hj.auth.sign_up("new@example.com", PASSWORD))
    await done(hj.auth.send_email_verification("new@example.com"))
    link = emulator.inbox.latest("new@example.com").link
    await done(hj.auth.verify_email(link))
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_email(link))
    assert (await done(hj.auth.user())).email_verified in (True, None)


@pytest.mark.parametrize("api", ["v1"])
async def test_verify_the_own_address(hj: Any, emulator: Emulator) -> None:
    """Without an address, the mail goes to the signed-in user."""
    with pytest.raises(SignInRequired):
        await done(hj.auth.send_email_verification())
    await done(hj.auth.sign_up("new@example.com", PASSWORD))
    await done(hj.auth.send_email_verification())
    assert emulator.inbox.latest("new@example.com").link


async def test_junk_link(hj: Any) -> None:
    """A link that the server does not know is ChallengeExpired."""
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_email("not-a-token"))
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.confirm_password_reset("https://app.example.com/?token=junk", PASSWORD))

"""Passwords: sign-in and sign-up, reset, change, rules, and input of all kinds."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import (
    ChallengeExpired,
    InvalidCredentials,
    NotSupported,
    SessionExpired,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done


async def test_sign_in_with_remember_me(hj: Any) -> None:
    """A sign-in asks for the duration of its box, on both dialects."""
    for remember_me, days in ((True, 30), (False, 1)):
        session = await done(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=remember_me))
        assert session.remember_me is remember_me
        assert round((session.expires_at - session.created_at).total_seconds() / 86_400) == days


async def test_remembered_session_ends_on_time(hj: Any, emulator: Emulator) -> None:
    """A session ends after the duration asked for, also where the server knows none."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    for _ in range(11):
        emulator.advance("2h")
        assert await done(hj.auth.access_token())
    emulator.advance("3h")
    with pytest.raises(SessionExpired) as caught:
        await done(hj.auth.access_token())
    assert caught.value.reason in ("expired", "duration_elapsed")
    assert await done(hj.auth.session()) is None


async def test_sign_up_signs_in(hj: Any) -> None:
    """A new user is signed in, also where the server leaves that to the client."""
    session = await done(hj.auth.sign_up("new@example.com", PASSWORD))
    assert session.user.id
    user = await done(hj.auth.user())
    assert user.email == "new@example.com"


@pytest.mark.parametrize("password", ["wrong", "password", "e", "401"])
async def test_wrong_password(hj: Any, password: str) -> None:
    """The sentence of a wrong password stays whole, also if the password is one of its words."""
    with pytest.raises(InvalidCredentials) as caught:
        await done(hj.auth.sign_in(EMAIL, password))
    assert str(caught.value) == "The email or the password is wrong."
    assert caught.value.code.lower() == "invalid_credentials"


@pytest.mark.parametrize(
    ("email", "password"), [("", "x"), (EMAIL, ""), ("a" * 400, "x"), (EMAIL, "x" * 5_000)]
)
async def test_what_a_person_types_is_never_a_setting(hj: Any, email: str, password: str) -> None:
    """An empty or overlong entry is ValidationFailed, which an app shows beside the form."""
    with pytest.raises(ValidationFailed):
        await done(hj.auth.sign_in(email, password))


async def test_reset_with_the_mailed_link(hj: Any, emulator: Emulator) -> None:
    """A mailed link sets a new password once, by itself or by its token, and ends the sessions."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    await done(hj.auth.send_password_reset(EMAIL))
    link = emulator.inbox.latest(EMAIL).link
    assert link is not None
    await done(hj.auth.confirm_password_reset(link, "Another-Long-Password-7"))
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.confirm_password_reset(link, "A-Third-Long-Password-8"))
    with pytest.raises(SessionExpired):
        await done(hj.auth.refresh())
    assert await done(hj.auth.sign_in(EMAIL, "Another-Long-Password-7"))


async def test_reset_with_the_token_alone(hj: Any, emulator: Emulator) -> None:
    """An app that took the token out of the address passes the token."""
    await done(hj.auth.send_password_reset(EMAIL, redirect_to="https://app.example.com/reset"))
    link = emulator.inbox.latest(EMAIL).link
    token = parse_qs(urlsplit(link or "").query)["token"][0]
    await done(hj.auth.confirm_password_reset(token, "Another-Long-Password-7"))
    assert await done(hj.auth.sign_in(EMAIL, "Another-Long-Password-7"))


async def test_reset_for_a_stranger_says_nothing(hj: Any, emulator: Emulator) -> None:
    """A reset for an unknown address succeeds and sends no mail, so that nothing is given away."""
    await done(hj.auth.send_password_reset("nobody@example.com"))
    assert len(emulator.inbox) == 0


async def test_change_password(hj: Any, api: str) -> None:
    """The signed-in user changes the password where the server can do it."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    if api == "v2":
        with pytest.raises(NotSupported, match="send_password_reset"):
            await done(hj.auth.change_password(PASSWORD, "Another-Long-Password-7"))
        return
    with pytest.raises(InvalidCredentials):
        await done(hj.auth.change_password("wrong", "Another-Long-Password-7"))
    await done(hj.auth.change_password(PASSWORD, "Another-Long-Password-7"))
    assert await done(hj.auth.sign_in(EMAIL, "Another-Long-Password-7"))


async def test_password_policy(hj: Any, api: str) -> None:
    """An app can show the rules where the server publishes them."""
    if api == "v1":
        with pytest.raises(NotSupported):
            await done(hj.auth.password_policy())
        return
    assert (await done(hj.auth.password_policy())).min_length

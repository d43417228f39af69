"""Second factors: challenges, codes, recovery codes, remembered devices and enrolment."""

import copy
import json
import pickle
from dataclasses import asdict
from typing import Any

import pytest

from hellojohn import (
    ApiError,
    ChallengeExpired,
    ConfigurationError,
    HelloJohn,
    InvalidCredentials,
    MfaChallenge,
    MfaRequired,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.ways_in.conftest import EMAIL, PASSWORD, done, settings

TWO = "two@example.com"


@pytest.fixture
def two(emulator: Emulator) -> Emulator:
    """The emulator with a user who has an authenticator app."""
    emulator.add_user(TWO, PASSWORD, mfa_code="123456")
    return emulator


async def challenge_of(hj: Any, email: str = TWO, **options: Any) -> MfaChallenge:
    """Sign in and return the challenge."""
    with pytest.raises(MfaRequired) as caught:
        await done(hj.auth.sign_in(email, PASSWORD, **options))
    return caught.value.challenge


async def test_code_completes_the_sign_in(hj: Any, two: Emulator) -> None:
    """The code completes the sign-in with the duration that was asked for at its beginning."""
    challenge = await challenge_of(hj, remember_me=True)
    assert challenge.factors
    session = await done(hj.auth.verify_mfa(challenge, f" {two.mfa_code(TWO)} "))
    assert (session.remember_me, session.duration.days) == (True, 30)


async def test_wrong_code_leaves_the_challenge(hj: Any, two: Emulator) -> None:
    """A wrong code is InvalidCredentials, and the same challenge can be answered again."""
    challenge = await challenge_of(hj)
    for _ in range(2):
        with pytest.raises(InvalidCredentials):
            await done(hj.auth.verify_mfa(challenge, "000000"))
    assert await done(hj.auth.verify_mfa(challenge, two.mfa_code(TWO)))


async def test_empty_code_leaves_the_challenge(hj: Any, two: Emulator) -> None:
    """Pressing Enter without a code is ValidationFailed, and the challenge stays good."""
    challenge = await challenge_of(hj)
    with pytest.raises(ValidationFailed):
        await done(hj.auth.verify_mfa(challenge, ""))
    assert await done(hj.auth.verify_mfa(challenge, two.mfa_code(TWO)))


async def test_ended_challenge(hj: Any, two: Emulator) -> None:
    """A challenge that is over is ChallengeExpired: the user starts again."""
    challenge = await challenge_of(hj)
    two.advance("20m")
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_mfa(challenge, two.mfa_code(TWO)))


async def test_challenge_is_kept_between_requests(hj: Any, two: Emulator) -> None:
    """A web back end can pickle, copy and serialise a challenge, and its repr hides the id."""
    challenge = await challenge_of(hj)
    assert challenge.id not in repr(challenge)
    assert pickle.loads(pickle.dumps(challenge)) == copy.deepcopy(challenge) == challenge
    kept = asdict(challenge)
    json.dumps({name: str(value) for name, value in kept.items()})
    assert await done(hj.auth.verify_mfa(MfaChallenge(**kept), two.mfa_code(TWO)))


async def test_not_a_challenge(hj: Any) -> None:
    """Anything else than a challenge is the developer's mistake."""
    with pytest.raises(ConfigurationError):
        await done(hj.auth.verify_mfa("chl_1", "123456"))


async def test_code_by_mail(hj: Any, emulator: Emulator, api: str) -> None:
    """A code that is sent by mail completes the sign-in."""
    emulator.add_user("mail@example.com", PASSWORD, factors=["email_otp"])
    challenge = await challenge_of(hj, "mail@example.com")
    await done(hj.auth.send_mfa_code(challenge))
    code = emulator.inbox.latest("mail@example.com").code
    factor = None if api == "v1" else "email"
    assert await done(hj.auth.verify_mfa(challenge, code, factor=factor))


async def test_remembered_device_needs_no_second_factor(two: Emulator) -> None:
    """A device that was remembered signs in without a code, until a sign-out everywhere."""
    with HelloJohn(**settings(two)) as hj:
        challenge = await challenge_of(hj)
        hj.auth.verify_mfa(challenge, two.mfa_code(TWO), remember_device=True)
        hj.auth.sign_out()
        two.advance("1m")
        assert hj.auth.sign_in(TWO, PASSWORD)
        hj.auth.sign_out(everywhere=True)
        two.advance("1m")
        with pytest.raises(MfaRequired):
            hj.auth.sign_in(TWO, PASSWORD)


async def test_enrolment_gives_recovery_codes(hj: Any, emulator: Emulator) -> None:
    """A user enrolls an authenticator app, and signs in with a recovery code when it is lost."""
    if emulator.api == "v2":
        emulator.configure(mended=True)  # the published server has no key for second factors
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    assert "totp" not in [factor.type for factor in await done(hj.mfa.factors())]
    enrollment = await done(hj.mfa.enroll_totp())
    assert enrollment.secret not in repr(enrollment)
    assert enrollment.uri.startswith("otpauth://totp/")
    assert "ada" in enrollment.uri
    codes = await done(hj.mfa.confirm_totp(enrollment, emulator.mfa_code(EMAIL)))
    assert "totp" in [factor.type for factor in await done(hj.mfa.factors())]
    if not codes:
        emulator.advance("1m")
        codes = await done(hj.mfa.new_recovery_codes(PASSWORD, emulator.mfa_code(EMAIL)))
    await done(hj.auth.sign_out())
    challenge = await challenge_of(hj, EMAIL)
    typed = codes[0] if emulator.api == "v1" else codes[0].lower()
    assert await done(hj.auth.verify_mfa(challenge, typed))
    with pytest.raises(MfaRequired):
        await done(hj.auth.sign_in(EMAIL, PASSWORD))


@pytest.mark.parametrize("api", ["v2"])
async def test_published_server_cannot_enroll(hj: Any) -> None:
    """The published open-source server has no key for second factors, and the error says so."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    with pytest.raises(ApiError, match="no key for second factors"):
        await done(hj.mfa.enroll_totp())


async def test_disabled_app_is_not_asked_for(hj: Any, emulator: Emulator) -> None:
    """A user who removes the authenticator app signs in with the password alone."""
    if emulator.api == "v2":
        emulator.configure(mended=True)
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    enrollment = await done(hj.mfa.enroll_totp())
    await done(hj.mfa.confirm_totp(enrollment, emulator.mfa_code(EMAIL)))
    emulator.advance("1m")
    await done(hj.mfa.disable_totp(PASSWORD, emulator.mfa_code(EMAIL)))
    assert await done(hj.auth.sign_in(EMAIL, PASSWORD))

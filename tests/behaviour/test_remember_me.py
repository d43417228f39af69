"""Remember me: the duration that a sign-in asks for, that the service grants and that the session shows."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import cache

import httpx
import pytest

from hellojohn import (
    ConfigurationError,
    ExpiryReason,
    MfaRequired,
    SessionExpired,
    SessionOptions,
)
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.behaviour.scripted import EMAIL, PASSWORD, START
from tests.behaviour.sessions import DAY, HOUR, moment, over
from tests.both_faces import EventLog, settle
from tests.dialects import both_dialects

ASKED = {
    "remembered": ({"remember_me": True}, "30d", timedelta(days=30), True),
    "for a day": ({"remember_me": False}, "24h", timedelta(days=1), False),
    "the tenant's default": ({"remember_me": None}, None, None, None),
    "nothing": ({}, None, None, None),
    "a mapping": ({"session_options": {"duration": "8h"}}, "8h", timedelta(hours=8), None),
    "a mapping with a timedelta": (
        {"session_options": {"duration": timedelta(minutes=90)}},
        "90m",
        timedelta(minutes=90),
        None,
    ),
    "options": ({"session_options": SessionOptions(duration="2w")}, "2w", timedelta(weeks=2), None),
    "options with a timedelta": (
        {"session_options": SessionOptions(duration=timedelta(seconds=90))},
        "90s",
        timedelta(seconds=90),
        None,
    ),
}


@pytest.fixture(scope="module")
def running():
    """Return a function that gives one emulator for all tests of a dialect. Only a test moves its clock."""
    with ExitStack() as stack:

        @cache
        def start(api):
            emulator = stack.enter_context(Emulator(api=api, clock=lambda: START))
            emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")
            return emulator

        yield start


@pytest.fixture
def emulator(api, running):
    """Return it with the default settings of a tenant."""
    emulator = running(api)
    only_v1 = {"idle_timeout": None, "max_sessions_per_user": None} if api == "v1" else {}
    emulator.configure(session_duration="30d", access_token_ttl="1h", **only_v1)
    return emulator


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize("call", ["sign_in", "sign_up"])
@pytest.mark.parametrize("asked", ASKED)
async def test_asked_duration_is_sent_and_shown(service, owner, call, asked):
    """A duration goes over the wire as the app wrote it; without a choice the tenant decides."""
    arguments, sent, duration, remembered = ASKED[asked]
    hj = service.client(owner)
    session = await settle(getattr(hj.auth, call)(EMAIL, PASSWORD, **arguments))
    expected = {"email": EMAIL, "password": PASSWORD}
    expected |= {} if sent is None else {"session_options": {"duration": sent}}
    assert service.asked == [(f"auth/{call.replace('_', '-')}", expected)]
    assert (session.duration, session.remember_me) == (duration, remembered)


@pytest.mark.parametrize(
    ("settings", "remembered", "sent"),
    [
        ({"remember_me_duration": "1y"}, True, "1y"),
        ({"session_duration": timedelta(hours=12)}, False, "12h"),
        ({"remember_me_duration": "1y", "session_duration": "15m"}, False, "15m"),
    ],
)
def test_client_settings_name_the_durations(service, settings, remembered, sent):
    """An app sets the durations of both choices once, when it creates the client."""
    service.client(**settings).auth.sign_in(EMAIL, PASSWORD, remember_me=remembered)
    assert service.asked[0][1]["session_options"] == {"duration": sent}


@both_dialects
@pytest.mark.parametrize("call", ["sign_in", "sign_up"])
@pytest.mark.parametrize("remembered", [True, False])
async def test_two_durations_at_once_are_refused(service, owner, call, remembered):
    """remember_me together with session_options is a ConfigurationError, and nothing is sent."""
    hj = service.client(owner)
    with pytest.raises(ConfigurationError, match="remember_me or session_options, not both"):
        await settle(
            getattr(hj.auth, call)(
                EMAIL, PASSWORD, remember_me=remembered, session_options={"duration": "8h"}
            )
        )
    assert service.asked == []


# ---------------------------------------------------------------- the session


def test_session_shows_its_times(service):
    """A session shows when it began and ends, and counts the time left down to zero."""
    service.lasts = 30 * DAY
    session = service.client().auth.sign_in(EMAIL, PASSWORD, remember_me=True)
    assert session.created_at == moment(0)
    assert session.access_token_expires_at == moment(HOUR)
    assert session.expires_at == moment(30 * DAY)
    assert session.time_left() == timedelta(days=30)
    service.at(days=29, hours=23)
    assert session.time_left() == timedelta(hours=1)
    service.at(days=31)
    assert session.time_left() == timedelta(0)


def test_session_names_its_id_and_user(service, owner):
    """A session always has an id and a user, so that an app needs no check for None."""
    hj = service.client()
    session = hj.auth.sign_in(EMAIL, PASSWORD)
    assert (session.id, session.user.id, session.user.email) == ("ses_1", "usr_1", EMAIL)
    tokens = {"access_token": "at", "refresh_token": "rt", "expires_in": 60}
    service.answers = [httpx.Response(200, json=tokens)]
    flat = hj.auth.sign_in(EMAIL, PASSWORD)
    assert (flat.id, flat.user.id) == ("", "")


def test_unknown_end_of_a_session(service):
    """A session whose end the service did not name shows none, and lives as long as the service says."""
    hj = service.client()
    session = hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True)
    assert (session.expires_at, session.time_left()) == (None, None)
    service.at(days=60)
    assert hj.auth.refresh().expires_at is None


# ---------------------------------------------------------------- limits of the tenant


@pytest.mark.parametrize(
    ("limit", "granted"),
    [("14d", timedelta(days=14)), ("30d", timedelta(days=30)), ("1y", timedelta(days=30))],
)
async def test_tenant_limit_shows_in_the_session(new_client, emulator, owner, limit, granted):
    """An app that asks for 30 days sees the limit of the tenant in expires_at."""
    emulator.configure(session_duration=limit)
    hj = new_client(owner)
    session = await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True))
    assert session.duration == timedelta(days=30)
    assert abs(session.expires_at - session.created_at - granted) <= timedelta(seconds=1)
    assert (await settle(hj.auth.refresh())).expires_at == session.expires_at


async def test_service_ends_a_limited_session(new_client, emulator, owner):
    """A refresh before the shown end works, and one after it raises SessionExpired(expired)."""
    emulator.configure(session_duration="14d")
    hj = new_client(owner)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True))
    emulator.advance("13d")
    await settle(hj.auth.refresh())
    emulator.advance("25h")
    error = await over(hj, ExpiryReason.EXPIRED)
    assert error.code in ("session_expired", "refresh_token_expired")
    assert log.names()[-1] == "SESSION_EXPIRED:expired"
    assert await settle(hj.auth.session()) is None


@both_dialects
async def test_one_box_decides_between_a_day_and_a_month(new_client, emulator, owner):
    """After a day the unremembered session is over, and the remembered one works on.

    The open-source server ends neither: the client does.
    """
    elapsed = ExpiryReason.EXPIRED if emulator.api == "v1" else ExpiryReason.DURATION_ELAPSED
    hj = new_client(owner)
    briefly, long = hj.for_account("briefly"), hj.for_account("long")
    await settle(briefly.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=False))
    await settle(long.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True))
    emulator.advance("25h")
    await over(briefly, elapsed)
    emulator.advance("27d")
    assert await settle(long.auth.access_token())
    emulator.advance("3d")
    await over(long, elapsed)


# ---------------------------------------------------------------- second factors


@both_dialects
@pytest.mark.parametrize("remembered", [True, False, None])
async def test_second_factor_keeps_the_choice(new_client, owner, remembered, api):
    """The session that a second factor brings is as long as the sign-in asked for."""
    durations = {True: timedelta(days=30), False: timedelta(days=1), None: None}
    hj = new_client(owner)
    with pytest.raises(MfaRequired) as caught:
        await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=remembered))
    challenge = caught.value.challenge
    assert (challenge.remember_me, challenge.duration) == (remembered, durations[remembered])
    session = await settle(hj.auth.verify_mfa(challenge, "123456"))
    assert (session.remember_me, session.duration) == (remembered, durations[remembered])
    if api == "v2" and remembered is None:
        assert session.expires_at is None
        return
    lasts = session.expires_at - session.created_at
    assert abs(lasts - (session.duration or timedelta(days=30))) <= timedelta(seconds=1)


@both_dialects
@pytest.mark.parametrize("kept", [timedelta(days=1), "1d", "24h"])
def test_longer_session_of_a_second_factor_is_limited(service, kept):
    """A challenge keeps the duration, also as text, and the client ends a longer session in time."""
    service.lasts = 30 * DAY
    service.answers = [service.challenge()]
    hj = service.client()
    with pytest.raises(MfaRequired) as caught:
        hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(minutes=2)
    challenge = replace(caught.value.challenge, duration=kept)
    session = hj.auth.verify_mfa(challenge, "123456")
    assert (session.duration, session.remember_me) == (timedelta(days=1), False)
    assert session.expires_at == moment(DAY + 120)


@both_dialects
def test_sign_in_replaces_the_choice_of_the_last_one(service):
    """A session of a month is followed by one of a day when the user leaves the box empty."""
    service.lasts = 30 * DAY
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True)
    session = hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    assert (session.remember_me, session.expires_at) == (False, moment(DAY))
    service.at(days=1)
    with pytest.raises(SessionExpired):
        hj.auth.access_token()

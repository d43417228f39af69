"""Remember me: what is asked for, what is granted, and who keeps the promise."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hellojohn._owner import OWNER

from hellojohn import (
    AsyncHelloJohn,
    ConfigurationError,
    ExpiryReason,
    FileStore,
    HelloJohn,
    MemoryStore,
    MfaRequired,
    NotSignedIn,
    SessionExpired,
    SessionOptions,
)
from hellojohn._duration import parse_duration
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.engine.clients import EMAIL, PASSWORD, Service, Watch, settle, stored
from tests.engine.rig import START

HOUR, DAY = 3_600.0, 86_400.0


def moment(seconds: float) -> datetime:
    """Return the time so many seconds after the sign-in."""
    return datetime.fromtimestamp(START + seconds, UTC)


@pytest.fixture
def service() -> Service:
    """A scripted service and its time."""
    return Service()


class Still(Emulator):
    """An emulator whose clock moves when it is told to, and only then."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: START)

    def client(self, **settings) -> HelloJohn:
        """Make a client of it."""
        keys = {"tenant_id": self.tenant_id, "publishable_key": self.publishable_key, "api_url": self.url}
        return HelloJohn(**{**keys, "clock": self.clock, **settings})


@pytest.fixture(scope="module")
def running():
    """One emulator for all tests: each starts from the usual settings."""
    with Still() as emulator:
        emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")
        yield emulator


@pytest.fixture
def emulator(running):
    """An emulator with the usual settings."""
    running.configure(
        session_duration="30d", access_token_ttl="1h", idle_timeout=None, max_sessions_per_user=None
    )
    return running


# what reaches the wire

WISHES = {
    "remembered": ({"remember_me": True}, "30d", timedelta(days=30), True),
    "for a day": ({"remember_me": False}, "1d", timedelta(days=1), False),
    "the tenant's default": ({"remember_me": None}, None, None, None),
    "nothing said": ({}, None, None, None),
    "a mapping": ({"session_options": {"duration": "8h"}}, "8h", timedelta(hours=8), None),
    "a mapping with a timedelta": (
        {"session_options": {"duration": timedelta(minutes=90)}},
        "90m",
        timedelta(minutes=90),
        None,
    ),
    "options": ({"session_options": SessionOptions(duration="2w")}, "14d", timedelta(weeks=2), None),
    "options with a timedelta": (
        {"session_options": SessionOptions(duration=timedelta(seconds=90))},
        "90s",
        timedelta(seconds=90),
        None,
    ),
}


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
@pytest.mark.parametrize("call", ["sign_in", "sign_up"])
@pytest.mark.parametrize("wish", WISHES)
async def test_what_was_asked_reaches_the_service_and_shows_on_the_session(service, owner, call, wish):
    """The box under the form becomes a duration; without a choice the tenant decides."""
    arguments, duration, asked, remembered = WISHES[wish]
    hj = service.client(owner)
    session = await settle(getattr(hj.auth, call)(EMAIL, PASSWORD, **arguments))
    expected = {"email": EMAIL, "password": PASSWORD}
    expected |= {} if duration is None else {"session_options": {"duration": duration}}
    assert service.asked == [(f"auth/{call.replace('_', '-')}", expected)]
    assert (session.duration, session.remember_me) == (asked, remembered)


@pytest.mark.parametrize(
    ("settings", "remembered", "duration"),
    [
        ({"remember_me_duration": "1y"}, True, "365d"),
        ({"session_duration": timedelta(hours=12)}, False, "12h"),
        ({"remember_me_duration": "1y", "session_duration": "15m"}, False, "15m"),
    ],
)
def test_the_client_says_what_each_choice_means(service, settings, remembered, duration):
    """An app sets both durations once, not at each sign-in."""
    service.client(**settings).auth.sign_in(EMAIL, PASSWORD, remember_me=remembered)
    assert service.asked[0][1]["session_options"] == {"duration": duration}


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
@pytest.mark.parametrize("call", ["sign_in", "sign_up"])
@pytest.mark.parametrize("remembered", [True, False])
async def test_two_durations_at_once_are_refused(service, owner, call, remembered):
    """Neither wins in silence, and nothing is sent."""
    hj = service.client(owner)
    with pytest.raises(ConfigurationError, match="remember_me or session_options, not both"):
        await settle(
            getattr(hj.auth, call)(
                EMAIL, PASSWORD, remember_me=remembered, session_options={"duration": "8h"}
            )
        )
    assert service.asked == []


# what the session says


def test_the_session_says_when_it_ends(service):
    """It counts down with the clock and never below nothing."""
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


def test_an_end_that_nobody_told_is_unknown(service):
    """The client makes no end up: the service keeps it."""
    hj = service.client()
    session = hj.auth.sign_in(EMAIL, PASSWORD, remember_me=True)
    assert (session.expires_at, session.time_left()) == (None, None)
    service.at(days=60)
    assert hj.auth.refresh().expires_at is None


@pytest.mark.parametrize(
    ("limit", "granted"),
    [("14d", timedelta(days=14)), ("30d", timedelta(days=30)), ("1y", timedelta(days=30))],
)
def test_the_tenant_caps_what_is_asked_and_the_session_shows_it(emulator, limit, granted):
    """An app that asks for a month gets what the tenant allows, and can tell the user."""
    emulator.configure(session_duration=limit)
    with emulator.client() as hj:
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        assert session.duration == timedelta(days=30)
        assert abs(session.expires_at - session.created_at - granted) <= timedelta(seconds=1)
        assert hj.auth.refresh().expires_at == session.expires_at


def test_the_service_ends_a_capped_session_when_it_said(emulator):
    """The end on the session is the end: a day before it refreshes work, and after it the reason is named."""
    emulator.configure(session_duration="14d")
    with emulator.client() as hj:
        watch = Watch(hj)
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        emulator.advance("13d")
        hj.auth.refresh()
        emulator.advance("25h")
        with pytest.raises(SessionExpired) as caught:
            hj.auth.access_token()
        assert caught.value.reason is ExpiryReason.EXPIRED
        assert watch.told()[-1] == "SESSION_EXPIRED:expired"
        assert hj.auth.session() is None


# ahead of the end


@pytest.mark.parametrize(
    ("duration", "ahead"), [("10h", HOUR), ("10m", 60), ("5d", 0.5 * DAY), ("10d", DAY), ("30d", DAY)]
)
def test_the_near_end_is_told_a_tenth_of_the_duration_ahead_at_most_a_day(service, duration, ahead):
    """There is time to ask the user for a new sign-in, and no warning weeks before."""
    service.lasts = lasts = parse_duration(duration, name="duration").total_seconds()
    hj = service.client()
    watch = Watch(hj)
    hj.auth.sign_in(EMAIL, PASSWORD, session_options={"duration": duration})
    service.at(seconds=lasts - ahead - 1)
    hj.auth.access_token()
    assert OWNER.wait(10)
    assert "SESSION_EXPIRING" not in watch.told()
    service.at(seconds=lasts - ahead)
    hj.auth.access_token()
    assert watch.told().count("SESSION_EXPIRING") == 1
    event = next(event for event in watch.events if event.type == "SESSION_EXPIRING")
    assert event.session.expires_at == moment(lasts)


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
async def test_the_near_end_is_told_once_a_session(service, owner):
    """Uses and refreshes behind it tell nothing more; the next session has a near end of its own."""
    service.lasts = DAY
    hj = service.client(owner)
    watch = Watch(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    service.at(hours=22)
    for _ in range(3):
        await settle(hj.auth.refresh())
        await settle(hj.auth.access_token())
        service.now += 600
    assert watch.told().count("SESSION_EXPIRING") == 1
    service.lasts = 3 * DAY
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, session_options={"duration": "3d"}))
    service.at(days=2, hours=20)
    for _ in range(3):
        await settle(hj.auth.refresh())
    assert watch.told().count("SESSION_EXPIRING") == 2


def test_looking_at_the_session_tells_no_near_end(service):
    """It is told to who uses the session: a program that only looks asks for the time left."""
    service.lasts = DAY
    hj = service.client()
    watch = Watch(hj)
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(hours=23)
    assert hj.auth.session().time_left() == timedelta(hours=1)
    assert watch.told() == ["SIGNED_IN"]


# the client keeps the promise


async def _over(hj, service, watch, store) -> None:
    """Check that the client has ended the session, here and at the service."""
    assert await settle(hj.auth.session()) is None
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert caught.value.session_id == "ses_1"
    assert watch.told()[-1] == "SESSION_EXPIRED:duration_elapsed"
    assert watch.told().count("SESSION_EXPIRED:duration_elapsed") == 1
    assert stored(hj, store) is None
    assert OWNER.wait(10)
    assert service.paths()[-1] == "auth/sign-out"


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
@pytest.mark.parametrize("is_down", [False, True])
async def test_a_longer_session_than_asked_for_is_ended_by_the_client(service, owner, is_down):
    """Who did not tick the box is signed out after a day, whatever the service would allow or can hear."""
    service.lasts = 30 * DAY
    store = MemoryStore()
    hj = service.client(owner, store=store)
    watch = Watch(hj)
    session = await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    assert session.expires_at == moment(DAY)
    service.at(hours=23, minutes=59)
    assert await settle(hj.auth.access_token()) == "at_2"
    service.at(days=1)
    service.is_down = is_down
    await _over(hj, service, watch, store)
    assert service.asked[-1][1] == {"refresh_token": "rt_2"}


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
async def test_a_session_that_a_refresh_prolongs_is_ended_by_the_client(service, owner):
    """A service that slides the end along does not stretch what the user agreed to."""
    service.lasts = DAY
    store = MemoryStore()
    hj = service.client(owner, store=store)
    watch = Watch(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    service.at(hours=12)
    service.lasts = 30 * DAY
    assert (await settle(hj.auth.refresh())).expires_at == moment(DAY)
    service.at(days=1, seconds=1)
    await _over(hj, service, watch, store)


def test_a_refresh_that_says_nothing_of_the_end_moves_no_deadline(service):
    """What the client promised at sign-in holds."""
    service.lasts = 30 * DAY
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.lasts = None
    service.at(hours=2)
    assert hj.auth.refresh().expires_at == moment(DAY)


def test_a_forced_refresh_behind_the_deadline_asks_for_no_token(service):
    """The session is over: no new token is fetched for it."""
    service.lasts = 30 * DAY
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(days=2)
    with pytest.raises(SessionExpired) as caught:
        hj.auth.refresh()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert OWNER.wait(10)
    assert service.paths() == ["auth/sign-in", "auth/sign-out"]


def test_an_answer_within_a_minute_of_what_was_asked_sets_no_deadline(service):
    """The service rounds: it ends the session itself, in its own words."""
    service.lasts = DAY + 59
    hj = service.client()
    assert hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False).expires_at == moment(DAY + 59)
    service.at(days=1, seconds=30)
    assert hj.auth.refresh().expires_at == moment(DAY + 59)


def test_a_restart_keeps_the_deadline(service, tmp_path):
    """The next process ends the session as this one would have."""
    service.lasts = 30 * DAY
    service.client(store=FileStore(tmp_path)).auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(hours=23)
    hj = service.client(store=FileStore(tmp_path))
    session = hj.auth.session()
    assert (session.expires_at, session.remember_me) == (moment(DAY), False)
    assert session.duration == timedelta(days=1)
    hj.auth.access_token()
    service.at(days=1)
    third = service.client(store=FileStore(tmp_path))
    watch = Watch(third)
    assert third.auth.session() is None
    with pytest.raises(SessionExpired) as caught:
        third.auth.access_token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert watch.told() == ["SESSION_EXPIRED:duration_elapsed"]
    with pytest.raises(NotSignedIn):
        service.client(store=FileStore(tmp_path)).auth.access_token()


# the second factor

MFA = {"error": {"code": "mfa_required", "message": "Code.", "status": 401}, "challenge_id": "chl_1"}


@pytest.mark.parametrize("remembered", [True, False, None])
def test_the_second_factor_keeps_what_was_asked(emulator, remembered):
    """The box was ticked a step before: the session that the code brings is as long."""
    durations = {True: timedelta(days=30), False: timedelta(days=1), None: None}
    with emulator.client() as hj:
        with pytest.raises(MfaRequired) as caught:
            hj.auth.sign_in(EMAIL, PASSWORD, remember_me=remembered)
        challenge = caught.value.challenge
        assert (challenge.remember_me, challenge.duration) == (remembered, durations[remembered])
        session = hj.auth.verify_mfa(challenge, "123456")
        assert (session.remember_me, session.duration) == (remembered, durations[remembered])
        lasts = session.expires_at - session.created_at
        assert abs(lasts - (session.duration or timedelta(days=30))) <= timedelta(seconds=1)


@pytest.mark.parametrize("kept", [timedelta(days=1), "1d", "24h"])
def test_a_second_factor_that_grants_more_is_held_to_what_was_asked(service, kept):
    """The deadline counts from the code; the challenge may have been kept as text between two requests."""
    service.lasts = 30 * DAY
    service.answers = [httpx.Response(401, json=MFA)]
    hj = service.client()
    with pytest.raises(MfaRequired) as caught:
        hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(minutes=2)
    challenge = caught.value.challenge._replace(duration=kept)
    session = hj.auth.verify_mfa(challenge, "123456")
    assert (session.duration, session.remember_me) == (timedelta(days=1), False)
    assert session.expires_at == moment(DAY + 120)


# the idle timeout


def _work(hj, emulator, pauses) -> None:
    """Use the session, with a pause of so many minutes before each time."""
    for minutes in pauses:
        emulator.advance(timedelta(minutes=minutes))
        hj.auth.access_token()
        assert OWNER.wait(10)


def test_an_active_session_never_idles_out(emulator):
    """The access token outlives the idle timeout: only refreshes count, so they come early."""
    emulator.configure(access_token_ttl="2h", idle_timeout="10m")
    with emulator.client(idle_timeout="10m") as hj:
        watch = Watch(hj)
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        rotations = emulator.rotations
        _work(hj, emulator, [1, 4, 6, 9] * 15)
        assert hj.auth.refresh().id == session.id
        assert 45 <= emulator.rotations - rotations <= 61
        assert set(watch.told()) == {"SIGNED_IN", "TOKEN_REFRESHED"}


def test_a_client_that_was_not_told_learns_of_the_idle_timeout_too_late(emulator):
    """The service calls it expired, and that is all this client knows."""
    emulator.configure(access_token_ttl="2h", idle_timeout="10m")
    with emulator.client() as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        with pytest.raises(SessionExpired) as caught:
            _work(hj, emulator, [6] * 21)
        assert (caught.value.reason, caught.value.code) == (ExpiryReason.EXPIRED, "session_expired")


def test_a_session_that_nobody_used_idles_out_and_says_so(emulator):
    """The client does not keep an abandoned session alive, and knows why it ended."""
    emulator.configure(access_token_ttl="2h", idle_timeout="10m")
    with emulator.client(idle_timeout="10m") as hj:
        watch = Watch(hj)
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        assert session.idle_expires_at - session.created_at == timedelta(minutes=10)
        emulator.advance("11m")
        with pytest.raises(SessionExpired) as caught:
            hj.auth.refresh()
        assert caught.value.reason is ExpiryReason.IDLE
        assert watch.told() == ["SIGNED_IN", "SESSION_EXPIRED:idle"]


def test_a_refresh_moves_the_idle_end(service):
    """The moment shown is the one that the next refresh has to come before."""
    hj = service.client(idle_timeout="30m")
    assert hj.auth.sign_in(EMAIL, PASSWORD).idle_expires_at == moment(1_800)
    service.at(minutes=10)
    assert hj.auth.refresh().idle_expires_at == moment(2_400)
    assert service.client().auth.sign_in(EMAIL, PASSWORD).idle_expires_at is None

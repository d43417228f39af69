"""The ends of a session that the client announces and keeps itself."""

import pytest

from hellojohn import ExpiryReason, FileStore, HelloJohn, MemoryStore, SessionExpired, StoreUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.scripted import EMAIL, PASSWORD, START, DictStore
from tests.behaviour.sessions import DAY, HOUR, moment, over
from tests.both_faces import EventLog, close, emulated, settle, until
from tests.dialects import active, both_dialects, name_of
from tests.fake_stores import FailingStore

# ---------------------------------------------------------------- SESSION_EXPIRING


@both_dialects
@pytest.mark.parametrize(
    ("duration", "lasts", "ahead"),
    [
        ("10h", 10 * HOUR, HOUR),
        ("10m", 600, 60),
        ("5d", 5 * DAY, 0.5 * DAY),
        ("10d", 10 * DAY, DAY),
        ("30d", 30 * DAY, DAY),
    ],
)
def test_near_end_is_announced(service, duration, lasts, ahead):
    """SESSION_EXPIRING comes in the last tenth of a session, at most a day ahead of its end."""
    service.lasts = lasts
    hj = service.client()
    log = EventLog(hj)
    hj.auth.sign_in(EMAIL, PASSWORD, session_options={"duration": duration})
    service.at(seconds=lasts - ahead - 1)
    hj.auth.access_token()
    hj.auth.refresh()
    assert "SESSION_EXPIRING" not in log.names()
    service.at(seconds=lasts - ahead)
    hj.auth.access_token()
    log.wait_for("SESSION_EXPIRING")
    event = next(event for event in log.events if event.type == "SESSION_EXPIRING")
    assert event.session.expires_at == moment(lasts)


@both_dialects
async def test_near_end_is_announced_once_per_session(service, owner):
    """Later uses and refreshes announce nothing more; the next session is announced again."""
    service.lasts = DAY
    hj = service.client(owner)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    service.at(hours=22)
    for _ in range(3):
        await settle(hj.auth.access_token())
        log.wait_for("SESSION_EXPIRING")
        await settle(hj.auth.refresh())
        service.now += 600
    assert log.names().count("SESSION_EXPIRING") == 1
    service.lasts = service.now - START + 3 * DAY
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, session_options={"duration": "3d"}))
    service.now += 2 * DAY + 20 * HOUR
    await settle(hj.auth.access_token())
    until(lambda: log.names().count("SESSION_EXPIRING") == 2)


@both_dialects
async def test_near_end_is_announced_once_for_all_requests(service, owner):
    """A back end that binds an account for each request announces the end of a session once."""
    service.lasts = DAY
    hj = service.client(owner)
    log = EventLog(hj)
    await settle(hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    service.at(hours=22)
    for _ in range(20):
        await settle(hj.for_account("ada").auth.access_token())
        log.wait_for("SESSION_EXPIRING")
    await close(hj)
    assert log.names().count("SESSION_EXPIRING") == 1


@both_dialects
def test_reading_the_session_announces_nothing(service):
    """session() only looks: the announcement comes when the session is used."""
    service.lasts = DAY
    hj = service.client()
    log = EventLog(hj)
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(hours=23)
    assert hj.auth.session().time_left().total_seconds() == HOUR
    hj.close()
    assert log.names() == ["SIGNED_IN"]


# ---------------------------------------------------------------- the deadline that the client keeps


async def _has_ended(hj, service, log) -> None:
    assert await settle(hj.auth.session()) is None
    error = await over(hj, ExpiryReason.DURATION_ELAPSED)
    assert error.session_id == (service.session_id or None)
    assert log.names()[-1] == "SESSION_EXPIRED:duration_elapsed"
    assert log.names().count("SESSION_EXPIRED:duration_elapsed") == 1
    await close(hj)
    assert service.paths()[-1] == "auth/sign-out"


@both_dialects
@pytest.mark.parametrize("is_down", [False, True], ids=["service up", "service down"])
async def test_longer_session_is_ended_by_the_client(service, owner, is_down):
    """A user who did not tick the box is signed out after a day, although the service granted more."""
    service.lasts = 30 * DAY
    store = DictStore()
    hj = service.client(owner, store=store)
    log = EventLog(hj)
    session = await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    assert session.expires_at == moment(DAY)
    service.at(hours=23, minutes=59)
    assert await settle(hj.auth.access_token()) == "at_2"
    service.at(days=1)
    service.is_down = is_down
    await _has_ended(hj, service, log)
    assert service.presented("auth/sign-out") == ["rt_2"]
    assert "rt_2" not in store.text()
    assert "at_2" not in store.text()


@both_dialects
async def test_prolonged_session_is_ended_by_the_client(service, owner):
    """A service that moves the end with a refresh does not prolong the duration asked for."""
    service.lasts = DAY
    hj = service.client(owner)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False))
    service.at(hours=12)
    service.lasts = 30 * DAY
    assert (await settle(hj.auth.refresh())).expires_at == moment(DAY)
    service.at(days=1, seconds=1)
    await _has_ended(hj, service, log)


@both_dialects
def test_answer_without_an_end_moves_no_deadline(service):
    """A refresh whose answer names no end leaves the client's deadline where it was."""
    service.lasts = 30 * DAY
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.lasts = None
    service.at(hours=2)
    assert hj.auth.refresh().expires_at == moment(DAY)


@both_dialects
def test_refresh_after_the_deadline_sends_none(service):
    """refresh() after the deadline ends the session: no new token is requested for it."""
    service.lasts = 30 * DAY
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(days=2)
    with pytest.raises(SessionExpired) as caught:
        hj.auth.refresh()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    hj.close()
    assert service.paths() == ["auth/sign-in", "auth/sign-out"]


def test_rounded_answer_sets_no_deadline(service):
    """An end within a minute of the duration asked for is rounded, and the service keeps it."""
    service.lasts = DAY + 59
    hj = service.client()
    assert hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False).expires_at == moment(DAY + 59)
    service.at(days=1, seconds=30)
    assert hj.auth.refresh().expires_at == moment(DAY + 59)


@both_dialects
def test_restart_keeps_the_deadline(service, tmp_path):
    """Each later process ends the session at the same moment, and reports the same reason."""
    service.lasts = 30 * DAY
    service.client(store=FileStore(tmp_path)).auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(hours=23)
    hj = service.client(store=FileStore(tmp_path))
    session = hj.auth.session()
    assert (session.expires_at, session.remember_me) == (moment(DAY), False)
    assert session.duration.days == 1
    hj.auth.access_token()
    service.at(days=1)
    third = service.client(store=FileStore(tmp_path))
    log = EventLog(third)
    assert third.auth.session() is None
    for client in (third, third, service.client(store=FileStore(tmp_path))):
        with pytest.raises(SessionExpired) as caught:
            client.auth.access_token()
        assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert log.names() == ["SESSION_EXPIRED:duration_elapsed"]


@both_dialects
def test_deadline_is_kept_over_a_failing_store(service):
    """A store that takes no change does not prolong a session."""
    service.lasts = 30 * DAY
    store = FailingStore()
    hj = service.client(store=store)
    log = EventLog(hj)
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(days=1)
    for method in ("save", "delete"):
        store.fail(method, error=StoreUnavailable("The disk is full."))
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert log.names()[-1] == "SESSION_EXPIRED:duration_elapsed"


@both_dialects
def test_deadline_does_not_end_another_session(service):
    """The deadline of a replaced session does not end the session that another client signed in."""
    service.lasts = 30 * DAY
    store = MemoryStore()
    hj, other = service.client(store=store), service.client(store=store)
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    service.at(hours=23)
    other.auth.sign_in(EMAIL, PASSWORD, remember_me=True)
    service.at(days=1)
    assert hj.auth.access_token() == other.auth.access_token()
    assert hj.auth.session().remember_me is True


@both_dialects
def test_deadline_of_a_session_signed_out_elsewhere(service):
    """A session that another client signed out before its deadline has ended as signed_out."""
    service.lasts = 30 * DAY
    store = MemoryStore()
    hj, other = service.client(store=store), service.client(store=store)
    hj.auth.sign_in(EMAIL, PASSWORD, remember_me=False)
    other.auth.sign_out()
    service.at(days=1)
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT


# ---------------------------------------------------------------- the idle timeout


def idle_at_the_service(emulator, timeout: str) -> dict[str, str]:
    """Return the setting of a service that ends idle sessions. The open-source server ends none."""
    return {"idle_timeout": timeout} if emulator.api == "v1" else {}


ABSURD = [float("nan"), float("inf"), float("-inf"), -1e9, 253_402_300_799.0, 3e11]


@both_dialects
@pytest.mark.parametrize("background", [True, False])
def test_session_in_use_never_idles_out(emulator, background):
    """With a known idle timeout, a session that is used at least every 7 minutes stays alive."""
    emulator.configure(access_token_ttl="24h", **idle_at_the_service(emulator, "1h"))
    settings = emulated(emulator, idle_timeout="1h", background_refresh=background)
    with HelloJohn(**settings) as hj:
        log = EventLog(hj)
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        for number in range(1, 61):
            emulator.advance("7m")
            hj.auth.access_token()
            # A use after half of the timeout refreshes: the token's jitter does not matter here.
            refreshes = number // 5
            until(lambda refreshes=refreshes: log.names().count("TOKEN_REFRESHED") >= refreshes)
        assert name_of(session) in active(emulator)
        assert 7 <= emulator.rotations <= 13


def test_unknown_idle_timeout_is_noticed_too_late(emulator):
    """A client that does not know the idle timeout loses the session, and calls it expired."""
    emulator.configure(access_token_ttl="2h", idle_timeout="10m")
    with HelloJohn(**emulated(emulator)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        emulator.advance("11m")
        hj.auth.access_token()
        with pytest.raises(SessionExpired) as caught:
            hj.auth.refresh()
        assert (caught.value.reason, caught.value.code) == (ExpiryReason.EXPIRED, "session_expired")


@both_dialects
def test_unused_session_idles_out(emulator):
    """The client keeps no unused session alive, and names the reason of its end."""
    emulator.configure(access_token_ttl="2h", **idle_at_the_service(emulator, "10m"))
    with HelloJohn(**emulated(emulator, idle_timeout="10m")) as hj:
        log = EventLog(hj)
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD, remember_me=True)
        assert (session.idle_expires_at - session.created_at).total_seconds() == 600
        emulator.advance("11m")
        with pytest.raises(SessionExpired) as caught:
            hj.auth.refresh()
        assert caught.value.reason is ExpiryReason.IDLE
        assert log.names() == ["SIGNED_IN", "SESSION_EXPIRED:idle"]


@both_dialects
def test_refresh_moves_the_idle_end(service):
    """idle_expires_at is the moment before which the next refresh has to come."""
    hj = service.client(idle_timeout="30m")
    assert hj.auth.sign_in(EMAIL, PASSWORD).idle_expires_at == moment(1_800)
    service.at(minutes=10)
    assert hj.auth.refresh().idle_expires_at == moment(2_400)
    assert service.client().auth.sign_in(EMAIL, PASSWORD).idle_expires_at is None


# ---------------------------------------------------------------- clocks


@pytest.mark.parametrize("now", ABSURD)
@pytest.mark.parametrize("lasts", [None, 8 * HOUR])
def test_absurd_clock_ends_no_session(service, now, lasts):
    """Under a clock that returns nonsense, sign-in, use, refresh and restart work."""
    store = MemoryStore()
    hj = service.client(store=store)
    log = EventLog(hj)
    service.lasts = lasts
    service.dates, service.now = START, now
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert hj.auth.access_token().startswith("at_")
    hj.auth.refresh()
    assert hj.auth.access_token().startswith("at_")
    left = hj.auth.session().time_left()
    assert left is None or left.total_seconds() >= 0
    hj.close()
    assert service.client(store=store).auth.access_token().startswith("at_")
    assert "SESSION_EXPIRED" not in " ".join(log.names())


@both_dialects
@pytest.mark.parametrize("now", ABSURD)
def test_clock_that_turns_absurd_ends_no_session(service, now):
    """A clock that returns nonsense for a while does no harm to a session."""
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD)
    service.dates, service.now = START, now
    assert hj.auth.access_token().startswith("at_")
    hj.auth.refresh()
    service.now = START + 10
    assert hj.auth.access_token().startswith("at_")
    assert hj.auth.session() is not None
    hj.close()

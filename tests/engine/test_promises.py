"""The ends of a session that the client watches itself: told once, kept in trouble, never another's."""

from datetime import UTC, datetime

import jwt
import pytest

from hellojohn import HelloJohn
from hellojohn._errors import ExpiryReason, SessionExpired
from hellojohn._secret import Secret
from hellojohn._session.acquire import load
from hellojohn._session.flight import run
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from hellojohn.stores import MemoryStore
from tests.engine.crowd import settings
from tests.engine.rig import NOT_SENT, START, Bench, FlakyStore, a_record, granted


def _ending(number: int, *, issued: float, left: float):
    """Make an answer that says, as servers do, in how many whole seconds the session ends."""
    access_token = jwt.encode({"iat": int(START + issued), "n": number}, "k" * 32, algorithm="HS256")
    end = datetime.fromtimestamp(int(START + issued + left), UTC).isoformat()
    return granted(number, access_token=access_token, refresh_token_expires_at=end, expires_in=20_000)


def test_an_end_that_every_answer_tells_anew_is_announced_once():
    """A service repeats the end with every refresh, to the second: it is the same end."""
    bench = Bench(*[_ending(n, issued=9_100 + n, left=900 - n) for n in range(2, 9)])
    bench.put(a_record(server_ends_at=START + 10_000, ttl=20_000.0))
    for after in range(7):
        bench.at(9_102.3 + after * 1.7).another()
    assert len({event.session.expires_at for event in bench.events}) > 2
    assert bench.settle().told().count("SESSION_EXPIRING") == 1


def test_an_end_that_moves_is_announced_again_when_it_is_near():
    """A service that prolongs the session with a refresh has given the user a new end."""
    bench = Bench(_ending(2, issued=9_500, left=10_000))
    bench.put(a_record(server_ends_at=START + 10_000, ttl=20_000.0))
    bench.at(9_400).token()
    bench.at(9_500).another()
    assert bench.told().count("SESSION_EXPIRING") == 1
    bench.at(19_000).token()
    assert bench.told().count("SESSION_EXPIRING") == 2


def test_a_warning_that_a_sign_in_overtakes_is_not_given_to_the_new_session():
    """The old session's end was near; the user has just signed in again and needs no warning."""
    bench = Bench()
    bench.put(a_record(server_ends_at=START + 1_000, ttl=20_000.0))
    bench.session()
    old = bench.at(950).account.view
    bench.sign_in()
    assert not bench.account._must_notice(old)
    assert not bench.account.state.snapshot.noticed


def test_a_warning_under_way_when_a_sign_in_comes_is_dropped():
    """The event would tell of a session that is not there any more."""
    bench = Bench()
    bench.put(a_record(server_ends_at=START + 1_000, ttl=20_000.0))
    bench.session()
    steps = bench.at(950).account.acquire()
    notice = next(steps)
    bench.sign_in()
    notice.block()
    assert bench.settle().told() == ["SIGNED_IN"]


def test_a_promise_is_kept_although_the_store_will_not_delete():
    """A broken disk does not make a session longer."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record(client_ends_at=START + 500))
    store.fail("delete")
    with pytest.raises(SessionExpired) as caught:
        bench.at(500).token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert bench.told() == ["SESSION_EXPIRED:duration_elapsed"]


def test_another_session_that_was_signed_in_meanwhile_is_not_ended():
    """The deadline was the old session's; another process has signed in since."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    other = bench.put(a_record(session_id="ses_2", created_at=START + 499, refreshed_at=START + 499))
    assert bench.at(500).token() == "at_1"
    assert bench.stored() == other


def test_a_session_that_was_signed_out_meanwhile_is_signed_out():
    """The deadline passed after somebody else had ended it: that is the reason."""
    bench = Bench()
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    bench.store.delete(bench.account.key)
    with pytest.raises(SessionExpired) as caught:
        bench.at(500).token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.settle().script.calls == []


@pytest.mark.parametrize("background", [True, False])
def test_a_session_in_use_never_idles_out_with_or_without_background_refresh(emulator, background):
    """Who switched the background off waits for the refresh instead of losing the session."""
    emulator.configure(access_token_ttl="24h", idle_timeout="1h")
    options = settings(emulator, MemoryStore())
    with HelloJohn(**options, idle_timeout="1h", background_refresh=background) as hj:
        session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        for _ in range(60):
            emulator.advance("7m")
            hj.auth.access_token()
            assert hj._engine.context.owner.wait(10)
        assert emulator.session(session.id).status == "active"
        assert emulator.rotations >= 7


def test_the_idle_deadline_waits_for_the_services_word():
    """The client's idea of the idle timeout may be out of date: only a refusal ends the session."""
    bench = Bench(*[NOT_SENT] * 4, granted(2), idle_timeout="5m")
    bench.put(a_record())
    assert bench.at(400).token() == "at_1"
    assert bench.settle().told() == []
    bench.time.now += 100
    assert bench.token() == "at_1"
    assert bench.settle().token() == "at_2"


ABSURD = [float("nan"), float("inf"), float("-inf"), -1e9, 253_402_300_799.0, 3e11]


@pytest.mark.parametrize("now", ABSURD)
@pytest.mark.parametrize("duration", [None, "8h"])
def test_a_clock_that_says_anything_ends_no_session_and_crashes_nothing(now, duration):
    """Sign-in, use, refreshes and a restart under a broken clock: the session is there afterwards."""
    bench = Bench(granted(2), granted(3), *[NOT_SENT] * 9)
    bench.time.now = now
    bench.sign_in(**({} if duration is None else {"refresh_token_expires_at": "2099-01-01T00:00:00Z"}))
    for expected in ("at_1", "at_2", "at_3"):
        assert bench.token() == expected
        if expected != "at_3":
            bench.another()
    bench.time.sleep = bench.time.slept.append
    session = bench.session()
    assert session is not None
    assert session.time_left() is None or session.time_left().total_seconds() >= 0
    again = Bench(store=bench.store, at=bench.time)
    assert again.token() == "at_3"
    assert "SESSION_EXPIRED" not in " ".join(bench.settle().told())


@pytest.mark.parametrize("now", ABSURD)
def test_a_clock_that_turns_absurd_in_mid_session_ends_nothing_either(now):
    """And when it is right again, so is the session."""
    bench = Bench(granted(2), granted(3), granted(4), granted(5))
    bench.put(a_record())
    bench.token()
    bench.time.now = now
    assert bench.token() in ("at_1", "at_2")
    bench.settle().another()
    bench.time.now = START + 10
    assert bench.settle().token() in ("at_2", "at_3", "at_4")
    stored = bench.settle().stored()
    assert stored is not None
    assert stored.refresh_token == Secret(f"rt_{stored.generation}")
    assert run(load(bench.account)) is not None

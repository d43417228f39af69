"""Clients that share a store adopt each other's tokens, share a cooldown, and undo nothing of each other."""

import gc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hellojohn._errors import ExpiryReason, NotSignedIn, ServiceUnavailable, SessionExpired
from hellojohn._secret import Secret
from tests.engine.rig import (
    DEAD,
    EXPIRING,
    NOT_SENT,
    STALE,
    START,
    UNKNOWN,
    Bench,
    a_record,
    dead,
    granted,
    kept,
    problem,
    reply,
)


def _newer(**changes):
    """Make the record that another process brought about: the next generation, fresh when the first ends."""
    fields = {"generation": 2, "refreshed_at": START + DEAD}
    pair = {"access_token": Secret("at_2"), "refresh_token": Secret("rt_2")}
    return a_record(**{**fields, **pair, **changes})


def _with_old_view(*steps, **options) -> Bench:
    """Make a bench that has seen the first generation only."""
    bench = Bench(*steps, **options)
    bench.put(a_record())
    assert bench.token() == "at_1"
    return bench.at(DEAD)


# adoption


def test_a_newer_token_in_the_store_is_adopted_without_a_request():
    """Another process has refreshed: its token is used, and nothing is presented twice."""
    bench = _with_old_view()
    bench.put(_newer())
    assert bench.token() == "at_2"
    assert (bench.script.calls, bench.told()) == ([], [])


def test_a_newer_token_is_adopted_after_a_401_as_well():
    """The API refused the token that this client knows; another one is at hand."""
    bench = _with_old_view()
    bench.at(1)
    bench.put(_newer(refreshed_at=START + 1))
    assert bench.another() == "at_2"
    assert bench.script.calls == []


def test_an_adopted_token_that_the_api_refuses_too_is_refreshed():
    """Every joiner of a flight updates its own view, so that it asks again once and no more."""
    bench = _with_old_view(granted(3))
    bench.put(_newer())
    assert bench.token() == "at_2"
    assert bench.another() == "at_3"
    assert bench.script.tokens() == ["rt_2"]


def test_a_newer_token_that_is_nearly_over_is_refreshed_from_its_own_pair():
    """The pair that this client knows is burnt; the one in the store is not."""
    bench = _with_old_view(granted(3))
    bench.put(_newer(refreshed_at=START + 10))
    assert bench.token() == "at_3"
    assert bench.script.tokens() == ["rt_2"]
    kept(bench, generation=3, refresh_token=Secret("rt_3"))


def test_another_session_in_the_store_is_adopted():
    """Another process signed somebody else in: this account is theirs now."""
    bench = _with_old_view()
    bench.put(_newer(session_id="ses_9", created_at=START + 5, generation=1))
    assert bench.token() == "at_2"
    session = bench.session()
    assert session is not None
    assert session.id == "ses_9"


def test_a_session_that_another_process_signed_out_is_over():
    """It is not asked for any more, and the reason says what happened."""
    bench = _with_old_view()
    bench.store.delete("default@tnt_1@api.example.com")
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert (bench.script.calls, bench.told()) == ([], ["SESSION_EXPIRED:signed_out"])


def test_a_refusal_is_believed_only_of_the_token_that_is_still_in_the_store():
    """Compare and delete: somebody replaced the record while the service refused the old token."""
    bench = _with_old_view()

    def replaced(_call, _seconds):
        bench.put(_newer())
        return problem(401, "refresh_token_reused")

    bench.script.steps.append(replaced)
    assert bench.token() == "at_2"
    kept(bench, generation=2, refresh_token=Secret("rt_2"))
    assert [call.path for call in bench.script.calls] == ["/auth/token/refresh"]
    assert bench.told() == []


def test_a_refusal_of_a_token_whose_record_is_gone_is_a_sign_out():
    """Somebody signed out meanwhile; that is what ended the session."""
    bench = _with_old_view()

    def deleted(_call, _seconds):
        bench.store.delete("default@tnt_1@api.example.com")
        return problem(401, "session_revoked")

    bench.script.steps.append(deleted)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT


def test_a_grant_for_a_session_that_was_replaced_meanwhile_is_signed_out():
    """The lock was lost and somebody signed in: else two sessions would live on, one of them with nobody."""
    bench = _with_old_view()

    def replaced(_call, _seconds):
        bench.put(_newer(session_id="ses_9", access_token=Secret("at_9"), refresh_token=Secret("rt_9")))
        return granted(2)

    bench.script.steps.append(replaced)
    assert bench.token() == "at_9"
    assert bench.settle().script.tokens("/auth/sign-out") == ["rt_2"]
    kept(bench, generation=2, refresh_token=Secret("rt_9"))


def test_a_grant_for_a_session_that_somebody_else_refreshed_meanwhile_is_let_go():
    """The lock was lost within a grace window: signing the own pair out would end the common session."""
    bench = _with_old_view()

    def refreshed(_call, _seconds):
        bench.put(_newer(access_token=Secret("at_9"), refresh_token=Secret("rt_9")))
        return granted(2)

    bench.script.steps.append(refreshed)
    assert bench.token() == "at_9"
    assert bench.settle().script.tokens("/auth/sign-out") == []


# the cooldown


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", [90.0, 3_600.0, 1e6])
def test_a_cooldown_holds_for_every_client_of_the_store(status, wait):
    """One client heard it; the others ask nothing either, and are told how long to wait."""
    one = dead(problem(status, "slow_down", retry_after=f"{wait:.0f}"))
    with pytest.raises(ServiceUnavailable):
        one.token()
    other = Bench(granted(2), store=one.store, at=one.time)
    with pytest.raises(ServiceUnavailable) as caught:
        other.token()
    assert caught.value.retry_after == min(wait, 3_600.0)
    assert other.script.calls == []
    one.time.now += min(wait, 3_600.0)
    assert other.token() == "at_2"
    assert one.token() == "at_2"


def test_a_cooldown_is_no_matter_while_the_token_has_life():
    """Nobody notices it, and nobody asks."""
    bench = Bench(problem(429, "slow_down", retry_after="30"))
    bench.put(a_record())
    for after in (EXPIRING, EXPIRING + 5, EXPIRING + 20):
        assert bench.at(after).token() == "at_1"
    assert len(bench.script.calls) == 1


def test_retry_after_may_be_a_date_and_is_measured_by_the_services_clock():
    """This machine's clock may be wrong: the answer's own date says how far away the other one is."""
    then = datetime(2020, 1, 1, tzinfo=UTC)
    dates = {"date": format_datetime(then, usegmt=True)}
    soon = format_datetime(then + timedelta(seconds=80), usegmt=True)
    bench = dead(problem(503, "down", retry_after=soon, **dates))
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert caught.value.retry_after == 80.0
    kept(bench, refresh_not_before=START + DEAD + 80)


def test_retry_after_zero_means_at_once():
    """It is a number that servers send; it is neither a default nor a crash."""
    bench = dead(problem(429, "slow_down", retry_after="0"), granted(2))
    assert bench.token() == "at_2"
    assert bench.time.slept == [0.0]


def test_retry_after_zero_for_ever_ends_after_four_attempts_and_cools_nothing():
    """The service asked for no wait, so the next caller asks again."""
    bench = dead(*[problem(429, "slow_down", retry_after="0")] * 4, granted(2))
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert bench.token() == "at_2"


def test_retry_after_in_the_body_counts_as_well():
    """The documented 429 names the wait there."""
    body = {"error": "rate_limit_exceeded", "message": "Slow down", "retry_after": 70}
    bench = dead(reply(429, body))
    with pytest.raises(ServiceUnavailable) as caught:
        bench.token()
    assert caught.value.retry_after == 70.0


def test_a_cooldown_that_is_nonsense_is_none():
    """A clock that was wrong when it was noted must not stop refreshes for a century."""
    bench = Bench(granted(2))
    bench.put(a_record(refresh_not_before=START + 1e9))
    assert bench.at(DEAD).token() == "at_2"


def test_a_sign_in_ends_a_cooldown():
    """The cooldown was the old session's."""
    bench = dead(problem(429, "slow_down", retry_after="90"), granted(2))
    with pytest.raises(ServiceUnavailable):
        bench.token()
    bench.sign_in()
    assert bench.another() == "at_2"


# the whole of one refresh has one deadline


def test_attempts_end_before_their_wait_would_pass_the_deadline():
    """The store's lock is not held for longer than was promised."""

    def slow(_call, _seconds):
        bench.time.sleep(8)
        return NOT_SENT

    bench = dead(*[slow] * 9)
    began = bench.time.now
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert bench.time.now - began <= bench.engine.context.storage.refresh_time + 8
    assert len(bench.script.calls) == 3


def test_each_attempt_gets_the_seconds_that_are_left():
    """A second attempt after a slow first one must not run over the deadline."""
    given = []

    def slow(_call, seconds):
        given.append(seconds)
        bench.time.sleep(11)
        return UNKNOWN

    bench = dead(slow, slow)
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert given == [20.0, 9.0]


# accounts


def test_accounts_of_one_store_are_strangers():
    """One user's sign-in, cooldown and sign-out are nothing to another's."""
    bench = Bench()
    bench.sign_in()
    first, bench.account = bench.account, bench.engine.account("second")
    with pytest.raises(NotSignedIn, match="'second'"):
        bench.token()
    bench.sign_in()
    bench.sign_out()
    bench.account = first
    assert bench.token() == "at_1"
    assert {event.account for event in bench.events} == {"default", "second"}


def test_the_same_account_is_one_object_for_as_long_as_anybody_holds_it():
    """Two requests of one user share a flight."""
    bench = Bench()
    other = bench.engine.account("other")
    assert bench.engine.account("other") is other
    del other
    gc.collect()
    assert "other" not in bench.engine._accounts


def test_a_stale_token_is_refreshed_ahead_and_nobody_waits():
    """The caller has its token before the service is asked, and the next caller has the new one."""
    bench = Bench(granted(2))
    bench.put(a_record())
    assert bench.at(STALE).token() == "at_1"
    bench.settle()
    assert bench.token() == "at_2"
    assert bench.told() == ["TOKEN_REFRESHED"]


def test_without_background_refresh_a_stale_token_is_just_used():
    """Who switched it off waits once, when the token is nearly over."""
    bench = Bench(granted(2), background_refresh=False)
    bench.put(a_record())
    assert bench.at(STALE).token() == "at_1"
    assert bench.settle().script.calls == []
    assert bench.at(EXPIRING).token() == "at_2"

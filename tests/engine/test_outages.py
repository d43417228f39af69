"""A failure that is not "over" never signs anyone out: not the service's, and not the store's."""

import logging

import pytest

from hellojohn._errors import ApiError, ServiceUnavailable, SessionExpired, StoreUnavailable
from hellojohn._wire import OutcomeKind
from tests.engine.rig import (
    DEAD,
    EXPIRING,
    HTML,
    KEY,
    NOT_SENT,
    START,
    UNKNOWN,
    Bench,
    FlakyStore,
    a_record,
    dead,
    granted,
    kept,
    problem,
    reply,
)

HARMLESS = {
    OutcomeKind.NOT_SENT: [NOT_SENT] * 4,
    OutcomeKind.RETRY_LATER: [problem(429, "rate_limit_exceeded", retry_after="50")],
    OutcomeKind.UNKNOWN: [UNKNOWN, UNKNOWN],
    OutcomeKind.MISCONFIGURED: [problem(401, "invalid_api_key")],
    OutcomeKind.FOREIGN_RESPONSE: [reply(403, HTML)],
}


@pytest.mark.parametrize("steps", HARMLESS.values(), ids=HARMLESS)
def test_a_token_with_life_is_used_when_no_other_can_be_had(steps):
    """An outage is not noticed before the access token has really ended."""
    bench = Bench(*steps)
    bench.put(a_record())
    assert bench.at(EXPIRING).token() == "at_1"
    assert bench.told() == []
    assert bench.stored() is not None


@pytest.mark.parametrize("steps", HARMLESS.values(), ids=HARMLESS)
def test_after_a_failure_there_is_quiet_while_the_token_has_life(steps):
    """A thousand requests in the last half minute of a token do not make a thousand refreshes."""
    bench = Bench(*steps)
    bench.put(a_record())
    bench.at(EXPIRING)
    calls = []
    for _ in range(20):
        assert bench.token() == "at_1"
        calls.append(len(bench.script.calls))
    assert calls[0] == calls[-1] == len(steps)


@pytest.mark.parametrize("steps", HARMLESS.values(), ids=HARMLESS)
def test_the_session_is_there_when_the_service_is_back(steps):
    """The outage ends and the next request goes through, with the token that was kept."""
    bench = dead(*steps, granted(2))
    with pytest.raises((ServiceUnavailable, ApiError)):
        bench.token()
    bench.time.now += 100
    assert bench.token() == "at_2"
    assert set(bench.script.tokens()) == {"rt_1"}


def test_a_store_that_cannot_write_the_intent_asks_nothing():
    """What could not be noted is not begun: a crash would burn the token unseen."""
    store = FlakyStore()
    bench = dead(store=store)
    store.fail("save")
    with pytest.raises(StoreUnavailable, match="full"):
        bench.token()
    assert bench.script.calls == []
    kept(bench)


def test_a_store_that_cannot_note_a_failure_is_warned_about(caplog):
    """The intent stays open too long, which is safe; the caller still gets the reason."""
    store = FlakyStore()
    bench = dead(*[NOT_SENT] * 4, store=store)
    store.fail("save", None, StoreUnavailable("The disk is full."))
    with caplog.at_level(logging.WARNING, "hellojohn"), pytest.raises(ServiceUnavailable):
        bench.token()
    assert "was not noted" in caplog.text
    kept(bench, refresh_started_at=START + DEAD)


def test_a_store_that_cannot_delete_a_session_that_is_over_does_not_hide_it(caplog):
    """The user must sign in again, whatever the disk says."""
    store = FlakyStore()
    bench = dead(problem(401, "session_revoked"), store=store)
    store.fail("delete")
    with caplog.at_level(logging.WARNING, "hellojohn"), pytest.raises(SessionExpired):
        bench.token()
    assert "was not deleted" in caplog.text
    assert bench.told() == ["SESSION_EXPIRED:revoked"]
    assert store.used["delete"] == 1


def test_the_locks_of_the_store_are_held_from_the_first_look_to_the_last_word():
    """Nobody else asks, saves or deletes in between."""
    store = FlakyStore()

    def locked(_call, _seconds):
        lock = store._lock_of(KEY)
        assert not lock.acquire(blocking=False)
        return granted(2)

    bench = dead(locked, store=store)
    assert bench.token() == "at_2"
    with store.lock(KEY, 0):
        pass

"""What is saved in the place of junk: the only copy of a session, for which the service is asked first.

Junk is what turned out to be no record, under the store's lock. It may have hidden anything: a sign-out,
another sign-in, a later generation.
"""

import json
from collections.abc import Callable

import pytest

from hellojohn._errors import (
    ExpiryReason,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._secret import Secret
from hellojohn._wire import Answer
from hellojohn.stores import MemoryStore
from tests.engine.rig import (
    DEAD,
    FULL,
    KEY,
    NOT_SENT,
    STALE,
    START,
    TTL,
    Bench,
    FlakyStore,
    Step,
    a_record,
    dead,
    granted,
    kept,
    problem,
    unsaved,
)

SPENT = {"ttl": 0.0, "refresh_started_at": START + DEAD}
SECOND = {"generation": 2, "refresh_token": Secret("rt_2")}


class Aside(FlakyStore):
    """A store that sets junk aside by itself, and may fail at that."""

    def quarantine(self, key: str) -> str | None:
        """Set aside, or fail."""
        where: str | None = self._use("quarantine", lambda: MemoryStore.quarantine(self, key))
        return where


def _spoil(
    bench: Bench, answer: Answer, *failures: Exception, method: str = "save", late: bool = False
) -> Step:
    """Make a step that spoils the record while the service is asked, and then has the store fail."""

    def step(_call: object, _seconds: float) -> Answer:
        MemoryStore.save(bench.store, KEY, "{")
        if failures:
            bench.store.fail(method, *failures, late=late)
        return answer

    return step


def _spoiled(*answers: Step, text: str = "{") -> Bench:
    """Make a bench that has saved its only copy again, after the record in the store turned into junk."""
    bench, store = unsaved()
    bench.script.steps.extend(answers)
    MemoryStore.save(store, KEY, text)
    store.heal()
    bench.at(DEAD + 10).token()
    bench.settle()
    assert MemoryStore.load(store, f"{KEY}.corrupt-1") == text
    return bench


def _deleted(bench: Bench, answer: Answer) -> Step:
    """Make a step in which another process signs out without the lock."""

    def step(_call: object, _seconds: float) -> Answer:
        MemoryStore.delete(bench.store, KEY)
        return answer

    return step


# it is saved, and the service is asked


@pytest.mark.parametrize("answer", [granted(2), problem(401, "session_revoked")], ids=["granted", "refused"])
def test_junk_that_came_during_a_refresh_is_quarantine_and_what_the_service_said_counts(answer):
    """Nobody has replaced the record."""
    bench = dead()
    bench.script.steps.extend([_spoil(bench, answer), granted(3)])
    if answer.status == 200:
        assert bench.token() == "at_3"
        assert bench.script.tokens() == ["rt_1", "rt_2"]
    else:
        with pytest.raises(SessionExpired) as caught:
            bench.token()
        assert caught.value.reason is ExpiryReason.REVOKED
    assert MemoryStore.load(bench.store, f"{KEY}.corrupt-1") == "{"


@pytest.mark.parametrize("text", ["{", json.dumps({"v": 1})])
def test_junk_that_came_later_is_replaced_by_the_only_copy(text):
    """The next use has a new token, and all is as before."""
    bench = _spoiled(granted(3), text=text)
    kept(bench, **SECOND, **SPENT)
    assert bench.token() == "at_3"
    kept(bench, generation=3, refresh_token=Secret("rt_3"), ttl=TTL)


@pytest.mark.parametrize("use", [Bench.token, Bench.another])
def test_a_sign_out_that_junk_has_hidden_is_the_services_word(use):
    """Another process signed the session out before its record turned into junk: nothing here tells."""
    bench = _spoiled(problem(401, "session_revoked"))
    with pytest.raises(SessionExpired) as caught:
        use(bench)
    assert caught.value.reason is ExpiryReason.REVOKED
    assert bench.script.tokens() == ["rt_1", "rt_2"]
    assert bench.stored() is None


@pytest.mark.parametrize("code", ["refresh_token_reused", "refresh_token_invalid"])
def test_a_later_generation_that_junk_has_hidden_is_no_theft(code):
    """The copy had been saved after all, and another process refreshed it: nobody can know."""
    bench = _spoiled(problem(401, code))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN


def test_until_the_service_can_be_asked_the_session_is_kept_and_not_used():
    """The network is away: its token is used neither here nor elsewhere."""
    bench = _spoiled(*[NOT_SENT] * 20)
    for client in (bench, Bench(*[NOT_SENT] * 20, store=bench.store, at=bench.time)):
        with pytest.raises(ServiceUnavailable, match="kept"):
            client.token()
    kept(bench, **SECOND, **SPENT)


def test_what_is_saved_as_spent_is_shown_as_spent():
    """A refresh in vain met junk: no token that still lives here may be one that was signed out elsewhere."""
    bench = Bench(store=FlakyStore())
    bench.put(a_record())
    bench.token()
    bench.script.steps.extend([_spoil(bench, NOT_SENT), *[NOT_SENT] * 20])
    assert bench.at(STALE + 5).token() == "at_1"
    kept(bench.settle(), ttl=0.0, refresh_started_at=START)
    with pytest.raises(ServiceUnavailable, match="kept"):
        bench.token()


# a store that goes on failing


@pytest.mark.parametrize("failed", [1, 2, 3])
def test_a_store_that_fails_over_junk_costs_nobody_the_session(failed):
    """Its place is empty because the junk was set aside, not by a sign-out: it is saved when that can be."""
    bench = dead(store=FlakyStore())
    bench.script.steps.extend([_spoil(bench, granted(2), *[FULL] * failed), granted(3)])
    assert bench.token() == "at_3"
    kept(bench, generation=3, refresh_token=Secret("rt_3"))
    assert not bench.script.tokens("/auth/sign-out")


def test_while_a_store_goes_on_failing_over_junk_nobody_uses_the_session():
    """The error is the store's; the session is there again when the store is."""
    bench = dead(store=FlakyStore())
    bench.script.steps.extend([_spoil(bench, granted(2), *[FULL] * 1_000), granted(3)])
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            bench.token()
    bench.store.heal()
    assert bench.token() == "at_3"
    assert bench.script.tokens() == ["rt_1", "rt_2"]


@pytest.mark.parametrize("when", [STALE + 5, DEAD])
def test_a_failed_refresh_that_cannot_be_noted_over_junk_costs_nobody_the_session(when):
    """The network was away, and then the store."""
    bench = Bench(store=FlakyStore())
    bench.put(a_record())
    bench.token()
    bench.script.steps.extend([_spoil(bench, NOT_SENT, FULL), *[NOT_SENT] * 20])
    bench.at(when)
    if when < DEAD:
        assert bench.token() == "at_1"
    else:
        with pytest.raises(ServiceUnavailable):
            bench.token()
    bench.settle().store.heal()
    bench.script.steps.clear()
    bench.script.steps.append(granted(2))
    assert bench.at(when + 100).token() == "at_2"


def test_a_lock_that_is_lost_over_junk_costs_nobody_the_session():
    """It is saved under a new one."""
    bench = dead(store=FlakyStore())
    bench.script.steps.extend([_spoil(bench, granted(2), *[StoreLocked("lost")] * 3), granted(3)])
    assert bench.token() == "at_3"
    kept(bench.settle(), generation=3, refresh_token=Secret("rt_3"))


@pytest.mark.parametrize("end", [lambda bench: bench.engine.close(), lambda bench: bench.another()])
def test_the_only_copy_outlives_a_store_that_has_set_junk_aside_and_cannot_save(
    end: Callable[[Bench], object],
):
    """A full disk can rename, and takes no new file: the next attempt finds the place empty."""
    bench, store = unsaved()
    MemoryStore.save(store, KEY, "{")
    store.fail("save", FULL)
    bench.at(DEAD + 10).token()
    bench.settle()
    assert bench.stored() is None
    store.heal()
    bench.script.steps.append(granted(3))
    end(bench)
    stored = bench.stored()
    assert stored is not None
    assert stored.generation in (2, 3)


def test_junk_that_was_quarantine_though_the_store_says_no_costs_nobody_the_session():
    """The answer to the rename was lost: the place is empty all the same, and not by a sign-out."""
    bench = dead(store=Aside())
    failing = _spoil(bench, granted(2), OSError("answer lost"), method="quarantine", late=True)
    bench.script.steps.extend([failing, granted(3)])
    assert bench.token() == "at_3"
    assert not bench.script.tokens("/auth/sign-out")


def test_the_end_of_a_session_that_has_lost_its_place_to_junk_is_its_own_end():
    """Its deadline has passed: it is not over because of a sign-out that nobody has made."""
    store = FlakyStore()
    bench = Bench(granted(2), store=store)
    bench.put(a_record(client_ends_at=START + 1_500))
    store.fail("save", None, *[FULL] * 1_000)
    assert bench.at(DEAD).token() == "at_2"
    MemoryStore.save(store, KEY, "{")
    bench.at(DEAD + 10).token()
    bench.settle().store.heal()
    with pytest.raises(SessionExpired) as caught:
        bench.at(1_600).token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert bench.settle().script.tokens("/auth/sign-out") == ["rt_2"]


# where a sign-out, or another session, was seen


def test_another_session_that_was_saved_as_spent_is_not_used_before_the_service_was_asked():
    """The lock was lost meanwhile, and somebody else had met junk."""

    def lose(_call: object, _seconds: float) -> Answer:
        other = a_record(session_id="ses_9", access_token=Secret("at_9"), refresh_token=Secret("rt_9"))
        bench.put(other.changed(refreshed_at=START + DEAD).spent())
        return granted(2)

    bench = dead(lose, problem(401, "session_revoked"))
    with pytest.raises(SessionExpired):
        bench.token()
    assert bench.script.tokens() == ["rt_1", "rt_9"]


def test_a_sign_out_after_the_junk_was_replaced_stays():
    """The place was filled again under the same lock: who empties it then has signed out."""
    bench, store = unsaved()
    MemoryStore.save(store, KEY, "{")
    store.heal()
    bench.script.steps.append(_deleted(bench, granted(3)))
    with pytest.raises(SignInRequired):
        bench.at(2 * DEAD + 5).token()
    assert bench.settle().stored() is None
    assert bench.script.tokens("/auth/sign-out") == ["rt_3"]


def test_junk_after_a_sign_out_that_was_seen_hides_nothing():
    """The record was gone when the answer came; what turned up a moment later changes nothing."""

    class Late(FlakyStore):
        """Has junk where a look found nothing."""

        def load(self, key: str) -> str | None:
            """Load; after a look that found nothing, there is junk."""
            text = super().load(key)
            if text is None:
                MemoryStore.save(self, key, "{")
            return text

    bench = dead(store=Late())
    bench.script.steps.append(_deleted(bench, granted(2)))
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.settle().script.tokens("/auth/sign-out") == ["rt_2"]


def test_an_unsaved_copy_does_not_replace_a_later_generation():
    """Its save had been carried out, and another process went on from there."""
    bench, store = unsaved()
    later = a_record(
        generation=3, access_token=Secret("at_3"), refresh_token=Secret("rt_3"), refreshed_at=START + DEAD
    )
    bench.put(later)
    store.heal()
    bench.at(DEAD + 10).token()
    assert bench.settle().stored() == later
    assert bench.token() == "at_3"

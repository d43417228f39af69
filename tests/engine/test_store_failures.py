"""Stores that fail before, during and after what they are asked for, or hold what is not ours."""

import gc
import json
import logging
import threading
from contextlib import AbstractContextManager

import pytest

from hellojohn import HelloJohn
from hellojohn._errors import (
    ExpiryReason,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._secret import Secret
from hellojohn._session.acquire import acquire
from hellojohn._session.flight import run
from hellojohn.stores import MemoryStore
from tests.engine.rig import (
    DEAD,
    FULL,
    KEY,
    START,
    Bench,
    FlakyStore,
    a_record,
    dead,
    granted,
    kept,
    problem,
    unsaved,
)


def test_a_store_that_fails_between_the_answer_and_the_save_costs_nobody_the_session(caplog):
    """The new pair is used from memory, and the log says what is wrong."""
    with caplog.at_level(logging.WARNING, "hellojohn"):
        bench, store = unsaved()
    assert caplog.text.count("was not saved") == 3
    assert bench.told() == ["TOKEN_REFRESHED"]
    assert store.used["save"] == 4
    kept(bench, refresh_started_at=START + DEAD)


def test_it_is_saved_as_soon_as_the_store_can(caplog):
    """Every use is a reason to try again, in the background; once is enough."""
    bench, store = unsaved()
    store.heal()
    bench.at(DEAD + 10)
    assert bench.token() == "at_2"
    kept(bench.settle(), generation=2, refresh_token=Secret("rt_2"))
    before = store.used["save"]
    assert bench.token() == "at_2"
    assert bench.settle().store.used["save"] == before
    assert bench.told() == ["TOKEN_REFRESHED"]


def test_a_store_that_goes_on_failing_is_not_hammered():
    """A quiet time passes between two attempts, however many requests there are."""
    bench, store = unsaved()
    bench.at(DEAD + 10)
    for _ in range(50):
        assert bench.token() == "at_2"
        bench.settle()
    assert store.used["save"] == 5


def test_what_is_not_saved_yet_is_not_spent(caplog):
    """A refresh from a pair that nobody could find after a crash would burn it: the store comes first."""
    bench, store = unsaved()
    bench.script.steps.append(granted(3))
    bench.at(2 * DEAD)
    with pytest.raises(StoreUnavailable):
        bench.token()
    assert bench.script.tokens() == ["rt_1"]
    store.heal()
    assert bench.token() == "at_3"
    assert bench.script.tokens() == ["rt_1", "rt_2"]
    kept(bench, generation=3, refresh_token=Secret("rt_3"))


def test_closing_the_client_is_the_last_chance_to_save():
    """A script that ends takes the session with it."""
    bench, store = unsaved()
    store.heal()
    bench.engine.close()
    kept(bench, generation=2, refresh_token=Secret("rt_2"))


def test_closing_over_a_broken_store_raises_nothing():
    """There is nothing that the end of a with block could do about it."""
    bench, _store = unsaved()
    bench.engine.close()


def test_a_web_request_may_end_before_its_session_could_be_saved():
    """Nobody holds the account of a request that is over; its session must not go with it."""
    bench, store = unsaved()
    bench.account = bench.engine.account("another")
    gc.collect()
    store.heal()
    bench.account = bench.engine.account("default")
    bench.at(DEAD + 10)
    assert bench.token() == "at_2"
    kept(bench.settle(), generation=2, refresh_token=Secret("rt_2"))
    assert not bench.engine.context.unsaved


def test_an_account_that_owes_the_store_nothing_costs_nothing_when_idle():
    """Accounts live as long as somebody holds them."""
    bench = Bench()
    bench.engine.account("another")
    gc.collect()
    assert list(bench.engine._accounts) == ["default"]


def test_what_was_signed_out_meanwhile_stays_signed_out():
    """Another process signed out while memory had the only copy: the store has the last word."""
    bench, store = unsaved()
    MemoryStore.delete(store, KEY)
    store.heal()
    bench.at(DEAD + 10)
    bench.token()
    bench.settle()
    with pytest.raises(SignInRequired):
        bench.token()
    assert bench.stored() is None


def test_what_was_signed_in_meanwhile_wins():
    """Another process signed somebody in while memory had the only copy of the session before."""
    bench, store = unsaved()
    other = bench.put(a_record(session_id="ses_9", access_token=Secret("at_9"), refreshed_at=START + DEAD))
    store.heal()
    bench.at(DEAD + 10)
    bench.token()
    assert bench.settle().token() == "at_9"
    assert bench.stored() == other


def test_a_save_that_was_carried_out_and_failed_all_the_same_is_no_sign_out():
    """A lost answer of the store must not make the client believe that somebody replaced its session."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail("save", None, FULL, late=True)
    assert bench.token() == "at_2"
    kept(bench, generation=2, refresh_token=Secret("rt_2"))
    assert [call.path for call in bench.script.calls] == ["/auth/token/refresh"]
    assert bench.told() == ["TOKEN_REFRESHED"]


def test_a_lock_that_was_lost_on_the_way_is_taken_again():
    """A save that the store refused for a lost lock is made later, under a new one."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail("save", None, *[StoreLocked("The lock was lost.")] * 3)
    assert bench.token() == "at_2"
    bench.at(DEAD + 10)
    bench.token()
    kept(bench.settle(), generation=2, refresh_token=Secret("rt_2"))


@pytest.mark.parametrize("method", ["load", "lock"])
def test_a_store_that_cannot_be_read_is_a_store_error_and_no_sign_out(method):
    """The user is not sent to sign-in by a lost server."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail(method)
    with pytest.raises(StoreUnavailable, match="full"):
        bench.token()
    store.heal()
    assert bench.token() == "at_2"
    assert bench.told() == ["TOKEN_REFRESHED"]


def test_a_store_that_somebody_holds_too_long_is_locked():
    """The error says so, and the session is kept."""
    store = FlakyStore()
    bench = dead(granted(2), store=store)
    store.fail("lock", StoreLocked("held"))
    with pytest.raises(StoreLocked):
        bench.token()
    assert bench.token() == "at_2"


def test_a_sign_in_that_cannot_be_stored_is_signed_out_again():
    """The service is told, so that no session lives on that nobody has."""
    store = FlakyStore()
    bench = Bench(store=store)
    store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.sign_in()
    assert bench.script.tokens("/auth/sign-out") == ["rt_1"]
    assert (bench.session(), bench.told()) == (None, [])


def test_a_sign_in_that_cannot_be_stored_keeps_the_session_before():
    """Who was signed in is signed in still."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record(access_token=Secret("at_old")))
    assert bench.token() == "at_old"
    store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.sign_in()
    assert bench.token() == "at_old"


@pytest.mark.parametrize(
    "error", [ValueError("marker at_1"), KeyError("k"), OSError(28, "No space"), RuntimeError()]
)
def test_a_store_that_raises_anything_else_raises_a_store_error(error):
    """A caller has one kind of error to handle, and what a plug-in's error may hold stays inside."""
    store = FlakyStore()
    bench = dead(store=store)
    store.fail("load", error)
    with pytest.raises(StoreUnavailable, match=type(error).__name__) as caught:
        bench.token()
    assert "marker" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


# what is in the store that is not ours


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "not json",
        json.dumps({"v": 1}),
        a_record(tenant_id="tnt_2").dumps(),
        a_record(api_url="https://evil.example.com/v1").dumps(),
    ],
    ids=["torn", "empty", "foreign", "half", "other tenant", "other service"],
)
def test_what_is_not_ours_is_quarantine_once_and_reported_once(text, caplog):
    """It may be somebody's only copy: it is moved, named in the error and in the log, never dropped."""
    bench = Bench()
    MemoryStore.save(bench.store, KEY, text)
    with (
        caplog.at_level(logging.ERROR, "hellojohn"),
        pytest.raises(StoreCorrupt, match=r"corrupt-1; sign in"),
    ):
        bench.token()
    assert MemoryStore.load(bench.store, f"{KEY}.corrupt-1") == text
    for _ in range(2):
        with pytest.raises(NotSignedIn):
            bench.token()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert bench.script.calls == []


def test_what_is_not_ours_does_not_stop_a_sign_in():
    """The user need not find and delete a file."""
    bench = Bench()
    MemoryStore.save(bench.store, KEY, "{")
    bench.sign_in()
    assert bench.token() == "at_1"
    assert MemoryStore.load(bench.store, f"{KEY}.corrupt-1") == "{"


NEWER = json.dumps({**json.loads(a_record().dumps()), "v": 2})


@pytest.mark.parametrize("use", [Bench.token, Bench.session, Bench.sign_in, Bench.sign_out])
def test_a_newer_versions_record_is_left_untouched_by_every_call(use):
    """The newer version beside this one still wants it: an older one says so and keeps its hands off."""
    bench = Bench()
    MemoryStore.save(bench.store, KEY, NEWER)
    with pytest.raises(StoreCorrupt, match="upgrade"):
        use(bench)
    assert MemoryStore.load(bench.store, KEY) == NEWER
    assert list(bench.store._texts) == [KEY]


def test_a_newer_versions_record_that_came_meanwhile_is_left_untouched_by_a_refresh():
    """The other process upgraded while this one had its session in memory."""
    bench = dead(granted(2))
    bench.at(0)
    assert bench.token() == "at_1"
    MemoryStore.save(bench.store, KEY, NEWER)
    with pytest.raises(StoreCorrupt):
        bench.at(DEAD).token()
    assert MemoryStore.load(bench.store, KEY) == NEWER


class Minimal:
    """The four methods, and nothing that a store of ours has beside them."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.locks: dict[str, threading.Lock] = {}

    def load(self, key):
        """Return the text."""
        return self.texts.get(key)

    def save(self, key, text):
        """Keep the text."""
        self.texts[key] = text

    def delete(self, key):
        """Forget the text."""
        self.texts.pop(key, None)

    def lock(self, key, timeout) -> AbstractContextManager[object]:
        """Return a plain lock."""
        return self.locks.setdefault(key, threading.Lock())


def test_a_store_of_four_methods_will_do():
    """No option of the protocol is needed: no ``expires_in``, no ``quarantine``, no ``lease``."""
    store = Minimal()
    bench = Bench(granted(2), store=store)
    bench.sign_in(expires_in=100)
    bench.at(DEAD)
    assert bench.token() == "at_2"
    store.texts[KEY] = "{"
    with pytest.raises(StoreCorrupt, match=r"\.corrupt"):
        bench.at(2 * DEAD).token()
    assert [text for key, text in store.texts.items() if key != KEY] == ["{"]
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    bench.sign_in()
    bench.sign_out()
    assert KEY not in store.texts


@pytest.mark.parametrize("found", [5, ["x"], {"v": 1}, object(), b"\xff"])
def test_a_store_that_returns_no_text_is_told_so(found):
    """A mistake in somebody's own store is a store error, not a ``TypeError`` from inside."""
    store = Minimal()
    store.texts[KEY] = found
    with pytest.raises(StoreError):
        Bench(store=store).token()


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (MemoryStore, "not the class"),
        (object(), r"no load\(\)"),
        ("a path", r"no load\(\)"),
        ({}, r"no load\(\)"),
    ],
)
def test_what_is_no_store_is_refused_at_once(store, words):
    """It says which method is missing, where the client is made."""
    with pytest.raises(ValueError, match=words):
        HelloJohn(tenant_id="t", publishable_key="pk_1", store=store)


def test_a_session_that_the_service_ended_in_a_store_that_failed_is_ended_once_more():
    """The delete failed and the process was restarted: the service is asked, and says so again."""
    store = FlakyStore()
    bench = dead(problem(401, "session_revoked"), problem(401, "session_revoked"), store=store)
    store.fail("delete", FULL)
    with pytest.raises(SessionExpired):
        bench.token()
    again = Bench(problem(401, "session_revoked"), store=store, at=bench.time)
    with pytest.raises(SessionExpired) as caught:
        run(acquire(again.account))
    assert caught.value.reason is ExpiryReason.REVOKED
    assert bench.stored() is None


def test_a_store_that_exits_ends_the_operation_and_nobody_hangs():
    """``SystemExit`` on an owner thread ends no program; the caller must hear of it all the same."""
    bench = Bench(store=FlakyStore())
    bench.store.fail("lock", SystemExit())
    with pytest.raises(ServiceUnavailable):
        bench.sign_in()

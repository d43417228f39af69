"""Sign-in and sign-out: the operation that was asked for last wins, also over one that runs beside it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from hellojohn._errors import (
    ApiError,
    ExpiryReason,
    InvalidCredentials,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInSuperseded,
    StoreLocked,
    StoreUnavailable,
)
from hellojohn._session import operations
from hellojohn._session.record import SessionRecord
from hellojohn._session.workers import NoThreadError
from hellojohn._waiting import run_async
from hellojohn._wire import ApiResponse
from hellojohn.stores import MemoryStore
from tests.both_faces import until
from tests.fake_stores import FailingStore, HeldLock, LeasedStore
from tests.session.bench import (
    EXPIRED,
    KEY,
    LOST,
    Bench,
    Gate,
    a_record,
    another_session,
    expired_token,
    in_thread,
    problem,
    response,
    tokens,
)


def test_sign_in_keeps_the_session() -> None:
    """A sign-in stores the session and shows it."""
    bench = Bench()
    session = bench.sign_in()
    assert session.id == "ses_s"
    assert bench.session() == session
    assert bench.session_record().refresh_token.reveal() == "rt_s"
    assert bench.seen() == ["SIGNED_IN"]


def test_sign_out_ends_it_here_and_there() -> None:
    """A sign-out deletes the session, ends it at the service and returns that the service confirmed."""
    bench = Bench()
    bench.sign_in()
    assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.service.signed_out == ["rt_s"]
    assert bench.session() is None
    assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT"]


def test_sign_out_without_a_session_asks_nothing() -> None:
    """A sign-out without a session sends nothing, emits nothing and returns True."""
    bench = Bench()
    assert bench.sign_out() is True
    assert bench.service.requests == []
    assert bench.seen() == []


@pytest.mark.parametrize("answer", [LOST, problem(500, "internal_error"), response(502, b"<html>")])
def test_sign_out_in_an_outage_returns_false(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A sign-out that the service does not confirm returns False, logs one line and keeps nothing."""
    bench = Bench()
    bench.sign_in()
    bench.service.sign_outs.append(answer)
    with caplog.at_level(logging.WARNING, "hellojohn"):
        assert bench.sign_out() is False
    assert bench.stored() is None
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(LOST, ServiceUnavailable), (problem(403, "insufficient_permissions"), ApiError)]
)
def test_sign_out_everywhere_raises_when_unconfirmed(answer: Any, error: type[Exception]) -> None:
    """A sign-out everywhere raises if the other sessions may live on; the local one is gone."""
    bench = Bench()
    bench.sign_in()
    bench.service.sign_outs.append(answer)
    with pytest.raises(error):
        bench.sign_out(everywhere=True)
    assert bench.stored() is None


def test_sign_out_of_a_session_only_the_store_has() -> None:
    """A sign-out in a new process ends the stored session."""
    bench = Bench()
    bench.put(a_record())
    assert bench.sign_out() is True
    assert bench.service.signed_out == ["rt_1"]
    assert bench.seen() == ["SIGNED_OUT"]


def test_sign_out_does_not_wait_for_a_refresh() -> None:
    """A sign-out returns while a refresh still waits for the service, and the new pair is signed out."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()
    assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.session() is None
    gate.open()
    assert isinstance(caller(), NotSignedIn)
    bench.settle()
    assert bench.stored() is None
    assert bench.service.signed_out == ["rt_1", "rt_2"]
    assert bench.seen() == ["SIGNED_OUT"]


def test_sign_in_does_not_wait_for_a_refresh() -> None:
    """A sign-in is complete while a refresh still waits for the service, and the refresh changes nothing."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()
    assert bench.sign_in("b").id == "ses_b"
    gate.open()
    assert caller() == "at_b"
    bench.settle()
    assert bench.session_record().refresh_token.reveal() == "rt_b"
    assert bench.service.signed_out == ["rt_1", "rt_2"]
    assert bench.seen() == ["SIGNED_IN"]


def test_late_sign_in_does_not_undo_a_sign_out() -> None:
    """A sign-in that answers after a later sign-out is superseded, and its session is signed out."""
    bench = Bench(gate := Gate(tokens("a", session_id="ses_a")))
    caller = in_thread(bench.ask_to_sign_in)
    gate.wait()
    assert bench.sign_out() is True
    gate.open()
    assert isinstance(caller(), SignInSuperseded)
    bench.settle()
    assert bench.stored() is None
    assert bench.session() is None
    assert bench.service.signed_out == ["rt_a"]
    assert bench.seen() == []


def test_late_sign_in_does_not_undo_a_later_sign_in() -> None:
    """A sign-in of user A that answers after a sign-in of user B leaves B signed in."""
    bench = Bench(gate := Gate(tokens("a", session_id="ses_a")))
    caller = in_thread(bench.ask_to_sign_in)
    gate.wait()
    bench.sign_in("b")
    gate.open()
    assert isinstance(caller(), SignInSuperseded)
    bench.settle()
    assert bench.token() == "at_b"
    assert bench.session_record().refresh_token.reveal() == "rt_b"
    assert bench.service.signed_out == ["rt_a"]


def test_refused_sign_in_costs_no_refresh() -> None:
    """A wrong password that is typed while a refresh runs does not cost the session its new pair."""
    bench = expired_token(refresh := Gate(tokens(2)), password := Gate(problem(401, "invalid_credentials")))
    refreshing = in_thread(bench.token)
    refresh.wait()
    signing_in = in_thread(bench.ask_to_sign_in)
    password.wait()
    refresh.open()
    assert refreshing() == "at_2"
    password.open()
    assert isinstance(signing_in(), InvalidCredentials)
    assert bench.session_record().refresh_token.reveal() == "rt_2"
    assert bench.service.signed_out == []


def test_sign_in_again_signs_the_old_session_out() -> None:
    """A sign-in over another session ends that session at the service, so it does not count to the cap."""
    bench = Bench()
    bench.sign_in("a")
    bench.sign_in("b")
    bench.settle()
    assert bench.service.signed_out == ["rt_a"]
    assert bench.seen() == ["SIGNED_IN", "SIGNED_IN"]


def test_sign_in_answered_with_the_same_session() -> None:
    """A service that answers a second sign-in with the same session is not asked to end it."""
    bench = Bench()
    bench.sign_in("a", session_id="ses_1")
    bench.sign_in("b", session_id="ses_1")
    bench.settle()
    assert bench.service.signed_out == []


def test_superseded_sign_in_signs_out_what_it_replaced() -> None:
    """A sign-in that is superseded after its save ends both sessions: the store has neither any more."""
    bench = Bench(store=LeasedStore(lease=60.0))
    bench.sign_in("a")
    bench.store.once_after("save", bench.account.ask_to_sign_out)
    with pytest.raises(SignInSuperseded):
        bench.sign_in("b")
    bench.settle()
    assert sorted(bench.service.signed_out) == ["rt_a", "rt_b"]


def test_sign_in_that_cannot_be_saved_is_signed_out() -> None:
    """A session that the store did not take is signed out again, and the error is the store's."""
    bench = Bench(store=FailingStore())
    bench.store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.sign_in()
    bench.store.heal()
    bench.settle()
    assert bench.service.signed_out == ["rt_s"]
    assert bench.session() is None
    assert bench.seen() == []


def test_sign_in_that_ends_after_the_client_was_closed() -> None:
    """A sign-in that is too slow for close() is stored and succeeds: the next client finds the session."""
    bench = Bench(gate := Gate(tokens("a", session_id="ses_a")))
    caller = in_thread(bench.ask_to_sign_in)
    gate.wait()
    bench.account.close()
    gate.open()
    assert caller().id == "ses_a"
    bench.settle()
    assert bench.session_record().refresh_token.reveal() == "rt_a"
    assert bench.service.signed_out == []


def test_sign_in_saved_although_the_store_reports_failure() -> None:
    """A save that failed after it was carried out is found in the store, and the sign-in succeeds."""
    bench = Bench(store=FailingStore())
    bench.store.fail("save", late=True)
    assert bench.sign_in().id == "ses_s"
    bench.settle()
    assert bench.service.signed_out == []


def test_sign_out_behind_a_stuck_lock() -> None:
    """A sign-out deletes the session without the lock when another process does not release it."""
    bench = Bench(store=HeldLock())
    bench.put(a_record())
    bench.session()
    with bench.store.held_elsewhere(bench.time):
        assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.service.signed_out == ["rt_1"]
    assert bench.time.elapsed <= 6


def test_sign_in_behind_a_stuck_lock() -> None:
    """The error says how long the sign-in has waited, and not how long its last try did."""
    bench = Bench(store=HeldLock())
    with (
        bench.store.held_elsewhere(bench.time),
        pytest.raises(StoreLocked, match=r"held the session's lock for 25 s\. Try again"),
    ):
        bench.sign_in()
    assert bench.time.elapsed >= 25


def test_sign_out_is_not_undone_by_the_lock_holder() -> None:
    """A session that the holder of the lock saves at the moment of the sign-out is deleted as well."""
    bench = Bench(store=HeldLock())
    bench.put(a_record())
    bench.session()
    newer = a_record(generation=2, refresh_token=bench.session_record().refresh_token)

    def save_again() -> Any:
        bench.put(newer)
        return response(204, b"")

    bench.service.sign_outs.append(save_again)
    with bench.store.held_elsewhere(bench.time):
        bench.sign_out()
    assert bench.stored() is None


@pytest.mark.parametrize("text", ["{", '{"v":99}'])
def test_unlocked_sign_out_over_an_unreadable_record(text: str) -> None:
    """A sign-out that cannot get the lock quarantines a record that it cannot read, too."""
    bench = Bench(store=HeldLock())
    bench.put_text(text)
    with bench.store.held_elsewhere(bench.time):
        assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.store.load(f"{KEY}.corrupt-1") == text


def test_sign_out_with_a_failing_store() -> None:
    """A sign-out whose deletion fails raises, and the service has ended the session."""
    bench = Bench(store=FailingStore())
    bench.sign_in()
    bench.store.fail("delete")
    with pytest.raises(StoreUnavailable):
        bench.sign_out()
    assert bench.service.signed_out == ["rt_s"]


def test_sign_out_signs_out_the_unsaved_pair() -> None:
    """A pair that only memory has is the one that a sign-out ends at the service."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    assert bench.token() == "at_2"
    assert bench.sign_out() is True
    assert bench.service.signed_out == ["rt_2"]


def test_sign_out_without_a_thread_leaves_the_session() -> None:
    """A sign-out that cannot be run raises, and the session is there as before."""
    bench = Bench()
    bench.sign_in()
    submit = bench.workers.submit
    bench.workers.submit = lambda job: (_ for _ in ()).throw(NoThreadError("none"))  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailable):
        asyncio.run(run_async(operations.sign_out(bench.account, everywhere=False)))
    bench.workers.submit = submit  # type: ignore[method-assign]
    assert bench.token() == "at_s"


def test_two_sign_outs_at_once_emit_one_event() -> None:
    """Two sign-outs at the same time end one session: SIGNED_OUT is emitted once."""
    bench = Bench()
    bench.sign_in()
    bench.service.sign_outs.append(gate := Gate(response(204, b"")))
    first = in_thread(bench.sign_out)
    gate.wait()
    assert bench.sign_out() is True
    gate.open()
    assert first() is True
    assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT"]


def test_sign_in_over_a_sign_out_that_is_still_running() -> None:
    """A sign-in asked for after a sign-out wins, even while the service still ends the old session."""
    bench = Bench()
    bench.sign_in("a")
    bench.service.sign_outs.append(gate := Gate(response(204, b"")))
    signing_out = in_thread(bench.sign_out)
    gate.wait()
    bench.sign_in("b")
    gate.open()
    assert signing_out() is True
    assert bench.token() == "at_b"
    assert bench.session_record().refresh_token.reveal() == "rt_b"
    assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT", "SIGNED_IN"]


@pytest.mark.parametrize("text", ["{", "[]", '{"v":99}', "not json", '{"v":1}', ""])
def test_sign_in_over_an_unreadable_record(text: str) -> None:
    """A record that cannot be read never keeps anyone from signing in: it is quarantined."""
    bench = Bench()
    bench.put_text(text)
    assert bench.sign_in().id == "ses_s"
    assert bench.store.load(f"{KEY}.corrupt-1") == text


@pytest.mark.parametrize("text", ["{", '{"v":99}'])
def test_sign_out_over_an_unreadable_record(text: str) -> None:
    """A sign-out over a record that cannot be read succeeds, and the text is quarantined."""
    bench = Bench()
    bench.put_text(text)
    assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.store.load(f"{KEY}.corrupt-1") == text


def test_sign_out_ends_what_another_process_signed_in() -> None:
    """A sign-out ends the session in the store, also if another process has replaced the one in memory."""
    bench = Bench()
    bench.sign_in()
    bench.put(another_session())
    assert bench.sign_out() is True
    assert bench.stored() is None
    assert bench.service.signed_out[0] == "rt_b"


def test_refresh_behind_a_finished_sign_out_asks_nothing() -> None:
    """A caller whose token expires after a sign-out gets NotSignedIn and the service no request."""
    bench = Bench()
    bench.sign_in()
    bench.sign_out()
    bench.time.at(EXPIRED)
    with pytest.raises(NotSignedIn):
        bench.token()
    assert bench.service.refreshed == []


def test_the_record_of_a_sign_in_has_a_new_id() -> None:
    """Two sign-ins at the same moment are two sessions, also where the service gives no session id."""
    bench = Bench()
    bench.sign_in("a", session_id=None)
    first = bench.session_record()
    bench.sign_in("b", session_id=None)
    second = bench.session_record()
    assert isinstance(first, SessionRecord)
    assert not first.is_same_session(second)


V2_REVOKED = response(401, {"code": "UNAUTHORIZED", "message": "no", "detail": "refresh token is revoked"})


@pytest.mark.parametrize("answer", [tokens(2), V2_REVOKED, LOST, response(503, b"")], ids=str)
def test_refresh_ends_the_session_for_a_sign_out(answer: Any) -> None:
    """A process that gets the lock between a refresh and the sign-out that overtook it says signed_out."""
    bench = expired_token(gate := Gate(answer), api="v2")
    other = Bench(store=bench.store, time=bench.time, api="v2")
    other.session()
    caller = in_thread(bench.token)
    gate.wait()
    turn, shown, _ = bench.account.ask_to_sign_out()  # its worker has not begun
    gate.open()
    assert isinstance(caller(), (NotSignedIn, ServiceUnavailable))
    with pytest.raises(SessionExpired) as caught:
        other.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert other.service.requests == []
    assert shown is not None
    assert turn.is_current()


class PeekedStore(MemoryStore):
    """A store that lets a test act when the next session has been saved, or its lock is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.when_saved: Callable[[], object] = lambda: None
        self.when_locking: Callable[[], object] = lambda: None

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
        """Call the test's function once, and lock."""
        act, self.when_locking = self.when_locking, lambda: None
        act()
        return super().lock(key, timeout)

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save, and call the test's function once."""
        super().save(key, text, expires_in=expires_in)
        act, self.when_saved = self.when_saved, lambda: None
        act()


def test_session_that_is_read_before_it_is_shown() -> None:
    """A request that reads a new session before the sign-in is complete sees no other process in it."""
    bench = Bench(store=PeekedStore())
    bench.sign_in("a")
    bench.sign_out()
    readers = []

    def read() -> None:
        readers.append(in_thread(bench.session))
        until(lambda: bench.account.flight is not None)
        assert bench.account.flight is not None
        bench.account.flight.wait(0.2)  # it cannot land before the sign-in has shown its session

    bench.store.when_saved = read
    session = bench.sign_in("b")
    assert readers[0]() == session
    assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT", "SIGNED_IN"]


def test_sign_out_during_the_save_of_a_sign_in() -> None:
    """A process that looks before the sign-out has the lock finds no session that is signed out already."""
    bench = Bench(store=PeekedStore())
    other = Bench(store=bench.store, time=bench.time)
    bench.store.when_saved = bench.account.ask_to_sign_out  # its worker has not begun
    with pytest.raises(SignInSuperseded):
        bench.sign_in()
    with pytest.raises(SessionExpired) as caught:
        other.token()
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    bench.settle()
    assert bench.service.signed_out == ["rt_s"]


def test_first_of_two_sign_outs_removes_the_session() -> None:
    """A sign-out does not tell the service before the session has left the store, whoever else signs out."""
    bench = Bench(store=PeekedStore())
    bench.sign_in()
    stored: list[object] = []

    def tell() -> ApiResponse:
        stored.append(bench.stored())
        return response(204, b"")

    bench.service.sign_outs.append(tell)
    bench.store.when_locking = bench.account.ask_to_sign_out  # a second caller's, whose worker has not begun
    assert bench.sign_out() is True
    assert stored == [None]
    assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT"]


def test_refresh_leaves_a_later_session_alone() -> None:
    """An overtaken refresh does not end the session of another process's sign-in."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()
    bench.account.ask_to_sign_out()
    bench.put(another_session())
    gate.open()
    assert isinstance(caller(), NotSignedIn)
    assert bench.session_record() == another_session()


def test_overtaken_refresh_quarantines_nothing() -> None:
    """A text that is damaged after a later sign-in is left to an operation that has the copy of it."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()
    bench.sign_in("b")
    bench.put_text("{damaged")
    gate.open()
    assert caller() == "at_b"
    bench.settle()
    assert MemoryStore.load(bench.store, KEY) == "{damaged"

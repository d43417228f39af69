"""The store's lock: who shares it, and how an account remembers a damaged text."""

from collections.abc import Callable

import pytest

from hellojohn._errors import ExpiryReason, SessionExpired, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn._session.state import Phase
from hellojohn._session.tasks import announce_end, locked, read_store, save_unsaved
from tests.fake_stores import FailingStore, HeldLock
from tests.session.bench import EXPIRED, KEY, START, TTL, Bench, Gate, a_record, in_thread, problem, tokens


def signed_in_over_damage() -> Bench:
    """Return a client with a session in memory whose record was damaged a moment ago."""
    bench = Bench(store=FailingStore())
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    bench.token()
    bench.put_text("{")
    return bench


def read(bench: Bench) -> None:
    """Read the store, for a caller who asked before the session was in memory."""
    with pytest.raises(StoreCorrupt, match="quarantined"):
        read_store(bench.account, bench.account.turn())


def announce(bench: Bench) -> None:
    """Announce that the session ends soon."""
    announce_end(bench.account)


def fail_to_sign_in(bench: Bench) -> None:
    """Sign in again, and do not get the new session saved."""
    bench.store.fail("save")
    with pytest.raises(StoreUnavailable):
        bench.sign_in()


def fail_to_refresh(bench: Bench) -> None:
    """Refresh at a service that is away, where the record is damaged after the request began."""
    bench.put(a_record(server_ends_at=START + 10 * TTL))

    def answer() -> object:
        bench.put_text("{")
        bench.store.fail("save")
        return problem(500, "internal_error")

    bench.service.steps.extend([answer, problem(500, "internal_error")])  # type: ignore[list-item]
    with pytest.raises(Exception, match="kept"):
        bench.refresh()


def fail_to_save(bench: Bench) -> None:
    """Refresh and get the new pair saved neither at once nor later."""
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    bench.service.steps.append(tokens(2))
    bench.store.fail("save", skip=1)
    bench.refresh()
    bench.put_text("{")
    with pytest.raises(StoreUnavailable):
        save_unsaved(bench.account)


QUARANTINING = [read, announce, fail_to_sign_in, fail_to_refresh, fail_to_save]


@pytest.mark.parametrize("quarantine", QUARANTINING)
def test_quarantine_costs_nobody_the_session(quarantine: Callable[[Bench], None]) -> None:
    """Whichever operation finds the damage and saves nothing in its place, the session goes on."""
    bench = signed_in_over_damage()
    quarantine(bench)
    bench.settle()
    assert bench.store.load(KEY) is None
    assert bench.store.load(f"{KEY}.corrupt-1") == "{"
    assert bench.account.state.phase is Phase.UNSAVED
    assert bench.account.state.damaged
    bench.store.heal()
    bench.time.at(EXPIRED + 100)
    bench.service.steps.append(tokens(3))
    assert bench.token() == "at_3"
    bench.settle()
    assert bench.session_record().access_token.reveal() == "at_3"
    assert not bench.account.state.damaged


@pytest.mark.parametrize("quarantine", QUARANTINING)
def test_nothing_is_written_while_a_text_is_moved(quarantine: Callable[[Bench], None]) -> None:
    """A sign-in that shares the lock cannot save a session that the quarantine would then move away."""
    bench = signed_in_over_damage()
    held: list[bool] = []
    move = bench.store.quarantine
    bench.store.quarantine = lambda key: (held.append(bench.account.storage.mutex.locked()), move(key))[1]
    quarantine(bench)
    bench.settle()
    assert held == [True]


def test_another_readable_session_ends_the_damage() -> None:
    """Once the store holds a session again, an empty store means that it was signed out."""
    bench = signed_in_over_damage()
    announce(bench)
    assert bench.account.state.damaged
    bench.put(a_record(server_ends_at=START + 10 * TTL))
    save_unsaved(bench.account)
    assert bench.account.state.phase is Phase.ACTIVE
    assert not bench.account.state.damaged


def test_seen_record_ends_the_damage() -> None:
    """A copy that was stored although the store reported a failure is not put back after a sign-out."""
    bench = signed_in_over_damage()
    announce(bench)
    copy = bench.account.state.snapshot
    assert copy is not None
    bench.put(copy.record)
    fail_to_sign_in(bench)
    assert not bench.account.state.damaged
    bench.store.heal()
    bench.store.delete(KEY)
    with pytest.raises(SessionExpired) as caught:
        save_unsaved(bench.account)
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert bench.store.load(KEY) is None


def test_damage_found_by_another_operation_is_not_forgotten() -> None:
    """Of two operations that share a lock, the one that read a good record before does not end the damage."""
    bench = signed_in_over_damage()
    bench.put(a_record())
    with locked(bench.account, 1.0) as place:
        assert place.load() == a_record()
        bench.put_text("{")
        with locked(bench.account, 0.0, shared=True) as shared:
            assert shared.load() is None
        assert bench.account.state.damaged
    assert bench.account.state.damaged


def test_sign_in_beside_a_refresh_ends_the_damage() -> None:
    """A sign-in that shares the lock saves its session, and the refresh does not call that one unsaved."""
    bench = signed_in_over_damage()
    with locked(bench.account, 1.0) as place:
        assert place.load() is None
        bench.sign_in()
    assert bench.account.state.phase is Phase.ACTIVE
    assert not bench.account.state.damaged


def test_lock_is_shared_with_a_refresh_of_this_process() -> None:
    """A sign-in or sign-out enters while a refresh of the same process holds the lock."""
    bench = Bench(gate := Gate(tokens(2)))
    bench.put(a_record())
    bench.time.at(EXPIRED)
    caller = in_thread(bench.token)
    gate.wait()
    with locked(bench.account, 0.0, shared=True) as place:
        assert place.load() == bench.stored()
    gate.open()
    assert caller() == "at_2"


def test_lock_of_another_process_is_not_shared() -> None:
    """A lock that another process holds is waited for, and not entered."""
    bench = Bench(store=HeldLock())
    with bench.store.held_elsewhere(bench.time), pytest.raises(StoreLocked):
        locked(bench.account, 1.0, shared=True).__enter__()


def test_end_of_a_copy_leaves_no_note_over_damage() -> None:
    """A client whose record was damaged cannot know what was there: it may have been a later session.

    It ends its own copy when that is over, and writes nothing in the place of another client's session.
    """
    bench = Bench(store=FailingStore())
    bench.put(a_record(client_ends_at=START + 500))
    bench.token()
    bench.put_text("{")
    bench.time.at(501)
    with pytest.raises(SessionExpired) as caught:
        bench.token()
    assert caught.value.reason is ExpiryReason.DURATION_ELAPSED
    assert bench.store.load(KEY) is None
    assert bench.store.load(f"{KEY}.corrupt-1") == "{"

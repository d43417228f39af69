"""What comes too late is not sent: a lease that has run on, a client that closes, a process that ends."""

import threading
import time

import pytest

from hellojohn._errors import ConfigurationError, ExpiryReason, ServiceUnavailable, SessionExpired
from hellojohn._secret import Secret
from hellojohn.stores import MemoryStore
from tests.engine.rig import (
    DEAD,
    KEY,
    Bench,
    FlakyStore,
    VirtualTime,
    a_record,
    dead,
    granted,
    in_thread,
    kept,
    problem,
    until,
)


class Slow(MemoryStore):
    """A store whose lock is a lease, and whose saves take their time."""

    lease = 30.0

    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self.clock = clock
        self.takes = 0.0

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save at once, and return late."""
        super().save(key, text)
        self.clock.sleep(self.takes)


@pytest.mark.parametrize("takes", [20.0, 45.0])
def test_a_refresh_whose_lease_ran_on_while_the_store_was_slow_is_not_sent(takes):
    """The lease counts from the lock, not from the request: by now, another may have used the token."""
    clock = VirtualTime()
    store = Slow(clock)
    bench = dead(store=store, at=clock)
    store.takes = takes
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert bench.script.calls == []


def test_a_slow_store_leaves_a_request_what_is_left_of_the_lease():
    """Twenty seconds from the lock, of which the intent's save took seven."""
    clock, given = VirtualTime(), []
    store = Slow(clock)

    def answer(_call, seconds):
        given.append(seconds)
        return granted(2)

    bench = dead(answer, store=store, at=clock)
    store.takes = 7.0
    assert bench.token() == "at_2"
    assert given == [pytest.approx(13.0)]


def test_a_refresh_that_gets_the_lock_when_the_client_is_nearly_closed_is_not_begun():
    """Its connection would be cut in the middle: the token is kept for the next start."""
    bench = dead(granted(2))
    with bench.store.lock(KEY, 1):
        refreshing = in_thread(bench.token)
        until(lambda: bench.account._flight is not None)
        bench.engine.context.closes_at = time.monotonic() + 9.0
    assert isinstance(refreshing(), ServiceUnavailable)
    assert bench.script.calls == []
    kept(bench)


def test_a_refresh_that_gets_the_lock_when_the_interpreter_ends_is_not_begun():
    """The same at the end of the program, which waits for twenty seconds and no longer."""
    bench = dead(granted(2))
    bench.owner.exits_at = time.monotonic() + 9.0
    assert isinstance(in_thread(bench.token)(), ServiceUnavailable)
    assert bench.script.calls == []
    kept(bench)


def test_a_refresh_begun_at_the_end_has_until_the_end():
    """A script's last request may begin it, and it is waited for."""
    given = []

    def answer(_call, seconds):
        given.append(seconds)
        return granted(2)

    bench = dead(answer)
    bench.owner.exits_at = time.monotonic() + 15.0
    assert bench.token() == "at_2"
    assert 10.0 < given[0] <= 15.0


def test_closing_waits_no_longer_than_one_refresh_for_many_unsaved_sessions(monkeypatch):
    """Each has its last chance to be saved while there is time, and a dead store takes no more than that."""
    store = FlakyStore()
    bench = Bench(store=store)
    monkeypatch.setattr(bench.engine.context.storage, "refresh_time", 0.05)
    tried = []

    class Unsaved:
        def save(self, patience: float) -> None:
            assert 0 < patience <= 0.05
            tried.append(self)
            time.sleep(0.06)

    bench.engine.context.unsaved.update({Unsaved(): None for _ in range(100)})
    bench.engine.close()
    assert len(tried) == 1


def test_closing_waits_for_no_lock_longer_than_for_a_refresh(monkeypatch):
    """Somebody has it and does not let go: the session stays unsaved, and the program ends."""
    bench, waits = Bench(), []
    lock = bench.store.lock

    def noted(key, timeout):
        waits.append(timeout)
        return lock(key, 0)

    monkeypatch.setattr(bench.store, "lock", noted)
    monkeypatch.setattr(bench.engine.context.storage, "refresh_time", 3.0)
    bench.account.show(a_record(), unsaved=True)
    bench.engine.close()
    assert len(waits) == 1
    assert 0 < waits[0] <= 3.0


def test_closing_while_accounts_come_and_go_raises_nothing():
    """A web back end makes one for each request, the last ones too."""
    bench, done = Bench(), threading.Event()

    def come_and_go() -> None:
        number = 0
        while not done.is_set():
            bench.engine.account(f"account {number}")
            number += 1

    coming = in_thread(come_and_go)
    for _ in range(200):
        bench.engine.context.closes_at = float("inf")
        bench.engine.close()
    done.set()
    assert coming() is None


def test_a_call_that_cannot_be_made_leaves_no_trace_in_the_record():
    """Nothing was sent: others need not wait, and the next refusal is no refresh of unknown outcome."""

    def refuse(_call, _seconds):
        raise ConfigurationError("No HTTP client can be built.")

    bench = dead(refuse, problem(401, "refresh_token_reused"))
    bench.store.lease = 30.0
    with pytest.raises(ConfigurationError):
        bench.token()
    kept(bench)
    with pytest.raises(SessionExpired) as caught:
        bench.at(DEAD + 60).token()
    assert caught.value.reason is ExpiryReason.REUSE_DETECTED


@pytest.mark.parametrize("looks", [True, False])
def test_a_sign_in_whose_save_failed_after_it_was_done_is_no_failure(looks):
    """The store has the session: to sign it out would leave a dead one in the place of the one before."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record(access_token=Secret("at_old"), session_id="ses_old"))
    store.fail("save", OSError("the answer was lost"), late=True)
    if looks:
        assert bench.sign_in().id == "ses_1"
    else:
        store.fail("load", None, OSError("no answer"))
        with pytest.raises(OSError, match="save"):
            bench.sign_in()
    bench.settle()
    assert [call.path for call in bench.script.calls] == ["/auth/sign-in"]
    assert bench.stored().session_id == "ses_1"
    assert bench.token() == "at_1"

"""The accounts of a client, its end, and its use in a forked child."""

import gc
import os
import signal
import threading
import time
import weakref
from contextlib import AbstractContextManager
from typing import Any

import pytest

from hellojohn._errors import ConfigurationError, ServiceUnavailable, StoreUnavailable
from hellojohn._limits import REFRESH_DEADLINE
from hellojohn._secret import Secret
from hellojohn._session.endings import NOT_ENOUGH_TIME
from hellojohn._session.record_format import dump
from hellojohn._session.state import Phase
from tests.fake_stores import FailingStore, LeasedStore
from tests.session.bench import (
    NOT_SENT,
    TTL,
    Bench,
    Gate,
    a_record,
    expired_token,
    in_thread,
    response,
    tokens,
)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="only on systems with fork")


def in_child(work: object) -> int:
    """Do ``work`` in a forked child; return its exit code."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs must not outlive the test
        try:
            work()  # type: ignore[operator]
        except BaseException:  # noqa: BLE001 - the exit code reports it
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_same_name_is_the_same_account() -> None:
    """Clients bound to one account share its state and its single flight."""
    bench = Bench()
    assert bench.engine.account("a") is bench.engine.account("a")
    assert bench.engine.account("a") is not bench.engine.account("b")


def test_idle_account_costs_nothing() -> None:
    """An account that nothing uses is not kept in memory: its session is in the store."""
    bench = Bench()
    gone = weakref.ref(bench.engine.account("a"))
    gc.collect()
    assert gone() is None


def test_unsaved_account_is_kept() -> None:
    """An account whose session is only in memory stays there, although nothing uses it."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    bench.token()
    bench.settle()
    account = weakref.ref(bench.account)
    del bench.account
    gc.collect()
    assert account() is not None


@pytest.mark.parametrize("name", ["", "x" * 257, "a\nb", "a\x00b", "a\x1bb", 3, None])
def test_account_names_that_are_refused(name: object) -> None:
    """An account's name is a text of 1 to 256 characters without control characters."""
    with pytest.raises(ConfigurationError, match="account"):
        Bench().engine.account(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["\u06a9\u200c\u0647", "\u0915\u094d\u200d\u0937", "a\u00a0b", "x" * 256])
def test_account_names_of_all_scripts(name: str) -> None:
    """Names may hold joiners and no-break spaces, as Persian, Hindi and emoji need them."""
    assert Bench().engine.account(name).name == name


def test_close_waits_for_a_refresh() -> None:
    """close() returns after a running refresh is stored."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()
    closing = in_thread(bench.engine.close)
    gate.open()
    closing()
    assert bench.session_record().generation == 2
    caller()


def test_close_saves_what_is_only_in_memory() -> None:
    """close() saves a pair that the store did not take before."""
    bench = expired_token(tokens(2), store=FailingStore())
    bench.store.fail("save", skip=1)
    bench.token()
    bench.store.heal()
    bench.engine.close()
    assert bench.session_record().generation == 2


def test_close_is_bounded_though_the_lock_is_not() -> None:
    """close() ends in time though a store's lock keeps its caller longer. The save is made later."""
    store = FailingStore()
    bench = expired_token(tokens(2), store=store)
    store.fail("save", skip=1)
    assert bench.token() == "at_2"
    store.heal()
    lock, opened = store.lock, threading.Event()

    def blocking(key: str, timeout: float) -> AbstractContextManager[Any]:
        assert opened.wait(20)
        return lock(key, timeout)

    store.lock = blocking  # type: ignore[method-assign]
    bench.engine.context.closes_at = time.monotonic() + 0.1
    in_thread(bench.engine.close)()
    with pytest.raises(ConfigurationError):
        bench.token()
    opened.set()
    bench.settle()
    assert bench.session_record().refresh_token.reveal() == "rt_2"


def test_close_waits_for_one_refresh_at_most() -> None:
    """How long close() waits follows from the time that a refresh may take in this store."""
    for store, longest in ((FailingStore(), REFRESH_DEADLINE), (LeasedStore(lease=3.0), 2.0)):
        bench = Bench(store=store)
        begun = time.monotonic()
        assert begun + longest - 1 < bench.engine.refuse_work() <= time.monotonic() + longest


def test_close_does_not_wait_for_a_read() -> None:
    """close() does not wait for a store that never answers a read."""
    bench = Bench(store=FailingStore())
    entered, release = threading.Event(), threading.Event()
    bench.store.load = lambda key: (entered.set(), release.wait(20))[0]
    caller = in_thread(bench.session)
    assert entered.wait(20)
    begin = time.monotonic()
    bench.engine.close()
    assert time.monotonic() - begin < 5
    release.set()
    caller()


def test_close_twice_does_nothing_more() -> None:
    """A second close() is harmless."""
    bench = Bench()
    bench.engine.close()
    bench.engine.close()
    assert bench.account.state.phase is Phase.CLOSED


def test_close_leaves_no_thread() -> None:
    """After close() the client has left no thread behind."""
    bench = Bench()
    bench.sign_in()
    bench.settle()
    bench.engine.close()
    assert not any(lane.threads for lane in bench.workers._lanes.values())


@needs_fork
def test_child_of_a_fork_in_a_refresh_works() -> None:
    """A child that was forked while a refresh ran in the parent is not blocked by it."""
    bench = expired_token(gate := Gate(tokens(2)))
    caller = in_thread(bench.token)
    gate.wait()

    def child() -> None:
        assert bench.account.flight is None
        bench.service.steps.extend([NOT_SENT] * 4)
        bench.store._current().inherited.clear()
        with pytest.raises(ServiceUnavailable):
            bench.token()

    code = in_child(child)
    gate.open()
    caller()
    assert code == 0


@needs_fork
def test_child_of_a_fork_in_a_sign_out_can_sign_in() -> None:
    """A child that was forked in the middle of a sign-out is not signing out."""
    bench = Bench()
    bench.sign_in()
    bench.service.sign_outs.append(gate := Gate(response(204, b"")))
    leaving = in_thread(bench.sign_out)
    gate.wait()

    def child() -> None:
        bench.store._current().inherited.clear()
        assert bench.sign_in("child").id == "ses_child"

    code = in_child(child)
    gate.open()
    leaving()
    assert code == 0


@needs_fork
def test_child_delivers_only_its_own_events() -> None:
    """Events that were queued in the parent are not delivered in the child as well."""
    bench = Bench()
    entered, release = threading.Event(), threading.Event()
    seen: list[str] = []
    bench.engine.events.on(lambda it: waiting(entered, release))
    bench.engine.events.on(lambda it: seen.append(it.type))
    joining = in_thread(bench.sign_in)
    assert entered.wait(20)

    def child() -> None:
        release.set()
        bench.store._current().inherited.clear()
        bench.sign_out()
        bench.settle()
        assert seen == ["SIGNED_OUT"]

    code = in_child(child)
    release.set()
    joining()
    assert code == 0


def test_refresh_that_must_not_begin_while_the_program_ends() -> None:
    """A refresh that gets its lock with too little time before the end is not sent."""
    bench = expired_token()
    bench.workers.exits_at = time.monotonic() + 1
    with pytest.raises(ServiceUnavailable, match="Not enough time"):
        bench.token()
    assert bench.service.requests == []
    assert bench.session_record().refresh_started_at is None


def test_failed_refreshes_keep_no_traceback() -> None:
    """An error that outlives the refresh holds no frame, and so neither an account nor its token."""
    bench = expired_token()
    bench.workers.exits_at = time.monotonic() + 1
    with pytest.raises(ServiceUnavailable):
        bench.token()
    assert NOT_ENOUGH_TIME.__traceback__ is None
    assert bench.account.last_error is NOT_ENOUGH_TIME
    store = FailingStore()
    bench = expired_token(store=store)
    store.fail("lock")
    with pytest.raises(StoreUnavailable):
        bench.token()
    assert isinstance(bench.account.last_error, StoreUnavailable)
    assert bench.account.last_error.__traceback__ is None


def test_thousands_of_accounts_share_a_client() -> None:
    """Sessions of a web back end are separate: each account has its own record and token."""
    bench = Bench()
    tokens_seen = set()
    for number in range(200):
        account = bench.engine.account(f"user-{number}")
        bench.store.save(account.key, _text(number))
        bench.account = account
        tokens_seen.add(bench.token())
    assert len(tokens_seen) == 200


def waiting(entered: threading.Event, release: threading.Event) -> None:
    """Say that a callback was entered, and wait."""
    entered.set()
    release.wait(20)


def _text(number: int) -> str:
    return dump(a_record(access_token=Secret(f"at_{number}"), ttl=TTL)).reveal()

"""What the simulation has found: each in the smallest case that shows it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from hellojohn._flight import Wait, drive
from hellojohn._sign import sign_out
from tests.engine.rig import DEAD, KEY, Bench, FlakyStore, a_record, dead, granted, problem

from hellojohn._errors import ApiError, StoreCorrupt, StoreLocked, StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores import MemoryStore


class Releasing(MemoryStore):
    """A store that tells when a lock has been given back."""

    on_release: Callable[[], None] | None = None

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock, and tell once."""
        with super().lock(key, timeout):
            yield
        tell, self.on_release = self.on_release, None
        if tell is not None:
            tell()


def test_a_flight_that_brought_the_refused_token_is_no_answer_to_its_refusal():
    """A refresh adopted a token that the API had refused; who joined it was given that token once more."""
    store = Releasing()
    bench = Bench(granted(3), store=store)
    bench.put(a_record())
    steps = bench.account.acquire(drive(bench.account.acquire()))
    first = next(steps)
    bench.put(a_record(generation=2, access_token=Secret("at_2"), refresh_token=Secret("rt_2")))
    joining: list[Callable[[], str]] = []

    def refuse() -> None:
        more = bench.account.acquire(bench.account.view)
        wait = next(more)
        joining.append(lambda: _finish(more, wait))

    store.on_release = refuse
    first.block()
    assert joining[0]() == "at_3"


def _finish(steps, wait: Wait) -> str:
    wait.block()
    while True:
        try:
            next(steps).block()
        except StopIteration as stop:
            return stop.value.record.access_token.reveal()


def test_a_load_that_its_caller_broke_off_tells_nobody_that_there_is_no_session():
    """Ctrl-C hit the thread that was reading the store for others as well."""
    store = FlakyStore()
    bench = Bench(store=store)
    bench.put(a_record())
    store.fail("load", KeyboardInterrupt())
    reading, waiting = bench.account.acquire(), bench.account.load()
    wait, joined = next(reading), next(waiting)
    assert joined.flight is wait.flight
    with pytest.raises(KeyboardInterrupt):
        wait.block()
    assert _finish(waiting, joined) == "at_1"


def test_a_refresh_that_a_sign_in_was_faster_than_keeps_what_the_store_would_not_take():
    """It refreshed the new session, could not save it, and threw its only copy away as overtaken."""
    store = FlakyStore()
    bench = Bench(granted(2), store=store)
    bench.put(a_record())
    waiting = next(bench.account.acquire(drive(bench.account.acquire())))
    bench.sign_in()
    bench.at(DEAD)
    store.fail("save", None, *[StoreUnavailable("The disk is full.")] * 3)
    waiting.block()
    assert bench.token() == "at_2"
    assert bench.settle().stored().access_token == Secret("at_2")


def test_what_was_never_begun_is_not_begun_by_close():
    """A caller was interrupted before its sign-out began; ``close`` waited for it, or carried it out."""
    bench = Bench()
    bench.put(a_record())
    steps = sign_out(bench.account, everywhere=False)
    next(steps)
    steps.close()
    bench.engine.close()
    assert not bench.engine.services.flights
    assert bench.stored() is not None
    assert bench.script.calls == []


def test_a_sign_out_in_the_face_of_a_stuck_lock_leaves_junk_alone_and_says_so():
    """Without the lock it deletes; but what is no session, whoever has the lock may be setting aside."""
    store = FlakyStore()
    bench = Bench(store=store)
    store.save(KEY, "junk")
    store.fail("lock", StoreLocked("held"))
    with pytest.raises(StoreCorrupt):
        bench.sign_out()
    assert store.load(KEY) == "junk"


def test_the_note_of_a_failed_refresh_does_not_bring_a_signed_out_session_back():
    """A sign-out that could not wait deleted the record while the service was asked in vain."""

    def deleted_meanwhile(call, seconds):
        bench.store.delete(KEY)
        return problem(404, "not_found")

    bench = dead(deleted_meanwhile)
    with pytest.raises(ApiError):
        bench.token()
    assert bench.settle().stored() is None

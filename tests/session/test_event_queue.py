"""Events: in the order of the state, once each, on one thread, with no lock held."""

import logging
import threading

import pytest

from hellojohn import AuthEvent, AuthEventType
from hellojohn._session.events import Events
from hellojohn._session.workers import WorkerPool
from hellojohn._waiting import run
from tests.session.bench import Bench, Gate, expired_token, in_thread, response, tokens


@pytest.fixture
def events() -> Events:
    """A separate queue."""
    return Events(WorkerPool())


def event(name: str) -> AuthEvent:
    """Return an event that differs from all others."""
    return AuthEvent(AuthEventType.SIGNED_IN, account=name)


def flush(events: Events) -> None:
    """Wait until everything is delivered."""
    reached = events.flushed()
    if reached is not None:
        reached.wait(20)


def test_order_and_count(events: Events) -> None:
    """Every event comes once, in the order in which it was emitted, on one thread."""
    seen: list[tuple[str, str]] = []
    events.on(lambda it: seen.append((it.account, threading.current_thread().name)))
    for number in range(1_000):
        events.emit(event(str(number)))
        events.deliver()
    flush(events)
    assert [account for account, _ in seen] == [str(number) for number in range(1_000)]
    assert {name for _, name in seen} == {"hellojohn-events"}


def test_callback_that_raises_is_logged(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises, even SystemExit, is logged; the others and later events are delivered."""
    seen: list[str] = []

    def fail(it: AuthEvent) -> None:
        raise SystemExit(it.account)

    events.on(fail)
    events.on(lambda it: seen.append(it.account))
    with caplog.at_level(logging.ERROR, "hellojohn"):
        for name in ("a", "b"):
            events.emit(event(name))
            events.deliver()
        flush(events)
    assert seen == ["a", "b"]
    assert len(caplog.records) == 2


def test_unsubscribed_callback_is_not_called(events: Events) -> None:
    """A callback is not called after its subscription has ended, also not for an event queued before."""
    seen: list[str] = []
    entered, release = threading.Event(), threading.Event()
    events.on(lambda it: None if entered.set() else (release.wait(20), None)[1])
    stop = events.on(lambda it: seen.append(it.account))
    events.emit(event("a"))
    events.deliver()
    assert entered.wait(20)
    stop()
    release.set()
    flush(events)
    assert seen == []


def test_same_function_twice(events: Events) -> None:
    """A function that is registered twice is called twice, and each subscription ends by itself."""
    seen: list[str] = []

    def callback(it: AuthEvent) -> None:
        seen.append(it.account)

    stop = events.on(callback)
    events.on(callback)
    events.emit(event("a"))
    events.deliver()
    flush(events)
    stop()
    events.emit(event("b"))
    events.deliver()
    flush(events)
    assert seen == ["a", "a", "b"]


def test_async_callbacks_are_refused(events: Events) -> None:
    """A coroutine function is refused: nothing would await it."""

    async def callback(it: AuthEvent) -> None:
        """Never called."""

    with pytest.raises(TypeError, match="plain function"):
        events.on(callback)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        events.on(3)  # type: ignore[arg-type]


def test_sign_in_waits_for_its_callback() -> None:
    """sign_in() returns when the callbacks have seen SIGNED_IN."""
    bench = Bench()
    bench.sign_in()
    assert [it.type for it in bench.events] == ["SIGNED_IN"]


def test_callback_may_call_the_client() -> None:
    """A callback that signs out, refreshes or reads the session does not deadlock."""
    bench = Bench(tokens(2))
    seen: list[object] = []

    def callback(it: AuthEvent) -> None:
        if it.type is AuthEventType.SIGNED_IN:
            seen.append(bench.session())
            seen.append(bench.refresh())
        if it.type is AuthEventType.TOKEN_REFRESHED:
            seen.append(bench.sign_out())

    bench.engine.events.on(callback)
    bench.sign_in()
    assert bench.seen() == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert seen[-1] is True


def test_slow_callback_keeps_no_caller() -> None:
    """A callback that takes long delays a call by a second at most."""
    bench = Bench()
    release = threading.Event()
    bench.engine.events.on(lambda it: release.wait(20) and None)
    bench.sign_in()
    assert bench.session() is not None
    release.set()


def test_order_of_a_sign_in_and_a_sign_out() -> None:
    """Events come in the order in which the state changed, on any threads."""
    for _ in range(50):
        bench = Bench()
        bench.sign_in("a")
        bench.service.sign_outs.append(gate := Gate(response(204, b"")))
        leaving = in_thread(bench.sign_out)
        gate.wait()
        bench.sign_in("b")
        gate.open()
        leaving()
        assert bench.seen() == ["SIGNED_IN", "SIGNED_OUT", "SIGNED_IN"]


def test_events_carry_the_session() -> None:
    """An event names the session it is about, the account, and the reason of an end."""
    bench = expired_token(response(401, {"error": {"code": "session_revoked", "message": "x"}}))
    with pytest.raises(Exception, match="revoked"):
        bench.token()
    (ended,) = bench.events
    assert (ended.type, ended.reason, ended.account) == ("SESSION_EXPIRED", "revoked", "default")
    assert ended.session is not None
    assert ended.session.id == "ses_1"


def test_nothing_is_queued_without_callbacks(events: Events) -> None:
    """Without a subscription nothing is kept and no thread is started."""
    events.emit(event("a"))
    assert events.flushed() is None


def test_waiting_for_events_is_a_flow() -> None:
    """A call waits for events as it waits for everything, so it can be awaited as well."""
    bench = Bench()
    run(bench.account.events_delivered())

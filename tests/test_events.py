"""The queue of events: in order, once each, and no callback can stop it."""

import logging
import threading

import pytest

from hellojohn._session.events import Events
from hellojohn._models import AuthEvent, AuthEventType
from tests.engine.rig import in_thread, until


def _event(number: int) -> AuthEvent:
    return AuthEvent(AuthEventType.TOKEN_REFRESHED, account=str(number))


def test_nothing_is_delivered_before_somebody_says_so():
    """``emit`` may be called under any lock: it only queues."""
    events, heard = Events(), []
    events.on(heard.append)
    events.emit(_event(1))
    assert heard == []
    events.deliver()
    assert heard == [_event(1)]
    events.deliver()
    assert heard == [_event(1)]


def test_an_event_is_for_those_who_listened_when_it_happened():
    """Who came later hears what comes later; who left hears no more, not even what is queued."""
    events, early, late, gone = Events(), [], [], []
    events.on(early.append)
    leave = events.on(gone.append)
    events.emit(_event(1))
    events.on(late.append)
    leave()
    leave()
    events.emit(_event(2))
    events.deliver()
    assert (early, late, gone) == ([_event(1), _event(2)], [_event(2)], [])


def test_many_threads_deliver_in_order_and_once():
    """Whoever delivers, the order is the order of ``emit``, and no event is lost between two of them."""
    events, heard = Events(), []
    events.on(lambda event: heard.append(int(event.account)))
    lock, numbers = threading.Lock(), iter(range(2_000))

    def work() -> None:
        for _ in range(250):
            with lock:
                events.emit(_event(next(numbers)))
            events.deliver()

    for join in [in_thread(work) for _ in range(8)]:
        join()
    events.deliver()
    assert heard == list(range(2_000))


def test_an_event_that_comes_during_a_delivery_is_delivered_by_it():
    """One thread delivers at a time; the other goes away at once, and its event is not forgotten."""
    events, heard, gate = Events(), [], threading.Event()

    def slow(event: AuthEvent) -> None:
        heard.append((event.account, threading.get_ident()))
        assert gate.wait(10)

    events.on(slow)
    events.emit(_event(1))
    delivering = in_thread(events.deliver)
    until(lambda: heard)
    events.emit(_event(2))
    events.deliver()
    gate.set()
    delivering()
    assert [account for account, _ in heard] == ["1", "2"]
    assert heard[0][1] == heard[1][1] != threading.get_ident()


def test_a_callback_may_deliver_and_emit_itself():
    """It calls the client, whose operation ends with a delivery: no deadlock, and the order is kept."""
    events, heard = Events(), []

    def callback(event: AuthEvent) -> None:
        heard.append(event.account)
        if event.account == "1":
            events.emit(_event(2))
            events.deliver()
            heard.append("end of 1")

    events.on(callback)
    events.emit(_event(1))
    events.deliver()
    assert heard == ["1", "end of 1", "2"]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), GeneratorExit()])
def test_a_callback_that_raises_is_logged_and_the_others_are_told(error, caplog):
    """Whatever it is that it raises: even an exit is the callback's mistake, not the client's end."""
    events, heard = Events(), []

    def fail(_event: AuthEvent) -> None:
        raise error

    events.on(fail)
    events.on(heard.append)
    events.emit(_event(1))
    events.emit(_event(2))
    with caplog.at_level(logging.ERROR, "hellojohn"):
        events.deliver()
    assert heard == [_event(1), _event(2)]
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2


def test_ctrl_c_in_a_callback_reaches_who_pressed_it_and_the_queue_goes_on():
    """A first look at the store delivers on the caller's own thread."""
    events, heard = Events(), []

    def interrupted(event: AuthEvent) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise KeyboardInterrupt

    events.on(interrupted)
    events.emit(_event(1))
    events.emit(_event(2))
    with pytest.raises(KeyboardInterrupt):
        events.deliver()
    events.deliver()
    assert heard == [_event(1), _event(2)]


def test_a_forked_child_does_not_wait_for_its_parents_delivery():
    """The thread that was delivering is not there."""
    events, heard, gate = Events(), [], threading.Event()
    events.on(lambda event: heard.append(event) or gate.wait(10))
    events.emit(_event(1))
    delivering = in_thread(events.deliver)
    until(lambda: heard)
    events.emit(_event(2))
    events.reset()
    gate.set()
    events.deliver()
    delivering()
    assert heard == [_event(1), _event(2)]

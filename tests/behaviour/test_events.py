"""Events as an app's callbacks see them: in order, once each, before the call that they are about returns."""

import asyncio
import logging
import threading
from functools import partial

import httpx
import pytest

from hellojohn import (
    AsyncHelloJohn,
    AuthEvent,
    AuthEventType,
    InvalidCredentials,
    MfaRequired,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
)
from tests.behaviour.scripted import EMAIL, PASSWORD, ScriptedService
from tests.both_faces import PATIENCE, EventLog, in_thread, settle, until
from tests.dialects import both_dialects


@pytest.fixture
def hj(owner, service):
    """Return a client of either kind."""
    return service.client(owner)


async def sign_in(hj):
    """Sign in."""
    return await settle(hj.auth.sign_in(EMAIL, PASSWORD))


# ---------------------------------------------------------------- order and number


@both_dialects
async def test_life_of_a_session_in_events(hj, service):
    """Each event comes once, in order, with the session as it was then."""
    log = EventLog(hj)
    signed_in = await sign_in(hj)
    service.at(minutes=30)
    refreshed = await settle(hj.auth.refresh())
    await settle(hj.auth.sign_out())
    assert log.names() == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert [event.session for event in log.events] == [signed_in, refreshed, refreshed]
    assert log.events[0] == AuthEvent(AuthEventType.SIGNED_IN, signed_in, None, "default")


@both_dialects
async def test_what_changes_no_session_emits_nothing(hj, service):
    """Reads, refused sign-ins and a sign-out without a session emit no event."""
    log = EventLog(hj)
    service.answers = [service.refusal("wrong password"), httpx.Response(500)]
    with pytest.raises(InvalidCredentials):
        await sign_in(hj)
    with pytest.raises(ServiceUnavailable):
        await sign_in(hj)
    with pytest.raises(NotSignedIn):
        await settle(hj.auth.access_token())
    await settle(hj.auth.sign_out())
    assert await settle(hj.auth.session()) is None
    assert log.names() == []


@both_dialects
async def test_failed_refresh_emits_nothing(hj, service):
    """A refresh that fails keeps the session and emits no event."""
    await sign_in(hj)
    log = EventLog(hj)
    service.answers = [service.refusal("too many requests", Retry_After="3000")]
    with pytest.raises(ServiceUnavailable):
        await settle(hj.auth.refresh())
    assert log.names() == []


@both_dialects
async def test_end_is_emitted_before_it_is_raised(hj, service):
    """SESSION_EXPIRED has been delivered when the error reaches the caller, and comes once."""
    log = EventLog(hj)
    await sign_in(hj)
    service.answers = [service.refusal("revoked")]
    for _ in range(3):
        with pytest.raises(SessionExpired):
            await settle(hj.auth.refresh())
        assert log.names() == ["SIGNED_IN", "SESSION_EXPIRED:revoked"]
    assert log.events[-1].session == log.events[0].session


@both_dialects
async def test_second_factor_is_emitted_before_it_is_raised(hj, service):
    """MFA_REQUIRED has no session, and has been delivered when MfaRequired reaches the caller."""
    log = EventLog(hj)
    service.answers = [service.challenge()]
    with pytest.raises(MfaRequired) as caught:
        await sign_in(hj)
    assert log.events == [AuthEvent(AuthEventType.MFA_REQUIRED)]
    await settle(hj.auth.verify_mfa(caught.value.challenge, "123456"))
    assert log.names() == ["MFA_REQUIRED", "SIGNED_IN"]


async def test_call_returns_after_its_event(hj):
    """sign_in, refresh and sign_out return when the callbacks have seen their event."""
    pause, done = threading.Event(), []

    def slow(event: AuthEvent) -> None:
        pause.wait(0.05)
        done.append(event.type)

    hj.on(slow)
    await sign_in(hj)
    assert done == ["SIGNED_IN"]
    await settle(hj.auth.refresh())
    assert done == ["SIGNED_IN", "TOKEN_REFRESHED"]
    await settle(hj.auth.sign_out())
    assert done == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]


@both_dialects
def test_shared_refresh_is_emitted_once(service):
    """Twenty threads that wait for one refresh get one event."""
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD)
    log = EventLog(hj)
    service.at(hours=2)
    start = threading.Barrier(20)

    def use() -> str:
        start.wait(PATIENCE)
        return hj.auth.access_token()

    joins = [in_thread(use) for _ in range(20)]
    assert {join() for join in joins} == {"at_2"}
    log.wait_for("TOKEN_REFRESHED")
    assert log.names() == ["TOKEN_REFRESHED"]


# ---------------------------------------------------------------- callbacks that use the client


@both_dialects
def test_callback_may_call_the_client(service):
    """A callback may read, refresh and sign out: no lock is held, and its events follow in order."""
    hj = service.client()
    seen = []

    def use(event: AuthEvent) -> None:
        if event.type == "SIGNED_IN":
            seen.append((hj.auth.session().id, hj.auth.access_token()))
            hj.auth.refresh()
            hj.auth.sign_out()
            seen.append(hj.auth.session())

    hj.on(use)
    log = EventLog(hj)
    hj.auth.sign_in(EMAIL, PASSWORD)
    log.wait_for("SIGNED_OUT")
    assert seen == [(service.session_id, "at_1"), None]
    assert log.names() == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert hj.auth.session() is None


@both_dialects
def test_callback_may_sign_in_again(service):
    """A callback that signs in when a session ends leaves a client with the new session."""
    hj = service.client()
    log = EventLog(hj)
    hj.auth.sign_in(EMAIL, PASSWORD)
    hj.on(lambda event: event.type == "SESSION_EXPIRED" and hj.auth.sign_in(EMAIL, PASSWORD))
    service.answers = [service.refusal("revoked")]
    with pytest.raises(SessionExpired):
        hj.auth.refresh()
    until(lambda: log.names() == ["SIGNED_IN", "SESSION_EXPIRED:revoked", "SIGNED_IN"])
    assert hj.auth.access_token() == "at_2"


async def test_callback_reaches_an_event_loop(service):
    """A callback runs on a thread of the SDK, and the loop can run the calls that it hands over."""
    hj = service.client(AsyncHelloJohn)
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()
    threads = []

    def hand_over(event: AuthEvent) -> None:
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(queue.put_nowait, event.type)
        asyncio.run_coroutine_threadsafe(hj.auth.session(), loop).result(PATIENCE)

    hj.on(hand_over)
    await sign_in(hj)
    assert await asyncio.wait_for(queue.get(), PATIENCE) == "SIGNED_IN"
    assert threads != [threading.current_thread()]


def test_no_lock_is_held_during_a_callback(service):
    """Another thread can use the client, and another account, while a callback runs."""
    hj = service.client()
    seen = []

    def meanwhile(event: AuthEvent) -> None:
        seen.append(in_thread(hj.auth.access_token)())
        seen.append(in_thread(hj.for_account("other").auth.session)())

    hj.on(meanwhile)
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert seen == ["at_1", None]


def test_slow_callback_delays_no_other_sign_in(service):
    """An event waits until a slow callback returns; the sign-in that it is about does not, for long."""
    hj = service.client()
    seen, at_work, go_on = [], threading.Event(), threading.Event()

    def slow(event: AuthEvent) -> None:
        seen.append(event.account)
        at_work.set()
        assert go_on.wait(PATIENCE)

    hj.on(slow)
    signing_in = in_thread(lambda: hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD))
    assert at_work.wait(PATIENCE)
    assert hj.for_account("bob").auth.sign_in(EMAIL, PASSWORD).id == "ses_1"
    assert seen == ["ada"]
    go_on.set()
    assert signing_in().id == "ses_1"
    until(lambda: seen == ["ada", "bob"])


def test_callbacks_of_many_clients_may_call_them(service):
    """The callbacks of ten clients that all wait for their client at once get their answers."""
    clients = [ScriptedService().client() for _ in range(10)]
    at_once, users = threading.Barrier(len(clients)), []

    def ask(hj, event: AuthEvent) -> None:
        if event.type is AuthEventType.SIGNED_IN:
            at_once.wait(PATIENCE)
            users.append(hj.auth.refresh().user.id)

    for hj in clients:
        hj.on(partial(ask, hj))
    joins = [in_thread(partial(hj.auth.sign_in, EMAIL, PASSWORD)) for hj in clients]
    assert {type(join()).__name__ for join in joins} == {"Session"}
    until(lambda: users == ["usr_1"] * len(clients))


# ---------------------------------------------------------------- callbacks that fail


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_callback_that_raises_is_logged(hj, caplog, error):
    """Neither the call nor the session nor another callback suffers from a callback that raises."""

    def fail(event: AuthEvent) -> None:
        raise error

    hj.on(fail)
    log = EventLog(hj)
    with caplog.at_level(logging.ERROR, logger="hellojohn"):
        await sign_in(hj)
        await settle(hj.auth.refresh())
    assert log.names() == ["SIGNED_IN", "TOKEN_REFRESHED"]
    assert await settle(hj.auth.access_token()) == "at_2"
    assert [record.getMessage() for record in caplog.records] == [
        f"An event callback failed on {kind}. The client goes on."
        for kind in ("SIGNED_IN", "TOKEN_REFRESHED")
    ]
    assert all(record.exc_info[1] is error for record in caplog.records)


# ---------------------------------------------------------------- subscriptions


async def test_ended_subscription_gets_no_event(hj):
    """The function that on() returns ends the subscription; calling it twice is allowed."""
    log, other = EventLog(hj), EventLog(hj)
    await sign_in(hj)
    log.stop()
    log.stop()
    await settle(hj.auth.sign_out())
    assert log.names() == ["SIGNED_IN"]
    assert other.names() == ["SIGNED_IN", "SIGNED_OUT"]


async def test_one_function_can_subscribe_twice(hj):
    """The same function is called once per subscription, and each ends by its own function."""
    events = []
    first = hj.on(events.append)
    hj.on(events.append)
    await sign_in(hj)
    assert len(events) == 2
    first()
    await settle(hj.auth.sign_out())
    assert [event.type for event in events] == ["SIGNED_IN", "SIGNED_IN", "SIGNED_OUT"]


async def test_callback_may_end_subscriptions(hj):
    """A callback that ends its own and a later subscription is the last one that sees the event."""
    once = []

    def only_once(event: AuthEvent) -> None:
        once.append(event.type)
        stop()
        behind.stop()

    ahead = EventLog(hj)
    stop = hj.on(only_once)
    behind = EventLog(hj)
    await sign_in(hj)
    await settle(hj.auth.sign_out())
    assert once == ["SIGNED_IN"]
    assert ahead.names() == ["SIGNED_IN", "SIGNED_OUT"]
    assert behind.names() == []


async def test_subscription_inside_a_callback(hj):
    """A subscription that a callback makes gets the next event and not the present one."""
    late = []

    def subscribe(event: AuthEvent) -> None:
        if event.type == "SIGNED_IN":
            hj.on(lambda event: late.append(event.type))

    hj.on(subscribe)
    await sign_in(hj)
    await settle(hj.auth.sign_out())
    assert late == ["SIGNED_OUT"]


# ---------------------------------------------------------------- accounts


@both_dialects
async def test_events_name_their_account(hj):
    """One callback serves all sessions of a back end."""
    log = EventLog(hj)
    ada, bob = hj.for_account("ada"), hj.for_account("bob")
    await sign_in(ada)
    await sign_in(bob)
    await settle(ada.auth.refresh())
    await settle(bob.auth.sign_out())
    await sign_in(hj)
    assert [(event.type, event.account) for event in log.events] == [
        ("SIGNED_IN", "ada"),
        ("SIGNED_IN", "bob"),
        ("TOKEN_REFRESHED", "ada"),
        ("SIGNED_OUT", "bob"),
        ("SIGNED_IN", "default"),
    ]


async def test_accounts_of_a_client_share_subscriptions(hj):
    """A subscription at one account gets the events of all accounts of the client."""
    log = EventLog(hj.for_account("ada"))
    await sign_in(hj)
    assert [event.account for event in log.events] == ["default"]


def test_clients_do_not_share_subscriptions(service):
    """Events belong to one client and not to the process."""
    one, other = service.client(), service.client()
    log = EventLog(other)
    one.auth.sign_in(EMAIL, PASSWORD)
    assert log.names() == []


# ---------------------------------------------------------------- refused callbacks


async def later(event: AuthEvent) -> None:
    """Be a coroutine function."""


async def many(event: AuthEvent):
    """Be an asynchronous generator function."""
    yield event


class Later:
    """An object whose call is a coroutine."""

    async def __call__(self, event: AuthEvent) -> None:
        """Be a coroutine function."""

    async def method(self, event: AuthEvent) -> None:
        """Be another."""


@pytest.mark.parametrize(
    "callback",
    [later, many, Later(), Later().method, partial(later), None, 7, "print"],
    ids=["coroutine", "generator", "object", "method", "partial", "None", "number", "text"],
)
def test_callback_that_nothing_would_await_is_refused(hj, callback):
    """on() takes plain functions: a coroutine that nothing awaits would miss every event in silence."""
    with pytest.raises(TypeError, match=r"plain function .* loop\.call_soon_threadsafe"):
        hj.on(callback)


class Plain:
    """An object that can be called."""

    def __init__(self) -> None:
        self.events: list[AuthEvent] = []

    def __call__(self, event: AuthEvent) -> None:
        """Note the event."""
        self.events.append(event)


async def test_any_callable_can_subscribe(hj):
    """Objects, methods, partials and built-in functions are callbacks as well."""
    plain, listed, partly = Plain(), [], []
    for callback in (plain, listed.append, partial(list.append, partly)):
        hj.on(callback)
    await sign_in(hj)
    assert plain.events == listed == partly
    assert [event.type for event in listed] == ["SIGNED_IN"]

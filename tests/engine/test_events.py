"""Events: in order, once, with no lock held, and before the call that is about them returns."""

import asyncio
import logging
import threading
from functools import partial

import httpx
import pytest
from hellojohn._owner import OWNER

from hellojohn import (
    AsyncHelloJohn,
    AuthEvent,
    AuthEventType,
    HelloJohn,
    InvalidCredentials,
    MfaRequired,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
)
from tests.engine.clients import EMAIL, PASSWORD, Service, Watch, settle
from tests.engine.rig import in_thread


def refusal(code: str) -> httpx.Response:
    """Make an answer that says no."""
    error = {"error": {"code": code, "message": "Words.", "status": 401}, "challenge_id": "chl_1"}
    return httpx.Response(401, json=error)


@pytest.fixture
def service() -> Service:
    """A scripted service and its time."""
    return Service()


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn])
def hj(request, service):
    """A client of either kind."""
    return service.client(request.param)


async def sign_in(hj):
    """Sign in."""
    return await settle(hj.auth.sign_in(EMAIL, PASSWORD))


# order and number


async def test_a_session_tells_its_life_in_order(hj, service):
    """Each event once, with the session as it was then."""
    watch = Watch(hj)
    signed_in = await sign_in(hj)
    service.at(minutes=30)
    refreshed = await settle(hj.auth.refresh())
    await settle(hj.auth.sign_out())
    assert watch.told() == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert [event.session for event in watch.events] == [signed_in, refreshed, refreshed]
    assert watch.events[0] == AuthEvent(AuthEventType.SIGNED_IN, signed_in, None, "default")


async def test_what_is_not_about_a_session_tells_nothing(hj, service):
    """Reading, failing, and signing out nobody are no events."""
    watch = Watch(hj)
    service.answers = [refusal("invalid_credentials"), httpx.Response(500)]
    with pytest.raises(InvalidCredentials):
        await sign_in(hj)
    with pytest.raises(ServiceUnavailable):
        await sign_in(hj)
    with pytest.raises(NotSignedIn):
        await settle(hj.auth.access_token())
    await settle(hj.auth.sign_out())
    assert await settle(hj.auth.session()) is None
    assert watch.told() == []


async def test_a_failed_refresh_tells_nothing(hj, service):
    """The session is kept: there is nothing to tell the user."""
    await sign_in(hj)
    watch = Watch(hj)
    service.answers = [httpx.Response(429, headers={"Retry-After": "3000"})]
    with pytest.raises(ServiceUnavailable):
        await settle(hj.auth.refresh())
    assert watch.told() == []


async def test_the_end_is_told_before_it_is_raised_and_once(hj, service):
    """Whoever catches the error finds the app's own state up to date; later callers tell nobody again."""
    watch = Watch(hj)
    await sign_in(hj)
    service.answers = [refusal("session_revoked")]
    for _ in range(3):
        with pytest.raises(SessionExpired):
            await settle(hj.auth.refresh())
        assert watch.told() == ["SIGNED_IN", "SESSION_EXPIRED:revoked"]
    assert watch.events[-1].session == watch.events[0].session


async def test_a_second_factor_is_told_before_it_is_raised(hj, service):
    """A window can show the field for the code from either; there is no session yet."""
    watch = Watch(hj)
    service.answers = [refusal("mfa_required")]
    with pytest.raises(MfaRequired) as caught:
        await sign_in(hj)
    assert watch.events == [AuthEvent(AuthEventType.MFA_REQUIRED)]
    await settle(hj.auth.verify_mfa(caught.value.challenge, "123456"))
    assert watch.told() == ["MFA_REQUIRED", "SIGNED_IN"]


async def test_a_call_returns_when_its_event_was_delivered(hj):
    """The callbacks have returned, however long they took, so that an app can rely on what they did."""
    reached, done = threading.Event(), []

    def slow(event: AuthEvent) -> None:
        reached.wait(0.05)
        done.append(event.type)

    hj.on(slow)
    await sign_in(hj)
    assert done == ["SIGNED_IN"]
    await settle(hj.auth.refresh())
    assert done == ["SIGNED_IN", "TOKEN_REFRESHED"]
    await settle(hj.auth.sign_out())
    assert done == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]


def test_one_refresh_for_many_threads_is_told_once(service):
    """Events count what happened, not who waited for it."""
    hj = service.client()
    hj.auth.sign_in(EMAIL, PASSWORD)
    watch = Watch(hj)
    service.at(hours=2)
    start = threading.Barrier(20)

    def use() -> None:
        start.wait(10)
        hj.auth.access_token()

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert OWNER.wait(10)
    assert watch.told() == ["TOKEN_REFRESHED"]


# callbacks that use the client


async def test_a_callback_may_call_the_client(service):
    """No lock is held: reading the session, getting a token and signing out work, and tell in order."""
    hj = service.client()
    seen = []

    def use(event: AuthEvent) -> None:
        if event.type == "SIGNED_IN":
            seen.append((hj.auth.session().id, hj.auth.access_token()))
            hj.auth.refresh()
            hj.auth.sign_out()
            seen.append(hj.auth.session())

    hj.on(use)
    watch = Watch(hj)
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert seen == [("ses_1", "at_1"), None]
    assert watch.told() == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert hj.auth.session() is None


async def test_a_callback_may_sign_in_again_when_the_session_ends(service):
    """A kiosk does so; the caller whose session ended is still told."""
    hj = service.client()
    watch = Watch(hj)
    hj.auth.sign_in(EMAIL, PASSWORD)
    hj.on(lambda event: event.type == "SESSION_EXPIRED" and hj.auth.sign_in(EMAIL, PASSWORD))
    service.answers = [refusal("session_revoked")]
    with pytest.raises(SessionExpired):
        hj.auth.refresh()
    assert watch.told() == ["SIGNED_IN", "SESSION_EXPIRED:revoked", "SIGNED_IN"]
    assert hj.auth.access_token() == "at_2"


async def test_a_callback_reaches_the_event_loop_of_an_async_app(service):
    """It runs on a thread of the SDK's, while the loop is free to run what it hands over."""
    hj = service.client(AsyncHelloJohn)
    loop, told = asyncio.get_running_loop(), asyncio.Queue()
    threads = []

    def hand_over(event: AuthEvent) -> None:
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(told.put_nowait, event.type)
        asyncio.run_coroutine_threadsafe(hj.auth.session(), loop).result(10)

    hj.on(hand_over)
    await sign_in(hj)
    assert await asyncio.wait_for(told.get(), 10) == "SIGNED_IN"
    assert threads != [threading.current_thread()]


def test_no_lock_is_held_while_a_callback_runs(service):
    """Another thread goes on as if the callback were not there."""
    hj = service.client()
    tokens = []

    def ask() -> None:
        tokens.append(hj.auth.access_token())
        tokens.append(hj.for_account("other").auth.session())

    def meanwhile(event: AuthEvent) -> None:
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(10)

    hj.on(meanwhile)
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert tokens == ["at_1", None]


def test_a_callback_that_takes_long_holds_up_nobody_elses_sign_in(service):
    """Its event waits for its turn, so that the order is kept; a wait for it could be for each other."""
    hj = service.client()
    watch, at_work, go_on = [], threading.Event(), threading.Event()

    def slow(event: AuthEvent) -> None:
        watch.append(event.account)
        at_work.set()
        assert go_on.wait(10)

    hj.on(slow)
    signing_in = in_thread(lambda: hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD))
    assert at_work.wait(10)
    assert hj.for_account("bob").auth.sign_in(EMAIL, PASSWORD).id == "ses_1"
    assert watch == ["ada"]
    go_on.set()
    assert signing_in().id == "ses_1"
    assert OWNER.wait(10)
    assert watch == ["ada", "bob"]


# callbacks that fail


@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(3), asyncio.CancelledError()])
async def test_a_callback_that_raises_is_logged_and_harms_nothing(hj, caplog, error):
    """Neither the call, nor the session, nor the other callbacks notice."""

    def fail(event: AuthEvent) -> None:
        raise error

    hj.on(fail)
    watch = Watch(hj)
    with caplog.at_level(logging.ERROR, logger="hellojohn"):
        await sign_in(hj)
        await settle(hj.auth.refresh())
    assert watch.told() == ["SIGNED_IN", "TOKEN_REFRESHED"]
    assert await settle(hj.auth.access_token()) == "at_2"
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [
        f"An event callback failed on {kind}; the client goes on."
        for kind in ("SIGNED_IN", "TOKEN_REFRESHED")
    ]
    assert all(record.exc_info[1] is error for record in caplog.records)


# subscriptions


async def test_an_ended_subscription_hears_no_more(hj):
    """Ending it twice is no error."""
    watch, other = Watch(hj), Watch(hj)
    await sign_in(hj)
    watch.stop()
    watch.stop()
    await settle(hj.auth.sign_out())
    assert watch.told() == ["SIGNED_IN"]
    assert other.told() == ["SIGNED_IN", "SIGNED_OUT"]


async def test_the_same_function_twice_is_two_subscriptions(hj):
    """Each is told, in the order they came, and each is ended by its own function."""
    events = []
    first = hj.on(events.append)
    hj.on(events.append)
    await sign_in(hj)
    assert len(events) == 2
    first()
    first()
    await settle(hj.auth.sign_out())
    assert [event.type for event in events] == ["SIGNED_IN", "SIGNED_IN", "SIGNED_OUT"]


async def test_a_callback_may_end_its_own_subscription_and_those_behind_it(hj):
    """From that moment on they hear nothing, the event at hand included."""
    once = []

    def only_once(event: AuthEvent) -> None:
        once.append(event.type)
        stop()
        behind.stop()

    ahead = Watch(hj)
    stop = hj.on(only_once)
    behind = Watch(hj)
    await sign_in(hj)
    await settle(hj.auth.sign_out())
    assert once == ["SIGNED_IN"]
    assert ahead.told() == ["SIGNED_IN", "SIGNED_OUT"]
    assert behind.told() == []


async def test_a_subscription_made_inside_a_callback_hears_what_comes_after(hj):
    """The event at hand was told to those who listened when it happened."""
    late = []

    def subscribe(event: AuthEvent) -> None:
        if event.type == "SIGNED_IN":
            hj.on(lambda event: late.append(event.type))

    hj.on(subscribe)
    await sign_in(hj)
    await settle(hj.auth.sign_out())
    assert late == ["SIGNED_OUT"]


# accounts


async def test_events_name_their_account(hj):
    """One callback serves all the sessions of a web back end."""
    watch = Watch(hj)
    ada, bob = hj.for_account("ada"), hj.for_account("bob")
    await sign_in(ada)
    await sign_in(bob)
    await settle(ada.auth.refresh())
    await settle(bob.auth.sign_out())
    await sign_in(hj)
    assert [(event.type, event.account) for event in watch.events] == [
        ("SIGNED_IN", "ada"),
        ("SIGNED_IN", "bob"),
        ("TOKEN_REFRESHED", "ada"),
        ("SIGNED_OUT", "bob"),
        ("SIGNED_IN", "default"),
    ]


async def test_a_subscription_at_one_account_hears_all(hj):
    """The accounts of a client share it."""
    watch = Watch(hj.for_account("ada"))
    await sign_in(hj)
    assert [event.account for event in watch.events] == ["default"]


async def test_two_clients_hear_nothing_of_each_other(service):
    """Events belong to a client, not to the process."""
    one, other = service.client(), service.client()
    watch = Watch(other)
    one.auth.sign_in(EMAIL, PASSWORD)
    assert watch.told() == []


# what is no callback


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
def test_what_would_never_run_is_refused(hj, callback):
    """A coroutine that nobody awaits would tell nothing, in silence; the message says what to do instead."""
    with pytest.raises(TypeError, match=r"plain function .* loop\.call_soon_threadsafe"):
        hj.on(callback)


class Plain:
    """An object that can be called."""

    def __init__(self) -> None:
        self.events: list[AuthEvent] = []

    def __call__(self, event: AuthEvent) -> None:
        """Note the event."""
        self.events.append(event)


async def test_anything_that_can_be_called_is_a_callback(hj):
    """Objects, methods, partials and built-in functions."""
    plain, listed, partly = Plain(), [], []
    for callback in (plain, listed.append, partial(list.append, partly)):
        hj.on(callback)
    await sign_in(hj)
    assert plain.events == listed == partly
    assert [event.type for event in listed] == ["SIGNED_IN"]


def test_callbacks_of_many_clients_may_all_call_them_at_once(monkeypatch):
    """Each stands on a thread of the SDK's, and waits for another: it gets one."""
    monkeypatch.setattr(OWNER, "_max_threads", 4)
    clients = [Service().client() for _ in range(4)]
    at_once, users = threading.Barrier(len(clients)), []

    def ask(hj, event: AuthEvent) -> None:
        if event.type is AuthEventType.SIGNED_IN:
            at_once.wait(10)
            users.append(hj.auth.user())

    for hj in clients:
        hj.on(partial(ask, hj))
    waits = [in_thread(partial(hj.auth.sign_in, EMAIL, PASSWORD)) for hj in clients]
    assert {type(wait()).__name__ for wait in waits} == {"Session"}
    assert len(users) == len(clients)

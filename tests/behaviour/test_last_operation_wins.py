"""The sign-in or sign-out that was asked for last decides, also when an earlier one answers late."""

import asyncio
import logging

import httpx
import pytest

from hellojohn import (
    AsyncHelloJohn,
    HelloJohn,
    InvalidCredentials,
    MemoryStore,
    MfaRequired,
    NotSignedIn,
    ServiceUnavailable,
    SignInRequired,
    SignInSuperseded,
)
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.pace import Paced
from tests.behaviour.scripted import EMAIL, PASSWORD, problem
from tests.both_faces import EventLog, close, in_thread, settle, until
from tests.dialects import active, both_dialects, name_of, route

ADA, BOB = ("ada@example.com", "correct horse A"), ("bob@example.com", "correct horse B")


@pytest.fixture
def emulator(emulator):
    """Return a running emulator with two users."""
    emulator.add_user(*ADA)
    emulator.add_user(*BOB)
    return emulator


# ---------------------------------------------------------------- late sign-ins


@both_dialects
@pytest.mark.parametrize("when", ["before", "after"])
async def test_sign_out_after_a_sign_in_that_timed_out(new_client, emulator, when):
    """A sign-in that answers after its caller gave up and a sign-out returned signs no user in."""
    hj = new_client(AsyncHelloJohn)
    log = EventLog(hj)
    with emulator.hold(route(emulator, "sign-in"), when=when) as hold:
        task = asyncio.create_task(hj.auth.sign_in(*ADA))
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await hj.auth.sign_out() is True
    await asyncio.to_thread(
        until, lambda: emulator.calls(route(emulator, "sign-out")) == 1 and not active(emulator)
    )
    assert await hj.auth.session() is None
    assert log.names() == []


@both_dialects
@pytest.mark.parametrize("when", ["before", "after"])
async def test_sign_in_after_a_sign_in_that_timed_out(new_client, emulator, when):
    """User B, who signs in after A's sign-in timed out, stays signed in when A's answer arrives."""
    hj = new_client(AsyncHelloJohn)
    with emulator.hold(route(emulator, "sign-in"), when=when) as hold:
        task = asyncio.create_task(hj.auth.sign_in(*ADA))
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        later = asyncio.create_task(hj.auth.sign_in(*BOB))
        await asyncio.to_thread(hold.wait_arrived, 2)
    session = await later
    await asyncio.to_thread(until, lambda: active(emulator) == [name_of(session)])
    assert await hj.auth.session() == session
    assert (await hj.auth.user()).email == BOB[0]


@both_dialects
def test_overtaken_sign_in_raises_to_its_caller(new_client, emulator):
    """A caller who still waits for a sign-in that a sign-out overtook gets SignInSuperseded."""
    hj = new_client()
    with emulator.hold(route(emulator, "sign-in")) as hold:
        signing_in = in_thread(lambda: hj.auth.sign_in(*ADA))
        hold.wait_arrived()
        assert hj.auth.sign_out() is True
    error = signing_in()
    assert isinstance(error, SignInSuperseded)
    assert "later sign-in or sign-out" in str(error)
    until(lambda: emulator.sessions() and not active(emulator))
    assert hj.auth.session() is None


@both_dialects
def test_overtaken_second_factor_raises_to_its_caller(new_client, emulator):
    """verify_mfa is a sign-in as well: a later sign-in overtakes it."""
    eve = ("eve@example.com", "correct horse E")
    emulator.add_user(*eve, mfa_code="123456")
    hj = new_client()
    with pytest.raises(MfaRequired) as caught:
        hj.auth.sign_in(*eve)
    with emulator.hold(route(emulator, "second factor")) as hold:
        verifying = in_thread(lambda: hj.auth.verify_mfa(caught.value.challenge, "123456"))
        hold.wait_arrived()
        session = hj.auth.sign_in(*BOB)
    assert isinstance(verifying(), SignInSuperseded)
    until(lambda: active(emulator) == [name_of(session)])
    assert hj.auth.session() == session


@both_dialects
def test_refused_later_sign_in_still_overtakes(new_client, emulator):
    """A sign-in counts from the moment it is asked for, even when the service then refuses it."""
    hj = new_client()
    with emulator.hold(route(emulator, "sign-in")) as hold:
        signing_in = in_thread(lambda: hj.auth.sign_in(*ADA))
        hold.wait_arrived()
        refused = in_thread(lambda: hj.auth.sign_in(BOB[0], "a wrong password"))
        hold.wait_arrived(2)
    assert isinstance(signing_in(), SignInSuperseded)
    assert isinstance(refused(), InvalidCredentials)
    assert hj.auth.session() is None
    until(lambda: emulator.sessions() and not active(emulator))


# ---------------------------------------------------------------- refreshes and sign-outs


@both_dialects
@pytest.mark.parametrize("when", ["before", "after"])
def test_sign_out_during_a_refresh(new_client, emulator, when):
    """The pair that a refresh brings after a sign-out is neither shown nor stored, and is signed out."""
    store = MemoryStore()
    hj = new_client(store=store)
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    log = EventLog(hj)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh"), when=when) as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        assert hj.auth.session() is not None
        hj.auth.sign_out()
        assert hj.auth.session() is None
    assert isinstance(refreshing(), SignInRequired)
    until(lambda: not active(emulator))
    assert new_client(store=store).auth.session() is None
    assert log.names() == ["SIGNED_OUT"]
    if emulator.api == "v1" or when == "after":  # v2 counts a token that was signed out as well
        assert emulator.reuses == 0


@both_dialects
def test_sign_in_during_a_refresh(new_client, emulator):
    """The session of a sign-in that completes during a refresh is the one that is kept."""
    hj = new_client()
    hj.auth.sign_in(*ADA)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh")) as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        second = hj.auth.sign_in(*BOB)
    refreshing()
    until(lambda: active(emulator) == [name_of(second)])
    assert hj.auth.session() == second
    assert hj.auth.user().email == BOB[0]


@both_dialects
def test_sign_out_does_not_wait_for_a_refresh(new_client, emulator):
    """A sign-out returns while the service still works on a refresh."""
    hj = new_client()
    hj.auth.sign_in(*ADA)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh")) as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        assert hj.auth.sign_out() in (True, False)
        with pytest.raises(NotSignedIn):
            hj.auth.access_token()
    assert isinstance(refreshing(), SignInRequired)


@both_dialects
def test_refresh_during_a_sign_out(new_client, emulator):
    """While the service works on a sign-out, the session is gone here, and no refresh is sent for it."""
    hj = new_client()
    hj.auth.sign_in(*ADA)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "sign-out")) as hold:
        signing_out = in_thread(hj.auth.sign_out)
        hold.wait_arrived()
        for call in (hj.auth.access_token, hj.auth.refresh, hj.auth.user):
            with pytest.raises(SignInRequired):
                call()
        assert hj.auth.session() is None
    assert signing_out() is True
    assert emulator.calls(route(emulator, "refresh")) == 0


@both_dialects
async def test_cancelled_sign_out_is_carried_out(new_client, emulator):
    """A task that is cancelled in sign_out() has signed the user out, here and at the service."""
    hj = new_client(AsyncHelloJohn)
    await hj.auth.sign_in(*ADA)
    with emulator.hold(route(emulator, "sign-out")) as hold:
        task = asyncio.create_task(hj.auth.sign_out())
        await asyncio.to_thread(hold.wait_arrived)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await hj.auth.session() is None
    await asyncio.to_thread(until, lambda: not active(emulator))


def test_two_sign_outs_at_once_emit_one_event():
    """Two sign-outs that are asked for before either has the store's lock emit SIGNED_OUT once."""
    paced = Paced(HelloJohn)
    paced.hj.auth.access_token()
    paced.store.pace = paced.pace
    first = in_thread(paced.hj.auth.sign_out)
    paced.pace.advance(0)
    second = in_thread(paced.hj.auth.sign_out)
    paced.pace.wait_reached(2)
    paced.pace.open()
    assert isinstance(first(), bool)
    assert isinstance(second(), bool)
    paced.hj.close()
    assert paced.log.names() == ["SIGNED_OUT"]
    assert paced.store.texts == {}


# ---------------------------------------------------------------- replaced sessions


@both_dialects
async def test_sign_in_again_ends_the_replaced_session(new_client, emulator, owner):
    """Three sign-ins leave one live session at the service, so they use up no session cap."""
    hj = new_client(owner)
    for _ in range(3):
        session = await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    await close(hj)
    assert active(emulator) == [name_of(session)]


async def test_sign_in_again_leaves_other_devices_alone(new_client, emulator, owner):
    """With a cap of three sessions, a device that signs in four times signs no other device out."""
    emulator.configure(max_sessions_per_user=3)
    phone, desktop = new_client(owner), new_client(owner)
    other = await settle(phone.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    for _ in range(4):
        await settle(desktop.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
        await asyncio.to_thread(until, lambda: len(active(emulator)) == 2)
    assert (await settle(phone.auth.refresh())).id == other.id


# ---------------------------------------------------------------- the result of a sign-out


@both_dialects
async def test_sign_out_confirms(service, owner):
    """sign_out() returns True when the service confirmed, and when there was nothing to sign out."""
    hj = service.client(owner)
    assert await settle(hj.auth.sign_out()) is True
    assert service.asked == []
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    assert await settle(hj.auth.sign_out()) is True
    assert service.presented("auth/sign-out") == ["rt_1"]


@both_dialects
async def test_sign_out_in_an_outage_is_reported(service, owner, caplog):
    """In an outage sign_out() returns False and logs one line; the local session is gone."""
    hj = service.client(owner)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.is_down = True
    with caplog.at_level(logging.WARNING, "hellojohn"):
        assert await settle(hj.auth.sign_out()) is False
    (line,) = caplog.records
    assert "did not confirm a sign-out" in line.getMessage()
    assert await settle(hj.auth.session()) is None


@both_dialects
async def test_sign_out_everywhere_raises_when_unconfirmed(service, owner):
    """everywhere=True raises when the user's other sessions may live on; the local one is gone."""
    hj = service.client(owner)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.is_down = True
    with pytest.raises(ServiceUnavailable):
        await settle(hj.auth.sign_out(everywhere=True))
    assert await settle(hj.auth.session()) is None
    with pytest.raises(NotSignedIn):
        await settle(hj.auth.access_token())


@both_dialects
def test_sign_out_everywhere_ends_all_sessions(new_client, emulator):
    """A user signs a lost phone out from the desktop."""
    phone, desktop = new_client(), new_client()
    phone.auth.sign_in(*ADA)
    desktop.auth.sign_in(*ADA)
    other = new_client().auth.sign_in(*BOB)
    assert desktop.auth.sign_out(everywhere=True) is True
    assert active(emulator) == [name_of(other)]
    with pytest.raises(SignInRequired):
        phone.auth.refresh()


@pytest.mark.parametrize(
    "answer",
    [problem(401, "session_revoked"), httpx.Response(500), httpx.Response(403, content=b"<html>")],
    ids=["refused", "broken", "proxy"],
)
def test_refused_sign_out_is_not_confirmed(service, answer):
    """Whatever the service answers to a sign-out, the session is gone here."""
    hj = service.client(transport=httpx.MockTransport(lambda request: service_or(request, service, answer)))
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert hj.auth.sign_out() is False
    assert hj.auth.session() is None


def service_or(request, service, answer) -> httpx.Response:
    """Return ``answer`` for a sign-out, and the answer of the service for any other request."""
    return answer if request.url.path.endswith("sign-out") else service(request)


@both_dialects
def test_client_of_a_signed_out_session_signs_in_again(service):
    """A client can be used by one user after another."""
    hj: HelloJohn = service.client()
    for number in (1, 2, 3):
        hj.auth.sign_in(EMAIL, PASSWORD)
        assert hj.auth.access_token() == f"at_{number}"
        hj.auth.sign_out()
        with pytest.raises(NotSignedIn):
            hj.auth.access_token()

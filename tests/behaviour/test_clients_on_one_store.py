"""Two clients that share a store, as two processes do: they adopt, follow and report each other's changes."""

import httpx
import pytest

from hellojohn import (
    ExpiryReason,
    FileStore,
    MemoryStore,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
)
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.behaviour.scripted import EMAIL, PASSWORD, problem
from tests.both_faces import EventLog, close, in_thread, settle
from tests.dialects import active, both_dialects, route

ADA, BOB = ("ada@example.com", "correct horse A"), ("bob@example.com", "correct horse B")
BASE = "https://api.example.com"


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    """Return a store that clients can share."""
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "sessions")


@pytest.fixture
def emulator(emulator):
    """Return a running emulator with two users."""
    emulator.add_user(*ADA)
    emulator.add_user(*BOB)
    return emulator


@both_dialects
async def test_refresh_of_another_client_is_adopted(service, owner, store):
    """A client whose token has expired uses the pair that another client got, without a request."""
    hj, other = service.client(owner, store=store), service.client(store=store)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    assert other.auth.access_token() == "at_2"
    assert await settle(hj.auth.access_token()) == "at_2"
    assert service.presented() == ["rt_1"]
    assert log.names() == ["SIGNED_IN"]


async def test_adopted_token_that_expires_is_refreshed(service, owner, store):
    """An adopted pair is refreshed from its own refresh token when it expires."""
    hj, other = service.client(owner, store=store), service.client(store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    other.auth.access_token()
    service.at(hours=4)
    assert await settle(hj.auth.access_token()) == "at_3"
    assert service.presented() == ["rt_1", "rt_2"]


@both_dialects
async def test_sign_in_of_another_client_is_found(service, owner, store):
    """A client without a session uses the one that another client signs in."""
    hj = service.client(owner, store=store)
    with pytest.raises(NotSignedIn):
        await settle(hj.auth.access_token())
    service.client(store=store).auth.sign_in(EMAIL, PASSWORD)
    assert await settle(hj.auth.access_token()) == "at_1"


@both_dialects
async def test_sign_out_of_another_client_ends_the_session(service, owner, store):
    """A session that another client has signed out ends as signed_out, without a request."""
    hj = service.client(owner, store=store)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.client(store=store).auth.sign_out()
    service.at(hours=2)
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.reason is ExpiryReason.SIGNED_OUT
    assert log.names() == ["SIGNED_IN", "SESSION_EXPIRED:signed_out"]
    assert service.presented() == []


@both_dialects
async def test_replaced_session_is_announced(new_client, emulator, owner, store):
    """When another client signs user B in, this one goes on as B and emits SESSION_REPLACED."""
    hj, other = new_client(owner, store=store), new_client(store=store)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(*ADA))
    other.auth.sign_out()
    session = other.auth.sign_in(*BOB)
    emulator.advance("2h")
    await settle(hj.auth.access_token())
    log.wait_for("SESSION_REPLACED")
    assert log.names()[:2] == ["SIGNED_IN", "SESSION_REPLACED"]
    assert log.events[1].session.user == session.user
    assert await settle(hj.auth.session()) is not None
    assert (await settle(hj.auth.user())).email == BOB[0]


@both_dialects
async def test_replaced_session_is_announced_after_a_401(new_client, emulator, owner, store):
    """The same when the API refuses A's token; the request that was made as A is not repeated as B."""
    hj, other = new_client(owner, store=store), new_client(store=store)
    log = EventLog(hj)
    await settle(hj.auth.sign_in(*ADA))
    first = f"Bearer {await settle(hj.auth.access_token())}"
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["Authorization"])
        return httpx.Response(401 if sent[-1] == first else 200)

    api = hj.client(base_url=BASE, transport=httpx.MockTransport(answer))
    other.auth.sign_out()
    other.auth.sign_in(*BOB)
    assert (await settle(api.post("/transfer"))).status_code == 401
    assert sent == [first]
    assert (await settle(api.post("/transfer"))).status_code == 200
    log.wait_for("SESSION_REPLACED")
    assert log.names() == ["SIGNED_IN", "SESSION_REPLACED"]
    await close(api)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("session_revoked", ExpiryReason.REVOKED),
        ("refresh_token_reused", ExpiryReason.REUSE_DETECTED),
        ("session_expired", ExpiryReason.EXPIRED),
        ("account_disabled", ExpiryReason.USER_DISABLED),
        ("refresh_token_invalid", ExpiryReason.REJECTED),
    ],
)
async def test_all_clients_report_the_same_reason(service, owner, store, code, reason):
    """Each client that shares the store reports the service's reason, also one created later."""
    hj, other = service.client(owner, store=store), service.client(store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    other.auth.access_token()
    logs = [EventLog(hj), EventLog(other)]
    service.answers = [problem(403 if code == "account_disabled" else 401, code)]
    service.at(hours=2)
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.access_token())
    assert (caught.value.reason, caught.value.code) == (reason, code)
    for client in (other, other, service.client(store=store)):
        with pytest.raises(SessionExpired) as caught:
            client.auth.access_token()
        assert (caught.value.reason, caught.value.code, caught.value.session_id) == (reason, code, "ses_1")
    assert [log.names() for log in logs] == [[f"SESSION_EXPIRED:{reason}"]] * 2
    assert service.presented() == ["rt_1"]


async def test_disabled_user_is_reported(new_client, emulator, owner):
    """A user whose account the operator disables loses the session as user_disabled."""
    hj = new_client(owner)
    await settle(hj.auth.sign_in(*ADA))
    emulator.disable_user(ADA[0])
    with pytest.raises(SessionExpired) as caught:
        await settle(hj.auth.refresh())
    assert caught.value.reason is ExpiryReason.USER_DISABLED


@both_dialects
async def test_cooldown_is_shared(service, owner, store):
    """After a Retry-After no client that shares the store asks, and each gets the time that is left."""
    hj, other = service.client(owner, store=store), service.client(store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.answers = [service.refusal("unavailable", Retry_After="40")]
    with pytest.raises(ServiceUnavailable) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.retry_after == 40
    service.now += 10
    with pytest.raises(ServiceUnavailable) as caught:
        other.auth.access_token()
    assert caught.value.retry_after == 30
    assert len(service.presented()) == 1
    service.now += 31
    assert other.auth.access_token() == "at_2"
    assert await settle(hj.auth.access_token()) == "at_2"


@both_dialects
def test_sign_out_during_a_refresh_of_another_client(new_client, emulator):
    """A pair that arrives after another client has signed out is not stored, and is signed out."""
    store = MemoryStore()
    hj, other = new_client(store=store), new_client(store=store)
    session = hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    assert other.auth.session().id == session.id
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh"), when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        other.auth.sign_out()
    assert isinstance(refreshing(), SessionExpired)
    assert not active(emulator)
    assert new_client(store=store).auth.session() is None
    assert emulator.reuses == 0


@both_dialects
@pytest.mark.parametrize(
    "change", [{"tenant_id": "tnt_2"}, {"api_url": "https://other.example.com"}], ids=str
)
async def test_other_tenants_and_services_have_other_sessions(service, owner, store, change):
    """A client of another tenant or service on the same store does not see the session."""
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    assert await settle(service.client(owner, store=store, **change).auth.session()) is None
    assert await settle(service.client(owner, store=store).auth.session()) is not None

"""Whatever is not the refusal of the service keeps the session: outages, proxies, nonsense. Real sockets."""

import asyncio
import threading
import time

import httpx
import pytest

from hellojohn import (
    ApiError,
    AsyncHelloJohn,
    ExpiryReason,
    HelloJohn,
    MemoryStore,
    ServiceUnavailable,
    SessionExpired,
)
from hellojohn._limits import NETWORK_THREADS, SIGN_IN_THREADS
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.behaviour.scripted import EMAIL, PASSWORD, START
from tests.both_faces import close_now, emulated, in_thread, settle
from tests.dialects import both_dialects, route

HTML = b"<html><body>Forbidden by the company proxy</body></html>"


@pytest.fixture
async def hj(owner, new_client):
    """Return a client of either kind that is signed in."""
    hj = new_client(owner)
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    return hj


@pytest.fixture
def sync_hj(new_client):
    """Return a sync client that is signed in, for what takes a second each."""
    hj = new_client()
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    return hj


async def fails(hj, kind: type[Exception] = ServiceUnavailable):
    """Check that a call fails, and return the error."""
    with pytest.raises(kind) as caught:
        await settle(hj.auth.access_token())
    return caught.value


async def goes_on(emulator, hj) -> None:
    """Check that the session was kept and works."""
    emulator.clear_failures()
    emulator.advance("2m")
    assert await settle(hj.auth.session()) is not None
    assert await settle(hj.auth.access_token())
    assert emulator.reuses == 0


# ---------------------------------------------------------------- the session is kept


async def test_service_that_is_down(emulator, hj):
    """A service that cannot be reached costs no session, and is used again when it is back."""
    emulator.advance("2h")
    emulator.stop()
    assert (await fails(hj)).ambiguous is False
    emulator.start()
    await goes_on(emulator, hj)
    assert emulator.rotations == 1


@both_dialects
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [50, "Wed, 01 Jan 2200 00:00:00 GMT"], ids=["seconds", "date"])
async def test_service_that_asks_for_a_wait(emulator, hj, status, retry_after):
    """The error says how long the service asks to wait, and nothing is sent before."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), status=status, retry_after=retry_after)
    assert (await fails(hj)).retry_after >= 49
    assert (await fails(hj)).retry_after <= 60
    assert emulator.calls(route(emulator, "refresh")) == 1
    await goes_on(emulator, hj)


async def test_retry_after_zero(emulator, hj):
    """Retry-After: 0 is tried again at once, and the caller gets its token."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), status=429, retry_after=0, times=2)
    assert await settle(hj.auth.access_token())
    assert (emulator.calls(route(emulator, "refresh")), emulator.rotations) == (3, 1)


@both_dialects
@pytest.mark.parametrize("trouble", [{"drop": "before"}, {"status": 500}, {"status": 502}], ids=str)
async def test_lost_request_is_sent_once_more(emulator, sync_hj, trouble):
    """A request that was lost before the service carried it out succeeds at the second attempt."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), **trouble)
    assert await settle(sync_hj.auth.access_token())
    assert (emulator.calls(route(emulator, "refresh")), emulator.rotations, emulator.reuses) == (2, 1, 0)


@both_dialects
async def test_service_that_stays_broken(emulator, sync_hj):
    """A lost answer is asked for once more and not oftener; the session is kept, and the error says so."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), status=500, times=None)
    error = await fails(sync_hj)
    assert (error.ambiguous, emulator.calls(route(emulator, "refresh"))) == (True, 2)
    assert "The session is kept" in str(error)
    await goes_on(emulator, sync_hj)


@both_dialects
@pytest.mark.parametrize("trouble", [{"status": 504}, {"status": 200, "body": HTML}], ids=str)
async def test_service_that_may_be_at_work(emulator, hj, trouble):
    """After a gateway's timeout or an unreadable success, the next refresh asks again, and not this one."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), **trouble)
    assert (await fails(hj)).ambiguous is True
    assert emulator.calls(route(emulator, "refresh")) == 1
    await goes_on(emulator, hj)


@both_dialects
@pytest.mark.parametrize("trouble", [{"drop": "after"}, {"drop": "midway"}], ids=str)
async def test_lost_answer_without_a_grace_window(emulator, sync_hj, trouble):
    """A pair that was issued and lost ends the session as refresh_outcome_unknown, which blames no user."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), **trouble)
    error = await fails(sync_hj, SessionExpired)
    assert error.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN
    assert error.code == ("refresh_token_reused" if emulator.api == "v1" else "UNAUTHORIZED")
    assert emulator.calls(route(emulator, "refresh")) == 2


def test_lost_answer_within_a_grace_window():
    """A service that accepts a rotated token for a while gives the lost pair out again."""
    with Emulator(reuse_grace="10s") as emulator, HelloJohn(**emulated(emulator)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        emulator.advance("2h")
        emulator.fail(route(emulator, "refresh"), drop="after")
        assert hj.auth.access_token()
        assert emulator.reuses == 0


@both_dialects
@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"status": 401, "code": "invalid_api_key"}, ApiError),
        ({"status": 403, "code": "tenant_mismatch"}, ApiError),
        ({"status": 403, "body": HTML}, ServiceUnavailable),
        ({"status": 401, "body": b""}, ServiceUnavailable),
        ({"status": 404, "body": HTML}, ServiceUnavailable),
        ({"status": 407, "body": HTML}, ServiceUnavailable),
        ({"status": 408, "body": HTML}, ServiceUnavailable),
        ({"status": 421, "body": b"[]"}, ServiceUnavailable),
        ({"status": 425, "body": b"{}"}, ServiceUnavailable),
        ({"status": 302, "body": HTML}, ServiceUnavailable),
        *(({"status": status, "code": "not_found"}, ServiceUnavailable) for status in (404, 405, 408, 421)),
    ],
    ids=str,
)
async def test_foreign_answers_and_wrong_settings(emulator, hj, trouble, kind):
    """A wrong key or a proxy's page is an error that names the status, and signs no user out."""
    emulator.advance("2h")
    emulator.fail(route(emulator, "refresh"), **trouble)
    error = await fails(hj, kind)
    if kind is ServiceUnavailable:
        assert f"status {trouble['status']}" in str(error)
        assert "api_url" in str(error)
    assert (emulator.calls(route(emulator, "refresh")), emulator.rotations) == (1, 0)
    await goes_on(emulator, hj)


@pytest.mark.parametrize("path", ["/api", "/v1/auth"])
async def test_address_with_a_wrong_path(owner, new_client, emulator, path):
    """HelloJohn itself answers that there is nothing; sign-in and the doctor name the setting."""
    hj = new_client(owner, api_url=f"{emulator.url}{path}")
    with pytest.raises(ServiceUnavailable, match=r"Check api_url \(HELLOJOHN_API_URL\)"):
        await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    found = await settle(hj.doctor())
    assert any("check api_url (HELLOJOHN_API_URL)" in sentence for sentence in found.advice)


@both_dialects
def test_slow_answer_is_not_overtaken(new_client, emulator):
    """A refresh waits for its answer beyond the client's timeout: asking twice would look like theft."""
    hj = new_client(timeout=0.2)
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("2h")
    with emulator.hold(route(emulator, "refresh"), when="after") as hold:
        refreshing = in_thread(hj.auth.access_token)
        hold.wait_arrived()
        threading.Event().wait(0.6)
        assert emulator.calls(route(emulator, "refresh")) == 1
    assert isinstance(refreshing(), str)
    assert (emulator.calls(route(emulator, "refresh")), emulator.reuses) == (1, 0)


# ---------------------------------------------------------------- a token that still works


@both_dialects
@pytest.mark.parametrize(
    "trouble", [{"status": 503, "retry_after": 40}, {"status": 404, "body": HTML}], ids=str
)
async def test_working_token_is_used_in_an_outage(emulator, hj, trouble):
    """In a token's last seconds an outage is not noticed, and costs one request however many callers come."""
    first = await settle(hj.auth.access_token())
    emulator.fail(route(emulator, "refresh"), **trouble, times=None)
    emulator.advance("3585s")
    for _ in range(10):
        assert await settle(hj.auth.access_token()) == first
    assert emulator.calls(route(emulator, "refresh")) == 1


async def test_working_token_is_waited_for_five_seconds(new_client, emulator):
    """In a token's last seconds a caller without a timeout waits five seconds, and gets the token it has."""
    hj = new_client(AsyncHelloJohn)
    await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    first = await hj.auth.access_token()
    emulator.advance("3585s")
    with emulator.hold(route(emulator, "refresh")):
        begun = time.monotonic()
        assert await asyncio.gather(*(hj.auth.access_token() for _ in range(5))) == [first] * 5
        assert 4.9 < time.monotonic() - begun < 8
    emulator.advance("1m")
    assert await hj.auth.access_token() != first
    assert (emulator.rotations, emulator.reuses) == (1, 0)


# ---------------------------------------------------------------- cooldowns


@both_dialects
async def test_requests_in_an_outage_fail_at_once(service, owner):
    """A back end that binds an account for each request asks once per cooldown, and the others fail fast."""
    hj = service.client(owner)
    await settle(hj.for_account("ada").auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.answers = [httpx.Response(404, content=HTML)]
    for _ in range(20):
        with pytest.raises(ServiceUnavailable) as caught:
            await settle(hj.for_account("ada").auth.access_token())
    assert caught.value.retry_after <= 5
    assert len(service.presented()) == 1
    service.now += 6
    assert await settle(hj.for_account("ada").auth.access_token()) == "at_2"


async def test_network_failure_cools_down(service, owner):
    """After a refresh that could not be sent, later callers fail at once for a few seconds."""
    hj = service.client(owner)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.is_down = True
    for _ in range(10):
        await fails(hj)
    assert len(service.presented()) == 4
    service.is_down = False
    service.now += 6
    assert await settle(hj.auth.access_token()) == "at_2"


@both_dialects
async def test_long_wait_is_a_short_cooldown(service, owner):
    """A maintenance page for an hour blocks no caller for more than a minute."""
    store = MemoryStore()
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.answers = [service.refusal("unavailable", Retry_After="3600")]
    with pytest.raises(ServiceUnavailable) as caught:
        await settle(hj.auth.access_token())
    assert caught.value.retry_after == 3_600
    with pytest.raises(ServiceUnavailable) as caught:
        await settle(service.client(owner, store=store).auth.access_token())
    assert caught.value.retry_after == 60
    assert len(service.presented()) == 1
    service.now += 60
    assert await settle(hj.auth.access_token()) == "at_2"


@both_dialects
async def test_refresh_ignores_a_cooldown(service, owner):
    """refresh() may always ask, also in a client that was created after the failure."""
    store = MemoryStore()
    hj = service.client(owner, store=store)
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.answers = [service.refusal("unavailable", Retry_After="3600")] * 2
    for client in (hj, service.client(owner, store=store)):
        with pytest.raises(ServiceUnavailable):
            await settle(client.auth.refresh())
    assert (await settle(hj.auth.refresh())).id == service.session_id
    assert service.presented() == ["rt_1"] * 3


@both_dialects
async def test_cooldown_of_a_wrong_clock_blocks_no_caller(service, owner):
    """A cooldown that a client with a clock ten minutes ahead has noted is not kept."""
    store = MemoryStore()
    ahead = service.client(owner, store=store, clock=lambda: service.now + 600)
    await settle(service.client(owner, store=store).auth.sign_in(EMAIL, PASSWORD))
    service.at(hours=2)
    service.answers = [service.refusal("unavailable", Retry_After="50")]
    with pytest.raises(ServiceUnavailable):
        await settle(ahead.auth.access_token())
    assert await settle(service.client(owner, store=store).auth.access_token()) == "at_2"


# ---------------------------------------------------------------- the lanes


def test_fresh_users_do_not_wait_for_a_stalled_service(new_client, emulator):
    """Seventy refreshes of a stalled service keep neither a store read nor a sign-in waiting."""
    store = MemoryStore()
    hj = new_client(store=store)
    for number in range(70):
        hj.for_account(f"user-{number}").auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("2h")
    fresh = hj.for_account("fresh").auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    other = new_client(store=store)

    async def read() -> str:
        async with AsyncHelloJohn(**emulated(emulator, store=store)) as one:
            return (await one.for_account("fresh").auth.session()).id

    with emulator.hold(route(emulator, "refresh")) as hold:
        waiting = [in_thread(other.for_account(f"user-{number}").auth.access_token) for number in range(70)]
        hold.wait_arrived(NETWORK_THREADS - SIGN_IN_THREADS)
        assert in_thread(other.for_account("fresh").auth.access_token)().count(".") == 2
        assert in_thread(other.for_account("fresh").auth.session)().id == fresh.id
        assert in_thread(lambda: asyncio.run(asyncio.wait_for(read(), 5)))() == fresh.id
        assert in_thread(lambda: other.for_account("new").auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))().id
        assert in_thread(other.for_account("new").auth.sign_out)() is True
    assert {type(join()) for join in waiting} == {str}
    assert (emulator.rotations, emulator.reuses) == (70, 0)


# ---------------------------------------------------------------- requests and answers


def sent_by_a_refresh(answer: httpx.Response):
    """Sign in at a service that gives this answer to the next request; return the client and the requests."""
    pair = {"access_token": "at_1", "refresh_token": "rt_1", "expires_in": 60, "session_id": "ses_1"}
    answers, seen, clock = [httpx.Response(200, json=pair), answer], [], [START]

    def transport(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers.pop(0)

    hj = HelloJohn(
        tenant_id="tnt_1",
        publishable_key="pk_1",
        transport=httpx.MockTransport(transport),
        clock=lambda: clock[0],
    )
    hj.auth.sign_in(EMAIL, PASSWORD)
    clock[0] += 61
    return hj, seen


def test_what_a_refresh_sends():
    """The refresh token travels in the body alone, with the tenant and without an access token or a key."""
    hj, seen = sent_by_a_refresh(httpx.Response(200, json={"access_token": "at_2", "expires_in": 60}))
    assert hj.auth.access_token() == "at_2"
    request = seen[1]
    assert (request.method, str(request.url)) == ("POST", "https://api.hellojohn.dev/v1/auth/token/refresh")
    assert request.content.replace(b" ", b"") == b'{"refresh_token":"rt_1"}'
    assert request.headers["X-Tenant-ID"] == "tnt_1"
    assert request.headers["User-Agent"].startswith("hellojohn-python/")
    assert not {"Authorization", "Cookie"} & set(request.headers)
    assert "rt_1" not in f"{request.url}{request.headers.raw}"
    close_now(hj)


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"access_token": "at_2", "refresh_token": "rt_2", "expires_in": 60}',
        b'{"session": {"access_token": "at_2", "refresh_token": "rt_2"}, "expires_in": "60"}',
        b' \n{"access_token":"at_2","refresh_token":"rt_2","expires_in":60.5,"later":{"x":[1]}} \r\n',
    ],
    ids=["byte order mark", "nested", "unknown fields"],
)
def test_answers_that_are_understood(body):
    """An answer is understood in each documented shape, with a byte order mark and with unknown fields."""
    hj, _ = sent_by_a_refresh(httpx.Response(200, content=body))
    assert hj.auth.access_token() == "at_2"
    close_now(hj)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\x00\xff",
        b'{"access_token": "at_2", "refresh_token": "rt_2"',
        b'{"access_token": "a\\nb", "refresh_token": "rt_2", "expires_in": 60}',
        b'{"access_token": "at_2", "refresh_token": 7, "expires_in": 60}',
        b'{"access_token": "' + b"a" * 1_100_000 + b'"}',
    ],
    ids=lambda body: repr(body)[:40],
)
def test_unreadable_success_is_not_asked_again_at_once(body):
    """A success that cannot be read keeps the session and its refresh token, and is ambiguous."""
    hj, seen = sent_by_a_refresh(httpx.Response(200, content=body))
    with pytest.raises(ServiceUnavailable) as caught:
        hj.auth.access_token()
    assert caught.value.ambiguous
    assert len(seen) == 2
    assert hj.auth.session().id == "ses_1"
    close_now(hj)

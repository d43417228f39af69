"""The refresh-outcome table over real sockets, and byte for byte."""

import json
from collections.abc import Iterator

import httpx
import pytest

from hellojohn import HelloJohn
from hellojohn._errors import (
    AccountDisabled,
    ApiError,
    ExpiryReason,
    ServiceUnavailable,
    SessionExpired,
)
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.stores import MemoryStore
from tests.engine.crowd import settings
from tests.engine.rig import HTML, START

REFRESH = "token/refresh"


@pytest.fixture(params=[None, "10s"], ids=["strict", "with grace"])
def emulator(request) -> Iterator[Emulator]:
    """An emulator that forgives nothing, and one that takes a rotated token for ten seconds more."""
    with Emulator(reuse_grace=request.param) as running:
        yield running


@pytest.fixture
def has_grace(request) -> bool:
    """Whether the emulator has a grace window."""
    return "with grace" in request.node.name


@pytest.fixture
def hj(emulator) -> Iterator[HelloJohn]:
    """A client that is signed in, and whose access token has no life left."""
    with HelloJohn(**settings(emulator, MemoryStore()), timeout=2.0) as client:
        client.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
        emulator.advance("2h")
        yield client


def _stored(hj: HelloJohn) -> Record | None:
    return hj._engine.context.storage.load(hj._account.key)


def _goes_on(emulator: Emulator, hj: HelloJohn) -> None:
    """Check that the session was kept and is good."""
    emulator.clear_failures()
    emulator.advance("2m")
    assert hj.auth.access_token()
    assert emulator.reuses == 0
    record = _stored(hj)
    assert record is not None
    assert (record.generation, record.refresh_started_at, record.refresh_not_before) == (2, None, None)


def test_done(emulator, hj):
    """The new pair is stored before its access token is used."""
    assert hj.auth.access_token() == _stored(hj).access_token.reveal()
    assert (emulator.rotations, emulator.reuses, _stored(hj).generation) == (1, 0, 2)


def test_not_sent(emulator, hj):
    """The service is down: nothing was asked, everything is kept, and it goes on when the service is back."""
    emulator.stop()
    with pytest.raises(ServiceUnavailable) as caught:
        hj.auth.access_token()
    assert (caught.value.ambiguous, _stored(hj).refresh_started_at) == (False, None)
    emulator.start()
    _goes_on(emulator, hj)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", [90, "Wed, 01 Jan 2200 00:00:00 GMT"], ids=["seconds", "date"])
def test_later(emulator, hj, status, retry_after):
    """The service asks for a wait that is too long for a caller: an error that says how long."""
    emulator.fail(REFRESH, status=status, retry_after=retry_after)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable) as caught:
            hj.auth.access_token()
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 80
    assert emulator.calls(REFRESH) == 1
    if retry_after == 90:
        _goes_on(emulator, hj)


def test_later_and_at_once(emulator, hj):
    """``Retry-After: 0`` is tried again at once, and the caller has its token."""
    emulator.fail(REFRESH, status=429, retry_after=0, times=2)
    assert hj.auth.access_token()
    assert (emulator.calls(REFRESH), emulator.rotations) == (3, 1)


@pytest.mark.parametrize("trouble", [{"drop": "before"}, {"status": 500}, {"status": 502}, {"status": 504}])
def test_unknown_and_not_carried_out(emulator, hj, trouble):
    """The one more attempt brings the token, on a strict service as well."""
    emulator.fail(REFRESH, **trouble)
    assert hj.auth.access_token()
    assert (emulator.calls(REFRESH), emulator.rotations, emulator.reuses) == (2, 1, 0)


CARRIED_OUT = [
    {"drop": "after"},
    {"drop": "midway"},
    {"status": 502, "when": "after"},
    {"status": 200, "body": b"{", "when": "after"},
    {"status": 200, "body": b'{"access_token": 5}', "when": "after"},
    {"status": 200, "body": HTML, "when": "after"},
]


@pytest.mark.parametrize("trouble", CARRIED_OUT, ids=str)
def test_unknown_and_carried_out(emulator, hj, trouble, has_grace):
    """A grace window recovers it; without one the session is over, and the reason is not put on the user."""
    emulator.fail(REFRESH, **trouble)
    if has_grace:
        assert hj.auth.access_token()
        assert (emulator.rotations, emulator.reuses) == (2, 0)
        return
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN
    assert caught.value.code == "refresh_token_reused"
    assert (_stored(hj), emulator.calls(REFRESH)) == (None, 2)


@pytest.mark.parametrize("trouble", [{"drop": "before"}, {"status": 500}, {"status": 504}])
def test_unknown_twice(emulator, hj, trouble):
    """No third attempt, and the session is kept with the question open."""
    emulator.fail(REFRESH, **trouble, times=None)
    with pytest.raises(ServiceUnavailable) as caught:
        hj.auth.access_token()
    assert (caught.value.ambiguous, emulator.calls(REFRESH)) == (True, 2)
    assert _stored(hj).refresh_started_at is not None
    _goes_on(emulator, hj)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda emulator, session: emulator.revoke(session.id), ExpiryReason.REVOKED),
        (lambda emulator, _session: emulator.advance("31d"), ExpiryReason.EXPIRED),
    ],
)
def test_over(emulator, hj, end, reason):
    """The service's word ends the session, here and in the store."""
    end(emulator, hj.auth.session())
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason is reason
    assert _stored(hj) is None


def test_over_by_reuse(emulator, hj):
    """A thief has used the refresh token: the service says so, and so does the reason."""
    stolen = _stored(hj).refresh_token.reveal()
    body = {"refresh_token": stolen}
    headers = {"X-Tenant-ID": emulator.tenant_id}
    httpx.post(f"{emulator.url}/v1/auth/token/refresh", json=body, headers=headers).raise_for_status()
    emulator.advance("1m")
    with pytest.raises(SessionExpired) as caught:
        hj.auth.access_token()
    assert caught.value.reason is ExpiryReason.REUSE_DETECTED


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"status": 401, "code": "invalid_api_key"}, ApiError),
        ({"status": 404}, ApiError),
        ({"status": 403, "code": "account_disabled"}, AccountDisabled),
        ({"status": 403, "body": HTML}, ServiceUnavailable),
        ({"status": 401, "body": b""}, ServiceUnavailable),
        ({"status": 407, "body": HTML}, ApiError),
        ({"status": 302, "body": HTML}, ApiError),
    ],
    ids=str,
)
def test_whatever_is_not_the_services_no_keeps_the_session(emulator, hj, trouble, kind):
    """A wrong key, a wrong address, a proxy's page, a captive portal: an error, and nobody is signed out."""
    emulator.fail(REFRESH, **trouble)
    with pytest.raises(kind):
        hj.auth.access_token()
    assert (_stored(hj).refresh_started_at, emulator.rotations) == (None, 0)
    _goes_on(emulator, hj)


# byte for byte


def _answering(*answers: httpx.Response) -> tuple[HelloJohn, list[httpx.Request]]:
    """Make a client that is signed in at a service which gives exactly these answers to what comes next."""
    pair = {"access_token": "at_1", "refresh_token": "rt_1", "expires_in": 60, "session_id": "ses_1"}
    given, asked = [httpx.Response(200, json=pair), *answers], []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return given.pop(0)

    clock = [START]
    hj = HelloJohn(
        tenant_id="tnt_1",
        publishable_key="pk_1",
        transport=httpx.MockTransport(answer),
        clock=lambda: clock[0],
    )
    hj.auth.sign_in("ada@example.com", "correct horse")
    clock[0] += 61
    return hj, asked


def test_what_a_refresh_sends():
    """The refresh token in the body and nowhere else, the tenant, and no access token or key."""
    hj, asked = _answering(httpx.Response(200, json={"access_token": "at_2", "expires_in": 60}))
    assert hj.auth.access_token() == "at_2"
    request = asked[1]
    assert (request.method, str(request.url)) == ("POST", "https://api.hellojohn.dev/v1/auth/token/refresh")
    assert json.loads(request.content) == {"refresh_token": "rt_1"}
    assert request.headers["X-Tenant-ID"] == "tnt_1"
    assert request.headers["User-Agent"].startswith("hellojohn-python/")
    assert "Authorization" not in request.headers
    assert "Cookie" not in request.headers
    assert "rt_1" not in f"{request.url}{request.headers.raw}"
    hj.close()


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"access_token": "at_2", "refresh_token": "rt_2", "expires_in": 60}',
        b'{"session": {"access_token": "at_2", "refresh_token": "rt_2"}, "expires_in": "60"}',
        b' \n{"access_token":"at_2","refresh_token":"rt_2","expires_in":60.5,"later":{"x":[1]}} \r\n',
    ],
)
def test_answers_that_are_understood(body):
    """With a byte order mark, nested, spaced, with numbers as text and fields of tomorrow."""
    hj, _ = _answering(httpx.Response(200, content=body))
    assert hj.auth.access_token() == "at_2"
    assert _stored(hj).refresh_token.reveal() == "rt_2"
    hj.close()


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
        b'{"access_token": "at_2", "refresh_token": "r t", "expires_in": 60}',
        b'{"access_token": "' + b"a" * 1_100_000 + b'"}',
    ],
    ids=lambda body: repr(body)[:40],
)
def test_answers_that_are_not_understood_are_an_unknown_outcome(body):
    """The service said yes to something: the token is presented once more, and then the question is open."""
    hj, asked = _answering(*[httpx.Response(200, content=body)] * 2)
    with pytest.raises(ServiceUnavailable) as caught:
        hj.auth.access_token()
    assert caught.value.ambiguous
    assert len(asked) == 3
    assert (_stored(hj).refresh_token.reveal(), _stored(hj).refresh_started_at) == ("rt_1", START + 61)
    hj.close()

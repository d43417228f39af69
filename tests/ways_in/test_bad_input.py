"""Input that is forged, late, repeated or another user's: typed errors, and nothing is lost."""

import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from hellojohn import (
    ApiError,
    ChallengeExpired,
    HelloJohn,
    HelloJohnError,
    InvalidCredentials,
    MemoryStore,
    MfaRequired,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.both_faces import in_thread, until
from tests.ways_in.conftest import EMAIL, PASSWORD, done, settings
from tests.wire.samples import token

EVE, NEW_PASSWORD = "eve@example.com", "Another-Long-Password-7"
LOOPBACK = "http://127.0.0.1:8765/callback"
HOSTILE = (
    *(
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/\\evil.example",
        "https://",
        "https://a b",
    ),
    *("https://ada:secret@evil.example", "https://evil.example\r\nX: y", "https://a/" + "x" * 20_000, ""),
)


# ---------------------------------------------------------------- codes and callbacks


async def code_of(hj: Any, emulator: Emulator) -> tuple[Any, str]:
    """Return a request for a browser sign-in, and the address that the browser ended on."""
    if emulator.api == "v2":
        emulator.configure(mended=True)
    provider = "google" if emulator.api == "v1" else None
    request = await done(hj.auth.sign_in_with_oauth(provider, LOOPBACK))
    return request, emulator.authorize(request.url, EMAIL)


def code_route(emulator: Emulator) -> str:
    """Return the route that takes codes."""
    return "auth/oauth/{provider}/callback" if emulator.api == "v1" else "oauth2/token"


async def test_code_that_is_sent_twice(hj: Any, emulator: Emulator) -> None:
    """Another request with the same code is refused by the server, and the session lives."""
    request, callback = await code_of(hj, emulator)
    session = await done(hj.auth.complete_oauth(request, callback))
    stolen = replace(request, state=f"{request.state}-2")
    with HelloJohn(**settings(emulator)) as other:
        with pytest.raises(ChallengeExpired):
            other.auth.complete_oauth(stolen, callback.replace(request.state, stolen.state))
        assert other.auth.session() is None
    assert emulator.calls(code_route(emulator)) == 2
    assert (await done(hj.auth.refresh())).user.id == session.user.id


async def test_callback_that_comes_twice_at_once(hj: Any, emulator: Emulator) -> None:
    """A person who clicks twice is signed in once: one callback is sent, and the other is refused here."""
    request, callback = await code_of(hj, emulator)
    kept = pickle.loads(pickle.dumps(request))
    with HelloJohn(**settings(emulator)) as first, HelloJohn(**settings(emulator)) as second:
        with emulator.hold(code_route(emulator)) as hold:
            result = in_thread(lambda: first.auth.complete_oauth(request, callback))
            hold.wait_arrived()
            with pytest.raises(ChallengeExpired):
                second.auth.complete_oauth(kept, callback)
        assert result().user.id


async def test_code_that_was_not_sent(hj: Any, emulator: Emulator) -> None:
    """A code that the service did not take can be sent again."""
    request, callback = await code_of(hj, emulator)
    emulator.fail(code_route(emulator), status=503, times=1)
    with pytest.raises(ServiceUnavailable):
        await done(hj.auth.complete_oauth(request, callback))
    assert await done(hj.auth.complete_oauth(request, callback))


async def test_callback_that_comes_twice(hj: Any, emulator: Emulator) -> None:
    """The second callback of one request is refused here, and the code is sent once."""
    request, callback = await code_of(hj, emulator)
    session = await done(hj.auth.complete_oauth(request, callback))
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.complete_oauth(request, callback))
    assert emulator.calls(code_route(emulator)) == 1
    assert await done(hj.auth.session()) == session


@pytest.mark.parametrize("change", ["state=forged", "state=", "code=", "code=forged"])
async def test_callback_that_was_changed(hj: Any, emulator: Emulator, change: str) -> None:
    """A forged state is refused here, a forged code by the server. The user before stays signed in."""
    before = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    request, callback = await code_of(hj, emulator)
    changed = str(httpx.URL(callback).copy_merge_params(dict([change.split("=")])))
    with pytest.raises((ValidationFailed, ChallengeExpired)):
        await done(hj.auth.complete_oauth(request, changed))
    assert (await done(hj.auth.refresh())).id == before.id


async def test_hostile_redirect(hj: Any, emulator: Emulator) -> None:
    """An address that a browser must not be sent to is refused, and nothing is sent."""
    v1 = emulator.api == "v1"
    calls: list[Callable[[str], Any]] = [
        lambda address: hj.auth.send_password_reset(EMAIL, redirect_to=address),
        lambda address: hj.auth.send_email_verification(EMAIL, redirect_to=address),
        lambda address: hj.auth.sign_in_with_oauth("google" if v1 else None, address),
        *([lambda address: hj.auth.send_magic_link(EMAIL, redirect_to=address)] if v1 else []),
    ]
    for call in calls:
        for address in HOSTILE:
            with pytest.raises(ValidationFailed):
                await done(call(address))
    assert len(emulator.inbox) == 0


# ---------------------------------------------------------------- second factors


async def test_forty_wrong_codes(hj: Any, emulator: Emulator) -> None:
    """Wrong codes are InvalidCredentials, or RateLimited where the server counts them. The session stays."""
    emulator.add_user(EVE, PASSWORD, mfa_code="123456")
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    with pytest.raises(MfaRequired) as caught:
        await done(hj.auth.sign_in(EVE, PASSWORD))
    for _ in range(40):
        with pytest.raises((InvalidCredentials, RateLimited, ChallengeExpired)):
            await done(hj.auth.verify_mfa(caught.value.challenge, "000000"))
    assert await done(hj.auth.session()) == session
    with pytest.raises(MfaRequired) as again:
        await done(hj.auth.sign_in(EVE, PASSWORD))
    assert await done(hj.auth.verify_mfa(again.value.challenge, emulator.mfa_code(EVE)))


async def test_challenge_that_was_answered(hj: Any, emulator: Emulator) -> None:
    """A challenge signs in once. Another answer to it is ChallengeExpired, and the session stays."""
    emulator.add_user(EVE, PASSWORD, mfa_code="123456")
    with pytest.raises(MfaRequired) as caught:
        await done(hj.auth.sign_in(EVE, PASSWORD))
    session = await done(hj.auth.verify_mfa(caught.value.challenge, emulator.mfa_code(EVE)))
    emulator.advance("30s")
    with pytest.raises(ChallengeExpired):
        await done(hj.auth.verify_mfa(caught.value.challenge, emulator.mfa_code(EVE)))
    assert await done(hj.auth.session()) == session


# ---------------------------------------------------------------- links of another user


async def test_reset_link_of_another_user(hj: Any, emulator: Emulator) -> None:
    """It sets the other user's password. The signed-in user keeps session and password."""
    emulator.add_user(EVE, PASSWORD)
    session = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    await done(hj.auth.send_password_reset(EVE))
    await done(hj.auth.confirm_password_reset(emulator.inbox.latest(EVE).link, NEW_PASSWORD))
    assert (await done(hj.auth.refresh())).user.id == session.user.id
    with HelloJohn(**settings(emulator)) as other:
        assert other.auth.sign_in(EVE, NEW_PASSWORD)
        assert other.auth.sign_in(EMAIL, PASSWORD)


async def test_verification_link_of_another_user(hj: Any, emulator: Emulator) -> None:
    """It verifies the other user's address, and changes nothing for the signed-in user."""
    with HelloJohn(**settings(emulator)) as other:
        other.auth.sign_up(EVE, PASSWORD)
        session = await done(hj.auth.sign_up("new@example.com", PASSWORD))
        await done(hj.auth.send_email_verification(EVE))
        await done(hj.auth.verify_email(emulator.inbox.latest(EVE).link))
        verified = other.auth.user().email_verified
    assert verified in (True, None)
    assert (await done(hj.auth.user())).email_verified in (False, None)
    assert await done(hj.auth.session()) == session


@pytest.mark.parametrize("api", ["v1"])
async def test_magic_link_of_another_user(hj: Any, emulator: Emulator) -> None:
    """It signs the other user in. The first user's session ends at the service, and is not mixed up."""
    emulator.add_user(EVE, PASSWORD)
    first = await done(hj.auth.sign_in(EMAIL, PASSWORD))
    await done(hj.auth.send_magic_link(EVE))
    session = await done(hj.auth.verify_magic_link(emulator.inbox.latest(EVE).link))
    assert (session.user.email, (await done(hj.auth.user())).email) == (EVE, EVE)
    until(lambda: emulator.session(first.id).status == "revoked")


# ---------------------------------------------------------------- answers of the other dialect


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_client_of_the_other_dialect(emulator: Emulator) -> None:
    """A client that speaks the other dialect gets an error that names the setting to check."""
    other = "v2" if emulator.api == "v1" else "v1"
    known = {**settings(emulator), "api": other, "client_id": "app"}
    with HelloJohn(**known) as hj:
        for call in (
            lambda: hj.auth.sign_in(EMAIL, PASSWORD),
            lambda: hj.auth.sign_up("new@example.com", PASSWORD),
            lambda: hj.auth.send_password_reset(EMAIL),
            lambda: hj.auth.verify_email("token"),
        ):
            with pytest.raises((ApiError, ServiceUnavailable)) as caught:
                call()
            assert PASSWORD not in str(caught.value)
        assert hj.auth.session() is None


def scripted(api: str, answer: Callable[[httpx.Request], httpx.Response], clock: Callable[[], float]) -> Any:
    """Return a client of a service that gives these answers."""
    return HelloJohn(
        api=api,  # type: ignore[arg-type]
        tenant_id="acme",
        client_id="web",
        publishable_key="pk_1",
        api_url="https://api.example.com",
        store=MemoryStore(),
        transport=httpx.MockTransport(answer),
        clock=clock,
    )


USER = {"id": "usr_1", "email": EMAIL}
TOKENS = {"access_token": token(sub="usr_1", iat=1_000, exp=1_900), "refresh_token": "rt_1"}
ENDS = {"access_token_expires_at": "2100-01-01T00:00:00Z", "refresh_token_expires_at": "2100-02-01T00:00:00Z"}
SIGN_INS = {
    "nested v1": {"user": USER, "session": {"id": "ses_1", **TOKENS, **ENDS}},
    "flat v1": {**TOKENS, "expires_in": 900, "session_id": "ses_1"},
    "v2": {**TOKENS, "token_type": "Bearer", "expires_in": 899},
}
CHALLENGES = {
    "v1": (
        403,
        {"error": {"code": "mfa_required", "message": "m", "challenge_id": "c", "available_factors": []}},
    ),
    "v2": (200, {"mfa_required": True, "mfa_token": "c", "available_factors": ["totp"]}),
}


@pytest.mark.parametrize("shape", SIGN_INS)
@pytest.mark.parametrize("api", ["v1", "v2"])
def test_sign_in_answers_of_either_dialect(api: str, shape: str) -> None:
    """Tokens are understood in the shape of either dialect, so that no session is lost."""
    with scripted(api, lambda request: httpx.Response(200, json=SIGN_INS[shape]), lambda: 1_000.0) as hj:
        session = hj.auth.sign_in(EMAIL, PASSWORD)
        assert (session.user.id, hj.auth.access_token()) == ("usr_1", TOKENS["access_token"])


@pytest.mark.parametrize(("api", "other"), [("v1", "v2"), ("v2", "v1")])
def test_challenge_of_the_other_dialect(api: str, other: str) -> None:
    """A challenge that this dialect does not have is an error, and never a session."""
    status, body = CHALLENGES[other]
    with scripted(api, lambda request: httpx.Response(status, json=body), lambda: 1_000.0) as hj:
        with pytest.raises(HelloJohnError):
            hj.auth.sign_in(EMAIL, PASSWORD)
        assert hj.auth.session() is None


ENDINGS = {
    "v1": ("SESSION_EXPIRED", "REFRESH_TOKEN_REUSE"),
    "v2": ("session_expired", "session_revoked", "refresh_token_reused", "refresh_token_invalid"),
}


@pytest.mark.parametrize(("api", "code"), [(api, code) for api, codes in ENDINGS.items() for code in codes])
def test_ending_of_the_other_dialect_ends_nothing(api: str, code: str) -> None:
    """A code of the other dialect does not end a session."""
    refused = httpx.Response(
        401, json={"code": code, "message": "m", "error": {"code": code, "message": "m"}}
    )
    answers = [httpx.Response(200, json=SIGN_INS["flat v1"]), refused]
    with scripted(api, lambda request: answers.pop(0), lambda: 1_000.0) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        with pytest.raises(ApiError):
            hj.auth.refresh()
        assert hj.auth.session() is not None


# ---------------------------------------------------------------- zeros


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("readable", [True, False])
def test_life_of_zero_seconds(api: str, readable: bool) -> None:
    """A token that is said to live for no time is used, and no storm of refreshes follows."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        access = TOKENS["access_token"] if readable else f"opaque-{len(asked)}"
        body = {"access_token": access, "refresh_token": f"rt_{len(asked)}", "expires_in": 0, "user": USER}
        return httpx.Response(200, json=body)

    with scripted(api, answer, lambda: 1_000.0) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
        threads = [threading.Thread(target=hj.auth.access_token) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert hj.auth.access_token()
        assert len(asked) <= 3


@pytest.mark.parametrize(("api", "wait"), [("v1", 0.0), ("v2", 1.0)])
def test_wait_of_zero_seconds(api: str, wait: float) -> None:
    """The error of a sign-in has the wait. v2 rounds it down, so that it has a floor there."""
    refused = httpx.Response(429, headers={"Retry-After": "0"}, json={"code": "X", "message": "slow down"})
    with scripted(api, lambda request: refused, lambda: 1_000.0) as hj:
        with pytest.raises(RateLimited) as caught:
            hj.auth.sign_in(EMAIL, PASSWORD)
        assert caught.value.retry_after == wait


async def test_refresh_told_to_wait_for_no_time(hj: Any, emulator: Emulator) -> None:
    """A refresh that is refused with ``Retry-After: 0`` is not asked for in a loop."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    route = "token/refresh" if emulator.api == "v1" else "auth/refresh"
    emulator.fail(route, status=429, retry_after=0, times=10_000)
    with pytest.raises(ServiceUnavailable):
        await done(hj.auth.refresh())
    assert 1 <= emulator.calls(route) <= 10
    assert await done(hj.auth.session()) is not None


# ---------------------------------------------------------------- mails


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_mail_server_is_down(hj: Any, emulator: Emulator, status: int) -> None:
    """A mail that cannot be sent is ServiceUnavailable, the session stays, and the next try works."""
    await done(hj.auth.sign_in(EMAIL, PASSWORD))
    route = "password/forgot" if emulator.api == "v1" else "auth/forgot"
    emulator.fail(route, status=status, times=1)
    with pytest.raises(ServiceUnavailable):
        await done(hj.auth.send_password_reset(EMAIL))
    assert len(emulator.inbox) == 0
    await done(hj.auth.send_password_reset(EMAIL))
    assert emulator.inbox.latest(EMAIL).link
    assert await done(hj.auth.session()) is not None

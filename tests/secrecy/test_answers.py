"""Every public call with every answer of a service, and every way to lose one: no secret shows."""

import gzip
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hellojohn import (
    AsyncAuth,
    AsyncConfig,
    AsyncMfa,
    AsyncSessions,
    Auth,
    Config,
    HelloJohnError,
    Mfa,
    MfaChallenge,
    OAuthRequest,
    Sessions,
    TotpEnrollment,
)
from tests.both_faces import settle
from tests.secrecy.marked_client import EMAIL, MarkedClient
from tests.secrecy.markers import ACCESS, CAPTCHA, CODE, LINK, OAUTH_CODE, PASSWORD, VERIFIER
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed

CHALLENGE = MfaChallenge("chl_1", ("totp",))
ENROLLMENT = TotpEnrollment(secret="a base32 text", uri="otpauth://totp/x", factor_id="fac_1")
OAUTH = OAuthRequest(
    url="https://auth.example.com/authorize",
    redirect_uri="https://app.example.com/callback",
    expires_at=datetime(2030, 1, 1, tzinfo=UTC),
    provider="google",
    state="state_1",
    code_verifier=VERIFIER,
    nonce="nonce_1",
)
CALLBACK = f"https://app.example.com/callback?code={OAUTH_CODE}&state=state_1"
RESET = f"https://app.example.com/reset?token={LINK}"

AUTH: dict[str, Callable[[Any], Any]] = {
    "access_token": lambda hj: hj.auth.access_token(),
    "change_password": lambda hj: hj.auth.change_password(PASSWORD, f"{PASSWORD}-new"),
    "complete_oauth": lambda hj: hj.auth.complete_oauth(OAUTH, CALLBACK),
    "confirm_password_reset": lambda hj: hj.auth.confirm_password_reset(RESET, PASSWORD),
    "password_policy": lambda hj: hj.auth.password_policy(),
    "refresh": lambda hj: hj.auth.refresh(),
    "send_email_verification": lambda hj: hj.auth.send_email_verification(),
    "send_magic_link": lambda hj: hj.auth.send_magic_link(EMAIL),
    "send_mfa_code": lambda hj: hj.auth.send_mfa_code(CHALLENGE),
    "send_password_reset": lambda hj: hj.auth.send_password_reset(EMAIL),
    "session": lambda hj: hj.auth.session(),
    "sign_in": lambda hj: hj.auth.sign_in(
        EMAIL, PASSWORD, captcha_token=CAPTCHA, session_options={"duration": "8h"}
    ),
    "sign_in_with_oauth": lambda hj: hj.auth.sign_in_with_oauth("google", "https://app.example.com/callback"),
    "sign_out": lambda hj: hj.auth.sign_out(everywhere=True),
    "sign_up": lambda hj: hj.auth.sign_up(EMAIL, PASSWORD, name="Ada", metadata={"plan": "pro"}),
    "user": lambda hj: hj.auth.user(),
    "verify_email": lambda hj: hj.auth.verify_email(RESET),
    "verify_magic_link": lambda hj: hj.auth.verify_magic_link(RESET),
    "verify_mfa": lambda hj: hj.auth.verify_mfa(CHALLENGE, CODE),
}
MFA: dict[str, Callable[[Any], Any]] = {
    "confirm_totp": lambda hj: hj.mfa.confirm_totp(ENROLLMENT, CODE),
    "disable_totp": lambda hj: hj.mfa.disable_totp(PASSWORD, CODE),
    "enroll_totp": lambda hj: hj.mfa.enroll_totp(),
    "factors": lambda hj: hj.mfa.factors(),
    "new_recovery_codes": lambda hj: hj.mfa.new_recovery_codes(PASSWORD, CODE),
}
SESSIONS: dict[str, Callable[[Any], Any]] = {
    "get": lambda hj: hj.sessions.get("ses_1"),
    "list": lambda hj: listed(hj.sessions.list(user_id="usr_1")),
    "revoke": lambda hj: hj.sessions.revoke("ses_1"),
    "revoke_all": lambda hj: hj.sessions.revoke_all("usr_1"),
}
CONFIG: dict[str, Callable[[Any], Any]] = {
    "get": lambda hj: hj.admin.config.get(),
    "update": lambda hj: hj.admin.config.update(idle_timeout="7d"),
}
CALLS: dict[str, Callable[[Any], Any]] = {
    **AUTH,
    **{f"mfa.{name}": call for name, call in MFA.items()},
    **{f"sessions.{name}": call for name, call in SESSIONS.items()},
    **{f"config.{name}": call for name, call in CONFIG.items()},
    "verify_token": lambda hj: hj.verify_token(f"{ACCESS}-0"),
    "verify_token_remote": lambda hj: hj.verify_token_remote(f"{ACCESS}-0"),
}
SESSION_CALLS = (
    *("access_token", "refresh", "session", "sign_in", "sign_out", "sign_up", "user"),
    *("verify_magic_link", "verify_mfa"),
)
"""What the answer of a sign-in or a refresh satisfies."""


async def listed(pages: Any) -> list[Any]:
    """Return all sessions of a list."""
    return [session async for session in pages] if hasattr(pages, "__aiter__") else list(pages)


def refuse(status, code, **more):
    """Refuse in the documented shape, and repeat every secret wherever there is room."""

    def answer(request, secrets):
        said = " and ".join(secrets)
        first = secrets[0] if secrets else "nothing"
        error = {"code": code or first, "message": f"no, because of {said}", "request_id": first}
        error |= {name: first if value is ... else value for name, value in more.items()}
        headers = {"X-Request-ID": first, "Retry-After": "7", "WWW-Authenticate": said, "Date": said}
        return httpx.Response(status, json={"error": error, "detail": said}, headers=headers)

    return answer


def refuse_flat(status):
    """Refuse in the flat shape."""

    def answer(request, secrets):
        first = secrets[0] if secrets else "nothing"
        said = {"error": first, "error_description": first, "message": first, "retry_after": first}
        return httpx.Response(status, json=said)

    return answer


def say(status, body=None, **headers):
    """Answer with a body; without one, with the secrets themselves."""

    def answer(request, secrets):
        content = " ".join(secrets).encode() if body is None else body
        return httpx.Response(status, content=content, headers=headers)

    return answer


def lose(kind):
    """Give no answer, and put the whole request into the error."""

    def answer(request, secrets):
        said = " ".join(secrets)
        if issubclass(kind, httpx.RequestError):
            error = kind(f"lost {said}", request=request)
        else:
            error = kind(f"lost {said}")
        error.add_note(said)
        raise error from ValueError(said)

    return answer


ANSWERS = {
    "invalid credentials": refuse(401, "invalid_credentials"),
    "mfa": refuse(403, "mfa_required", challenge_id="chl_1", available_factors=[{"id": "totp"}]),
    "mfa that repeats": refuse(403, "mfa_required", challenge_id=..., available_factors=...),
    "locked": refuse(403, "account_locked"),
    "disabled": refuse(403, "account_disabled"),
    "tenant": refuse(403, "tenant_mismatch"),
    "key": refuse(401, "invalid_publishable_key"),
    "conflict": refuse(409, "email_already_exists"),
    "weak": refuse(422, "password_too_weak"),
    "limited": refuse(429, "rate_limit_exceeded"),
    "token expired": refuse(401, "token_expired"),
    "revoked": refuse(401, "session_revoked"),
    "session expired": refuse(401, "session_expired"),
    "reused": refuse(401, "refresh_token_reused"),
    "refresh token unknown": refuse(401, "refresh_token_invalid"),
    "the secret as a code": refuse(401, None),
    "the secret as a code, not found": refuse(404, None),
    "flat": refuse_flat(401),
    "flat limit": refuse_flat(429),
    "down": refuse(503, "down"),
    "down without words": say(503),
    "broken": refuse(500, None),
    "gateway": say(502, b"<html>bad gateway"),
    "no JSON": say(401),
    "forbidden by a proxy": say(403),
    "a redirect": say(302, Location="https://evil.example/"),
    "an odd status": say(418),
    "empty": say(200, b""),
    "cut off": say(200, b'{"access_token": "MARKED-access-x", "refre'),
    "wrong types": say(
        200, b'{"access_token": ["MARKED-access-x"], "refresh_token": {"MARKED-refresh-x": 1}}'
    ),
    "no refresh token": say(200, b'{"access_token": "MARKED-access-x", "expires_in": 10}'),
    "no life": say(200, b'{"access_token": "MARKED-access-x", "refresh_token": "MARKED-refresh-x"}'),
    "bad gzip": say(200, gzip.compress(b"MARKED-access-x")[:-4], **{"Content-Encoding": "gzip"}),
    **{
        kind.__name__: lose(kind)
        for kind in (
            *(httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.RemoteProtocolError),
            *(httpx.LocalProtocolError, httpx.InvalidURL, OSError, KeyError, UnicodeError),
        )
    },
}


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        *((Auth, AUTH), (AsyncAuth, AUTH), (Mfa, MFA), (AsyncMfa, MFA)),
        *((Sessions, SESSIONS), (AsyncSessions, SESSIONS), (Config, CONFIG), (AsyncConfig, CONFIG)),
    ],
)
def test_every_public_call_is_in_the_table(kind, table):
    """A new public call must be tried with all of these answers."""
    public = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    browser = {"sign_in_with_browser"}  # it needs a browser, and has tests of its own
    assert public - browser == set(table), "add the new call to the table"


async def outcome(world, name):
    """Make a call; return its result or its error."""
    try:
        return await settle(CALLS[name](world.hj))
    except HelloJohnError as error:
        return error


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("session", "access_token")])
async def test_no_answer_makes_a_call_show_a_secret(owner, name):
    """No secret is in the result or the error, its traceback, the log, or what stays in memory."""
    for answer in ANSWERS.values():
        world = MarkedClient(owner)
        await world.sign_in()
        world.now += 7_200
        world.service.answers.append(answer)
        result = await outcome(world, name)
        if isinstance(result, BaseException):
            assert judged(result), "the search must see frames of the package"
            assert exposed_by(result) == []
        elif isinstance(result, OAuthRequest):  # serialised, it carries its URL with the public key
            assert exposed(repr(result)) == []
        else:
            assert exposed(result) == []
        assert exposed([world.hj, world.events]) == []
        await world.close()


@pytest.mark.parametrize("name", SESSION_CALLS)
async def test_no_success_makes_a_call_show_a_secret(world, name):
    """The same when the service grants every request."""
    await world.sign_in()
    result = await outcome(world, name)
    assert not isinstance(result, BaseException)
    if name != "access_token":
        assert exposed(result) == []
    assert exposed([world.hj, world.events, world.store]) == []


@pytest.mark.parametrize("answer", ANSWERS)
async def test_doctor_shows_no_secret(world, answer):
    """A report is sent to others, so it holds no secret."""
    await world.sign_in()
    world.service.answers.append(ANSWERS[answer])
    report = await settle(world.hj.doctor())
    assert exposed(report) == []
    assert exposed(str(report)) == []

"""Every public call with every answer of a service, and every way to lose one: no secret shows."""

import gzip
import inspect

import httpx
import pytest

from hellojohn import AsyncAuth, Auth, HelloJohnError, MfaChallenge
from tests.both_faces import settle
from tests.secrecy.marked_client import EMAIL
from tests.secrecy.markers import CAPTCHA, CODE, PASSWORD
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed

CALLS = {
    "access_token": (),
    "refresh": (),
    "session": (),
    "sign_in": (EMAIL, PASSWORD),
    "sign_out": (),
    "sign_up": (EMAIL, PASSWORD),
    "user": (),
    "verify_mfa": (MfaChallenge("chl_1", ("totp",)), CODE),
}
OPTIONS = {
    "sign_in": {"captcha_token": CAPTCHA, "session_options": {"duration": "8h"}},
    "sign_out": {"everywhere": True},
    "sign_up": {"name": "Ada", "metadata": {"plan": "pro"}},
}


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


@pytest.mark.parametrize("auth", [Auth, AsyncAuth])
def test_every_public_call_is_in_the_table(auth):
    """A new public call must be tried with all of these answers."""
    public = {name for name, _ in inspect.getmembers(auth, callable) if not name.startswith("_")}
    assert public == set(CALLS), "give the new call its arguments in CALLS"


async def outcome(world, name):
    """Make a call; return its result or its error."""
    try:
        return await settle(getattr(world.hj.auth, name)(*CALLS[name], **OPTIONS.get(name, {})))
    except HelloJohnError as error:
        return error


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("session", "access_token")])
async def test_no_answer_makes_a_call_show_a_secret(world, name, answer):
    """No secret is in the result or the error, its traceback, the log, or what stays in memory."""
    await world.sign_in()
    world.now += 7_200
    world.service.answers.append(ANSWERS[answer])
    result = await outcome(world, name)
    if isinstance(result, BaseException):
        assert judged(result), "the search must see frames of the package"
        assert exposed_by(result) == []
    else:
        assert exposed(result) == []
    assert exposed([world.hj, world.events]) == []


@pytest.mark.parametrize("name", CALLS)
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

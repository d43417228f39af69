"""Every call meets every refusal in every shape: a typed error, the session kept, and no secret repeated."""

import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from hellojohn import ApiError, HelloJohn, MemoryStore, MfaChallenge, RateLimited, ServiceUnavailable
from tests.wire.samples import token

BACK = "https://app.example.com/callback"
SECRETS = (
    "Correct-Horse-9",
    "tok-of-the-mail",
    "chl-of-the-user",
    "rt-of-the-user",
    "sk-of-the-tenant",
    "654321",
)
CHALLENGE = MfaChallenge("chl-of-the-user", ("totp", "email"))
NAMES = {"code": "unheard_of", "request_id": "req_1"}

Shape = Callable[[int, str], tuple[str, str]]
Call = Callable[[HelloJohn], object]


def as_json(content: object) -> tuple[str, str]:
    """Return the type and the text of a JSON body."""
    return "application/json", json.dumps(content)


SHAPES: Mapping[str, Shape] = {
    "v1": lambda status, said: as_json({"error": {**NAMES, "message": said, "status": status}}),
    "v1 flat": lambda status, said: as_json({"error": "unheard_of", "message": said, "retry_after": 0}),
    "v2": lambda status, said: as_json({"code": "UNHEARD_OF", "message": said, "detail": said}),
    "OAuth": lambda status, said: as_json({"error": "unheard_of", "error_description": said}),
    "page": lambda status, said: ("text/html", f"<html>{said}</html>"),
    "list": lambda status, said: as_json([said]),
    "text": lambda status, said: ("text/plain", f"{status} {said}"),
    "empty": lambda status, said: ("text/plain", ""),
}
KNOWN = ("v1", "v1 flat", "v2", "OAuth")
STATUSES = (401, 403, 423, 429, 500)

BOTH: Mapping[str, Call] = {
    "sign_in": lambda hj: hj.auth.sign_in("ada@example.com", "Correct-Horse-9"),
    "sign_up": lambda hj: hj.auth.sign_up("ada@example.com", "Correct-Horse-9"),
    "verify_mfa": lambda hj: hj.auth.verify_mfa(CHALLENGE, "654321"),
    "send_mfa_code": lambda hj: hj.auth.send_mfa_code(CHALLENGE, factor="email"),
    "send_password_reset": lambda hj: hj.auth.send_password_reset("ada@example.com"),
    "confirm_password_reset": lambda hj: hj.auth.confirm_password_reset("tok-of-the-mail", "Correct-Horse-9"),
    "send_email_verification": lambda hj: hj.auth.send_email_verification("ada@example.com"),
    "verify_email": lambda hj: hj.auth.verify_email("tok-of-the-mail"),
    "user": lambda hj: hj.auth.user(),
    "factors": lambda hj: hj.mfa.factors(),
    "enroll_totp": lambda hj: hj.mfa.enroll_totp(),
    "disable_totp": lambda hj: hj.mfa.disable_totp("Correct-Horse-9", "654321"),
    "new_recovery_codes": lambda hj: hj.mfa.new_recovery_codes("Correct-Horse-9", "654321"),
    "revoke_all": lambda hj: hj.sessions.revoke_all("usr_1"),
    "config.get": lambda hj: hj.admin.config.get(),
    "config.update": lambda hj: hj.admin.config.update(access_token_ttl="5m"),
}
V1_ONLY: Mapping[str, Call] = {
    "send_magic_link": lambda hj: hj.auth.send_magic_link("ada@example.com"),
    "verify_magic_link": lambda hj: hj.auth.verify_magic_link("tok-of-the-mail"),
    "change_password": lambda hj: hj.auth.change_password("Correct-Horse-9", "Correct-Horse-9-new"),
    "complete_oauth": lambda hj: come_back(hj, "google"),
    "sessions.list": lambda hj: list(hj.sessions.list()),
    "sessions.get": lambda hj: hj.sessions.get("ses_1"),
    "sessions.revoke": lambda hj: hj.sessions.revoke("ses_1"),
    "verify_token_remote": lambda hj: hj.verify_token_remote("tok-of-the-mail"),
}
V2_ONLY: Mapping[str, Call] = {
    "password_policy": lambda hj: hj.auth.password_policy(),
    "complete_oauth": lambda hj: come_back(hj, None),
}
CALLS = [
    *(("v1", name) for name in {**BOTH, **V1_ONLY}),
    *(("v2", name) for name in {**BOTH, **V2_ONLY}),
]


def come_back(hj: HelloJohn, provider: str | None) -> object:
    """Complete a browser sign-in with the right state."""
    request = hj.auth.sign_in_with_oauth(provider, BACK)
    return hj.auth.complete_oauth(request, f"{BACK}?code=tok-of-the-mail&state={request.state}")


class Refusing:
    """A service that signs in, and then gives one answer to everything, which repeats the request.

    Attributes:
        answer: Makes the answer; ``None`` to sign in.
        asked: How many requests came.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str], httpx.Response] | None = None
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.asked += 1
        if self.answer is None:
            access = token(sub="usr_1", iat=1_000, exp=1_900)
            grant = {"access_token": access, "refresh_token": "rt-of-the-user", "expires_in": 900}
            return httpx.Response(200, json={**grant, "user": {"id": "usr_1", "email": "ada@example.com"}})
        return self.answer(f"{request.content.decode()} {request.url} {dict(request.headers)}")


def client_of(service: Refusing, api: str) -> HelloJohn:
    """Return a client of a service, with a user who is signed in."""
    hj = HelloJohn(
        api=api,  # type: ignore[arg-type]
        tenant_id="acme",
        client_id="web",
        publishable_key="pk_1",
        secret_key="sk-of-the-tenant",
        api_url="https://api.example.com",
        store=MemoryStore(),
        transport=httpx.MockTransport(service),
        clock=lambda: 1_000.0,
    )
    hj.auth.sign_in("ada@example.com", "Correct-Horse-9")
    return hj


def caught(call: Call, hj: HelloJohn) -> ApiError | ServiceUnavailable:
    """Return the error that a call raises."""
    with pytest.raises((ApiError, ServiceUnavailable)) as info:
        call(hj)
    return info.value


@pytest.mark.parametrize(("api", "name"), CALLS)
def test_every_refusal_is_a_typed_error(api: str, name: str) -> None:
    """A refusal in the service's words is an ApiError; any other body, and 500, is ServiceUnavailable."""
    call = {**BOTH, **(V1_ONLY if api == "v1" else V2_ONLY)}[name]
    service = Refusing()
    with client_of(service, api) as hj:
        before = hj.auth.session()
        for status in STATUSES:
            for shape, body in SHAPES.items():

                def answer(said: str, status: int = status, body: Shape = body) -> httpx.Response:
                    kind, text = body(status, said)
                    return httpx.Response(status, headers={"Content-Type": kind}, text=text)

                service.answer, service.asked = answer, 0
                error = caught(call, hj)
                assert_expected(error, api, name, status, shape)
                assert_showable(error)
                assert service.asked <= 2
        assert hj.auth.session() == before


def assert_expected(error: Exception, api: str, name: str, status: int, shape: str) -> None:
    """Assert that the kind of an error is right for its answer."""
    if (api, name, status) == ("v2", "sign_up", 500):
        kinds: Any = ApiError  # the server's answer for a taken address
    elif status == 500:
        kinds = ServiceUnavailable
    elif status == 429:
        kinds = RateLimited
    else:
        kinds = ApiError if shape in KNOWN else ServiceUnavailable
    assert isinstance(error, kinds), (status, shape, error)


def assert_showable(error: Exception) -> None:
    """Assert that no form of an error repeats a secret of the request."""
    shown = (
        f"{error} {error!r} {vars(error)} {pickle.dumps(error)!r} {error.__cause__!r} {error.__context__!r}"
    )
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_sign_out_succeeds_whatever_comes(api: str) -> None:
    """A sign-out that is refused ends the session here, and says that it was not confirmed."""
    for status in STATUSES:
        for shape in SHAPES.values():
            service = Refusing()
            with client_of(service, api) as hj:
                _, text = shape(status, "no")
                service.answer = lambda said, s=status, t=text: httpx.Response(s, text=t)  # type: ignore[misc]
                assert hj.auth.sign_out() is False
                assert hj.auth.session() is None

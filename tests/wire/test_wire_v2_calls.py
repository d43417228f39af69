"""The requests and answers of a session on the open-source server (v2)."""

from dataclasses import replace

import pytest

from hellojohn._details import Device
from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    MfaChallenge,
    MfaRequired,
    NotSupported,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import Delivery, TransportFailure, make_dialect, signing_up
from hellojohn._wire.v2 import V2
from tests.wire.samples import reply, sent, shown_by, talk, token
from tests.wire.v2_samples import ACCESS_TOKEN, MFA_REQUIRED, SIGNED_IN, USER_ID, refused, v2

PASSWORD = Secret("correct horse")
CREDENTIALS = {
    "tenant_id": "acme",
    "client_id": "web",
    "email": "ada@example.com",
    "password": "correct horse",
}
CLIENT = {"tenant_id": "acme", "client_id": "web"}
TENANT = {"X-Tenant-ID": "acme"}
NO_USER = "00000000-0000-0000-0000-000000000000"
CHALLENGE = MfaChallenge("mfa_1", ("totp", "email"), preferred_factor="email")


def sign_in(**more):
    """Build a sign-in."""
    return v2.sign_in("ada@example.com", PASSWORD, **{"duration": "30d", "captcha_token": None, **more})


def sign_up(**more):
    """Build a sign-up."""
    options = {"duration": None, "name": None, "username": None, "metadata": None, **more}
    return v2.sign_up("ada@example.com", PASSWORD, **options)


# ---------------------------------------------------------------- requests


def test_sign_in_names_tenant_and_client():
    """Without one of them the server takes the sign-in for an administrator's."""
    request = sign_in()
    assert (request.method, request.path, request.bearer) == ("POST", "/v2/auth/login", None)
    assert (request.headers, sent(request)) == (TENANT, CREDENTIALS)


def test_sign_in_passes_the_captcha_as_turnstile():
    """It is the only captcha of that server."""
    assert sent(sign_in(captcha_token=Secret("cf"))) == {**CREDENTIALS, "turnstile_token": "cf"}


def test_sign_in_sends_the_remembered_device_as_a_cookie():
    """The cookie is ``Secure``, so that the SDK sends it itself, also on plain loopback."""
    request = sign_in(device_token=Secret("dev=1"))
    assert request.header_values()["Cookie"] == "__Host-hj-trusted=dev=1"
    assert "dev=1" not in f"{request} {request.headers}"


def test_sign_in_passes_the_device_on():
    """The server limits the rate by the forwarded address."""
    request = sign_in(device=Device(user_agent="Firefox", ip_address="203.0.113.7"))
    assert request.headers == {**TENANT, "User-Agent": "Firefox", "X-Forwarded-For": "203.0.113.7"}


def test_sign_up_sends_metadata_as_custom_fields():
    """Any other key would be refused as invalid JSON."""
    assert sign_up().path == "/v2/auth/register"
    assert sent(sign_up()) == CREDENTIALS
    assert sent(sign_up(metadata={"team": "blue"})) == {**CREDENTIALS, "custom_fields": {"team": "blue"}}


@pytest.mark.parametrize("argument", ["name", "username"])
def test_sign_up_refuses_unknown_values_by_name(argument):
    """The error says what to use instead, before anything is sent."""
    with pytest.raises(
        NotSupported, match=rf"{argument}: the open-source server .*metadata={{\"{argument}\""
    ):
        sign_up(**{argument: "Ada"})


def test_refresh_names_tenant_and_client():
    """It goes to the server's own route: the OAuth route drops the scopes."""
    request = v2.refresh(Secret("rt_1"))
    assert (request.path, request.bearer, request.headers) == ("/v2/auth/refresh", None, TENANT)
    assert sent(request) == {**CLIENT, "refresh_token": "rt_1"}
    assert (request.reads_until_deadline, request.idempotent) == (True, False)


def test_sign_out_carries_a_bearer():
    """Without one the server asks for a CSRF token."""
    request = v2.sign_out(Secret("rt_1"), Secret("at_1"), everywhere=False)
    assert (request.path, request.bearer, request.headers) == ("/v2/auth/logout", Secret("at_1"), TENANT)
    assert (sent(request), request.idempotent) == ({**CLIENT, "refresh_token": "rt_1"}, True)


def test_sign_out_everywhere_names_the_user_of_the_token():
    """The route takes the user's id, and the tenant in the header only."""
    request = v2.sign_out(Secret("rt_1"), Secret(ACCESS_TOKEN), everywhere=True)
    assert (request.path, request.headers) == ("/v2/auth/logout-all", TENANT)
    assert (sent(request), request.idempotent) == ({"user_id": USER_ID}, True)


def test_sign_out_everywhere_builds_from_any_token():
    """The server refuses an empty id. A sign-out must not fail before it is sent."""
    request = v2.sign_out(Secret("rt_1"), Secret("opaque"), everywhere=True)
    assert sent(request) == {"user_id": ""}


@pytest.mark.parametrize(
    ("code", "factor", "path", "body"),
    [
        ("123 456", None, "email", {"code": "123456"}),
        ("123456", "totp", "totp", {"code": "123456"}),
        ("12345678", "sms", "sms", {"code": "12345678"}),
        ("abcde-fghij", None, "totp", {"recovery": "ABCDEFGHIJ"}),
        ("ABCDEFGHIJ", "email", "totp", {"recovery": "ABCDEFGHIJ"}),
        ("1234567890", None, "totp", {"recovery": "1234567890"}),
    ],
)
def test_second_factor_goes_to_the_route_of_its_factor(code, factor, path, body):
    """Recovery codes are recognised, and sent in their own field, in upper case."""
    request = v2.verify_mfa(CHALLENGE, Secret(code), factor=factor)
    assert (request.path, request.headers) == (f"/v2/mfa/{path}/challenge", TENANT)
    assert sent(request) == {"mfa_token": "mfa_1", **body}


@pytest.mark.parametrize(
    ("challenge", "path"),
    [(MfaChallenge("m"), "totp"), (MfaChallenge("m", ("push", "sms")), "sms"), (CHALLENGE, "email")],
)
def test_second_factor_without_a_choice(challenge, path):
    """The preferred factor, else the first one that the server has a route for."""
    request = v2.verify_mfa(challenge, Secret("123456"), factor=None, remember_device=True)
    assert request.path == f"/v2/mfa/{path}/challenge"
    assert sent(request)["remember_device"] is True


@pytest.mark.parametrize("factor", ["../../admin", "push", "x" * 9_999])
def test_unknown_factor_is_refused(factor):
    """A factor may come from a form, and it becomes a part of the path."""
    with pytest.raises(ValidationFailed, match="factor"):
        v2.verify_mfa(CHALLENGE, Secret("123456"), factor=factor)


def test_probe_carries_no_credential():
    """The server refuses it in its own words, and nothing changes."""
    request = v2.probe()
    assert (request.method, request.path, request.bearer, request.body) == ("GET", "/v2/me", None, None)
    assert v2.is_own_answer(refused("TOKEN_MISSING"))


def test_v2_needs_a_client_id():
    """An empty client would be taken for an administrator's sign-in."""
    settings = {"base_url": "http://localhost:8080", "tenant_id": "acme", "publishable_key": None}
    with pytest.raises(ConfigurationError, match="HELLOJOHN_CLIENT_ID"):
        make_dialect("v2", client_id=None, secret_key=None, **settings)
    assert make_dialect("v2", client_id="web", secret_key=None, **settings).name == "v2"


def test_v2_leaves_the_ends_of_sessions_to_the_client():
    """The server has no remember-me and no idle timeout; a challenge lives for five minutes."""
    assert (V2.ends_sessions, V2.ends_idle_sessions, V2.challenge_ttl) == (False, False, 300.0)


# ---------------------------------------------------------------- answers


def test_sign_in_is_read():
    """No user and no session id are in the answer: the user's id is in the token."""
    tokens = v2.read_tokens(reply(200, SIGNED_IN))
    assert (tokens.refresh_token, tokens.ttl) == (Secret("rt_1"), 899.0)
    assert (tokens.user, tokens.session_id, tokens.session_ttl) == (User(USER_ID), None, None)


@pytest.mark.parametrize(("expires_in", "ttl"), [(0, 900.0), (899, 899.0), (None, 900.0)])
def test_life_of_zero_is_read_from_the_token(expires_in, ttl):
    """The server rounds the life of a short token down to 0."""
    assert v2.read_tokens(reply(200, {**SIGNED_IN, "expires_in": expires_in})).ttl == ttl


def test_second_factor_is_asked_for_with_a_success():
    """The token of the challenge is masked, and passwords do not hide the usual factors."""
    with pytest.raises(MfaRequired) as caught:
        v2.read_tokens(reply(200, MFA_REQUIRED, secrets=("totp",)))
    error = caught.value
    assert error.challenge == MfaChallenge("mfa_1", ("totp", "email"), preferred_factor="email")
    assert (error.status, error.code, "mfa_1" in shown_by(error)) == (200, "mfa_required", False)


@pytest.mark.parametrize("changes", [{"mfa_token": None}, {"mfa_token": 7}, {"mfa_required": "yes"}])
def test_unreadable_challenge_is_not_an_answer(changes):
    """A challenge without a token cannot be answered."""
    with pytest.raises(ServiceUnavailable, match="cannot be understood"):
        v2.read_tokens(reply(200, {**MFA_REQUIRED, **changes}))


@pytest.mark.parametrize(
    ("cookie", "device_token"),
    [
        ("__Host-hj-trusted=dev_1; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict", "dev_1"),
        ("a=b; Path=/, __Host-hj-trusted=dev_1; Secure", "dev_1"),
        ("__Host-hj-trusted=", None),
        ("x__Host-hj-trusted=dev_1", None),
        ("__Host-hj-trusted-2=dev_1", None),
        ("__Host-hj-trusted=a\r\nX-Evil: 1", "a"),
        ("", None),
    ],
)
def test_remembered_device_is_read_from_the_cookie(cookie, device_token):
    """Only characters that a cookie can carry are kept."""
    tokens = v2.read_tokens(reply(200, SIGNED_IN, headers={"set-cookie": cookie}))
    assert tokens.device_token == (None if device_token is None else Secret(device_token))


def test_sign_up_may_sign_in():
    """A server that signs in by itself answers with tokens."""
    tokens = v2.read_sign_up(reply(200, {"user_id": USER_ID, **SIGNED_IN}))
    assert tokens is not None
    assert tokens.user == User(USER_ID)


def test_sign_up_may_leave_the_sign_in_to_the_client():
    """The conversation signs in with the same credentials."""
    requests, tokens = talk(
        signing_up(v2, sign_up(), sign_in()), reply(200, {"user_id": USER_ID}), reply(200, SIGNED_IN)
    )
    assert [request.path for request in requests] == ["/v2/auth/register", "/v2/auth/login"]
    assert tokens.refresh_token == Secret("rt_1")


def test_sign_up_that_signs_in_needs_no_second_request():
    """One request is enough."""
    requests, _ = talk(signing_up(v2, sign_up(), sign_in()), reply(200, {"user_id": USER_ID, **SIGNED_IN}))
    assert len(requests) == 1


def test_failed_sign_up_says_that_the_address_may_be_taken():
    """The server answers 500 to a taken address. The error is not one to retry."""
    with pytest.raises(ApiError, match="account with this email address") as caught:
        v2.read_sign_up(refused("INTERNAL_SERVER_ERROR", status=500))
    assert (caught.value.status, caught.value.code) == (500, "INTERNAL_SERVER_ERROR")


@pytest.mark.parametrize("answer", [refused("X", status=502), TransportFailure(Delivery.UNKNOWN, "cut off")])
def test_sign_up_without_an_answer_is_ambiguous(answer):
    """The user may exist now."""
    with pytest.raises(ServiceUnavailable) as caught:
        v2.read_sign_up(answer)
    assert caught.value.ambiguous


def test_user_is_read_from_userinfo():
    """Fields of the token are not the user's."""
    content = {"sub": USER_ID, "email": "a@b.c", "email_verified": True, "custom_fields": {"team": "blue"}}
    user = v2.read_user(reply(200, {**content, "tid": "x", "aud": "web", "exp": 1}))
    assert user == User(USER_ID, "a@b.c", email_verified=True)
    assert user.extra == {"custom_fields": {"team": "blue"}}


def test_user_is_asked_for_elsewhere_when_userinfo_refuses():
    """After a rotation of the tenant's keys only ``/v2/me`` takes the tokens."""
    refusal = refused("UNAUTHORIZED", "token invalid or expired")
    request = v2.me_after(refusal, Secret("at_1"))
    assert request is not None
    assert (v2.me(Secret("at_1")).path, request.path, request.bearer) == (
        "/userinfo",
        "/v2/me",
        Secret("at_1"),
    )
    assert v2.read_user(reply(200, {"sub": USER_ID, "tid": "t", "aud": "web", "exp": 1})) == User(USER_ID)


KNOWN = User(USER_ID, "a@b.c", "Ada", "ada", email_verified=True)


@pytest.mark.parametrize(
    ("content", "user"),
    [
        ({"sub": USER_ID}, KNOWN),
        ({"sub": USER_ID, "name": "Ada King"}, replace(KNOWN, name="Ada King")),
        ({"sub": USER_ID, "email": "n@b.c"}, replace(KNOWN, email="n@b.c", email_verified=None)),
        ({"sub": USER_ID, "email_verified": False}, replace(KNOWN, email_verified=False)),
        ({"sub": "other"}, User("other")),
    ],
)
def test_what_the_server_leaves_out_is_as_of_sign_in(content, user):
    """Tokens of a browser sign-in show no email address. Another user's is never filled in."""
    assert v2.read_user(reply(200, content), KNOWN) == user


@pytest.mark.parametrize(
    "answer",
    [
        refused("TOKEN_INVALID", "invalid_jwt"),
        reply(200, {"sub": USER_ID}),
        TransportFailure(Delivery.UNKNOWN, "x"),
    ],
)
def test_user_is_asked_for_once_otherwise(answer):
    """A refused token is refreshed first."""
    assert v2.me_after(answer, Secret("at_1")) is None


@pytest.mark.parametrize(
    ("answer", "refused_token"),
    [
        (refused("TOKEN_INVALID", "invalid_jwt"), True),
        (refused("TOKEN_EXPIRED"), True),
        (refused("UNAUTHORIZED", "token invalid or expired"), True),
        (refused("TOKEN_MISSING"), False),
        (refused("UNAUTHORIZED"), False),
        (reply(401, raw=b"<html>"), False),
    ],
)
def test_v2_tells_a_refused_token(answer, refused_token):
    """A newer token may help then."""
    assert v2.is_token_refused(answer) is refused_token


# ---------------------------------------------------------------- the second look


def test_second_look_with_a_token_reads_the_database():
    """It changes nothing."""
    request = v2.second_look(Secret("at_1"))
    assert (request.method, request.path, request.bearer) == ("GET", "/v2/mfa/factors", Secret("at_1"))
    assert request.headers == TENANT


def test_second_look_without_a_token_signs_out_no_user():
    """The nil UUID belongs to no user."""
    request = v2.second_look(None)
    assert (request.method, request.path, request.bearer) == ("POST", "/v2/auth/logout-all", None)
    assert (request.headers, sent(request)) == (TENANT, {"user_id": NO_USER})


@pytest.mark.parametrize(
    ("answer", "serving"),
    [
        (reply(204, raw=b""), True),
        (reply(200, {"available_factors": ["email"], "preferred_factor": "email"}), True),
        (refused("user_not_found", status=404), True),
        (refused("store_error", status=500), False),
        (refused("INTERNAL_SERVER_ERROR", "failed to revoke tokens", status=500), False),
        (refused("SERVICE_UNAVAILABLE", "database not available", status=503), False),
        (refused("RATE_LIMIT_EXCEEDED", status=429), False),
        (refused("TOKEN_INVALID", "invalid_jwt"), False),
        (refused("TOKEN_MISSING"), True),
        (refused("FORBIDDEN", status=403), True),
        (reply(403, raw=b"<html>Forbidden</html>"), True),
        (reply(404, raw=b"404 page not found\n"), True),
        (reply(200, raw=b"<html>Welcome to the hotel</html>"), False),
        (reply(401, raw=b'{"code": "TOKEN_EXPI'), False),
        (reply(302, raw=b""), False),
        (reply(407, raw=b""), False),
        (reply(502, raw=b"Bad gateway"), False),
        (TransportFailure(Delivery.UNKNOWN, "cut off"), False),
        (TransportFailure(Delivery.NOT_SENT, "refused"), False),
    ],
)
def test_second_look_shows_whether_the_database_is_there(answer, serving):
    """A closed door proves nothing against the refusal: then the refusal is believed."""
    assert v2.is_serving(answer) is serving


def test_tokens_of_one_second_are_equal():
    """Two tokens with the same text are two generations: nothing here compares them by text."""
    text = token(sub=USER_ID, iat=1, exp=901)
    first, second = (v2.read_tokens(reply(200, {**SIGNED_IN, "access_token": text})) for _ in range(2))
    assert first == second

"""The requests of a session on v1: method, path, key, tenant and body."""

from types import MappingProxyType

import pytest

from hellojohn._details import Device
from hellojohn._errors import ConfigurationError, MfaChallenge, ValidationFailed
from hellojohn._secret import Secret
from hellojohn._wire.v1 import V1
from tests.wire.samples import KEY, sent, v1

PASSWORD = Secret("correct horse")
TENANT = {"X-Tenant-ID": "tnt_1"}
DEVICE = Device(user_agent="Firefox", ip_address="203.0.113.7")


def sign_in(email="ada@example.com", password=PASSWORD, **more):
    """Build a sign-in."""
    return v1.sign_in(email, password, **{"duration": None, "captcha_token": None, **more})


def sign_up(email="ada@example.com", password=PASSWORD, **more):
    """Build a sign-up."""
    options = {"duration": None, "name": None, "username": None, "metadata": None, **more}
    return v1.sign_up(email, password, **options)


def test_sign_in_sends_the_credentials_only():
    """Without a duration no ``session_options`` go out: the tenant's default counts."""
    request = sign_in()
    assert (request.method, request.path, request.bearer) == ("POST", "/v1/auth/sign-in", KEY)
    assert request.headers == TENANT
    assert sent(request) == {"email": "ada@example.com", "password": "correct horse"}


@pytest.mark.parametrize("duration", ["30d", "24h", "90s", "2w", "1y"])
def test_duration_goes_on_the_wire_as_it_was_given(duration):
    """The service's documents and logs speak of 24h, not of 1d."""
    assert sent(sign_in(duration=duration))["session_options"] == {"duration": duration}
    assert sent(sign_up(duration=duration))["session_options"] == {"duration": duration}


def test_sign_in_passes_captcha_and_remembered_device():
    """Both are sent as they came, and masked."""
    request = sign_in(captcha_token=Secret("captcha"), device_token=Secret("dvc_1"))
    body = sent(request)
    assert (body["captcha_token"], body["device_token"]) == ("captcha", "dvc_1")
    assert {Secret("captcha"), Secret("dvc_1")} <= set(request.secrets())


def test_sign_up_sends_what_is_known_of_the_user():
    """Optional values are sent when they are given."""
    request = sign_up()
    assert (request.method, request.path, request.bearer) == ("POST", "/v1/auth/sign-up", KEY)
    assert sent(request) == {"email": "ada@example.com", "password": "correct horse"}
    full = sign_up(duration="8h", name="Ada", username="ada", metadata=MappingProxyType({"plan": ["pro", 1]}))
    assert sent(full) == {
        "email": "ada@example.com",
        "password": "correct horse",
        "session_options": {"duration": "8h"},
        "name": "Ada",
        "username": "ada",
        "metadata": {"plan": ["pro", 1]},
    }


def test_metadata_is_copied_when_the_request_is_built():
    """A caller who changes its dictionary does not change what another thread sends."""
    tags = ["a"]
    request = sign_up(metadata={"tags": tags})
    tags.append("b")
    assert sent(request)["metadata"] == {"tags": ["a"]}


def test_refresh_carries_no_authorization():
    """The refresh token is the credential. An expired access token beside it could get it refused."""
    request = v1.refresh(Secret("rt_1"))
    assert (request.method, request.path, request.bearer) == ("POST", "/v1/auth/token/refresh", None)
    assert (request.headers, sent(request)) == (TENANT, {"refresh_token": "rt_1"})


def test_refresh_is_read_until_the_deadline_and_sent_once():
    """Giving up early, or sending it again by itself, would present the token twice."""
    request = v1.refresh(Secret("rt_1"))
    assert request.reads_until_deadline
    assert not request.idempotent


@pytest.mark.parametrize(("everywhere", "more"), [(False, {}), (True, {"everywhere": True})])
def test_sign_out_names_the_session_by_both_tokens(everywhere, more):
    """The access token says who asks, the refresh token which session to end."""
    request = v1.sign_out(Secret("rt_1"), Secret("at_1"), everywhere=everywhere)
    assert (request.method, request.path, request.bearer) == ("POST", "/v1/auth/sign-out", Secret("at_1"))
    assert sent(request) == {"refresh_token": "rt_1", **more}
    assert request.idempotent


def test_me_is_asked_with_the_access_token():
    """It is the user's question, not the key's."""
    request = v1.me(Secret("at_1"))
    assert (request.method, request.path, request.body) == ("GET", "/v1/auth/me", None)
    assert (request.bearer, request.headers, request.idempotent) == (Secret("at_1"), TENANT, True)


@pytest.mark.parametrize("build", [v1.probe, lambda: v1.second_look(Secret("at_1"))])
def test_probe_carries_no_credential(build):
    """It finds out whether HelloJohn answers, and changes nothing."""
    request = build()
    assert (request.method, request.bearer, request.body) == ("GET", None, None)


@pytest.mark.parametrize(
    ("challenge", "code", "factor", "chosen"),
    [
        (MfaChallenge("ch_1", ("f1", "f2")), "123456", None, {"factor_id": "f1"}),
        (MfaChallenge("ch_1", ("f1", "f2")), "123456", "f2", {"factor_id": "f2"}),
        (MfaChallenge("ch_1", ("f1", "f2"), preferred_factor="f2"), "123456", None, {"factor_id": "f2"}),
        (MfaChallenge("ch_1", ("totp", "backup_codes")), "ABCD-EFGH", None, {"factor_id": "backup_codes"}),
        (MfaChallenge("ch_1", ("totp", "backup_codes")), "ABCD-EFGH", "totp", {"factor_id": "totp"}),
        (MfaChallenge("ch_1", ("totp",)), "ABCD-EFGH", None, {"factor_id": "totp"}),
        (MfaChallenge("ch_1"), "123456", None, {}),
    ],
)
def test_second_factor_names_the_factor_that_fits(challenge, code, factor, chosen):
    """A recovery code is recognised, and any other code is for the preferred or first factor."""
    request = v1.verify_mfa(challenge, Secret(code), factor=factor)
    assert (request.method, request.path, request.bearer) == ("POST", "/v1/mfa/verify", KEY)
    assert sent(request) == {"challenge_id": "ch_1", "code": code, **chosen}


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("abcd-efgh", "ABCD-EFGH"),
        ("abcd efgh", "ABCD-EFGH"),
        ("4567-89ab", "4567-89AB"),
        ("short", "SHORT"),
        ("1234-5678", "1234-5678"),
    ],
)
def test_recovery_code_is_sent_in_its_form(typed, code):
    """People type it in lower case and without the hyphen."""
    challenge = MfaChallenge("ch_1", ("totp", "backup_codes"))
    request = v1.verify_mfa(challenge, Secret(typed), factor=None)
    assert sent(request) == {"challenge_id": "ch_1", "code": code, "factor_id": "backup_codes"}


def test_second_factor_can_remember_the_device():
    """The code is sent without the spaces that people type."""
    request = v1.verify_mfa(MfaChallenge("ch_1"), Secret("123 456"), factor=None, remember_device=True)
    assert sent(request) == {"challenge_id": "ch_1", "code": "123456", "remember_device": True}


def test_device_of_a_browser_is_passed_on():
    """The list of sessions shows the browser, and not the back end."""
    challenge = MfaChallenge("ch_1")
    requests = (
        sign_in(device=DEVICE),
        sign_up(device=DEVICE),
        v1.verify_mfa(challenge, Secret("1"), factor=None, device=DEVICE),
    )
    for request in requests:
        assert request.headers == {**TENANT, "User-Agent": "Firefox", "X-Forwarded-For": "203.0.113.7"}


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: sign_in(email=""), "email is empty"),
        (lambda: sign_in(email="a" * 321), "email is too long: 321 characters, at most 320"),
        (lambda: sign_in(password=Secret("")), "password is empty"),
        (lambda: sign_in(captcha_token=Secret("")), "captcha_token is empty"),
        (lambda: sign_up(name=""), "name is empty"),
        (lambda: sign_up(username="x" * 2_000), "username is too long"),
        (lambda: v1.verify_mfa(MfaChallenge("c"), Secret(""), factor=None), "code is empty"),
        (lambda: v1.verify_mfa(MfaChallenge("c"), Secret("1"), factor=""), "factor is empty"),
    ],
)
def test_typed_values_are_checked_before_anything_is_sent(build, named):
    """The error names the argument and the limit."""
    with pytest.raises(ValidationFailed, match=named):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda api: api.sign_in("a@b.c", PASSWORD, duration=None, captcha_token=None),
        lambda api: api.sign_up("a@b.c", PASSWORD, duration=None, name=None, username=None, metadata=None),
        lambda api: api.verify_mfa(MfaChallenge("c"), Secret("1"), factor=None),
        lambda api: api.second_factors.send_code(MfaChallenge("c"), factor=None),
        lambda api: api.links.send_magic_link("a@b.c", redirect_to=None),
        lambda api: api.links.verify_email(Secret("lnk_1")),
    ],
)
def test_public_calls_need_the_publishable_key(build):
    """A client without the key can verify tokens. The first call that needs the key names it."""
    with pytest.raises(ConfigurationError, match="HELLOJOHN_PUBLISHABLE_KEY"):
        build(V1("tnt_1"))


@pytest.mark.parametrize("build", [v1.refresh, v1.me])
def test_calls_of_a_session_need_no_key(build):
    """The session's own tokens are the credentials."""
    assert build.__func__(V1("tnt_1"), Secret("t")).headers == TENANT


def test_v1_leaves_the_ends_of_sessions_to_the_server():
    """The client keeps no deadline there."""
    assert (v1.name, v1.ends_sessions, v1.ends_idle_sessions, v1.challenge_ttl) == ("v1", True, True, None)

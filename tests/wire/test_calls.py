"""What v1 sends: each call's method, path, key, tenant and body, and what is refused before it is sent."""

import json
from types import MappingProxyType

import pytest

from hellojohn._errors import ConfigurationError, MfaChallenge
from hellojohn._secret import Secret
from hellojohn._wire import ApiRequest, Dialect
from tests.wire.samples import dialect, told_by

PASSWORD = Secret("correct horse")
KEY = Secret("pk_test_key")


def sent(call: ApiRequest) -> object:
    """Return the body as the server sees it."""
    return json.loads(call.encode() or b"null")


def sign_in(email="ada@example.com", password=PASSWORD, duration=None, captcha_token=None):
    """Build a sign-in."""
    return dialect.sign_in(email, password, duration=duration, captcha_token=captcha_token)


def sign_up(
    *, email="ada@example.com", password=PASSWORD, duration=None, name=None, username=None, metadata=None
):
    """Build a sign-up."""
    return dialect.sign_up(
        email, password, duration=duration, name=name, username=username, metadata=metadata
    )


def test_v1_is_a_dialect_that_limits_sessions():
    """The engine holds it by the protocol, and need not watch the session's end itself."""
    spoken: Dialect = dialect
    assert spoken.limits_sessions is True


def test_sign_in_sends_the_credentials_and_nothing_unasked():
    """Without a duration the tenant's default counts: no ``session_options`` goes out."""
    call = sign_in()
    assert (call.method, call.path, call.bearer) == ("POST", "/auth/sign-in", KEY)
    assert call.headers == {"X-Tenant-ID": "tnt_1"}
    assert sent(call) == {"email": "ada@example.com", "password": "correct horse"}


def test_sign_in_asks_for_a_duration_in_snake_case():
    """Remember-me reaches the wire spelled like the rest of the API."""
    body = sent(sign_in(duration="30d", captcha_token=Secret("captcha")))
    assert body == {
        "email": "ada@example.com",
        "password": "correct horse",
        "session_options": {"duration": "30d"},
        "captcha_token": "captcha",
    }


def test_sign_up_sends_what_is_known_of_the_user():
    """Optional facts go out when they are given, and only then."""
    call = sign_up()
    assert (call.method, call.path, call.bearer) == ("POST", "/auth/sign-up", KEY)
    assert sent(call) == {"email": "ada@example.com", "password": "correct horse"}
    full = sign_up(duration="8h", name="Ada", username="ada", metadata=MappingProxyType({"plan": ["pro", 1]}))
    assert sent(full) == {
        "email": "ada@example.com",
        "password": "correct horse",
        "session_options": {"duration": "8h"},
        "name": "Ada",
        "username": "ada",
        "metadata": {"plan": ["pro", 1]},
    }


def test_metadata_is_copied_when_the_call_is_built():
    """A caller who goes on changing its dict does not change what another thread sends."""
    tags = ["a"]
    call = sign_up(metadata={"tags": tags})
    tags.append("b")
    assert sent(call)["metadata"] == {"tags": ["a"]}


def test_refresh_carries_no_authorization():
    """The refresh token is the credential; an expired access token beside it could get it refused."""
    call = dialect.refresh(Secret("rt_1"))
    assert (call.method, call.path, call.bearer) == ("POST", "/auth/token/refresh", None)
    assert call.headers == {"X-Tenant-ID": "tnt_1"}
    assert sent(call) == {"refresh_token": "rt_1"}


@pytest.mark.parametrize(("everywhere", "more"), [(False, {}), (True, {"everywhere": True})])
def test_sign_out_names_the_session_by_both_tokens(everywhere, more):
    """The access token says who asks, the refresh token what to end; ``everywhere`` only when asked."""
    call = dialect.sign_out(Secret("rt_1"), Secret("at_1"), everywhere=everywhere)
    assert (call.method, call.path, call.bearer) == ("POST", "/auth/sign-out", Secret("at_1"))
    assert sent(call) == {"refresh_token": "rt_1", **more}


def test_me_is_asked_with_the_access_token():
    """It is the user's question, not the key's."""
    call = dialect.me(Secret("at_1"))
    assert (call.method, call.path, call.bearer, call.body) == ("GET", "/auth/me", Secret("at_1"), None)
    assert call.headers == {"X-Tenant-ID": "tnt_1"}


@pytest.mark.parametrize(
    ("factors", "factor", "more"),
    [
        (("f1", "f2"), None, {"factor_id": "f1"}),
        (("f1", "f2"), "f2", {"factor_id": "f2"}),
        ((), None, {}),
    ],
)
def test_a_second_factor_names_the_challenge_and_the_factor(factors, factor, more):
    """Without a choice the first factor that the server lists is meant."""
    call = dialect.verify_mfa(MfaChallenge("ch_1", factors), Secret("123456"), factor=factor)
    assert (call.method, call.path, call.bearer) == ("POST", "/mfa/verify", KEY)
    assert sent(call) == {"challenge_id": "ch_1", "code": "123456", **more}


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: sign_in(email=""), "email is empty"),
        (lambda: sign_in(email=None), "email must be text, not NoneType"),
        (lambda: sign_in(email="a" * 321), "email is too long: 321 characters, at most 320"),
        (lambda: sign_in(password=Secret("")), "password is empty"),
        (lambda: sign_in(password=Secret(b"bytes")), "password must be text, not bytes"),
        (lambda: sign_in(password=Secret("x" * 10_000_000)), "password is too long"),
        (lambda: sign_in(captcha_token=Secret("")), "captcha_token is empty"),
        (lambda: sign_up(name=""), "name is empty"),
        (lambda: sign_up(username=7), "username must be text, not int"),
        (lambda: sign_up(metadata=["no", "mapping"]), "metadata must be a JSON object"),
        (lambda: sign_up(metadata={"n": float("nan")}), "metadata must be a JSON object"),
        (lambda: sign_up(metadata={"o": object()}), "metadata must be a JSON object"),
        (lambda: sign_up(metadata={"x": "y" * 70_000}), "at most 65536"),
        (lambda: dialect.verify_mfa(MfaChallenge("c"), Secret(""), factor=None), "code is empty"),
        (lambda: dialect.verify_mfa(MfaChallenge("c"), Secret("1"), factor=""), "factor is empty"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_sent(build, named):
    """The error names the argument and the limit, so that the fix is plain."""
    with pytest.raises(ConfigurationError, match=named):
        build()


def test_metadata_that_holds_itself_is_refused():
    """No recursion without end."""
    metadata: dict[str, object] = {}
    metadata["self"] = metadata
    with pytest.raises(ConfigurationError, match="metadata"):
        sign_up(metadata=metadata)


def test_a_refused_password_shows_nowhere():
    """Neither the message nor a local variable of the traceback repeats it."""
    with pytest.raises(ConfigurationError) as caught:
        sign_in(password=Secret("MARKED-SECRET" * 1_000))
    assert "MARKED-SECRET" not in told_by(caught.value)

"""The checks before a request is sent, and the error for each kind of bad value."""

import pickle
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from hellojohn._details import Device, TotpEnrollment
from hellojohn._errors import ConfigurationError, MfaChallenge, MfaRequired, ValidationFailed
from hellojohn._secret import Secret
from hellojohn._wire.arguments import (
    checked,
    checked_address,
    checked_code,
    checked_id,
    checked_link,
    checked_metadata,
    checked_password,
    device_headers,
    required_key,
)
from tests.wire.samples import shown_by, v1


@pytest.mark.parametrize(
    ("check", "named"),
    [
        (lambda: checked("", name="email", longest=9), "email is empty"),
        (lambda: checked("a" * 10, name="email", longest=9), "email is too long: 10 characters, at most 9"),
        (lambda: checked_password(Secret("")), "password is empty"),
        (lambda: checked_password(Secret("x" * 10_000_000)), "password is too long"),
        (lambda: checked_code(Secret(" \t\n ")), "code is empty"),
        (lambda: checked_code(Secret("1" * 300)), "code is too long"),
        (lambda: checked_metadata({"x": "y" * 70_000}), "metadata is too long: at most 65536"),
        (lambda: checked_link(Secret("  ")), "token_or_url is empty"),
        (lambda: checked_link(Secret("https://x/reset?token=")), "has no token"),
        (lambda: checked_link(Secret("https://[")), "has no token"),
        (lambda: checked_id("x" * 300, name="session_id"), "session_id is too long"),
    ],
)
def test_empty_and_overlong_text_is_validation_failed(check, named):
    """A person may have typed it: the error is one that an app shows."""
    with pytest.raises(ValidationFailed, match=named) as caught:
        check()
    assert caught.value.status is None


@pytest.mark.parametrize(
    ("check", "named"),
    [
        (lambda: checked(None, name="email", longest=9), "email must be text, not NoneType"),
        (lambda: checked(7, name="username", longest=9), "username must be text, not int"),
        (lambda: checked_password(Secret(b"bytes")), "password must be text, not bytes"),
        (lambda: checked_metadata(["no", "mapping"]), "metadata must be a mapping"),
        (lambda: checked_metadata({"n": float("nan")}), "metadata must be a mapping"),
        (lambda: checked_metadata({"o": object()}), "metadata must be a mapping"),
        (lambda: Device(user_agent=7), "device.user_agent must be text or None, not int"),
    ],
)
def test_wrong_type_is_a_configuration_error(check, named):
    """Only a program passes a wrong type."""
    with pytest.raises(ConfigurationError, match=named):
        check()


def test_metadata_that_contains_itself_is_refused():
    """The check ends although the value does not."""
    metadata: dict[str, object] = {}
    metadata["self"] = metadata
    with pytest.raises(ConfigurationError, match="metadata"):
        checked_metadata(metadata)


def test_refused_password_shows_nowhere():
    """Neither the message nor a local variable of the traceback repeats it."""
    with pytest.raises(ValidationFailed) as caught:
        checked_password(Secret("MARKED-SECRET" * 1_000))
    assert "MARKED-SECRET" not in shown_by(caught.value)


def test_refused_link_shows_nowhere():
    """A link can carry other secrets than the one that is missing."""
    with pytest.raises(ValidationFailed) as caught:
        checked_link(Secret("https://app.example.com/?code=MARKED-SECRET"))
    assert "MARKED-SECRET" not in shown_by(caught.value)


def test_code_loses_its_spaces():
    """Apps show codes in groups, and people type them so."""
    assert checked_code(Secret(" 123 456\u00a0")) == Secret("123456")


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ("lnk_1", "lnk_1"),
        (" lnk_1\n", "lnk_1"),
        ("https://app.example.com/reset?token=lnk_1", "lnk_1"),
        ("https://app.example.com/?x=1&token=a%2Bb&y=2", "a+b"),
        ("http://localhost:3000/#/reset?token=lnk_1", "lnk_1"),
        ("https://app.example.com/#token=lnk_1", "lnk_1"),
        ("com.example.app://reset?token=lnk_1&token=other", "lnk_1"),
    ],
)
def test_link_gives_its_token(given, token):
    """The whole link and the token alone are the same argument."""
    assert checked_link(Secret(given)) == Secret(token)


@pytest.mark.parametrize("value", [".", "..", "a b", "a\n", "\u00e9", "\ud800", "\x00", "\x7f"])
def test_id_that_could_change_a_path_is_refused(value):
    """An id may come from the address of an administrator's page."""
    with pytest.raises(ValidationFailed, match="session_id is not an id"):
        checked_id(value, name="session_id")


@pytest.mark.parametrize(("value", "quoted"), [("ses_1", "ses_1"), ("a/b?c#d%", "a%2Fb%3Fc%23d%25")])
def test_id_is_quoted(value, quoted):
    """Slashes and question marks stay parts of the id."""
    assert checked_id(value, name="session_id") == quoted


@pytest.mark.parametrize(
    "value",
    [
        *("https://app.example.com/reset", "http://localhost:3000/x?y=1#z", "http://127.0.0.1:8765/callback"),
        "com.example.app:/callback",
    ],
)
def test_address_of_a_page_or_an_app_is_accepted(value):
    """An app without a web page has a private scheme."""
    assert checked_address(value, name="redirect_to") == value


@pytest.mark.parametrize(
    "value",
    [
        *(
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "/reset",
            "//evil.example",
            "https://",
        ),
        *(
            "https://a b",
            "https://a\r\nX: 1",
            "https://user:pw@a",
            "https://[",
            "http:app",
            "\ud800",
            "vbscript:x",
        ),
    ],
)
def test_hostile_address_is_refused(value):
    """An address of a redirect may come from a browser."""
    with pytest.raises(ValidationFailed, match="redirect_to"):
        checked_address(value, name="redirect_to")


def test_missing_key_is_named_with_its_variable():
    """The call that needs the key says so, and how to give it."""
    with pytest.raises(
        ConfigurationError, match=r"auth.sign_in needs publishable_key: .*HELLOJOHN_PUBLISHABLE_KEY"
    ):
        required_key(None, name="publishable_key", call="auth.sign_in")


@pytest.mark.parametrize(
    ("device", "headers"),
    [
        (None, {}),
        (Device(), {}),
        (Device(user_agent="Firefox", ip_address="::1"), {"User-Agent": "Firefox", "X-Forwarded-For": "::1"}),
        (Device(user_agent="a\r\nX: b\u00e9", ip_address="testclient"), {"User-Agent": "a??X: b?"}),
        (Device(user_agent=" ", ip_address="1.2.3.4\r\n"), {}),
        (Device(user_agent="x" * 9_999, ip_address="fe80::1%eth0"), {"User-Agent": "x" * 512}),
    ],
)
def test_device_becomes_headers_that_can_be_sent(device, headers):
    """The values come from a browser, or from a test client: what does not fit is left out."""
    assert device_headers(device) == headers


CHALLENGE = MfaChallenge("MARKED-SECRET", ("totp", "email"), preferred_factor="totp")


def test_challenge_hides_its_id():
    """On v2 the id is a token."""
    error = MfaRequired("A second factor is needed.", challenge=CHALLENGE)
    assert "MARKED-SECRET" not in f"{CHALLENGE!r} {CHALLENGE} {shown_by(error)}"


def test_challenge_survives_serialisation():
    """A web back end keeps it between two requests."""
    end = datetime(2026, 1, 1, tzinfo=UTC)
    challenge = CHALLENGE.asking(timedelta(days=30), remember_me=True, expires_at=end)
    assert pickle.loads(pickle.dumps(challenge)) == challenge
    assert MfaChallenge(**asdict(challenge)) == challenge
    assert (challenge.duration, challenge.remember_me, challenge.expires_at) == (
        timedelta(days=30),
        True,
        end,
    )
    assert (challenge.id, challenge.factors) == (CHALLENGE.id, CHALLENGE.factors)


def test_enrollment_hides_its_secret():
    """The secret of an authenticator app is worth a second factor."""
    enrollment = TotpEnrollment(secret="MARKED", uri="otpauth://totp/a?secret=MARKED", factor_id="fac_1")
    assert "MARKED" not in repr(enrollment)
    assert pickle.loads(pickle.dumps(enrollment)) == enrollment


@pytest.mark.parametrize(
    ("challenge", "named"),
    [
        ("chl_1", "challenge.id must be text"),
        (None, "challenge.id must be text"),
        (MfaChallenge(7), "challenge.id must be text"),
        (MfaChallenge(""), "challenge.id is empty"),
        (MfaChallenge("x" * 20_000), "challenge.id is empty or too long"),
        (MfaChallenge("c", (7,)), "challenge.factors must be texts"),
        (MfaChallenge("c", preferred_factor=7), "challenge.factors must be texts"),
    ],
)
def test_bad_challenge_is_a_configuration_error(challenge, named):
    """A challenge comes from an error of the SDK, and not from a person."""
    with pytest.raises(ConfigurationError, match=named):
        v1.verify_mfa(challenge, Secret("123456"), factor=None)

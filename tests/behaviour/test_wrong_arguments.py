"""Wrong arguments of a call: a typed error that names the argument, nothing sent, the session untouched.

A text that a person may have typed wrongly is ``ValidationFailed``, as if the service had refused it. A
mistake that only a developer can make is ``ConfigurationError``. The room ``secrecy`` tests that no such
error shows a secret.
"""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from hellojohn import (
    ApiError,
    ConfigurationError,
    HelloJohn,
    MfaChallenge,
    SessionOptions,
    ValidationFailed,
)
from tests.behaviour.scripted import EMAIL, PASSWORD, DictStore
from tests.both_faces import settle

LONG = 100_000
CHALLENGE = MfaChallenge("chl_1", ("totp",))
BAD_DURATIONS = [
    "",
    "soon",
    "8",
    "8 h",
    "-8h",
    "0s",
    "1.5h",
    "8H",
    "101y",
    "9" * 11 + "s",
    "٨h",
    8,
    8.0,
    None,
]
BAD_DURATIONS += [True, b"8h", ["8h"], timedelta(0), timedelta(days=-1), timedelta(milliseconds=1_500)]

CREDENTIALS = {
    "email None": ((None, PASSWORD), {}, "email must be text, not NoneType"),
    "email bytes": ((b"ada@example.com", PASSWORD), {}, "email must be text, not bytes"),
    "email number": ((7, PASSWORD), {}, "email must be text, not int"),
    "email empty": (("", PASSWORD), {}, "email is empty"),
    "email huge": (("a" * LONG, PASSWORD), {}, "email is too long: 100000 characters, at most 320"),
    "password None": ((EMAIL, None), {}, "password must be text, not NoneType"),
    "password bytes": ((EMAIL, b"correct horse"), {}, "password must be text, not bytes"),
    "password list": ((EMAIL, [PASSWORD]), {}, "password must be text, not list"),
    "password empty": ((EMAIL, ""), {}, "password is empty"),
    "password huge": ((EMAIL, "p" * LONG), {}, "password is too long: 100000 characters, at most 4096"),
    "remember_me 1": ((EMAIL, PASSWORD), {"remember_me": 1}, "remember_me must be True or False"),
    "remember_me 0": ((EMAIL, PASSWORD), {"remember_me": 0}, "remember_me must be"),
    "remember_me text": ((EMAIL, PASSWORD), {"remember_me": "yes"}, "remember_me must be"),
    "options text": ((EMAIL, PASSWORD), {"session_options": "8h"}, "session_options takes"),
    "options list": ((EMAIL, PASSWORD), {"session_options": ["duration"]}, "session_options takes"),
    "options empty": ((EMAIL, PASSWORD), {"session_options": {}}, "session_options takes"),
    "options misspelt": (
        (EMAIL, PASSWORD),
        {"session_options": {"durations": "8h"}},
        "session_options takes",
    ),
    "options with more": (
        (EMAIL, PASSWORD),
        {"session_options": {"duration": "8h", "idle": "1h"}},
        "session_options takes",
    ),
}
CALLS = {
    **{f"sign_in {name}": ("sign_in", *case) for name, case in CREDENTIALS.items()},
    **{f"sign_up {name}": ("sign_up", *case) for name, case in CREDENTIALS.items()},
    "captcha number": ("sign_in", (EMAIL, PASSWORD), {"captcha_token": 7}, "captcha_token must be text"),
    "captcha empty": ("sign_in", (EMAIL, PASSWORD), {"captcha_token": ""}, "captcha_token is empty"),
    "captcha huge": (
        "sign_in",
        (EMAIL, PASSWORD),
        {"captcha_token": "c" * LONG},
        "captcha_token is too long",
    ),
    "name number": ("sign_up", (EMAIL, PASSWORD), {"name": 7}, "name must be text"),
    "name huge": ("sign_up", (EMAIL, PASSWORD), {"name": "n" * LONG}, "name is too long"),
    "username bytes": ("sign_up", (EMAIL, PASSWORD), {"username": b"ada"}, "username must be text"),
    "metadata list": ("sign_up", (EMAIL, PASSWORD), {"metadata": ["x"]}, "metadata must be a mapping"),
    "metadata odd": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": object()}}, "metadata must be"),
    "metadata nan": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": float("nan")}}, "metadata must be"),
    "metadata huge": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": "y" * LONG}}, "metadata is too long"),
    "challenge None": ("verify_mfa", (None, "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge text": ("verify_mfa", ("chl_1", "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge tuple": ("verify_mfa", (("chl_1", ()), "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge id number": ("verify_mfa", (MfaChallenge(7), "123456"), {}, "challenge.id must be text"),
    "challenge id empty": ("verify_mfa", (MfaChallenge(""), "123456"), {}, "challenge.id is empty"),
    "challenge factor": ("verify_mfa", (MfaChallenge("c", (7,)), "123456"), {}, "challenge.factors must be"),
    "challenge choice": (
        "verify_mfa",
        (replace(CHALLENGE, remember_me="yes"), "123456"),
        {},
        "challenge.remember_me must be True or False",
    ),
    "code number": ("verify_mfa", (CHALLENGE, 123456), {}, "code must be text, not int"),
    "code empty": ("verify_mfa", (CHALLENGE, ""), {}, "code is empty"),
    "code huge": ("verify_mfa", (CHALLENGE, "1" * LONG), {}, "code is too long"),
    "factor number": ("verify_mfa", (CHALLENGE, "123456"), {"factor": 7}, "factor must be text"),
    "factor empty": ("verify_mfa", (CHALLENGE, "123456"), {"factor": ""}, "factor is empty"),
    "refused number": ("access_token", (), {"refused": 7}, "refused must be the text of the access token"),
    "refused bytes": (
        "access_token",
        (),
        {"refused": b"at_1"},
        "refused must be the text of the access token",
    ),
    "everywhere text": ("sign_out", (), {"everywhere": "no"}, "everywhere must be True or False"),
    "everywhere None": ("sign_out", (), {"everywhere": None}, "everywhere must be True or False"),
}


@pytest.fixture
async def hj(owner, service):
    """Return a client of either kind that is signed in."""
    hj = service.client(owner, store=DictStore())
    await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    return hj


async def refused(hj, service, case) -> Exception:
    """Check that a call is refused, sends nothing and leaves the session as it is; return the error."""
    call, arguments, options, message = case
    session, sent = await settle(hj.auth.session()), len(service.asked)
    with pytest.raises((ConfigurationError, ValidationFailed), match=message) as caught:
        await settle(getattr(hj.auth, call)(*arguments, **options))
    assert len(service.asked) == sent
    assert await settle(hj.auth.session()) == session
    assert await settle(hj.auth.access_token()) == "at_1"
    return caught.value


@pytest.mark.parametrize("name", CALLS)
async def test_wrong_argument_is_named(hj, service, name):
    """A wrong type is a ConfigurationError; a text that is empty or too long is a ValidationFailed."""
    error = await refused(hj, service, CALLS[name])
    typed = re.match(r"(?!challenge)\w+ is (empty|too long)", str(error)) is not None
    assert type(error) is (ValidationFailed if typed else ConfigurationError)
    if isinstance(error, ApiError):
        assert error.status is None


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("sign_in", ("", PASSWORD)),
        ("sign_in", (EMAIL, "p" * 5_000)),
        ("sign_up", ("a" * 1_000, PASSWORD)),
        ("verify_mfa", (CHALLENGE, "")),
        ("verify_mfa", (CHALLENGE, "   ")),
    ],
    ids=["empty email", "long password", "long email", "empty code", "blank code"],
)
async def test_typed_text_is_not_a_developers_error(hj, service, call, arguments):
    """A back end that catches ApiError around a sign-in never answers 500 to a form."""
    with pytest.raises(ApiError) as caught:
        await settle(getattr(hj.auth, call)(*arguments))
    assert not isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", BAD_DURATIONS, ids=repr)
async def test_malformed_duration_shows_the_accepted_form(hj, service, value):
    """A malformed duration is refused at sign-in, in SessionOptions and in a stored challenge."""
    form = "such as 90s, 15m, 24h, 30d, 2w or 1y"
    options = {"session_options": {"duration": value}}
    message = f"session_options duration .*{form}"
    await refused(hj, service, ("sign_in", (EMAIL, PASSWORD), options, message))
    with pytest.raises(ConfigurationError, match=form):
        SessionOptions(duration=value)
    if value is not None:
        challenge = replace(CHALLENGE, duration=value)
        case = ("verify_mfa", (challenge, "123456"), {}, f"challenge.duration .*{form}")
        await refused(hj, service, case)


@pytest.mark.parametrize("missing", [(), (EMAIL,)])
def test_missing_credentials_are_a_type_error(hj, missing):
    """An email address and a password have no default."""
    with pytest.raises(TypeError, match="missing"):
        hj.auth.sign_in(*missing)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 257,
        "two\nlines",
        "\x00",
        "\x85",
        "a\u2028b",
        "\ud800",
        "\u202ea",
        "a\u2066",
        7,
        None,
        b"ada",
        ["ada"],
    ],
)
def test_account_names_that_are_refused(owner, service, name):
    """An account's name ends up in file names and keys: it is a short text without control characters."""
    hj = service.client(owner)
    for create in (hj.for_account, lambda name: service.client(owner, account=name)):
        with pytest.raises(ConfigurationError, match="account must be a text of 1 to 256 characters"):
            create(name)


NAMES = {
    "Persian joiner": "\u06a9\u200c\u0627",
    "Hindi joiner": "\u0928\u200d\u0926",
    "no-break space": "a\u00a0b",
    "ideographic space": "\u5c71\u7530\u3000\u592a\u90ce",
    "direction mark": "\u200f\u05d3\u05d5\u05d3",
    "combining accent": "e\u0301",
    "emoji of several": "\U0001f469\u200d\U0001f4bb",
    "emoji with tags": "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "private character": "\ue000",
    "letter of a later Unicode": "\U00033500",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_account_names_of_all_scripts(owner, service, name):
    """A name may have any characters that people write, seen or unseen."""
    hj = service.client(owner).for_account(name)
    assert (await settle(hj.auth.sign_in(EMAIL, PASSWORD))).id == "ses_1"
    assert hj.account == name


@pytest.mark.parametrize(
    "origins", [(), 7, None, "https://api.example.com", [7], [None], ["api.example.com"]]
)
@pytest.mark.parametrize("call", ["client", "httpx_auth", "httpx2_auth", "requests_auth"])
def test_origins_are_a_list_of_addresses(owner, service, call, origins):
    """A forgotten or malformed list of origins never widens who gets the token."""
    with pytest.raises(ConfigurationError, match="origins"):
        getattr(service.client(owner), call)(origins=origins)


@pytest.mark.parametrize("client", [None, 7, object(), HelloJohn])
def test_other_objects_are_not_wrapped(owner, service, client):
    """The message names both libraries and the way for any other client."""
    with pytest.raises(TypeError, match=r"httpx or httpx2.*auth\.access_token\(\)"):
        service.client(owner).wrap(client)

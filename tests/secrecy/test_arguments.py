"""Wrong arguments and settings: the error and its traceback show no secret."""

import asyncio

import pytest

from hellojohn import (
    AsyncHelloJohn,
    EncryptedStore,
    FileStore,
    HelloJohn,
    KeyringStore,
    MemoryStore,
    MfaChallenge,
    RedisStore,
    ValidationFailed,
)
from hellojohn.emulator import Emulator
from tests.both_faces import settle
from tests.secrecy.marked_client import EMAIL, MarkedClient
from tests.secrecy.markers import CAPTCHA, CODE, PASSWORD, PUBLISHABLE, SECRET, STORE_KEY
from tests.secrecy.tracebacks import exposed_by, judged

CHALLENGE = MfaChallenge("chl_1", ("totp",))
BAD_CALLS = {
    "no email": ("sign_in", (None, PASSWORD), {}),
    "empty email": ("sign_in", ("", PASSWORD), {}),
    "huge email": ("sign_in", ("a" * 10_000, PASSWORD), {}),
    "no password": ("sign_in", (EMAIL, None), {"captcha_token": CAPTCHA}),
    "empty password": ("sign_in", (EMAIL, ""), {"captcha_token": CAPTCHA}),
    "huge password": ("sign_in", (EMAIL, PASSWORD * 1_000), {}),
    "password in bytes": ("sign_in", (EMAIL, PASSWORD.encode()), {}),
    "password in a list": ("sign_in", (EMAIL, [PASSWORD]), {}),
    "huge captcha": ("sign_in", (EMAIL, PASSWORD), {"captcha_token": CAPTCHA * 10_000}),
    "captcha in bytes": ("sign_in", (EMAIL, PASSWORD), {"captcha_token": CAPTCHA.encode()}),
    "two durations": (
        "sign_in",
        (EMAIL, PASSWORD),
        {"remember_me": True, "session_options": {"duration": "8h"}},
    ),
    "odd remember_me": ("sign_in", (EMAIL, PASSWORD), {"remember_me": "yes"}),
    "odd duration": ("sign_in", (EMAIL, PASSWORD), {"session_options": {"duration": "soon"}}),
    "odd options": ("sign_in", (EMAIL, PASSWORD), {"session_options": 7}),
    "swapped": ("sign_in", (PASSWORD, None), {}),
    "sign-up without email": ("sign_up", (None, PASSWORD), {}),
    "sign-up with odd metadata": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": object()}}),
    "sign-up with odd name": ("sign_up", (EMAIL, PASSWORD), {"name": 7}),
    "no challenge": ("verify_mfa", (None, CODE), {}),
    "code in a list": ("verify_mfa", (CHALLENGE, [CODE]), {}),
    "huge code": ("verify_mfa", (CHALLENGE, CODE * 1_000), {}),
    "odd factor": ("verify_mfa", (CHALLENGE, CODE), {"factor": 7}),
}
KEYS = {"tenant_id": "tnt_1", "publishable_key": PUBLISHABLE, "secret_key": SECRET}
BAD_SETTINGS = {
    "no tenant": {"tenant_id": None},
    "odd tenant": {"tenant_id": "t n t"},
    "swapped keys": {"publishable_key": SECRET, "secret_key": PUBLISHABLE},
    "a key with a space": {"publishable_key": f"{PUBLISHABLE} "},
    "a key in bytes": {"secret_key": SECRET.encode()},
    "a key in a list": {"secret_key": [SECRET]},
    "odd address": {"api_url": "ftp://x"},
    "odd dialect": {"api": "v9"},
    "odd store": {"store": object()},
    "odd account": {"account": ""},
    "odd duration": {"session_duration": "soon"},
    "odd clock": {"clock": 7},
    "odd timeout": {"timeout": "soon"},
    "odd proxy": {"proxy": 7},
    "odd transport": {"transport": object()},
    "odd flag": {"background_refresh": "yes"},
    "v2 without a client id": {"api": "v2"},
}


@pytest.mark.parametrize("name", BAD_CALLS)
async def test_error_of_a_wrong_argument_shows_no_secret(world, name):
    """The password of the same call is in the frames that raise, and is masked there."""
    method, arguments, options = BAD_CALLS[name]
    call = getattr(world.hj.auth, method)
    with pytest.raises((TypeError, ValueError, ValidationFailed)) as caught:
        await settle(call(*arguments, **options))
    assert judged(caught.value)
    shown = exposed_by(caught.value)
    assert [leak for leak in shown if name != "swapped" or "email" not in leak] == []
    assert world.service.calls == []


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_error_of_a_wrong_setting_shows_no_key(owner, name):
    """An app that fails to start prints its traceback to a log that many people read."""
    with pytest.raises((TypeError, ValueError)) as caught:
        owner(**{**KEYS, **BAD_SETTINGS[name]})
    assert judged(caught.value)
    assert exposed_by(caught.value) == []


@pytest.mark.parametrize("variable", ["HELLOJOHN_PUBLISHABLE_KEY", "HELLOJOHN_SECRET_KEY"])
def test_error_of_a_wrong_variable_shows_no_key(owner, monkeypatch, variable):
    """The same for a key from the environment."""
    monkeypatch.setenv(variable, f"{SECRET} {PUBLISHABLE}")
    with pytest.raises(ValueError, match=variable) as caught:
        owner(tenant_id="tnt_1")
    assert exposed_by(caught.value) == []


@pytest.mark.parametrize("key", [STORE_KEY.encode(), [STORE_KEY, STORE_KEY.encode()], [STORE_KEY, None]])
def test_wrong_store_key_is_not_quoted(key):
    """The message about an unusable encryption key says what is right, and repeats no key."""
    with pytest.raises(ValueError, match="32 bytes") as caught:
        EncryptedStore(MemoryStore(), key)
    assert exposed_by(caught.value) == []


@pytest.mark.parametrize("origins", [(), ["nonsense"], "x"])
def test_client_that_cannot_be_wrapped_shows_no_token(origins):
    """The error of a failed wrap() shows no token of the session."""
    world = MarkedClient(HelloJohn)
    asyncio.run(world.sign_in())
    with pytest.raises(ValueError, match="origins") as caught:
        world.hj.client(origins=origins)
    assert exposed_by(caught.value) == []
    with pytest.raises(TypeError) as caught:
        world.hj.wrap(object())
    assert exposed_by(caught.value) == []
    asyncio.run(world.close())


@pytest.mark.parametrize(
    "make",
    [
        lambda: FileStore(7),
        lambda: KeyringStore(""),
        lambda: RedisStore(None),
        lambda: EncryptedStore(MemoryStore(), b"short"),
        lambda: Emulator(answers="no"),
    ],
)
def test_half_constructed_object_can_be_shown(make):
    """A traceback shows the object whose constructor failed, so its repr must work."""
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert judged(caught.value)
    assert exposed_by(caught.value) == []


async def test_error_of_a_closed_client_shows_no_secret():
    """The error of a call after close() shows no secret."""
    world = MarkedClient(AsyncHelloJohn)
    await world.close()
    with pytest.raises(ValueError, match="closed") as caught:
        await world.sign_in()
    assert exposed_by(caught.value) == []

"""Wrong arguments and settings: a typed error that names the fix, nothing sent, the stored session untouched.

That no such error shows a secret is tested beside the other secrets.
"""

import time
from datetime import datetime, timedelta

import pytest
import redis
import redis.asyncio

from hellojohn import (
    AsyncHelloJohn,
    ConfigurationError,
    FileStore,
    HelloJohn,
    MemoryStore,
    MfaChallenge,
    RedisStore,
    SessionOptions,
)
from tests.engine.clients import EMAIL, PASSWORD, Service, settle, stored

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
BOTH = pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """Let no variable of the machine decide a test."""
    for name in ("TENANT_ID", "PUBLISHABLE_KEY", "SECRET_KEY", "CLIENT_ID", "API_URL"):
        monkeypatch.delenv(f"HELLOJOHN_{name}", raising=False)


# calls

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
    "remember_me 1": ((EMAIL, PASSWORD), {"remember_me": 1}, "remember_me must be True, False or None"),
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
    "metadata list": ("sign_up", (EMAIL, PASSWORD), {"metadata": ["x"]}, "metadata must be a JSON object"),
    "metadata odd": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": object()}}, "metadata must be"),
    "metadata nan": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": float("nan")}}, "metadata must be"),
    "metadata huge": ("sign_up", (EMAIL, PASSWORD), {"metadata": {"x": "y" * LONG}}, "metadata must be"),
    "challenge None": ("verify_mfa", (None, "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge text": ("verify_mfa", ("chl_1", "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge tuple": ("verify_mfa", (("chl_1", ()), "123456"), {}, "challenge must be the MfaChallenge"),
    "challenge id number": ("verify_mfa", (MfaChallenge(7), "123456"), {}, "challenge.id must be text"),
    "challenge id empty": ("verify_mfa", (MfaChallenge(""), "123456"), {}, "challenge.id is empty"),
    "challenge factor": ("verify_mfa", (MfaChallenge("c", (7,)), "123456"), {}, "challenge.factors must be"),
    "challenge choice": (
        "verify_mfa",
        (CHALLENGE._replace(remember_me="yes"), "123456"),
        {},
        "challenge.remember_me must be True or False",
    ),
    "code number": ("verify_mfa", (CHALLENGE, 123456), {}, "code must be text, not int"),
    "code empty": ("verify_mfa", (CHALLENGE, ""), {}, "code is empty"),
    "code huge": ("verify_mfa", (CHALLENGE, "1" * LONG), {}, "code is too long"),
    "factor number": ("verify_mfa", (CHALLENGE, "123456"), {"factor": 7}, "factor must be text"),
    "factor empty": ("verify_mfa", (CHALLENGE, "123456"), {"factor": ""}, "factor is empty"),
    "everywhere text": ("sign_out", (), {"everywhere": "no"}, "everywhere must be True or False"),
    "everywhere None": ("sign_out", (), {"everywhere": None}, "everywhere must be True or False"),
}


async def _refused(owner, call, arguments, options, message) -> None:
    """Check that a call is refused by somebody signed in, who stays so."""
    service, store = Service(), MemoryStore()
    hj = service.client(owner, store=store)
    session = await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    before = stored(hj, store)
    with pytest.raises(ConfigurationError, match=message):
        await settle(getattr(hj.auth, call)(*arguments, **options))
    assert stored(hj, store) == before
    assert await settle(hj.auth.session()) == session
    assert await settle(hj.auth.access_token()) == "at_1"
    assert service.paths() == ["auth/sign-in"]


@BOTH
@pytest.mark.parametrize("name", CALLS)
async def test_a_wrong_argument_is_named_and_changes_nothing(owner, name):
    """It is found before anything is sent: the message says which argument, and what would be right."""
    await _refused(owner, *CALLS[name])


@pytest.mark.parametrize("value", BAD_DURATIONS, ids=repr)
async def test_a_malformed_duration_shows_the_accepted_form(value):
    """At sign-in, in the options' own constructor, and in a challenge that was kept somewhere."""
    form = "such as 90s, 15m, 24h, 30d, 2w or 1y"
    options = {"session_options": {"duration": value}}
    await _refused(HelloJohn, "sign_in", (EMAIL, PASSWORD), options, f"session_options duration .*{form}")
    with pytest.raises(ConfigurationError, match=form):
        SessionOptions(duration=value)
    if value is not None:
        challenge = CHALLENGE._replace(duration=value)
        await _refused(HelloJohn, "verify_mfa", (challenge, "123456"), {}, f"challenge.duration .*{form}")


@pytest.mark.parametrize("value", BAD_DURATIONS, ids=repr)
@pytest.mark.parametrize("name", ["remember_me_duration", "session_duration", "idle_timeout"])
def test_a_malformed_duration_is_found_when_the_client_is_made(name, value):
    """Not a month later, when the first user ticks the box. No idle timeout is a proper setting."""
    if (name, value) == ("idle_timeout", None):
        assert Service().client(idle_timeout=None)
        return
    with pytest.raises(ConfigurationError, match=f"^{name} is not a duration"):
        Service().client(**{name: value})


@BOTH
@pytest.mark.parametrize("missing", [(), (EMAIL,)])
def test_a_missing_argument_is_pythons_own_error(owner, missing):
    """There is no default for credentials."""
    with pytest.raises(TypeError, match="missing"):
        Service().client(owner).auth.sign_in(*missing)


@BOTH
@pytest.mark.parametrize("name", ["", "a" * 257, "two\nlines", "\x00", 7, None, b"ada", ["ada"]])
def test_an_account_is_a_short_printable_text(owner, name):
    """A name ends up in file names and keys."""
    hj = Service().client(owner)
    for make in (hj.for_account, lambda name: Service().client(owner, account=name)):
        with pytest.raises(ConfigurationError, match="account must be a text of 1 to 256 printable"):
            make(name)


@BOTH
@pytest.mark.parametrize(
    "origins", [(), 7, None, "https://api.example.com", [7], [None], ["api.example.com"]]
)
@pytest.mark.parametrize("call", ["client", "httpx_auth", "httpx2_auth"])
def test_origins_are_a_list_of_addresses(owner, call, origins):
    """A forgotten list never widens who gets the token."""
    with pytest.raises(ConfigurationError, match="origins"):
        getattr(Service().client(owner), call)(origins=origins)


@BOTH
@pytest.mark.parametrize("client", [None, 7, object(), HelloJohn])
def test_what_is_no_http_client_is_not_wrapped(owner, client):
    """The message names the two libraries."""
    with pytest.raises(TypeError, match="httpx or httpx2"):
        Service().client(owner).wrap(client)


# settings

SETTINGS = {
    "tenant number": ({"tenant_id": 7}, "tenant_id must be .*HELLOJOHN_TENANT_ID"),
    "tenant empty": ({"tenant_id": ""}, "tenant_id must be .*HELLOJOHN_TENANT_ID"),
    "tenant with a space": ({"tenant_id": "tnt 1"}, "tenant_id must be"),
    "tenant with a line": ({"tenant_id": "tnt_1\r\nX: y"}, "tenant_id must be"),
    "key number": ({"publishable_key": 7}, "publishable_key must be .*HELLOJOHN_PUBLISHABLE_KEY"),
    "key empty": ({"publishable_key": ""}, "publishable_key must be .*HELLOJOHN_PUBLISHABLE_KEY"),
    "key bytes": ({"publishable_key": b"pk_test_1"}, "publishable_key must be"),
    "key with a line": ({"publishable_key": "pk_test_1\n"}, "publishable_key must be"),
    "key accented": ({"publishable_key": "pk_é"}, "publishable_key must be"),
    "secret empty": ({"secret_key": ""}, "secret_key must be .*HELLOJOHN_SECRET_KEY"),
    "secret as public": ({"publishable_key": "sk_live_1"}, r"publishable_key holds the other kind .*sk_"),
    "public as secret": ({"secret_key": "pk_live_1"}, r"secret_key holds the other kind .*pk_"),
    "v2": ({"api": "v2"}, "api must be 'v1'"),
    "no api": ({"api": None}, "api must be 'v1'"),
    "client id": ({"client_id": "app_1"}, "client_id belongs to the v2 API"),
    "flag text": ({"background_refresh": "yes"}, "background_refresh must be True or False"),
    "flag None": ({"background_refresh": None}, "background_refresh must be True or False"),
    "clock number": ({"clock": 7}, "clock must be a function"),
    "clock None": ({"clock": None}, "clock must be a function"),
    "clock module": ({"clock": time}, "clock must be a function that returns seconds"),
    "clock of dates": ({"clock": lambda: datetime(2030, 1, 1)}, "returns seconds since the epoch"),  # noqa: DTZ001
    "clock of nothing": ({"clock": lambda: None}, "returns seconds since the epoch"),
    "clock of text": ({"clock": time.ctime}, "returns seconds since the epoch"),
    "store class": ({"store": MemoryStore}, "store must be a TokenStore.*an instance, not the class"),
    "store path": ({"store": "/var/lib/app"}, r"store must be a TokenStore.*it has no load\(\)"),
    "store dict": ({"store": {}}, r"store must be a TokenStore.*it has no load\(\)"),
    "store redis": ({"store": redis.Redis()}, r"store must be a TokenStore.*it has no load\(\)"),
    "timeout text": ({"timeout": "soon"}, "timeout must be seconds above 0"),
    "timeout zero": ({"timeout": 0}, "timeout must be seconds above 0"),
    "timeout negative": ({"timeout": -1}, "timeout must be seconds above 0"),
    "timeout nan": ({"timeout": float("nan")}, "timeout must be seconds above 0"),
    "proxy number": ({"proxy": 7}, "proxy must be an address"),
    "transport odd": ({"transport": object()}, "transport must be an httpx.BaseTransport"),
}


@BOTH
@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_setting_is_named_when_the_client_is_made(owner, name):
    """The app fails when it starts, with a sentence, and not at the first sign-in."""
    settings, message = SETTINGS[name]
    with pytest.raises(ConfigurationError, match=message):
        Service().client(owner, **settings)


@BOTH
def test_a_positional_setting_is_refused(owner):
    """Two keys side by side would be swapped sooner or later."""
    with pytest.raises(TypeError, match="positional"):
        owner("tnt_1", "pk_test_1")


@BOTH
def test_a_misspelt_setting_is_refused(owner):
    """It is not ignored in silence."""
    with pytest.raises(TypeError, match="remember_me_durations"):
        Service().client(owner, remember_me_durations="30d")


@BOTH
@pytest.mark.parametrize("missing", ["tenant_id", "publishable_key"])
def test_a_missing_setting_names_the_argument_and_the_variable(owner, missing):
    """Whoever reads the message knows both ways to mend it."""
    message = rf"^{missing} is missing: pass {missing}=\.\.\. or set HELLOJOHN_{missing.upper()}\.$"
    with pytest.raises(ConfigurationError, match=message):
        Service().client(owner, **{missing: None})


@BOTH
async def test_sign_in_without_the_public_key_names_it(owner):
    """A server-side client may have the secret key alone, until somebody signs in with it."""
    service = Service()
    hj = service.client(owner, publishable_key=None, secret_key="sk_test_1")
    with pytest.raises(ConfigurationError, match=r"publishable_key=\.\.\. or set HELLOJOHN_PUBLISHABLE_KEY"):
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    assert service.asked == []


@pytest.mark.parametrize("method", ["load", "save", "delete", "lock"])
@pytest.mark.parametrize("problem", ["missing", "asynchronous"])
def test_a_store_that_lacks_a_method_is_refused(method, problem):
    """A store for asyncio looks right until the first session would be lost in it."""

    class Store:
        def load(self, key): ...
        def save(self, key, text): ...
        def delete(self, key): ...
        def lock(self, key, timeout): ...

    async def later(*_): ...

    setattr(Store, method, None if problem == "missing" else later)
    message = f"it has no {method}" if problem == "missing" else f"its {method}.* is asynchronous"
    with pytest.raises(ConfigurationError, match=message):
        Service().client(AsyncHelloJohn, store=Store())


def test_a_redis_client_for_asyncio_is_refused():
    """The SDK calls stores on threads of its own, for the asynchronous client too."""
    with pytest.raises(ConfigurationError, match="takes a synchronous client"):
        RedisStore(redis.asyncio.Redis())


@pytest.mark.parametrize("settings", [{"clock": None}, {"session_duration": "soon"}, {"api_url": "ftp://x"}])
def test_a_wrong_setting_leaves_the_stored_session_alone(tmp_path, settings):
    """A deployment with a typing error signs nobody out."""
    service = Service()
    session = service.client(store=FileStore(tmp_path)).auth.sign_in(EMAIL, PASSWORD)
    with pytest.raises(ConfigurationError):
        service.client(store=FileStore(tmp_path), **settings)
    assert service.client(store=FileStore(tmp_path)).auth.session() == session


# the environment

VARIABLES = {
    "tenant_id": ("HELLOJOHN_TENANT_ID", "tnt_env", "tnt_arg"),
    "publishable_key": ("HELLOJOHN_PUBLISHABLE_KEY", "pk_env", "pk_arg"),
    "secret_key": ("HELLOJOHN_SECRET_KEY", "sk_env", "sk_arg"),
    "api_url": ("HELLOJOHN_API_URL", "https://env.example.com", "https://arg.example.com"),
}


def _setting(hj, name) -> str:
    value = getattr(hj._settings, name)
    shown = value if isinstance(value, str) else value.reveal()
    return shown.removesuffix("/v1")


@pytest.mark.parametrize("name", VARIABLES)
def test_an_argument_wins_over_the_variable(monkeypatch, name):
    """What the code says is what counts."""
    variable, from_env, argument = VARIABLES[name]
    monkeypatch.setenv(variable, from_env)
    assert _setting(Service().client(**{name: argument}), name) == argument


@pytest.mark.parametrize("name", VARIABLES)
def test_the_variable_wins_over_the_default(monkeypatch, name):
    """An app without settings in its code is configured where it runs."""
    variable, from_env, _ = VARIABLES[name]
    monkeypatch.setenv(variable, from_env)
    assert _setting(Service().client(**{name: None}), name) == from_env


@pytest.mark.parametrize("variable", ["", None])
def test_without_either_the_default_counts(monkeypatch, variable):
    """An empty variable is one that nobody set."""
    if variable is not None:
        monkeypatch.setenv("HELLOJOHN_API_URL", variable)
    assert _setting(Service().client(api_url=None), "api_url") == "https://api.hellojohn.dev"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant_id", "t n t"),
        ("publishable_key", "sk_1"),
        ("secret_key", "pk_1"),
        ("api_url", "http://a.example"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, name, value):
    """The fix is in the environment, so that is where the message points."""
    monkeypatch.setenv(VARIABLES[name][0], value)
    with pytest.raises(ConfigurationError, match=VARIABLES[name][0]):
        Service().client(**{name: None})


# the address


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.example.com", "https://api.example.com/v1"),
        ("https://api.example.com/", "https://api.example.com/v1"),
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("HTTPS://API.Example.com", "https://api.example.com/v1"),
        ("https://api.example.com:8443/auth", "https://api.example.com:8443/auth/v1"),
        ("https://api.example.com/auth/v1/", "https://api.example.com/auth/v1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/v1"),
        ("http://localhost:3000", "http://localhost:3000/v1"),
        ("http://app.localhost", "http://app.localhost/v1"),
        ("http://127.0.0.1:3000/v1", "http://127.0.0.1:3000/v1"),
        ("http://[::1]:3000", "http://[::1]:3000/v1"),
    ],
)
def test_an_address_is_taken_with_and_without_its_version(given, base):
    """Whoever copies it from the documents or from a browser gets the same calls."""
    service = Service()
    hj = service.client(api_url=given)
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert hj._settings.api_url == base
    assert service.paths()[0].endswith("auth/sign-in")


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "api.example.com",
        "//api.example.com",
        "https://",
        "https:///v1",
        "ftp://api.example.com",
        "http://api.example.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "https://user:word@api.example.com",
        "https://user@api.example.com",
        "https://api.example.com?x=y",
        "https://api.example.com#x",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://api.example.com:https",
        "https://[::1",
        "https://api.example.com\\@evil.example",
        "https://api.example.com\\.evil.example",
        "https://*.example.com",
        "https://%00",
        "https://api.exa mple.com",
        "https://api.example.com\n",
        7,
        b"https://api.example.com",
        ["https://api.example.com"],
    ],
    ids=repr,
)
def test_an_address_that_is_none_or_not_safe_is_refused(address):
    """The refresh token goes there: in cleartext to this machine only, and never to a host misread."""
    with pytest.raises(ConfigurationError, match=r"^api_url must be .*HELLOJOHN_API_URL"):
        Service().client(api_url=address)

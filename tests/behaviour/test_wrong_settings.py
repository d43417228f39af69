"""Wrong settings of a client: named where it is created, all at once, with the stored session untouched."""

import time
from datetime import datetime, timedelta

import httpx
import pytest
import redis
import redis.asyncio

from hellojohn import ConfigurationError, FileStore, HelloJohn, MemoryStore, RedisStore
from tests.behaviour.scripted import EMAIL, PASSWORD
from tests.both_faces import settle

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
    "v2 without a client": ({"api": "v2"}, "client_id is missing.*HELLOJOHN_CLIENT_ID"),
    "no api": ({"api": None}, 'api must be "v1"'),
    "unknown api": ({"api": "v3"}, 'api must be "v1"'),
    "client id number": ({"client_id": 7}, "client_id must be .*HELLOJOHN_CLIENT_ID"),
    "flag text": ({"background_refresh": "yes"}, "background_refresh must be True or False"),
    "flag None": ({"background_refresh": None}, "background_refresh must be True or False"),
    "clock number": ({"clock": 7}, "clock must be a function"),
    "clock module": ({"clock": time}, "clock must be a function that returns seconds"),
    "clock of dates": ({"clock": lambda: datetime(2030, 1, 1)}, "returns seconds since the epoch"),  # noqa: DTZ001
    "clock of nothing": ({"clock": lambda: None}, "returns seconds since the epoch"),
    "clock of text": ({"clock": time.ctime}, "returns seconds since the epoch"),
    "store class": ({"store": MemoryStore}, "not the class"),
    "store path": ({"store": "/var/lib/app"}, r"no load\(\)"),
    "store dict": ({"store": {}}, r"no load\(\)"),
    "store redis": ({"store": redis.Redis()}, r"no load\(\)"),
    "timeout text": ({"timeout": "soon"}, "timeout must be seconds above 0"),
    "timeout zero": ({"timeout": 0}, "timeout must be seconds above 0"),
    "timeout negative": ({"timeout": -1}, "timeout must be seconds above 0"),
    "timeout nan": ({"timeout": float("nan")}, "timeout must be seconds above 0"),
    "proxy number": ({"proxy": 7}, "proxy must be an address"),
    "transport odd": ({"transport": object()}, "transport must be"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_setting_is_named(owner, service, name):
    """A wrong setting fails where the client is created, with its argument and its variable."""
    settings, message = SETTINGS[name]
    with pytest.raises(ConfigurationError, match=message):
        service.client(owner, **settings)


@pytest.mark.parametrize("value", BAD_DURATIONS, ids=repr)
@pytest.mark.parametrize("name", ["remember_me_duration", "session_duration", "idle_timeout"])
def test_malformed_duration_of_a_client(service, name, value):
    """A malformed duration is found when the client is created, and not when the first user ticks the box."""
    if (name, value) == ("idle_timeout", None):
        assert service.client(idle_timeout=None)
        return
    with pytest.raises(ConfigurationError, match=f"^{name} is not a duration"):
        service.client(**{name: value})


def test_positional_setting_is_refused(owner):
    """Settings are named, because two keys side by side would be swapped one day."""
    with pytest.raises(TypeError, match=rf"^{owner.__name__}\.__init__\(\) takes 1 positional argument"):
        owner("tnt_1", "pk_test_1")


def test_misspelt_setting_is_refused(owner, service):
    """A setting that does not exist is a TypeError that names the class that the app called."""
    with pytest.raises(TypeError, match=rf"^{owner.__name__}\..*remember_me_durations"):
        service.client(owner, remember_me_durations="30d")


# ---------------------------------------------------------------- missing settings


def test_missing_tenant_is_named(owner, service):
    """The message names both ways to set the tenant."""
    message = r"^tenant_id is missing: pass tenant_id=\.\.\. or set HELLOJOHN_TENANT_ID\.$"
    with pytest.raises(ConfigurationError, match=message):
        service.client(owner, tenant_id=None)


def test_all_wrong_settings_are_named_at_once(owner, service):
    """One error lists every missing and malformed setting, so that they are fixed in one go."""
    wrong = {"tenant_id": None, "api": "v2", "session_duration": "soon", "api_url": "ftp://x", "clock": 7}
    wrong |= {"account": "", "store": 7, "jwks_cache": 7, "timeout": 0, "verify": 7, "transport": 7}
    with pytest.raises(ConfigurationError) as caught:
        service.client(owner, **wrong)
    lines = str(caught.value).splitlines()
    for name in ("client_id", *wrong):
        assert any(line.startswith(name) for line in lines), name
    for variable in ("HELLOJOHN_TENANT_ID", "HELLOJOHN_CLIENT_ID", "HELLOJOHN_API_URL"):
        assert variable in str(caught.value)


async def test_key_is_asked_for_by_the_first_call_that_needs_it(owner, service):
    """A client without a publishable key can be created; sign_in names the argument and the variable."""
    hj = service.client(owner, publishable_key=None, secret_key="sk_test_1")
    with pytest.raises(ConfigurationError, match=r"publishable_key=\.\.\. .*HELLOJOHN_PUBLISHABLE_KEY"):
        await settle(hj.auth.sign_in(EMAIL, PASSWORD))
    assert service.asked == []


@pytest.mark.parametrize("settings", [{"clock": 7}, {"session_duration": "soon"}, {"api_url": "ftp://x"}])
def test_wrong_setting_leaves_the_stored_session_alone(service, tmp_path, settings):
    """A deployment with a typing error signs no user out."""
    session = service.client(store=FileStore(tmp_path)).auth.sign_in(EMAIL, PASSWORD)
    with pytest.raises(ConfigurationError):
        service.client(store=FileStore(tmp_path), **settings)
    assert service.client(store=FileStore(tmp_path)).auth.session() == session


# ---------------------------------------------------------------- stores


@pytest.mark.parametrize("method", ["load", "save", "delete", "lock"])
@pytest.mark.parametrize("trouble", ["missing", "asynchronous"])
def test_store_that_lacks_a_method_is_refused(owner, service, method, trouble):
    """A store without one of the four methods, or with an asynchronous one, is refused by its name."""

    class Store:
        def load(self, key): ...
        def save(self, key, text): ...
        def delete(self, key): ...
        def lock(self, key, timeout): ...

    async def later(*_): ...

    setattr(Store, method, None if trouble == "missing" else later)
    message = f"no {method}" if trouble == "missing" else f"{method}.* asynchronous"
    with pytest.raises(ConfigurationError, match=message):
        service.client(owner, store=Store())


def test_redis_client_for_asyncio_is_refused():
    """The SDK calls stores on worker threads, for the async client as well."""
    with pytest.raises(ConfigurationError, match="takes a synchronous client"):
        RedisStore(redis.asyncio.Redis())


# ---------------------------------------------------------------- the environment


def sign_in_request(**settings) -> httpx.Request:
    """Sign in with these settings; return the request."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"access_token": "at", "refresh_token": "rt", "expires_in": 60})

    usual = {"tenant_id": "tnt_1", "publishable_key": "pk_1", "transport": httpx.MockTransport(answer)}
    with HelloJohn(**{**usual, **settings}) as hj:
        hj.auth.sign_in(EMAIL, PASSWORD)
    return seen[0]


SENT = {
    "tenant_id": ("tnt_env", "tnt_arg", lambda request: request.headers["X-Tenant-ID"]),
    "publishable_key": (
        "pk_env",
        "pk_arg",
        lambda request: request.headers["Authorization"].removeprefix("Bearer "),
    ),
    "api_url": (
        "https://env.example.com",
        "https://arg.example.com",
        lambda request: str(request.url).removesuffix("/v1/auth/sign-in"),
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_argument_goes_before_the_variable(monkeypatch, name):
    """An argument counts more than its environment variable."""
    variable, argument, read = SENT[name]
    monkeypatch.setenv(f"HELLOJOHN_{name.upper()}", variable)
    assert read(sign_in_request(**{name: argument})) == argument


@pytest.mark.parametrize("name", SENT)
def test_variable_goes_before_the_default(monkeypatch, name):
    """An app without settings in its code is configured by its environment."""
    variable, _, read = SENT[name]
    monkeypatch.setenv(f"HELLOJOHN_{name.upper()}", variable)
    assert read(sign_in_request(**{name: None})) == variable


@pytest.mark.parametrize("variable", ["", None])
def test_default_without_argument_and_variable(monkeypatch, variable):
    """Without either the cloud API is used; an empty variable counts as unset."""
    if variable is not None:
        monkeypatch.setenv("HELLOJOHN_API_URL", variable)
    assert str(sign_in_request().url) == "https://api.hellojohn.dev/v1/auth/sign-in"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant_id", "t n t"),
        ("publishable_key", "sk_1"),
        ("secret_key", "pk_1"),
        ("api_url", "http://a.example"),
    ],
)
def test_wrong_variable_is_named(monkeypatch, owner, service, name, value):
    """The message names the variable, because that is where the fix is."""
    monkeypatch.setenv(f"HELLOJOHN_{name.upper()}", value)
    with pytest.raises(ConfigurationError, match=f"HELLOJOHN_{name.upper()}"):
        service.client(owner, **{name: None})


def test_clock_is_the_systems_by_default(monkeypatch, service):
    """time.time is looked up at each use, so that tools that replace it work."""
    now = [time.time()]
    hj = service.client(clock=None)
    hj.auth.sign_in(EMAIL, PASSWORD)
    assert hj.auth.access_token() == "at_1"
    now[0] += 7_200
    monkeypatch.setattr(time, "time", lambda: now[0])
    assert hj.auth.access_token() == "at_2"


# ---------------------------------------------------------------- the address


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com/v1", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com"),
        ("HTTPS://API.Example.com", "https://api.example.com"),
        ("https://api.example.com:8443/auth", "https://api.example.com:8443/auth"),
        ("https://api.example.com/auth/v1/", "https://api.example.com/auth"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://app.localhost", "http://app.localhost"),
        ("http://127.0.0.1:3000/v1", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_address_with_and_without_its_version(given, base):
    """An address copied from a document or a browser leads to the same service."""
    assert str(sign_in_request(api_url=given).url) == f"{base}/v1/auth/sign-in"


def test_one_service_has_one_session_however_it_is_spelled(service):
    """Two spellings of an address find the same stored session."""
    store = MemoryStore()
    session = service.client(store=store, api_url="HTTPS://API.example.com/v1/").auth.sign_in(EMAIL, PASSWORD)
    assert service.client(store=store, api_url="https://api.example.com").auth.session() == session


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
def test_unsafe_address_is_refused(service, address):
    """The refresh token goes to api_url: never in cleartext to another machine, nor to a misread host."""
    with pytest.raises(ConfigurationError, match=r"^api_url must be .*HELLOJOHN_API_URL"):
        service.client(api_url=address)

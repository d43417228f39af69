"""What ``client``, ``wrap``, ``httpx_auth`` and ``httpx2_auth`` accept, return and refuse."""

import subprocess
import sys

import httpx
import httpx2
import pytest
import requests

from hellojohn import AsyncHelloJohn, ConfigurationError, HelloJohn
from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say
from tests.transport.kinds import KINDS, TLS

SETTINGS = {"tenant_id": "tnt_1", "publishable_key": "pk_1", "verify": TLS}
API = "https://api.example.com"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NO_PROXY", "fd00::/8"),
        ("HTTPS_PROXY", "ftp://proxy.example.com"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("SSLKEYLOGFILE", "/nowhere/keys"),
    ],
)
@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
def test_client_names_a_wrong_variable(monkeypatch, owner, variable, value):
    """The errors of httpx do not say which variable of the environment a value comes from."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"^{variable} "):
        owner(**SETTINGS).client(base_url=API)


@pytest.mark.parametrize(
    ("options", "kind_of_error"),
    [
        ({"base_ur": API}, TypeError),
        ({"base_url": "http://[::1"}, httpx.InvalidURL),
    ],
    ids=["unknown", "address"],
)
@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
def test_client_raises_httpxs_error_for_an_argument(owner, options, kind_of_error):
    """The environment is in order, so an argument is at fault."""
    with pytest.raises(kind_of_error):
        owner(**SETTINGS).client(**options)


async def test_wrap_returns_the_same_client(kind):
    """wrap() returns the app's client, with all its settings."""
    client = kind.bare(base_url=API, headers={"X-App": "1"})
    hj = kind.owner(**SETTINGS)
    assert hj.wrap(client) is client
    assert client.headers["X-App"] == "1"
    assert API in repr(client.auth)
    await kind.close(client)


async def test_auth_of_the_client_is_not_replaced(kind):
    """A client that has an auth already is refused, and keeps it."""
    client = kind.bare(base_url=API, auth=("user", "password"))
    with pytest.raises(ConfigurationError, match="has an auth already"):
        kind.owner(**SETTINGS).wrap(client)
    assert isinstance(client.auth, kind.library.BasicAuth)
    await kind.close(client)


async def test_client_is_wrapped_once(kind):
    """A second wrap() would put two sessions into one client, and is refused."""
    client = kind.bare(base_url=API)
    kind.owner(**SETTINGS).wrap(client)
    with pytest.raises(ConfigurationError, match="has an auth already"):
        kind.owner(**SETTINGS).for_account("other").wrap(client)
    await kind.close(client)


async def test_refused_client_is_unchanged(kind):
    """After an error about origins the app can wrap the same client again."""
    client = kind.bare()
    hj = kind.owner(**SETTINGS)
    with pytest.raises(ConfigurationError, match="Which origins"):
        hj.wrap(client)
    assert client.auth is None
    hj.wrap(client, origins=[API])
    await kind.close(client)


@pytest.mark.parametrize("other", [HelloJohn, AsyncHelloJohn])
async def test_client_of_the_other_kind_is_refused(kind, other):
    """The message for a client of the other kind names the class that goes with it."""
    if other is kind.owner:
        return
    client = kind.bare(base_url=API)
    message = rf"^{other.__name__}\.wrap\(\) takes .* not {kind}\. Use {kind.owner.__name__} for it\.$"
    with pytest.raises(TypeError, match=message):
        other(**SETTINGS).wrap(client)
    assert client.auth is None
    await kind.close(client)


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
@pytest.mark.parametrize(
    "thing", [None, object(), "client", httpx, httpx.Client, httpx2.AsyncClient, dict, requests.Session()]
)
def test_other_objects_are_refused(owner, thing):
    """A class instead of an instance, and every other object, is a TypeError."""
    with pytest.raises(TypeError, match=r"of httpx or httpx2, not .*auth\.access_token\(\)"):
        owner(**SETTINGS).wrap(thing)


async def test_subclass_of_a_client_is_wrapped(kind):
    """An app's own subclass of a client is wrapped like the client."""
    own = type("Own", (getattr(kind.library, kind.name),), {})
    client = own(base_url=API)
    assert kind.owner(**SETTINGS).wrap(client) is client
    await kind.close(client)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.library is httpx], ids=str)
async def test_client_takes_the_options_of_httpx(kind):
    """client() forwards the arguments of httpx, and refuses unknown ones and auth."""
    transport = kind.mock(lambda request: httpx.Response(200, json={"agent": request.headers["user-agent"]}))
    hj = kind.owner(**SETTINGS)
    client = hj.client(base_url=API, timeout=3.0, headers={"User-Agent": "app"}, transport=transport)
    assert isinstance(client, getattr(httpx, kind.name))
    assert client.timeout == httpx.Timeout(3.0)
    assert (await settle(client.get("/x", auth=None))).json() == {"agent": "app"}
    await kind.close(client)
    with pytest.raises(TypeError, match="nonsense"):
        hj.client(base_url=API, nonsense=1)
    with pytest.raises(ConfigurationError, match="auth already"):
        hj.client(base_url=API, auth=("a", "b"))
    with pytest.raises(ConfigurationError, match="cleartext"):
        hj.client(base_url="http://api.example.com")


async def test_hook_serves_a_client_of_the_app(kind, hj, backend):
    """The hook can be passed to the app's own client."""
    async_or_not = kind.bare(auth=kind.auth(hj, origins=[backend.url]))
    await settle(async_or_not.get(backend.url))
    await kind.close(async_or_not)
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]


async def test_hook_serves_one_request(kind, hj, backend):
    """The hook can be passed with one request."""
    client = kind.bare()
    await settle(client.get(backend.url))
    await settle(client.get(backend.url, auth=kind.auth(hj, origins=[backend.url])))
    await kind.close(client)
    assert [token is None for token in backend.tokens] == [True, False]


async def test_accounts_do_not_mix(kind, hj, emulator, backend):
    """Each client sends the token of its account, and a refresh of one leaves the other alone."""
    emulator.add_user("ada@example.com", "correct horse")
    ada = hj.for_account("ada")
    await settle(ada.auth.sign_in("ada@example.com", "correct horse"))
    hers, his = kind.wrapped(ada, base_url=backend.url), kind.wrapped(hj, base_url=backend.url)
    await settle(hers.get("/"))
    await settle(his.get("/"))
    await settle(ada.auth.refresh())
    await settle(hers.get("/"))
    await settle(his.get("/"))
    await kind.close(hers)
    await kind.close(his)
    first, second, third, fourth = backend.tokens
    assert len({first, second, third}) == 3
    assert fourth == second


async def test_token_of_another_account_is_replaced(kind, hj, emulator, backend, stranger):
    """A request that went through another account's client carries this account's token."""
    emulator.add_user("ada@example.com", "correct horse")
    ada = hj.for_account("ada")
    await settle(ada.auth.sign_in("ada@example.com", "correct horse"))
    hers, his = kind.wrapped(ada, base_url=backend.url), kind.wrapped(hj, base_url=backend.url)
    request = hers.build_request("GET", "/")
    await settle(hers.send(request))
    await settle(his.send(request))
    request.url = kind.library.URL(stranger.url)
    await settle(his.send(request))
    await kind.close(hers)
    await kind.close(his)
    assert len(set(backend.tokens)) == 2
    assert stranger.tokens == [None]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.is_async], ids=str)
async def test_sync_hook_serves_an_async_client(kind, hj, backend):
    """A hook of HelloJohn works in an AsyncClient, and does not block its loop."""
    backend.script = lambda seen: Say() if len(backend.seen) else UNAUTHORIZED
    async with kind.library.AsyncClient(auth=kind.auth(hj, origins=[backend.url]), verify=TLS) as client:
        assert (await client.get(backend.url)).status_code == 200
    assert len(set(backend.tokens)) == 2


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
def test_each_library_has_its_hook(owner):
    """httpx2 refuses a hook of httpx, which is why there are two."""
    hj = owner(**SETTINGS)
    assert isinstance(hj.httpx_auth(origins=[API]), httpx.Auth)
    assert isinstance(hj.httpx2_auth(origins=[API]), httpx2.Auth)
    with pytest.raises(TypeError):
        httpx2.Client(auth=hj.httpx_auth(origins=[API]))


def test_missing_httpx2_is_named_with_its_extra():
    """Without httpx2 only httpx2_auth() fails, with the line to install."""
    code = """
import sys
sys.modules["httpx2"] = None
import hellojohn
hj = hellojohn.HelloJohn(tenant_id="tnt_1", publishable_key="pk_1")
hj.client(base_url="https://api.example.com")
try:
    hj.httpx2_auth(origins=["https://api.example.com"])
except hellojohn.ConfigurationError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'hellojohn[httpx2]'" in run.stdout

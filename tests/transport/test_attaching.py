"""``client``, ``wrap``, ``httpx_auth`` and ``httpx2_auth``: what they take, return and refuse."""

import subprocess
import sys

import httpx
import httpx2
import pytest

from hellojohn import AsyncHelloJohn, ConfigurationError, HelloJohn
from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say
from tests.transport.kinds import KINDS, TLS

SETTINGS = {"tenant_id": "tnt_1", "publishable_key": "pk_1", "verify": TLS}
API = "https://api.example.com"


async def test_wrap_returns_the_same_client(kind):
    """The app keeps its client, with all its settings."""
    client = kind.bare(base_url=API, headers={"X-App": "1"})
    hj = kind.owner(**SETTINGS)
    assert hj.wrap(client) is client
    assert client.headers["X-App"] == "1"
    assert API in repr(client.auth)
    await kind.close(client)


async def test_an_auth_of_the_client_s_own_is_not_replaced(kind):
    """Two sets of credentials in one client: the app must say which it wants."""
    client = kind.bare(base_url=API, auth=("user", "password"))
    with pytest.raises(ConfigurationError, match="has an auth already"):
        kind.owner(**SETTINGS).wrap(client)
    assert isinstance(client.auth, kind.library.BasicAuth)
    await kind.close(client)


async def test_a_client_is_wrapped_once(kind):
    """Wrapping twice would be two sessions in one client."""
    client = kind.bare(base_url=API)
    kind.owner(**SETTINGS).wrap(client)
    with pytest.raises(ConfigurationError, match="has an auth already"):
        kind.owner(**SETTINGS).for_account("other").wrap(client)
    await kind.close(client)


async def test_a_refused_client_is_left_as_it_was(kind):
    """After an error about origins the app can correct itself and wrap the same client."""
    client = kind.bare()
    hj = kind.owner(**SETTINGS)
    with pytest.raises(ConfigurationError, match="Which origins"):
        hj.wrap(client)
    assert client.auth is None
    hj.wrap(client, origins=[API])
    await kind.close(client)


@pytest.mark.parametrize("other", [HelloJohn, AsyncHelloJohn])
async def test_the_other_world_s_client_is_refused_by_name(kind, other):
    """A blocking refresh on an event loop would stall it: the message names the right class."""
    if other is kind.owner:
        return
    client = kind.bare(base_url=API)
    with pytest.raises(TypeError, match=rf"{other.__name__} takes the .* not {kind.library.__name__}"):
        other(**SETTINGS).wrap(client)
    with pytest.raises(TypeError, match=rf"see {kind.owner.__name__}\."):
        other(**SETTINGS).wrap(client)
    assert client.auth is None
    await kind.close(client)


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
@pytest.mark.parametrize("thing", [None, object(), "client", httpx, httpx.Client, httpx2.AsyncClient, dict])
def test_what_is_no_client_is_refused(owner, thing):
    """A class in place of an instance is a common slip."""
    with pytest.raises(TypeError, match="of httpx or httpx2, not "):
        owner(**SETTINGS).wrap(thing)


async def test_subclasses_are_clients(kind):
    """An app's own client class is as good."""
    own = type("Own", (getattr(kind.library, kind.name),), {})
    client = own(base_url=API)
    assert kind.owner(**SETTINGS).wrap(client) is client
    await kind.close(client)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.library is httpx], ids=str)
async def test_a_ready_client_takes_every_option_of_httpx(kind):
    """``client`` forwards what it does not know."""
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


async def test_the_hook_serves_a_client_of_the_app_s_making(kind, hj, backend):
    """Apps that make their client in one place pass the hook in."""
    async_or_not = kind.bare(auth=kind.auth(hj, origins=[backend.url]))
    await settle(async_or_not.get(backend.url))
    await kind.close(async_or_not)
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]


async def test_the_hook_serves_one_request(kind, hj, backend):
    """It may also be passed with a single call."""
    client = kind.bare()
    await settle(client.get(backend.url))
    await settle(client.get(backend.url, auth=kind.auth(hj, origins=[backend.url])))
    await kind.close(client)
    assert [token is None for token in backend.tokens] == [True, False]


async def test_accounts_do_not_mix(kind, hj, emulator, backend):
    """Each client sends its own account's token, and a refresh of one leaves the other alone."""
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


async def test_another_account_s_token_is_put_right(kind, hj, emulator, backend, stranger):
    """A request that went through one account's client goes through another's with that one's token."""
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
async def test_one_hook_serves_both_worlds(kind, hj, backend):
    """A hook of the blocking client goes into an ``AsyncClient`` as well, whose loop it does not block."""
    backend.script = lambda seen: Say() if len(backend.seen) else UNAUTHORIZED
    async with kind.library.AsyncClient(auth=kind.auth(hj, origins=[backend.url]), verify=TLS) as client:
        assert (await client.get(backend.url)).status_code == 200
    assert len(set(backend.tokens)) == 2


@pytest.mark.parametrize("owner", [HelloJohn, AsyncHelloJohn])
def test_an_httpx_auth_is_none_of_httpx2_s(owner):
    """Each library takes its own hook only: that is why there are two."""
    hj = owner(**SETTINGS)
    assert isinstance(hj.httpx_auth(origins=[API]), httpx.Auth)
    assert isinstance(hj.httpx2_auth(origins=[API]), httpx2.Auth)
    with pytest.raises(TypeError):
        httpx2.Client(auth=hj.httpx_auth(origins=[API]))


def test_without_httpx2_the_message_says_what_to_install():
    """An extra that is missing is named where it is asked for, and a plain client does not need it."""
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

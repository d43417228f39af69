"""Which URLs get the token. Each rule is judged by the request that the auth hook passes on."""

import asyncio
import logging
from functools import cache
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn import ConfigurationError, HelloJohn
from hellojohn._transport.origins import Origins
from tests.behaviour.scripted import EMAIL, PASSWORD, ScriptedService

API = "https://api.example.com"
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2])

SAME = [
    "https://api.example.com",
    "https://api.example.com/",
    "https://api.example.com/deep/path?query#fragment",
    "https://api.example.com:443/",
    "HTTPS://API.Example.COM/",
    "HTTPS://api.example.com:443/",
    "https://user:password@api.example.com/",
    "https://evil.example@api.example.com/",
    "https://api.example.com:/",
    "https://api.example.com/\\evil.example",
    "wss://api.example.com/socket",
]
OTHER = [
    "http://api.example.com/",
    "https://api.example.com:8443/",
    "https://api.example.com:80/",
    "https://api.example.com./",
    "https://api.example.com.evil.example/",
    "https://evil.example/https://api.example.com/",
    "https://api.example.com@evil.example/",
    "https://api.example.com:443@evil.example/",
    "https://api.example.com\\@evil.example/",
    "https://api.example.com\\.evil.example/",
    "https://api.example.com%2f.evil.example/",
    "https://api.example.com%00.evil.example/",
    "https://api.example.com;evil.example/",
    "https://evil.example#api.example.com",
    "https://evil.example?api.example.com",
    "https://xapi.example.com/",
    "https://example.com/",
    "https://v1.api.example.com/",
    "https://\u0430pi.example.com/",
    "https://xn--pi-7kc.example.com/",
    "https://api\u3002example\u3002com.evil.example/",
    "ws://api.example.com/",
    "ftp://api.example.com/",
    "//api.example.com/",
    "/path",
    "https:api.example.com",
    "",
]
LOOPBACK = [
    "http://127.0.0.1",
    "http://127.0.0.1:8000",
    "http://127.8.8.8:8000",
    "http://[::1]:8000",
    "http://localhost:8000",
    "http://LOCALHOST",
    "http://localhost.:8000",
    "http://api.localhost:8000",
    "ws://localhost:8000",
]
CLEARTEXT = [
    "http://api.example.com",
    "http://10.0.0.1:8000",
    "http://192.168.0.1",
    "http://0.0.0.0:8000",
    "http://[::]:8000",
    "http://[2001:db8::1]",
    "http://localhost.example.com",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://xn--localhost-.example",
    "ftp://localhost",
    "ws://api.example.com",
]
NO_ORIGIN = [
    "api.example.com",
    "https://",
    "https:/api.example.com",
    "//api.example.com",
    "*",
    "",
    "https://api.example.com/v1",
    "https://api.example.com?x=1",
    "https://api.example.com/?x=1",
    "https://api.example.com#top",
    "https://user@api.example.com",
    "https://user:password@api.example.com",
    "https://*.example.com",
    "https://api.example.com:port",
    "https://[api]",
    "https://api example.com",
    "https://api.example.com\n",
    f"https://{'a' * 70_000}.example.com",
    None,
    7,
    b"https://api.example.com",
    httpx.URL(API),
]
HOSTLESS = ["", "/v1", "api.example.com", "https:", "https:///v1"]


@cache
def signed_in() -> HelloJohn:
    """Return a client that is signed in, on a service without sockets."""
    hj: HelloJohn = ScriptedService().client()
    hj.auth.sign_in(EMAIL, PASSWORD)
    return hj


def hook(origins: Any, library: Any = httpx) -> Any:
    """Return the auth hook for these origins."""
    hj = signed_in()
    return hj.httpx_auth(origins=origins) if library is httpx else hj.httpx2_auth(origins=origins)


def allows(auth: Any, url: Any, library: Any = httpx) -> bool:
    """Return whether the hook puts the token on a request to ``url``."""
    # Without a Host header, httpx would decode the host, and fail at some that it can send.
    request = next(auth.sync_auth_flow(library.Request("GET", url, headers={"Host": "x"})))
    return "Authorization" in request.headers


# ---------------------------------------------------------------- one origin in many spellings


@LIBRARIES
@pytest.mark.parametrize("url", SAME)
def test_origin_is_recognised_in_every_spelling(library, url):
    """Upper case, the default port, a user, a path and a websocket's scheme make no other origin."""
    assert allows(hook([API], library), url, library)


@LIBRARIES
@pytest.mark.parametrize("url", OTHER)
def test_everything_else_is_another_origin(library, url):
    """Another scheme, port or host is another origin, however similar it looks."""
    assert not allows(hook([API], library), url, library)


@pytest.mark.parametrize("url", SAME)
def test_list_may_use_every_spelling(url):
    """A setting in capitals, with the default port or for a websocket means the same origin."""
    scheme, host = url.split("://")
    origin = f"{scheme}://{host.rpartition('@')[2].partition('/')[0]}"
    assert allows(hook([origin]), API)
    with signed_in().client(base_url=url) as api:
        assert allows(api.auth, API)


@LIBRARIES
def test_international_name_is_one_origin(library):
    """A name and its ASCII form lead to the same server."""
    auth = hook(["https://b\u00fccher.example"], library)
    assert allows(auth, "https://xn--bcher-kva.example/", library)
    assert allows(auth, "https://B\u00dcCHER.example/", library)
    assert not allows(auth, "https://bucher.example/", library)


@pytest.mark.parametrize(
    ("origin", "twin", "belongs"),
    [
        ("http://localhost", "https://localhost", True),
        ("http://localhost:80", "https://localhost:443", True),
        ("http://127.0.0.1", "https://127.0.0.1/", True),
        ("http://localhost:8000", "https://localhost:8000", False),
        ("http://localhost:8000", "https://localhost", False),
        ("http://localhost", "https://localhost:8443", False),
        ("http://localhost", "https://api.localhost", False),
        ("https://localhost", "http://localhost", False),
    ],
)
def test_https_twin_of_port_80(origin, twin, belongs):
    """The header is kept when httpx follows the redirect from port 80 to 443, so the twin is allowed."""
    assert allows(hook([origin]), twin) is belongs


# ---------------------------------------------------------------- cleartext


@pytest.mark.parametrize("origin", LOOPBACK)
def test_cleartext_is_allowed_on_this_machine(origin):
    """A development server has no certificate."""
    assert allows(hook([origin]), origin)
    assert allows(hook("*"), origin)
    with signed_in().client(base_url=origin) as api:
        assert allows(api.auth, origin)


@pytest.mark.parametrize("origin", CLEARTEXT)
def test_cleartext_to_another_machine_is_refused(origin):
    """Every machine on the way could read the token."""
    for create in (lambda: hook([origin]), lambda: signed_in().client(base_url=origin)):
        with pytest.raises(ConfigurationError, match=r"https|origins"):
            create()
    assert not allows(hook("*"), origin)


def test_all_origins_must_be_asked_for_by_name():
    """``origins="*"`` is the opt-out, and does not include cleartext to other machines."""
    everywhere = hook("*")
    assert allows(everywhere, "https://anywhere.example:8443/x")
    assert allows(everywhere, "wss://anywhere.example/x")
    assert allows(everywhere, "ws://localhost/")
    assert not allows(everywhere, "http://anywhere.example/")
    assert not allows(everywhere, "ws://anywhere.example/")
    with pytest.raises(ConfigurationError, match="cleartext"):
        signed_in().client(base_url="http://anywhere.example/", origins="*")


# ---------------------------------------------------------------- malformed origins


@pytest.mark.parametrize("origin", NO_ORIGIN)
def test_malformed_origin_is_refused_with_an_example(origin):
    """A typing error must not become an origin that never matches."""
    with pytest.raises(ConfigurationError, match=r"scheme, host and port.*https://api\.example\.com"):
        hook([origin])


@pytest.mark.parametrize("origins", [API, "", "**", b"*", None, 7])
def test_text_instead_of_a_list_is_refused(origins):
    """A text is iterable, and each letter of it would be an origin."""
    with pytest.raises(ConfigurationError, match="list"):
        hook(origins)


@pytest.mark.parametrize("base_url", HOSTLESS)
@pytest.mark.parametrize("origins", [(), []])
def test_client_without_an_origin_is_refused(base_url, origins):
    """A client that would never send its token is a mistake, and the message shows both fixes."""
    with pytest.raises(ConfigurationError, match=r"base_url.*origins="):
        signed_in().client(base_url=base_url, origins=origins)


@pytest.mark.parametrize("call", ["client", "wrap"])
def test_every_way_in_asks_for_an_origin(call):
    """A forgotten origin is reported where the client is created, and not by a 401 later."""
    arguments = [httpx.Client()] if call == "wrap" else []
    with pytest.raises(ConfigurationError, match="Which origins may get the token"):
        getattr(signed_in(), call)(*arguments)


@pytest.mark.parametrize("call", ["httpx_auth", "httpx2_auth", "requests_auth"])
def test_hook_asks_for_origins_and_not_for_a_base_url(call):
    """A hook does not know the client that it is given to, so the message names the one fix."""
    with pytest.raises(ConfigurationError, match=r"may get the token\? Pass origins=\["):
        getattr(signed_in(), call)(origins=[])


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1"])
@pytest.mark.parametrize("way", ["environment", "argument", "origins"])
def test_proxy_gets_no_cleartext_token(url, way, monkeypatch):
    """Cleartext is for this machine only, which a proxy on another one is not."""
    proxy = "http://proxy.example.com:3128"
    if way == "environment":
        monkeypatch.setenv("HTTP_PROXY", proxy)
    options = {"base_url": API, "origins": [url]} if way == "origins" else {"base_url": url}
    with pytest.raises(ConfigurationError, match=r"cleartext\. Set NO_PROXY="):
        signed_in().client(**options, proxy=None if way == "environment" else proxy)


def test_proxy_on_this_machine_may_carry_it(monkeypatch):
    """Developers look at their traffic this way."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:8080")
    signed_in().client(base_url="http://localhost:8000")


def test_host_without_a_proxy_gets_the_token(monkeypatch):
    """The message names this fix."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "localhost")
    signed_in().client(base_url="http://localhost:8000")


@pytest.mark.parametrize(("proxied", "allowed"), [(True, False), (False, True)])
def test_star_means_no_cleartext_through_a_proxy(proxied, allowed):
    """A client for all https origins stays usable behind a proxy."""
    origins = Origins("*", proxied=lambda url: proxied)
    assert origins.allow(httpx.URL("http://localhost:8000")) is allowed
    assert origins.allow(httpx.URL("https://api.example.com"))


@pytest.mark.parametrize("place", ["http://localhost:8080", "http://*.localhost", "http://127.0.0.2"])
def test_star_asks_for_each_address(place):
    """A client may have a proxy for some addresses of this machine only."""
    mounts = {place: httpx.HTTPTransport(proxy="http://proxy.example.com:3128")}
    with signed_in().client(origins="*", mounts=mounts) as api:
        assert not allows(api.auth, place.replace("*", "app"))
        assert allows(api.auth, "http://127.0.0.1:9")


def test_address_of_ipv6_in_upper_case():
    """It is an origin like any other."""
    url = "https://[2001:DB8::1]"
    assert Origins([url]).allow(httpx.URL(f"{url}/x"))


@pytest.mark.parametrize("base_url", ["api.example.com", "localhost:3000"])
def test_base_url_without_a_scheme_is_named(base_url):
    """The message says which part of the given address is missing."""
    with pytest.raises(ConfigurationError, match=f"base_url '{base_url}/?' lacks scheme or host"):
        signed_in().client(base_url=base_url)


def test_password_in_a_base_url_is_not_shown():
    """The error ends up in logs."""
    with pytest.raises(ConfigurationError, match=r"base_url 'api\.example\.com/?' lacks") as caught:
        signed_in().client(base_url="ada:marker@api.example.com")
    assert "marker" not in str(caught.value)


def test_base_url_and_list_add_up():
    """An app that speaks to two services lists the second."""
    with signed_in().client(base_url=f"{API}/v2/", origins=["https://files.example.com:8443"]) as api:
        assert allows(api.auth, f"{API}/anything")
        assert allows(api.auth, "https://files.example.com:8443/")
        assert not allows(api.auth, "https://files.example.com/")


def test_repr_names_the_origins():
    """The repr of the hook shows where the token would go."""
    assert f"Origins(['http://localhost:8000', '{API}'])" in repr(hook([API, "http://localhost:8000"]))
    assert 'Origins("*")' in repr(hook("*"))


# ---------------------------------------------------------------- the log


def test_origin_that_is_not_allowed_is_logged_once(caplog):
    """A request that goes without a token logs one line for its origin, however many follow."""
    auth = hook([API])
    with caplog.at_level(logging.INFO, "hellojohn"):
        for path in ("/a", "/b?token=secret", "/c"):
            allows(auth, f"https://other.example{path}")
            allows(auth, f"{API}{path}")
        allows(auth, "https://third.example:8443/")
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[2] for line in lines] == ["https://other.example", "https://third.example:8443"]
    assert all("not an allowed origin" in line for line in lines)
    assert "secret" not in "".join(lines)


def test_log_of_a_crawler_is_limited(caplog):
    """A client that visits thousands of origins does not fill the log or the memory."""
    auth = hook([API])
    with caplog.at_level(logging.INFO, "hellojohn"):
        for number in range(300):
            allows(auth, f"https://host-{number}.example/")
    assert len(caplog.records) == 100


def test_async_requests_are_logged_as_well(caplog):
    """The async hook logs the same line."""

    async def first() -> None:
        await hook([API]).async_auth_flow(httpx.Request("GET", "https://other.example/")).__anext__()

    with caplog.at_level(logging.INFO, "hellojohn"):
        asyncio.run(first())
    (record,) = caplog.records
    assert "https://other.example" in record.getMessage()


# ---------------------------------------------------------------- any URL

HOSTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"(xn--)?[a-z0-9\-]{0,12}(\.(xn--)?[a-z0-9\-]{1,12}){0,2}", fullmatch=True),
    st.sampled_from(["[::1]", "[::1%25lo]", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "a..b"]),
)


@LIBRARIES
@given(scheme=st.sampled_from(["http", "https", "ws", ""]), host=HOSTS)
def test_no_url_breaks_the_hook(library, scheme, host):
    """For every URL that the library accepts, the hook decides without an exception."""
    try:
        request = library.Request("GET", f"{scheme}://{host}/", headers={"Host": "x"})
    except (library.InvalidURL, UnicodeError):
        return
    signed = "Authorization" in next(hook([API], library).sync_auth_flow(request)).headers
    assert not signed or request.url.raw_host == b"api.example.com"
    next(hook("*", library).sync_auth_flow(request))


@given(host=HOSTS, scheme=st.sampled_from(["http://", "https://", ""]))
def test_any_text_is_an_origin_or_a_clear_error(scheme, host):
    """A text from a settings file is an origin that matches its own requests, or a ConfigurationError."""
    try:
        auth = hook([f"{scheme}{host}"])
    except ConfigurationError:
        return
    assert allows(auth, f"{scheme}{host}/path")

"""Which URLs get the token: the rule by itself, before any client is involved."""

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn import ConfigurationError, HelloJohn
from hellojohn._transport.origins import Origins

API = "https://api.example.com"

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
    "wss://api.example.com/",
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


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("url", SAME)
def test_an_origin_is_recognised_however_it_is_spelled(library, url):
    """Upper case, the default port, a user and a path do not make another origin."""
    assert Origins([API]).allow(library.URL(url))


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("url", OTHER)
def test_anything_else_is_foreign(library, url):
    """Another scheme, port or host is another origin, whatever trick makes it look alike."""
    assert not Origins([API]).allow(library.URL(url))


@pytest.mark.parametrize("url", SAME)
def test_the_list_may_spell_it_in_many_ways_too(url):
    """A setting typed in capitals, or with the default port, means what it says."""
    scheme, host = url.split("://")
    origin = f"{scheme}://{host.rpartition('@')[2].partition('/')[0]}"
    assert Origins([origin]).allow(httpx.URL(API))
    assert Origins((), base_url=httpx.URL(url)).allow(httpx.URL(API))


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_an_international_name_is_one_origin_in_both_spellings(library):
    """A name and its ASCII form lead to the same server."""
    origins = Origins(["https://b\u00fccher.example"])
    assert origins.allow(library.URL("https://xn--bcher-kva.example/"))
    assert origins.allow(library.URL("https://B\u00dcCHER.example/"))
    assert not origins.allow(library.URL("https://bucher.example/"))


@pytest.mark.parametrize("origin", LOOPBACK)
def test_cleartext_is_taken_for_this_machine(origin):
    """A development server has no certificate."""
    assert Origins([origin]).allow(httpx.URL(origin))
    assert Origins((), base_url=httpx.URL(origin)).allow(httpx.URL(origin))
    assert Origins("*").allow(httpx.URL(origin))


@pytest.mark.parametrize("origin", CLEARTEXT)
def test_cleartext_to_another_machine_is_refused(origin):
    """Anybody on the way could read the token."""
    for make in (lambda: Origins([origin]), lambda: Origins((), base_url=httpx.URL(origin))):
        with pytest.raises(ConfigurationError, match=r"https|origins"):
            make()
    assert not Origins("*").allow(httpx.URL(origin))


@pytest.mark.parametrize("origin", NO_ORIGIN)
def test_what_is_no_origin_is_refused_with_an_example(origin):
    """A typo must not end as an origin that silently never matches."""
    with pytest.raises(ConfigurationError, match=r"scheme, host and port.*https://api\.example\.com"):
        Origins([origin])


@pytest.mark.parametrize("origins", [API, "", "**", b"*", None, 7])
def test_a_single_text_is_no_list_of_origins(origins):
    """A text is iterable: letter by letter it would name no origin at all."""
    with pytest.raises(ConfigurationError, match="list"):
        Origins(origins)


@pytest.mark.parametrize("base_url", [None, *map(httpx.URL, HOSTLESS)])
@pytest.mark.parametrize("origins", [(), [], iter(())])
def test_no_origin_at_all_is_refused(base_url, origins):
    """A client that never sends its token is a mistake worth a word."""
    with pytest.raises(ConfigurationError, match=r"base_url.*origins="):
        Origins(origins, base_url=base_url)


def test_every_origin_must_be_asked_for_by_name():
    """The opt-out is ``"*"``, and it covers https and this machine, nothing in the clear."""
    everywhere = Origins("*")
    assert everywhere.allow(httpx.URL("https://anywhere.example:8443/x"))
    assert not everywhere.allow(httpx.URL("http://anywhere.example/"))
    assert not everywhere.allow(httpx.URL("ws://localhost/"))
    with pytest.raises(ConfigurationError, match="cleartext"):
        Origins("*", base_url=httpx.URL("http://anywhere.example/"))


@pytest.mark.parametrize("base_url", ["api.example.com", "localhost:3000"])
def test_a_base_url_without_a_scheme_is_told_so(base_url):
    """It was given; what is missing is a part of it."""
    with pytest.raises(ConfigurationError, match=f"base_url '{base_url}/?' lacks scheme or host"):
        Origins((), base_url=httpx.URL(base_url))


def test_a_password_in_a_base_url_does_not_show():
    """The error goes into logs."""
    with pytest.raises(ConfigurationError, match=r"base_url 'api\.example\.com' lacks") as caught:
        Origins((), base_url=httpx.URL("ada:marker@api.example.com"))
    assert "marker" not in str(caught.value)


def test_the_base_url_and_the_list_add_up():
    """An app that speaks to two services names the second."""
    origins = Origins(["https://files.example.com:8443"], base_url=httpx.URL(f"{API}/v2/"))
    assert origins.allow(httpx.URL(f"{API}/anything"))
    assert origins.allow(httpx.URL("https://files.example.com:8443/"))
    assert not origins.allow(httpx.URL("https://files.example.com/"))


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
def test_port_80_of_this_machine_has_its_https_twin(origin, twin, belongs):
    """The libraries keep the header on that one redirect, so the rule must know it; there is no way back."""
    assert Origins([origin]).allow(httpx.URL(twin)) is belongs


def test_its_repr_names_the_origins():
    """Whoever debugs a missing token sees where it would go."""
    assert repr(Origins([API, "http://localhost:8000"])) == f"Origins(['http://localhost:8000', '{API}'])"
    assert repr(Origins("*")) == 'Origins("*")'


HOSTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"(xn--)?[a-z0-9\-]{0,12}(\.(xn--)?[a-z0-9\-]{1,12}){0,2}", fullmatch=True),
    st.sampled_from(["[::1]", "[::1%25lo]", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "a..b"]),
)


@pytest.mark.parametrize("library", [httpx, httpx2])
@given(scheme=st.sampled_from(["http", "https", "ws", ""]), host=HOSTS)
def test_no_url_breaks_the_rule(library, scheme, host):
    """Whatever URL the library takes, the hook gives an answer and not an exception of its own."""
    try:
        url = library.URL(f"{scheme}://{host}/")
    except library.InvalidURL:
        return
    assert not Origins([API]).allow(url) or url.raw_host == b"api.example.com"
    Origins("*").allow(url)


@given(host=HOSTS, scheme=st.sampled_from(["http://", "https://", ""]))
def test_any_text_is_an_origin_or_a_clear_error(scheme, host):
    """What a user types into a settings file never raises anything but ``ConfigurationError``."""
    try:
        origins = Origins([f"{scheme}{host}"])
    except ConfigurationError:
        return
    assert origins.allow(httpx.URL(f"{scheme}{host}/path"))


@pytest.mark.parametrize("make", ["client", "wrap", "httpx_auth", "httpx2_auth"])
def test_every_way_in_asks_for_an_origin(make):
    """Forgetting ``base_url`` is told where the client is made, not by a 401 later."""
    hj = HelloJohn(tenant_id="tnt_1", publishable_key="pk_1")
    arguments = [httpx.Client()] if make == "wrap" else []
    with pytest.raises(ConfigurationError, match="Which origins may get the token"):
        getattr(hj, make)(*arguments)

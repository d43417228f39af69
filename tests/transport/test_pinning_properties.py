"""Generated URLs and redirect chains: the token reaches allowed origins only, and only they cause a refresh.

The model of what is allowed uses only what goes over the wire: scheme, host and port.
"""

import ipaddress
import itertools
import json
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.both_faces import settle
from tests.transport.kinds import KINDS, TLS

TOKEN, REFRESH = "MARKED-ACCESS-", "MARKED-REFRESH-"
SIMILAR = "api.example.com"
HOSTS = [
    *(SIMILAR, "API.Example.Com", "api.example.com.", "xapi.example.com", "api.example.com.evil.example"),
    *("evil.example", "example.com", "b\u00fccher.example", "xn--bcher-kva.example", "BU\u0308CHER.example"),
    *("localhost", "LOCALHOST.", "api.localhost", "localhost.evil.example", "127.0.0.1", "127.0.0.2"),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "10.0.0.1", "\u24d0pi.example.com", "api\u3002example.com"),
]
ORIGINS = [
    *("https://api.example.com", "https://api.example.com:8443", "https://b\u00fccher.example"),
    *(
        "http://localhost",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]",
        "https://10.0.0.1",
    ),
]
PORTS = ["", ":", ":80", ":443", ":8443", ":8000", ":08443"]
USERS = ["", "u@", "u:p@", "api.example.com@", "https%3A%2F%2Fapi.example.com@", "api.example.com\\@"]
TAILS = ["", "/", "/x", "/a?b=c", "//api.example.com/", "/\\api.example.com", "?x", "#f", "/@api.example.com"]
SCHEMES = ["http://", "https://", "HTTPS://", "HtTp://"]

urls = st.builds(
    "".join,
    st.tuples(*map(st.sampled_from, (SCHEMES, USERS, HOSTS, PORTS, TAILS))),
)
odd = st.one_of(
    st.builds(
        "{}{}".format, st.sampled_from(["//", "\\\\", "/\\", "\\/", "///", "https:", "https:/", ""]), urls
    ),
    st.sampled_from(
        ["/x", "x", "?q", "", "..", "//api.example.com/x", "//evil.example/x", "https:///x", "/"]
    ),
)
locations = st.one_of(urls, odd)
hops = st.tuples(st.sampled_from([301, 302, 303, 307, 308]), locations)
ends = st.sampled_from([200, 401, 403])
scenarios = st.fixed_dictionaries(
    {
        "origins": st.lists(st.sampled_from(ORIGINS), min_size=1, max_size=3),
        "url": st.one_of(urls, st.sampled_from(["/x", "x", "//evil.example/x"])),
        "hops": st.lists(hops, max_size=4),
        "end": ends,
        "follows": st.booleans(),
        "method": st.sampled_from(["GET", "POST", "PUT"]),
    }
)
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass
class Service:
    """HelloJohn's API, as far as a session needs it."""

    refreshes: int = 0
    numbers: itertools.count = field(default_factory=itertools.count)

    def __call__(self, request):
        """Grant tokens that are marked."""
        self.refreshes += request.url.path.endswith("/refresh")
        number = next(self.numbers)
        answer = {
            "access_token": f"{TOKEN}{number}",
            "refresh_token": f"{REFRESH}{number}",
            "expires_in": 3600,
        }
        return httpx.Response(200, json=answer)


class Wire:
    """Every request of the app's client, answered with redirects and then with the end."""

    def __init__(self, kind, hops, end):
        """Take the answers."""
        self.library = kind.library
        self.script = [*hops, (end, None)]
        self.left = 0
        self.sent = []

    def __call__(self, request):
        """Note what goes over the wire, and answer."""
        url = request.url
        if url.scheme not in DEFAULT_PORTS or not url.raw_host:
            raise self.library.UnsupportedProtocol("No transport takes this.", request=request)
        port = url.port or DEFAULT_PORTS[url.scheme]
        headers = {name.lower(): value for name, value in request.headers.multi_items()}
        whole = json.dumps([str(url), *request.headers.multi_items()]).encode() + request.content
        answer, location = self.script[min(self.left, len(self.script) - 1)]
        self.left += 1
        self.sent.append(Sent(url.scheme, url.raw_host, port, headers.get("authorization"), whole, answer))
        return self.library.Response(answer, headers={} if location is None else {"Location": location})


@dataclass(frozen=True)
class Sent:
    """One request as the wire saw it."""

    scheme: str
    host: bytes
    port: int
    token: str | None
    whole: bytes
    answer: int


def allowed(origins, sent):
    """Return whether a request may carry the token, from what the wire shows alone."""
    host = _one_spelling(sent.host)
    there = (sent.scheme, host, sent.port)
    return there in origins or (sent.scheme == "https" and sent.port == 443 and ("http", host, 80) in origins)


def _one_spelling(host):
    """Return one spelling of an IPv6 address, which has many."""
    try:
        return ipaddress.ip_address(host.decode()).compressed.encode()
    except ValueError:
        return host


WIRE_ORIGINS = {
    "https://api.example.com": ("https", b"api.example.com", 443),
    "https://api.example.com:8443": ("https", b"api.example.com", 8443),
    "https://b\u00fccher.example": ("https", b"xn--bcher-kva.example", 443),
    "http://localhost": ("http", b"localhost", 80),
    "http://localhost:8000": ("http", b"localhost", 8000),
    "http://127.0.0.1:8000": ("http", b"127.0.0.1", 8000),
    "http://[::1]": ("http", b"::1", 80),
    "https://10.0.0.1": ("https", b"10.0.0.1", 443),
}


async def signed_in(kind, service):
    """Return a HelloJohn client with a session."""
    hj = kind.owner(
        tenant_id="tnt_1", publishable_key="pk_1", verify=TLS, transport=httpx.MockTransport(service)
    )
    await settle(hj.auth.sign_in("a@example.com", "password"))
    return hj


async def send(kind, api, scenario):
    """Send the request, follow what the client does not follow, and return the last answer."""
    library = kind.library
    mishaps = (library.HTTPError, library.InvalidURL, UnicodeError, ValueError)
    try:
        response = await settle(
            api.request(scenario["method"], scenario["url"], follow_redirects=scenario["follows"])
        )
        while not scenario["follows"] and response.next_request is not None:
            response = await settle(api.send(response.next_request))
    except mishaps:  # the library itself would not take the URL
        return None
    return response


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(scenario=scenarios)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_token_reaches_allowed_origins_only(kind, scenario):
    """Whatever URL the app requests, and wherever redirects lead, only allowed origins get the token."""
    service = Service()
    hj = await signed_in(kind, service)
    wire = Wire(kind, scenario["hops"], scenario["end"])
    api = kind.wrapped(
        hj, base_url=scenario["origins"][0], origins=scenario["origins"], transport=kind.mock(wire)
    )
    await send(kind, api, scenario)
    await kind.close(api)
    await kind.close(hj)
    origins = {WIRE_ORIGINS[origin] for origin in scenario["origins"]}
    for sent in wire.sent:
        assert REFRESH.encode() not in sent.whole
        if not allowed(origins, sent):
            assert TOKEN.encode() not in sent.whole, sent
    refused = [sent for sent in wire.sent if sent.answer == 401 and sent.token and allowed(origins, sent)]
    assert 2 * service.refreshes == len(refused), (
        "one refresh and one replay for our token, none for a foreign 401"
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(origin=st.sampled_from(ORIGINS), user=st.sampled_from(["", "u@", "u:p@"]), tail=st.sampled_from(TAILS))
@settings(max_examples=40, deadline=None)
async def test_token_reaches_allowed_origins(kind, origin, user, tail):
    """A hook that sends no token at all would pass the test above."""
    hj = await signed_in(kind, Service())
    wire = Wire(kind, [], 200)
    api = kind.wrapped(hj, origins=[origin], transport=kind.mock(wire))
    scheme, host = origin.split("://")
    await settle(api.get(f"{scheme.upper()}://{user}{host}{tail}"))
    await kind.close(api)
    await kind.close(hj)
    assert [sent.token for sent in wire.sent] == [f"Bearer {TOKEN}0"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(urls=st.lists(urls, min_size=1, max_size=4), end=ends)
@settings(max_examples=40, deadline=None)
async def test_request_object_with_many_urls(kind, urls, end):
    """A request whose URL the app changes takes no token from one origin to the next."""
    hj = await signed_in(kind, Service())
    wire = Wire(kind, [], end)
    api = kind.wrapped(hj, origins=ORIGINS[:1], transport=kind.mock(wire))
    request = api.build_request("GET", "https://api.example.com/x")
    for url in ["https://api.example.com/x", *urls]:
        try:
            request.url = kind.library.URL(url)
        except kind.library.InvalidURL:
            continue
        await settle(api.send(request))
    await kind.close(api)
    await kind.close(hj)
    for sent in wire.sent:
        carries = TOKEN.encode() in sent.whole
        assert carries == allowed({WIRE_ORIGINS[ORIGINS[0]]}, sent), sent


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(scenario=scenarios)
@settings(max_examples=40, deadline=None)
async def test_star_never_means_cleartext(kind, scenario):
    """``origins="*"`` means https everywhere and http on this machine, and nothing else."""
    hj = await signed_in(kind, Service())
    wire = Wire(kind, scenario["hops"], 200)
    api = kind.wrapped(hj, origins="*", transport=kind.mock(wire))
    await send(kind, api, scenario)
    await kind.close(api)
    await kind.close(hj)
    for sent in wire.sent:
        here = sent.host.rstrip(b".").endswith(b"localhost") or sent.host.startswith(
            (b"127.0.0.", b"::1", b"0:0")
        )
        assert sent.scheme == "https" or here or sent.token is None, sent

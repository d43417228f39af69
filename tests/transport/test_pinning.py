"""No token leaves for a foreign origin, and nothing a foreign server says starts a refresh. Real servers."""

import copy

import pytest

from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say, to

REDIRECTS = [301, 302, 303, 307, 308]


@pytest.fixture
async def api(kind, hj, backend):
    """A client of the app's that follows redirects; the backend is its one allowed origin."""
    client = kind.wrapped(hj, base_url=backend.url, follow_redirects=True)
    yield client
    await kind.close(client)


async def test_the_api_gets_the_token(api, hj, backend):
    """The hook works at all: without this the other tests prove nothing."""
    assert (await settle(api.get("/x"))).status_code == 200
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]


async def test_an_absolute_url_elsewhere_gets_none(api, stranger):
    """A link in an answer may lead anywhere."""
    assert (await settle(api.get(f"{stranger.url}/x"))).status_code == 200
    assert stranger.tokens == [None]


async def test_the_same_host_on_another_port_is_somebody_else(api, backend, stranger):
    """Another port may be another user's server."""
    await settle(api.get(f"http://127.0.0.1:{stranger.port}/"))
    assert (stranger.tokens, backend.tokens) == ([None], [])


async def test_the_same_server_under_another_name_is_somebody_else(api, backend):
    """Names are compared, not what they resolve to: the answer of a resolver proves nothing."""
    await settle(api.get(f"http://localhost:{backend.port}/"))
    assert backend.tokens == [None]


@pytest.mark.parametrize(
    "trick",
    [
        "http://127.0.0.1:{api}@127.0.0.1:{other}/",
        "http://127.0.0.1:{api}%40@127.0.0.1:{other}/",
        "http://127.0.0.1:{other}/http://127.0.0.1:{api}/",
        "http://127.0.0.1:{other}#@127.0.0.1:{api}/",
        "http://127.0.0.1:{other}?@127.0.0.1:{api}/",
        "HTTP://127.0.0.1:{other}/",
        "http://127.0.0.1:0{other}/",
    ],
)
async def test_a_url_that_only_looks_like_the_api_gets_none(api, backend, stranger, trick):
    """Whoever really gets the request is who counts."""
    await settle(api.get(trick.format(api=backend.port, other=stranger.port)))
    assert (stranger.tokens, backend.tokens) == ([None], [])


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_redirect_takes_the_token_along(api, backend, stranger, status, method):
    """The API, or who took it over, sends the client elsewhere: the token stays behind."""
    backend.script = lambda seen: to(f"{stranger.url}/caught", status)
    response = await settle(api.request(method, "/x", content=b"body" if method == "POST" else None))
    assert (response.status_code, len(backend.seen)) == (200, 1)
    assert backend.tokens != [None]
    assert stranger.tokens == [None]


@pytest.mark.parametrize("location", ["//127.0.0.1:{port}/x", "http://{api}@127.0.0.1:{port}/x"])
async def test_no_odd_location_takes_the_token_along(api, backend, stranger, location):
    """A location without a scheme, or with a user that reads like a host, leads elsewhere all the same."""
    where = location.format(port=stranger.port, api=f"127.0.0.1:{backend.port}")
    backend.script = lambda seen: to(where)
    await settle(api.get("/x"))
    assert stranger.tokens == [None]


async def test_a_redirect_within_the_api_keeps_the_token(api, backend):
    """The same origin is the same origin."""
    backend.script = lambda seen: to("/there") if seen.target == "/here" else Say()
    await settle(api.get("/here"))
    assert len(backend.seen) == 2
    assert len(set(backend.tokens)) == 1
    assert None not in backend.tokens


async def test_a_way_back_from_elsewhere_brings_no_token(api, emulator, backend, stranger):
    """A token dropped on the way is not picked up again, and the 401 this earns is the app's to see."""
    stranger.script = lambda seen: to(f"{backend.url}/back")
    backend.script = lambda seen: UNAUTHORIZED if seen.target == "/back" else to(stranger.url)
    response = await settle(api.get("/x"))
    assert response.status_code == 401
    assert (backend.tokens[1], stranger.tokens) == (None, [None])
    assert (len(backend.seen), emulator.calls("token/refresh")) == (2, 0)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_next_request_sent_by_hand_is_judged_by_where_it_leads(kind, hj, backend, stranger, status):
    """An app that follows redirects itself sends each request through the hook."""
    client = kind.wrapped(hj, base_url=backend.url)
    backend.script = lambda seen: to(f"{stranger.url}/caught", status)
    response = await settle(client.get("/x"))
    await settle(client.send(response.next_request))
    backend.script = lambda seen: to("/there") if seen.target == "/here" else Say()
    response = await settle(client.get("/here"))
    await settle(client.send(response.next_request))
    await kind.close(client)
    assert stranger.tokens == [None]
    assert None not in backend.tokens
    assert [seen.target for seen in backend.seen] == ["/x", "/here", "/there"]


@pytest.mark.parametrize("again", [lambda request: request, copy.copy], ids=["itself", "a copy"])
async def test_a_request_with_another_url_leaves_its_token_behind(kind, api, backend, stranger, again):
    """A request keeps the header that the hook put on: sent again to elsewhere, it must lose it."""
    request = api.build_request("GET", "/x")
    await settle(api.send(request))
    request = again(request)
    request.url = kind.library.URL(stranger.url)
    request.stream = kind.library.ByteStream(b"")
    await settle(api.send(request))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


async def test_an_old_token_is_left_behind_as_well(kind, api, hj, backend, stranger):
    """It was replaced since, and may be good for a while yet."""
    request = api.build_request("GET", "/x")
    await settle(api.send(request))
    await settle(hj.auth.refresh())
    request.url = kind.library.URL(stranger.url)
    await settle(api.send(request))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://api.example.com/", "https://api.example.com:1/"]
)
async def test_a_401_counts_for_the_url_that_said_it(kind, hj, emulator, url):
    """Should a library or a transport ever carry the token elsewhere, no refresh goes after it."""
    flow = kind.auth(hj, origins=["https://api.example.com"])
    request = kind.library.Request("GET", "https://api.example.com/")
    steps = flow.async_auth_flow(request) if kind.is_async else flow.sync_auth_flow(request)
    sent = await settle(steps.__anext__() if kind.is_async else next(steps))
    elsewhere = kind.library.Request("GET", url, headers=sent.headers)
    refused = kind.library.Response(401, request=elsewhere)
    with pytest.raises((StopIteration, StopAsyncIteration)):
        await settle(steps.asend(refused) if kind.is_async else steps.send(refused))
    assert emulator.calls("token/refresh") == 0


async def test_headers_taken_from_a_sent_request_bring_no_token(api, backend, stranger):
    """An app that follows a page's link with the headers of the page before sends the token by accident."""
    response = await settle(api.get("/x"))
    await settle(api.get(stranger.url, headers=response.request.headers))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


async def test_an_app_s_own_credentials_for_elsewhere_are_left_alone(api, stranger):
    """What the app itself says to somebody else is its own business."""
    await settle(api.get(stranger.url, headers={"Authorization": "Basic YTpi"}))
    await settle(api.get(stranger.url, auth=("a", "b")))
    assert stranger.tokens == ["Basic YTpi", "Basic YTpi"]


async def test_a_foreign_401_triggers_nothing(api, emulator, stranger):
    """A stranger that says 401 must not be able to spend the refresh token."""
    stranger.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get(stranger.url))
    assert response.status_code == 401
    assert (len(stranger.seen), emulator.calls("token/refresh")) == (1, 0)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_foreign_401_behind_a_redirect_triggers_nothing(api, emulator, backend, stranger, status):
    """The 401 counts for who said it, not for whom the request was meant."""
    backend.script = lambda seen: to(stranger.url, status)
    stranger.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get("/x"))
    assert response.status_code == 401
    assert (len(backend.seen), len(stranger.seen)) == (1, 1)
    assert emulator.calls("token/refresh") == 0


async def test_a_signed_out_client_can_still_ask_elsewhere(kind, signed_out, backend, stranger):
    """A request that gets no token needs no session either."""
    client = kind.wrapped(signed_out, base_url=backend.url)
    assert (await settle(client.get(stranger.url))).status_code == 200
    await kind.close(client)


async def test_cleartext_gets_no_token(kind, hj):
    """A link with ``http`` to the API's own host would show the token to everybody on the way."""
    seen = []

    def answer(request):
        seen.append((str(request.url), request.headers.get("authorization")))
        location = (
            "http://api.example.com/plain" if request.url.path == "/away" else "https://api.example.com/"
        )
        moved = request.url.path in ("/away", "/plain")
        return kind.library.Response(302 if moved else 200, headers={"Location": location} if moved else {})

    client = kind.wrapped(
        hj, base_url="https://api.example.com", transport=kind.mock(answer), follow_redirects=True
    )
    await settle(client.get("http://api.example.com/"))
    await settle(client.get("/away"))
    await kind.close(client)
    assert [url for url, token in seen] == [
        "http://api.example.com/",
        "https://api.example.com/away",
        "http://api.example.com/plain",
        "https://api.example.com/",
    ]
    assert [token is None for url, token in seen] == [True, False, True, True]


@pytest.mark.parametrize("base", ["http://localhost", "http://localhost:80", "http://127.0.0.1"])
async def test_the_https_twin_of_this_machine_is_the_same_origin(kind, hj, emulator, base):
    """The one redirect on which the libraries keep the token: its 401 is healed as well."""
    seen = []

    def answer(request):
        seen.append((request.url.scheme, request.headers["authorization"]))
        if request.url.scheme == "http":
            return kind.library.Response(301, headers={"Location": f"https://{request.url.host}/"})
        return kind.library.Response(401 if len(seen) == 2 else 200)

    client = kind.wrapped(hj, base_url=base, transport=kind.mock(answer), follow_redirects=True)
    assert (await settle(client.get("/"))).status_code == 200
    await kind.close(client)
    assert emulator.calls("token/refresh") == 1
    assert seen[1][0] == seen[-1][0] == "https"
    assert seen[1][1] != seen[-1][1]


async def test_everything_safe_gets_it_when_asked_for(kind, hj, stranger):
    """``origins="*"`` is for a client whose URLs are all the app's own."""
    client = kind.wrapped(hj, origins="*")
    await settle(client.get(stranger.url))
    await settle(client.get(f"http://localhost:{stranger.port}"))
    await kind.close(client)
    assert None not in stranger.tokens


async def test_a_new_base_url_is_not_trusted_by_itself(api, backend, stranger):
    """Origins are pinned when the hook is attached."""
    api.base_url = stranger.url
    await settle(api.get("/x"))
    assert (stranger.tokens, backend.tokens) == ([None], [])

"""No token goes to another origin, and no answer from there causes a refresh. Real servers."""

import copy

import pytest

from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say, to

REDIRECTS = [301, 302, 303, 307, 308]


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app that follows redirects, and whose only allowed origin is the backend."""
    client = kind.wrapped(hj, base_url=backend.url, follow_redirects=True)
    yield client
    await kind.close(client)


async def test_allowed_origin_gets_the_token(api, hj, backend):
    """The hook works: without this the other tests prove nothing."""
    assert (await settle(api.get("/x"))).status_code == 200
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]


async def test_absolute_url_elsewhere_gets_no_token(api, stranger):
    """A link in an answer may lead to any server."""
    assert (await settle(api.get(f"{stranger.url}/x"))).status_code == 200
    assert stranger.tokens == [None]


async def test_another_port_gets_no_token(api, backend, stranger):
    """Another port may be the server of another user."""
    await settle(api.get(f"http://127.0.0.1:{stranger.port}/"))
    assert (stranger.tokens, backend.tokens) == ([None], [])


async def test_another_name_of_the_server_gets_no_token(api, backend):
    """Names are compared, and not the addresses that they resolve to."""
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
async def test_url_that_looks_like_the_api_gets_no_token(api, backend, stranger, trick):
    """The server that really gets the request decides."""
    await settle(api.get(trick.format(api=backend.port, other=stranger.port)))
    assert (stranger.tokens, backend.tokens) == ([None], [])


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_redirect_takes_no_token_along(api, backend, stranger, status, method):
    """When the API redirects to another origin, the token stays behind."""
    backend.script = lambda seen: to(f"{stranger.url}/caught", status)
    response = await settle(api.request(method, "/x", content=b"body" if method == "POST" else None))
    assert (response.status_code, len(backend.seen)) == (200, 1)
    assert backend.tokens != [None]
    assert stranger.tokens == [None]


@pytest.mark.parametrize("location", ["//127.0.0.1:{port}/x", "http://{api}@127.0.0.1:{port}/x"])
async def test_odd_location_takes_no_token_along(api, backend, stranger, location):
    """A location without a scheme, or with a user that looks like a host, leads elsewhere."""
    where = location.format(port=stranger.port, api=f"127.0.0.1:{backend.port}")
    backend.script = lambda seen: to(where)
    await settle(api.get("/x"))
    assert stranger.tokens == [None]


async def test_redirect_within_the_api_keeps_the_token(api, backend):
    """A redirect to the same origin carries the token."""
    backend.script = lambda seen: to("/there") if seen.target == "/here" else Say()
    await settle(api.get("/here"))
    assert len(backend.seen) == 2
    assert len(set(backend.tokens)) == 1
    assert None not in backend.tokens


async def test_redirect_back_brings_no_token(api, emulator, backend, stranger):
    """A token that a redirect dropped is not added again, and the 401 goes to the app."""
    stranger.script = lambda seen: to(f"{backend.url}/back")
    backend.script = lambda seen: UNAUTHORIZED if seen.target == "/back" else to(stranger.url)
    response = await settle(api.get("/x"))
    assert response.status_code == 401
    assert (backend.tokens[1], stranger.tokens) == (None, [None])
    assert (len(backend.seen), emulator.calls("token/refresh")) == (2, 0)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_next_request_is_judged_by_its_url(kind, hj, backend, stranger, status):
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
async def test_request_with_a_new_url_loses_its_token(kind, api, backend, stranger, again):
    """A request that was sent with a token and gets another URL is sent without it."""
    request = api.build_request("GET", "/x")
    await settle(api.send(request))
    request = again(request)
    request.url = kind.library.URL(stranger.url)
    request.stream = kind.library.ByteStream(b"")
    await settle(api.send(request))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


async def test_request_with_a_new_url_loses_its_old_token(kind, api, hj, backend, stranger):
    """The same for a token that was replaced since."""
    request = api.build_request("GET", "/x")
    await settle(api.send(request))
    await settle(hj.auth.refresh())
    request.url = kind.library.URL(stranger.url)
    await settle(api.send(request))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://api.example.com/", "https://api.example.com:1/"]
)
async def test_401_of_another_origin_causes_no_refresh(kind, hj, emulator, url):
    """If a library ever carried the token elsewhere, a 401 from there would cause no refresh."""
    flow = kind.auth(hj, origins=["https://api.example.com"])
    request = kind.library.Request("GET", "https://api.example.com/")
    steps = flow.async_auth_flow(request) if kind.is_async else flow.sync_auth_flow(request)
    sent = await settle(steps.__anext__() if kind.is_async else next(steps))
    elsewhere = kind.library.Request("GET", url, headers=sent.headers)
    refused = kind.library.Response(401, request=elsewhere)
    with pytest.raises((StopIteration, StopAsyncIteration)):
        await settle(steps.asend(refused) if kind.is_async else steps.send(refused))
    assert emulator.calls("token/refresh") == 0


async def test_copied_headers_bring_no_token(api, backend, stranger):
    """An app that copies the headers of a sent request sends no token elsewhere."""
    response = await settle(api.get("/x"))
    await settle(api.get(stranger.url, headers=response.request.headers))
    assert (len(backend.seen), stranger.tokens) == (1, [None])


async def test_credentials_of_the_app_for_elsewhere_are_kept(api, stranger):
    """The app's own Authorization header for another origin is sent."""
    await settle(api.get(stranger.url, headers={"Authorization": "Basic YTpi"}))
    await settle(api.get(stranger.url, auth=("a", "b")))
    assert stranger.tokens == ["Basic YTpi", "Basic YTpi"]


async def test_401_from_elsewhere_causes_no_refresh(api, emulator, stranger):
    """A server of another origin cannot make the client spend its refresh token."""
    stranger.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get(stranger.url))
    assert response.status_code == 401
    assert (len(stranger.seen), emulator.calls("token/refresh")) == (1, 0)


@pytest.mark.parametrize("status", REDIRECTS)
async def test_401_behind_a_redirect_to_elsewhere(api, emulator, backend, stranger, status):
    """The origin that answered 401 decides, and not the one that the request was meant for."""
    backend.script = lambda seen: to(stranger.url, status)
    stranger.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get("/x"))
    assert response.status_code == 401
    assert (len(backend.seen), len(stranger.seen)) == (1, 1)
    assert emulator.calls("token/refresh") == 0


async def test_request_elsewhere_needs_no_session(kind, signed_out, backend, stranger):
    """A request that gets no token needs no session."""
    client = kind.wrapped(signed_out, base_url=backend.url)
    assert (await settle(client.get(stranger.url))).status_code == 200
    await kind.close(client)


async def test_cleartext_gets_no_token(kind, hj):
    """An http link to the API's own host goes without the token, also behind a redirect."""
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
async def test_https_twin_of_this_machine_is_allowed(kind, hj, emulator, base):
    """The libraries keep the token on this redirect, so its 401 causes a refresh as well."""
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


async def test_star_sends_the_token_to_every_safe_origin(kind, hj, stranger):
    """``origins="*"`` is for a client whose URLs are all the app's own."""
    client = kind.wrapped(hj, origins="*")
    await settle(client.get(stranger.url))
    await settle(client.get(f"http://localhost:{stranger.port}"))
    await kind.close(client)
    assert None not in stranger.tokens


async def test_new_base_url_is_not_allowed(api, backend, stranger):
    """Origins are fixed when the hook is attached."""
    api.base_url = stranger.url
    await settle(api.get("/x"))
    assert (stranger.tokens, backend.tokens) == ([None], [])

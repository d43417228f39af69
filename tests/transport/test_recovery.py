"""An expired or refused token is replaced once, and the request is sent again once. Real servers."""

from datetime import timedelta

import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import settle
from tests.dialects import on_both_emulators, route
from tests.transport.backend import UNAUTHORIZED, Say, to, zipped


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app, for the backend."""
    client = kind.wrapped(hj, base_url=backend.url, follow_redirects=True)
    yield client
    await kind.close(client)


def refuse_first(count=1, *, say=UNAUTHORIZED):
    """Return a script that refuses so many requests and accepts the rest."""
    came = []

    def script(seen):
        came.append(seen)
        return say if len(came) <= count else Say(body=b"fine")

    return script


@pytest.mark.parametrize("left", [20, 1, 0, -1, -86_400])
async def test_token_near_its_end_is_replaced_first(api, emulator, backend, hj, left):
    """A token in its last half minute, or past its end, is replaced before the request is sent."""
    old = await settle(hj.auth.access_token())
    emulator.advance(timedelta(hours=1, seconds=-left))
    await settle(api.get("/x"))
    assert emulator.calls(route(emulator, "refresh")) == 1
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]
    assert backend.tokens != [f"Bearer {old}"]


@on_both_emulators
async def test_refused_request_is_repeated(api, emulator, backend):
    """After a 401 the app sees only the second answer, which a new token brought."""
    backend.script = refuse_first()
    response = await settle(api.get("/x"))
    assert (response.status_code, response.text) == (200, "fine")
    assert [answer.status_code for answer in response.history] == [401]
    assert response.history[0].json() == {"error": {"code": "invalid_token"}}
    first, second = backend.tokens
    assert first != second
    assert emulator.calls(route(emulator, "refresh")) == 1


@on_both_emulators
async def test_second_401_is_returned(api, emulator, backend):
    """A second 401 goes to the caller: one refresh and one repetition, and no loop."""
    backend.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get("/x"))
    assert (response.status_code, response.json()) == (401, {"error": {"code": "invalid_token"}})
    assert (len(backend.seen), emulator.calls(route(emulator, "refresh"))) == (2, 1)


@on_both_emulators
async def test_token_that_a_refusal_brought_is_kept(api, emulator, backend):
    """A token that a refusal has just brought, and that is refused too, causes no further refresh."""
    backend.script = lambda seen: UNAUTHORIZED
    for _ in range(3):
        await settle(api.get("/x"))
    tokens = backend.tokens
    assert (len(tokens), len(set(tokens))) == (4, 2)
    assert emulator.calls(route(emulator, "refresh")) == 1
    assert emulator.reuses == 0


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer error="insufficient_scope"',
        'Bearer realm="api", error="insufficient_scope", scope="write"',
        'Basic realm="x", Bearer error=insufficient_scope',
        'Bearer error="insufficient_user_authentication", acr_values="mfa"',
        'Bearer realm="api", error="insufficient_user_authentication", max_age=60',
        'Basic realm="admin"',
        'basic realm="Bearer"',
        'Digest realm="x", nonce="y"',
        "Negotiate",
    ],
)
async def test_other_challenges_cause_no_refresh(api, emulator, backend, challenge):
    """A missing scope, a step-up and another scheme are not about the token's age: RFC 6750, RFC 9470."""
    backend.script = lambda seen: Say(401, b"", {"WWW-Authenticate": challenge})
    assert (await settle(api.get("/x"))).status_code == 401
    assert (len(backend.seen), emulator.calls(route(emulator, "refresh"))) == (1, 0)


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "Bearer",
        'bearer realm="api"',
        'Bearer error="invalid_token", error_description="The token has expired."',
        'Basic realm="x", Bearer error="invalid_token"',
        'Digest realm="x", nonce="y", bearer realm="api"',
        'Token realm="api"',
    ],
)
async def test_challenges_that_a_newer_token_may_satisfy(api, emulator, backend, challenge):
    """A 401 that may be about the token's age costs one refresh and one repetition."""
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    backend.script = refuse_first(say=Say(401, b"", headers))
    assert (await settle(api.get("/x"))).text == "fine"
    assert (len(backend.seen), emulator.calls(route(emulator, "refresh"))) == (2, 1)


@pytest.mark.parametrize("status", [400, 403, 404, 407, 419, 500])
async def test_other_statuses_cause_no_refresh(api, emulator, backend, status):
    """Only a 401 means that the token was refused."""
    backend.script = lambda seen: Say(status, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert (await settle(api.get("/x"))).status_code == status
    assert (len(backend.seen), emulator.calls(route(emulator, "refresh"))) == (1, 0)


async def test_401_for_a_token_of_the_app_causes_no_refresh(kind, hj, emulator, backend):
    """A request hook of the app has set another token, so the session's token was not refused."""

    def put_on(request):
        request.headers["Authorization"] = "Bearer from-elsewhere"

    async def put_on_later(request):
        put_on(request)

    hook = put_on_later if kind.is_async else put_on
    api = kind.wrapped(hj, base_url=backend.url, event_hooks={"request": [hook]})
    backend.script = lambda seen: UNAUTHORIZED
    assert (await settle(api.get("/x"))).status_code == 401
    await kind.close(api)
    assert (backend.tokens, emulator.calls(route(emulator, "refresh"))) == (["Bearer from-elsewhere"], 0)


async def test_401_behind_a_redirect_is_repeated_there(api, emulator, backend):
    """The request that was refused is repeated, and not the one that led to it."""
    backend.script = refuse_first()
    heal = backend.script
    backend.script = lambda seen: to("/there") if seen.target == "/here" else heal(seen)
    response = await settle(api.get("/here"))
    assert response.text == "fine"
    assert [seen.target for seen in backend.seen] == ["/here", "/there", "/there"]
    assert emulator.calls(route(emulator, "refresh")) == 1


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_post_before_a_redirect_is_not_repeated(api, backend, status):
    """A POST that was carried out is not sent again because the page of its result answers 401."""
    heal = refuse_first()
    backend.script = lambda seen: to("/result", status) if seen.method == "POST" else heal(seen)
    response = await settle(api.post("/order", json={"item": 1}))
    assert response.text == "fine"
    assert [(seen.method, seen.target, seen.body) for seen in backend.seen] == [
        ("POST", "/order", b'{"item":1}'),
        ("GET", "/result", b""),
        ("GET", "/result", b""),
    ]


@pytest.mark.parametrize("status", [307, 308])
async def test_body_that_a_redirect_keeps_is_repeated_there(api, backend, status):
    """A 307 moves the whole request; where it was refused, it is repeated with its body."""
    heal = refuse_first()
    backend.script = lambda seen: to("/moved", status) if seen.target == "/x" else heal(seen)
    response = await settle(api.post("/x", json={"item": 1}))
    assert response.text == "fine"
    assert [(seen.target, seen.body) for seen in backend.seen] == [
        ("/x", b'{"item":1}'),
        ("/moved", b'{"item":1}'),
        ("/moved", b'{"item":1}'),
    ]


async def test_get_after_a_one_shot_post_is_repeated(kind, api, backend):
    """The GET that follows a POST with a generator has no body, and can be repeated."""

    async def parts():
        yield b"some"

    heal = refuse_first()
    backend.script = lambda seen: to("/result", 303) if seen.method == "POST" else heal(seen)
    content = parts() if kind.is_async else iter([b"some"])
    response = await settle(api.post("/order", content=content))
    assert response.text == "fine"
    assert [(seen.method, seen.body) for seen in backend.seen] == [
        ("POST", b"some"),
        ("GET", b""),
        ("GET", b""),
    ]


async def test_repeated_request_may_be_redirected(api, backend):
    """After the refresh, the request is an ordinary one."""
    backend.script = refuse_first()
    heal = backend.script
    backend.script = lambda seen: (
        Say(body=b"end")
        if seen.target == "/end"
        else (UNAUTHORIZED if heal(seen).status == 401 else to("/end"))
    )
    response = await settle(api.get("/x"))
    assert response.text == "end"
    assert [answer.status_code for answer in response.history] == [401, 307]


async def test_compressed_401_is_repeated(api, backend):
    """The content coding of a 401 makes no difference."""
    backend.script = refuse_first(say=zipped(UNAUTHORIZED))
    response = await settle(api.get("/x"))
    assert response.text == "fine"
    assert response.history[0].json() == {"error": {"code": "invalid_token"}}


@pytest.mark.parametrize("value", ["Bearer own", "Basic YTpi"])
async def test_authorization_header_of_the_app_wins(api, emulator, backend, value):
    """A request whose Authorization header the app has set is left alone, also when it is refused."""
    backend.script = lambda seen: UNAUTHORIZED
    for name in ("Authorization", "authorization", "AUTHORIZATION"):
        assert (await settle(api.get("/x", headers={name: value}))).status_code == 401
    assert (backend.tokens, emulator.calls(route(emulator, "refresh"))) == ([value] * 3, 0)


async def test_authorization_header_of_the_client_wins(kind, hj, emulator, backend):
    """The same for a header that the app has set on its client."""
    api = kind.wrapped(hj, base_url=backend.url, headers={"Authorization": "Bearer own"})
    await settle(api.get("/x"))
    await kind.close(api)
    assert backend.tokens == ["Bearer own"]


async def test_request_without_the_hook(api, emulator, backend):
    """auth=None sends no token and leaves the 401 alone; another auth takes the hook's place."""
    backend.script = lambda seen: UNAUTHORIZED
    assert (await settle(api.get("/x", auth=None))).status_code == 401
    assert (await settle(api.get("/x", auth=("a", "b")))).status_code == 401
    assert backend.tokens == [None, "Basic YTpi"]
    assert emulator.calls(route(emulator, "refresh")) == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "POST"])
async def test_every_method_is_repeated(kind, hj, emulator, method):
    """The token was refused before anything was done, so that even a POST is repeated."""
    api = kind.wrapped(hj, base_url=emulator.url)
    await settle(api.get("/resource"))
    emulator.reject_access_tokens()
    assert (await settle(api.request(method, "/resource"))).status_code == 200
    await kind.close(api)
    assert (emulator.calls("resource"), emulator.rotations, emulator.reuses) == (3, 1, 0)


@pytest.mark.parametrize(("email", "status"), [("ada@example.com", 401), (DEMO_EMAIL, 200)])
async def test_request_is_not_repeated_as_another_user(kind, hj, emulator, backend, *, email, status):
    """When another user signs in while the API refuses, the request of the first is not repeated."""
    emulator.add_user("ada@example.com", DEMO_PASSWORD)

    async def switch_async(response):
        if len(backend.seen) == 1:
            await hj.auth.sign_out()
            await hj.auth.sign_in(email, DEMO_PASSWORD)

    def switch(response):
        if len(backend.seen) == 1:
            hj.auth.sign_out()
            hj.auth.sign_in(email, DEMO_PASSWORD)

    hooks = {"response": [switch_async if kind.is_async else switch]}
    api = kind.wrapped(hj, base_url=backend.url, event_hooks=hooks)
    backend.script = refuse_first()
    assert (await settle(api.post("/transfer", json={"to": 1}))).status_code == status
    assert len(backend.seen) == (2 if status == 200 else 1)
    assert (await settle(api.get("/x"))).status_code == 200
    await kind.close(api)
    assert emulator.rotations == 0

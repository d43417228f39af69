"""Expiry and the 401: refreshed once, replayed once, and not for everything that says 401. Real servers."""

from datetime import timedelta

import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say, to, zipped


@pytest.fixture
async def api(kind, hj, backend):
    """A client of the app's, for the backend."""
    client = kind.wrapped(hj, base_url=backend.url, follow_redirects=True)
    yield client
    await kind.close(client)


def refuse_first(count=1, *, say=UNAUTHORIZED):
    """Return a script that refuses so many requests and takes the rest."""
    told = []

    def script(seen):
        told.append(seen)
        return say if len(told) <= count else Say(body=b"fine")

    return script


@pytest.mark.parametrize("left", [20, 1, 0, -1, -86_400])
async def test_a_token_near_its_end_is_replaced_before_it_is_sent(api, emulator, backend, hj, left):
    """A token that would run out on the way is not worth sending."""
    old = await settle(hj.auth.access_token())
    emulator.advance(timedelta(hours=1, seconds=-left))
    await settle(api.get("/x"))
    assert emulator.calls("token/refresh") == 1
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}"]
    assert backend.tokens != [f"Bearer {old}"]


async def test_a_401_is_healed(api, emulator, backend):
    """The API refuses a token that looked good: the app sees only the second answer."""
    backend.script = refuse_first()
    response = await settle(api.get("/x"))
    assert (response.status_code, response.text) == (200, "fine")
    assert [answer.status_code for answer in response.history] == [401]
    assert response.history[0].json() == {"error": {"code": "invalid_token"}}
    first, second = backend.tokens
    assert first != second
    assert emulator.calls("token/refresh") == 1


async def test_a_second_401_is_returned_as_it_is(api, emulator, backend):
    """No loop: an API that refuses everything costs one refresh and one replay."""
    backend.script = lambda seen: UNAUTHORIZED
    response = await settle(api.get("/x"))
    assert (response.status_code, response.json()) == (401, {"error": {"code": "invalid_token"}})
    assert (len(backend.seen), emulator.calls("token/refresh")) == (2, 1)


async def test_one_token_is_replaced_once(api, emulator, backend):
    """Whoever comes with a token that was replaced meanwhile takes the new one, and asks for none."""
    backend.script = lambda seen: UNAUTHORIZED
    for _ in range(3):
        await settle(api.get("/x"))
    tokens = backend.tokens
    assert (len(tokens), len(set(tokens))) == (6, 4)
    assert emulator.calls("token/refresh") == len(set(tokens)) - 1
    assert emulator.reuses == 0


@pytest.mark.parametrize(
    "challenge",
    [
        'Bearer error="insufficient_scope"',
        'Bearer realm="api", error="insufficient_scope", scope="write"',
        'Basic realm="x", Bearer error=insufficient_scope',
    ],
)
async def test_a_token_that_is_only_too_weak_is_not_replaced(api, emulator, backend, challenge):
    """Another token of the same session would be as weak."""
    backend.script = lambda seen: Say(401, b"", {"WWW-Authenticate": challenge})
    assert (await settle(api.get("/x"))).status_code == 401
    assert (len(backend.seen), emulator.calls("token/refresh")) == (1, 0)


@pytest.mark.parametrize("status", [400, 403, 404, 407, 419, 500])
async def test_no_other_status_is_reacted_to(api, emulator, backend, status):
    """Only a 401 says that the token was refused."""
    backend.script = lambda seen: Say(status, b"", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    assert (await settle(api.get("/x"))).status_code == status
    assert (len(backend.seen), emulator.calls("token/refresh")) == (1, 0)


async def test_a_401_for_somebody_else_s_token_is_not_ours_to_heal(kind, hj, emulator, backend):
    """A request hook of the app's put another token on: ours was not refused."""

    def put_on(request):
        request.headers["Authorization"] = "Bearer from-elsewhere"

    async def put_on_later(request):
        put_on(request)

    hook = put_on_later if kind.is_async else put_on
    api = kind.wrapped(hj, base_url=backend.url, event_hooks={"request": [hook]})
    backend.script = lambda seen: UNAUTHORIZED
    assert (await settle(api.get("/x"))).status_code == 401
    await kind.close(api)
    assert (backend.tokens, emulator.calls("token/refresh")) == (["Bearer from-elsewhere"], 0)


async def test_a_401_behind_a_redirect_is_healed_where_it_was_said(api, emulator, backend):
    """The request that was refused is sent again, and not the one that led there."""
    backend.script = refuse_first()
    heal = backend.script
    backend.script = lambda seen: to("/there") if seen.target == "/here" else heal(seen)
    response = await settle(api.get("/here"))
    assert response.text == "fine"
    assert [seen.target for seen in backend.seen] == ["/here", "/there", "/there"]
    assert emulator.calls("token/refresh") == 1


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_what_a_redirect_says_is_done_is_not_done_twice(api, backend, status):
    """A POST was carried out and leads to its result, whose 401 must not send the POST again."""
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
async def test_a_body_that_a_redirect_keeps_is_sent_again_where_it_was_refused(api, backend, status):
    """The redirect asked for the same request elsewhere; there it was refused, and there it is repeated."""
    heal = refuse_first()
    backend.script = lambda seen: to("/moved", status) if seen.target == "/x" else heal(seen)
    response = await settle(api.post("/x", json={"item": 1}))
    assert response.text == "fine"
    assert [(seen.target, seen.body) for seen in backend.seen] == [
        ("/x", b'{"item":1}'),
        ("/moved", b'{"item":1}'),
        ("/moved", b'{"item":1}'),
    ]


async def test_one_shot_bodies_do_not_stop_what_needs_none(kind, api, backend):
    """A generator was spent on the POST; the GET it led to has no body and can be repeated."""

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


async def test_the_replay_may_be_redirected_as_well(api, backend):
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


async def test_a_compressed_401_is_healed(api, backend):
    """What a 401 looks like on the wire makes no difference."""
    backend.script = refuse_first(say=zipped(UNAUTHORIZED))
    response = await settle(api.get("/x"))
    assert response.text == "fine"
    assert response.history[0].json() == {"error": {"code": "invalid_token"}}


async def test_an_app_set_authorization_header_gives_way(api, hj, backend):
    """As with every auth of httpx: whoever wants another header passes ``auth=None``."""
    await settle(api.get("/x", headers={"Authorization": "Bearer own"}))
    await settle(api.get("/x", headers={"Authorization": "Bearer own"}, auth=None))
    assert backend.tokens == [f"Bearer {await settle(hj.auth.access_token())}", "Bearer own"]


async def test_no_auth_for_one_request(api, emulator, backend):
    """``auth=None`` leaves the token off and its 401 alone; another auth takes over."""
    backend.script = lambda seen: UNAUTHORIZED
    assert (await settle(api.get("/x", auth=None))).status_code == 401
    assert (await settle(api.get("/x", auth=("a", "b")))).status_code == 401
    assert backend.tokens == [None, "Basic YTpi"]
    assert emulator.calls("token/refresh") == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "POST"])
async def test_every_method_is_healed(kind, hj, emulator, method):
    """The token was refused before anything was done: even a POST may be repeated."""
    api = kind.wrapped(hj, base_url=emulator.url)
    await settle(api.get("/resource"))
    emulator.reject_access_tokens()
    assert (await settle(api.request(method, "/resource"))).status_code == 200
    await kind.close(api)
    assert (emulator.calls("resource"), emulator.rotations, emulator.reuses) == (3, 1, 0)


@pytest.mark.parametrize(("email", "status"), [("ada@example.com", 401), (DEMO_EMAIL, 200)])
async def test_a_request_is_not_repeated_as_somebody_else(kind, hj, emulator, backend, *, email, status):
    """Another user signed in while the API said 401: the second does not do what the first one asked for."""
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

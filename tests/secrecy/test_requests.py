"""Requests of the app's clients, over real sockets with every logger at DEBUG: no token shows."""

import copy
import json
import pickle
import re

import pytest

from hellojohn import HelloJohnError, MemoryStore
from hellojohn.emulator import Emulator
from tests.secrecy import markers
from tests.secrecy.markers import PASSWORD
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed
from tests.transport.kinds import KINDS, TLS, settle

ADA = "ada@example.com"


class Watched(MemoryStore):
    """Makes every token that was ever saved a secret to be looked for."""

    def __init__(self, patterns):
        super().__init__()
        self._patterns = patterns

    def save(self, key, text, *, expires_in=None):
        """Save, and note the tokens."""
        record = json.loads(text)
        self._patterns.update((record["access_token"], record["refresh_token"]))
        super().save(key, text, expires_in=expires_in)


@pytest.fixture
def store(monkeypatch):
    """A store whose tokens count as marked."""
    found = {PASSWORD}
    monkeypatch.setattr(
        markers, "_MARKED", type("Any", (), {"findall": lambda _, text: [x for x in found if x in text]})()
    )
    return Watched(found)


@pytest.fixture
def emulator():
    """The service, with one user."""
    with Emulator() as emulator:
        emulator.add_user(ADA, PASSWORD)
        yield emulator


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """The four kinds of client, each in turn."""
    return request.param


@pytest.fixture
async def hj(kind, emulator, store):
    """A client, signed in."""
    hj = kind.owner(
        tenant_id=emulator.tenant_id,
        publishable_key=emulator.publishable_key,
        secret_key=emulator.secret_key,
        api_url=emulator.url,
        store=store,
        verify=TLS,
        clock=emulator.clock,
    )
    await settle(hj.auth.sign_in(ADA, PASSWORD))
    yield hj
    await kind.close(hj)


@pytest.fixture
async def api(kind, hj, emulator):
    """The app's client."""
    api = kind.wrapped(hj, base_url=emulator.url)
    yield api
    await kind.close(api)


def failing(**how):
    """Return what makes refreshes fail so."""
    return lambda emulator, session: emulator.fail("token/refresh", **{"times": None, **how})


async def test_a_day_in_the_life_shows_no_token(kind, hj, api, emulator, ear):
    """Sent, refreshed, refused, replayed, streamed, signed out: nothing in any logger's DEBUG lines."""
    await settle(api.get("/resource"))
    emulator.advance("2h")
    await settle(api.post("/resource", json={"a": 1}))
    emulator.reject_access_tokens()
    async with kind.stream(api, "PUT", "/resource", content=b"x") as response:
        await kind.read(response)
    await settle(hj.auth.user())
    await settle(hj.auth.sign_out())
    core = "httpcore" if kind.library.__name__ == "httpx" else "httpcore2"
    for name in ("httpx", "httpcore", kind.library.__name__, core):
        assert [line for line in ear.lines if line.startswith(name)], f"{name} logs nothing?"
    assert emulator.rotations == 2


async def test_the_client_and_its_hook_show_no_token(hj, api):
    """What an app prints when it debugs."""
    response = await settle(api.get("/resource"))
    for thing in (api, api.auth, hj, response, response.request, response.request.headers):
        assert exposed([repr(thing), str(thing), f"{thing!r}"]) == []
    assert exposed([api.auth, response.request.extensions, repr(vars(api)), repr(vars(api.auth))]) == []
    for copies in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copies(response.request.extensions["hellojohn"])


TROUBLE = {
    "the session's end": ("SessionExpired", lambda emulator, session: emulator.advance("40d")),
    "a revocation": ("SessionExpired", lambda emulator, session: emulator.revoke(session.id)),
    "a lost answer": ("SessionExpired", failing(drop="after", times=1)),
    "a pause": ("ServiceUnavailable", failing(status=503, retry_after=60)),
    "lost answers": ("ServiceUnavailable", failing(drop="after")),
    "lost requests": ("ServiceUnavailable", failing(drop="before")),
    "a broken service": ("ServiceUnavailable", failing(status=500)),
    "nonsense": ("ServiceUnavailable", failing(body=b"<html>")),
    "a proxy": ("ServiceUnavailable", failing(status=401, body=b"no")),
    "wrong settings": ("ApiError", failing(status=400)),
    "an outage": ("ServiceUnavailable", lambda emulator, session: emulator.stop()),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("stream", [False, True], ids=["read", "stream"])
async def test_no_error_of_a_request_shows_a_token(kind, hj, api, emulator, *, trouble, stream):
    """Each row of the refresh table comes out of ``api.get``: through our frames and the library's."""
    await settle(api.get("/resource"))
    expected, begin = TROUBLE[trouble]
    begin(emulator, await settle(hj.auth.session()))
    emulator.advance("2h")

    async def send():
        if not stream:
            return await settle(api.get("/resource"))
        async with kind.stream(api, "GET", "/resource") as response:
            return response

    with pytest.raises(HelloJohnError) as caught:
        await send()
    assert type(caught.value).__name__ == expected
    frames = judged(caught.value)
    assert {re.search(r"(hellojohn|httpx2?)/", frame.filename)[1] for frame in frames} >= {
        "hellojohn",
        kind.library.__name__,
    }
    assert exposed_by(caught.value) == []


async def test_a_401_that_cannot_be_healed_shows_no_token(hj, api, emulator):
    """The error comes out of the middle of the flow, with the refused request in its frames."""
    session = await settle(hj.auth.session())
    emulator.reject_access_tokens()
    emulator.revoke(session.id)
    with pytest.raises(HelloJohnError) as caught:
        await settle(api.post("/resource", json={"a": 1}))
    assert exposed_by(caught.value) == []


async def test_the_app_s_own_network_error_has_clean_frames(kind, hj, emulator):
    """It is the library's error, and our flow is not in it; the library's frames show no token either."""
    api = kind.wrapped(hj, base_url=emulator.url, transport=kind.mock(lambda request: 1 / 0))
    with pytest.raises(ZeroDivisionError) as caught:
        await settle(api.get("/resource"))
    assert exposed_by(caught.value) == []
    await kind.close(api)


async def test_the_library_s_status_errors_have_clean_frames(kind, api):
    """``raise_for_status`` keeps the request, and with it the header, which the library masks."""
    response = await settle(api.get("/resource/x"))
    response.status_code = 401
    with pytest.raises(kind.library.HTTPStatusError) as caught:
        response.raise_for_status()
    assert exposed_by(caught.value) == []

"""Requests of an app's clients, over real sockets and with every logger at DEBUG: no token shows."""

import copy
import json
import pickle
import re

import pytest

from hellojohn import HelloJohnError, MemoryStore
from hellojohn.emulator import Emulator
from tests.both_faces import close, emulated, settle
from tests.secrecy import markers
from tests.secrecy.markers import PASSWORD
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed
from tests.transport.kinds import KINDS, TLS

ADA = "ada@example.com"


class Watched(MemoryStore):
    """A store that marks every token that is saved."""

    def __init__(self, patterns):
        super().__init__()
        self._patterns = patterns

    def save(self, key, text, *, expires_in=None):
        """Save, and note the tokens. What is left of an ended session has none."""
        record = json.loads(text)
        self._patterns.update(record[name] for name in ("access_token", "refresh_token") if name in record)
        super().save(key, text, expires_in=expires_in)


@pytest.fixture
def store(monkeypatch):
    """Return a store whose tokens count as marked."""
    found = {PASSWORD}
    monkeypatch.setattr(
        markers, "_MARKED", type("Any", (), {"findall": lambda _, text: [x for x in found if x in text]})()
    )
    return Watched(found)


@pytest.fixture
def emulator():
    """Return the service, with one user."""
    with Emulator() as emulator:
        emulator.add_user(ADA, PASSWORD)
        yield emulator


@pytest.fixture(params=KINDS, ids=str)
def kind(request):
    """Return each of the four kinds of client."""
    return request.param


@pytest.fixture
async def hj(kind, emulator, store):
    """Return a client that is signed in."""
    hj = kind.owner(**emulated(emulator, secret_key=emulator.secret_key, store=store, verify=TLS))
    await settle(hj.auth.sign_in(ADA, PASSWORD))
    yield hj
    await close(hj)


@pytest.fixture
async def api(kind, hj, emulator):
    """Return the app's client."""
    api = kind.wrapped(hj, base_url=emulator.url)
    yield api
    await close(api)


def failing(**how):
    """Return a function that makes refreshes fail."""
    return lambda emulator, session: emulator.fail("token/refresh", **{"times": None, **how})


async def test_life_of_a_session_shows_no_token(kind, hj, api, emulator, listener):
    """Requests, refreshes, replays, streams and a sign-out leave no token in any log line at DEBUG."""
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
        assert [line for line in listener.lines if line.startswith(name)], f"{name} logs nothing?"
    assert emulator.rotations == 2


async def test_client_and_hook_show_no_token(hj, api):
    """What an app prints when it is debugged shows no token."""
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
async def test_error_of_a_request_shows_no_token(kind, hj, api, emulator, *, trouble, stream):
    """Each outcome of a refresh comes out of a request without a token in any frame."""
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


async def test_error_after_a_401_shows_no_token(hj, api, emulator):
    """The error of a refused request has that request in its frames, and shows no token."""
    session = await settle(hj.auth.session())
    emulator.reject_access_tokens()
    emulator.revoke(session.id)
    with pytest.raises(HelloJohnError) as caught:
        await settle(api.post("/resource", json={"a": 1}))
    assert exposed_by(caught.value) == []


async def test_network_error_of_the_app_shows_no_token(kind, hj, emulator):
    """The HTTP library's own error shows no token in its frames."""
    api = kind.wrapped(hj, base_url=emulator.url, transport=kind.mock(lambda request: 1 / 0))
    with pytest.raises(ZeroDivisionError) as caught:
        await settle(api.get("/resource"))
    assert exposed_by(caught.value) == []
    await close(api)


async def test_status_error_of_the_library_shows_no_token(kind, api):
    """raise_for_status() keeps the request with its header, which the library masks."""
    response = await settle(api.get("/resource/x"))
    response.status_code = 401
    with pytest.raises(kind.library.HTTPStatusError) as caught:
        response.raise_for_status()
    assert exposed_by(caught.value) == []

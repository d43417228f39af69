"""Service tokens: no error, log line, repr or pickle shows the client's secret or a token."""

import copy
import gc
import pickle
from collections.abc import Awaitable
from typing import Any

import httpx
import pytest

from hellojohn import ConfigurationError, HelloJohnError
from tests.both_faces import close, settle
from tests.secrecy.marked_client import START, Service
from tests.secrecy.markers import ACCESS, CLIENT_SECRET
from tests.secrecy.test_answers import ANSWERS
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed

API = "https://api.example.com"
USUAL = {"client_secret": CLIENT_SECRET, "scopes": ["orders:read"]}


class World:
    """A service whose secret and tokens are marked, and an API that it calls.

    Attributes:
        server: The token endpoint.
        now: The time, in seconds since the epoch.
        hj: The client.
        http: The HTTP client of the API.
    """

    def __init__(self, owner: type) -> None:
        self.server = Service()
        self.now = START
        self.hj: Any = owner(
            api="v2",
            api_url="https://auth.example.com",
            tenant_id="acme",
            client_id="worker",
            transport=httpx.MockTransport(self.server),
            clock=lambda: self.now,
        )
        self.http = httpx.AsyncClient(
            auth=self.hj.service_auth(**USUAL, origins=[API]),
            transport=httpx.MockTransport(lambda request: httpx.Response(401)),
        )

    async def token(self) -> str:
        """Return the service's token."""
        return await settle(self.hj.service_token(**USUAL))

    async def close(self) -> None:
        """Close the clients."""
        await self.http.aclose()
        await close(self.hj)


@pytest.fixture
async def world(owner):
    """Return a world."""
    world = World(owner)
    yield world
    await world.close()


async def error_of(call: Awaitable[object]) -> HelloJohnError | None:
    """Return the error of a call, if it raises one."""
    try:
        await call
    except HelloJohnError as error:
        return error
    return None


@pytest.mark.parametrize("name", ANSWERS)
async def test_no_answer_makes_a_service_show_a_secret(owner, name):
    """Whatever the server answers, the call, the request and the client show no secret."""
    world = World(owner)
    world.server.answers.append(ANSWERS[name])
    for call in (world.token, lambda: world.http.get(API)):
        error = await error_of(call())
        if error is not None:
            assert judged(error), "the search must see frames of the package"
            assert exposed_by(error) == []
    for auth in (world.http.auth, world.hj):
        assert exposed([auth, repr(auth), repr(vars(auth))]) == []
    await world.close()


async def test_success_shows_no_secret(world):
    """A service at work shows no secret, and its hook is not copied."""
    assert (await world.token()).startswith(ACCESS)
    response = await world.http.get(API)
    assert exposed([world.hj, world.http.auth, repr(response.request.headers)]) == []
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(world.http.auth)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": "orders:read"},
        {"client_secret": f"{CLIENT_SECRET} "},
        {"client_secret": CLIENT_SECRET.encode()},
        {"client_secret": [CLIENT_SECRET]},
    ],
    ids=["scopes", "space", "bytes", "list"],
)
async def test_wrong_argument_shows_no_secret(world, wrong):
    """The secret of the same call is in the frames that raise, and is masked there."""
    arguments = {**USUAL, **wrong}
    for make in (world.hj.service_auth, world.hj.httpx2_service_auth):
        with pytest.raises(ConfigurationError) as caught:
            make(**arguments, origins=[API])
        assert exposed_by(caught.value) == []
    with pytest.raises(ConfigurationError) as caught:
        await settle(world.hj.service_token(**arguments))
    assert exposed_by(caught.value) == []


async def test_missing_origins_show_no_secret(world):
    """A hook that cannot be made shows no secret in its traceback."""
    with pytest.raises(ConfigurationError) as caught:
        world.hj.service_auth(**USUAL)
    assert exposed_by(caught.value) == []


async def test_closed_service_keeps_no_token(owner):
    """After close, no account of the client holds a token that a core dump would show."""
    world = World(owner)
    await world.token()
    await world.close()
    accounts = list(world.hj._parts._services._accounts.values())
    gc.collect()
    assert [account.state.snapshot for account in accounts] == [None]

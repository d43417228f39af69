"""What comes out of ``api.get(...)`` when there is no token to send, and what becomes of the connection."""

import pytest

from hellojohn import ApiError, ExpiryReason, NotSignedIn, ServiceUnavailable, SessionExpired
from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say


@pytest.fixture
async def api(kind, hj, backend):
    """A client of the app's with a single connection and no patience, for the backend."""
    client = kind.wrapped(hj, base_url=backend.url, **kind.narrow(pool=0.5))
    yield client
    await kind.close(client)


async def fails(kind, api, error, *, stream):
    """Send a request that must fail, streamed or not, and return the error."""

    async def send():
        if not stream:
            return await settle(api.get("/x"))
        async with kind.stream(api, "GET", "/x") as response:
            return response

    with pytest.raises(error) as caught:
        await send()
    return caught.value


@pytest.fixture(params=[False, True], ids=["read", "stream"])
def stream(request):
    """Whether the answer would have been streamed."""
    return request.param


async def test_signed_out_is_signed_in(kind, signed_out, backend, *, stream):
    """Nothing is sent: the app sends the user to sign-in."""
    api = kind.wrapped(signed_out, base_url=backend.url)
    await fails(kind, api, NotSignedIn, stream=stream)
    await kind.close(api)
    assert backend.seen == []


async def test_the_session_is_over_before_the_request(kind, hj, api, backend, emulator, *, stream):
    """The reason comes out of the request, again and again, and nothing was sent."""
    emulator.advance("31d")
    for _ in range(3):
        error = await fails(kind, api, SessionExpired, stream=stream)
        assert error.reason is ExpiryReason.EXPIRED
    assert backend.seen == []
    assert emulator.calls("token/refresh") == 1
    assert await settle(hj.auth.session()) is None


async def test_the_session_is_over_as_a_401_shows(kind, hj, api, backend, emulator, *, stream):
    """The connection on which the 401 came is free again: the next request needs it."""
    emulator.revoke((await settle(hj.auth.session())).id)
    backend.script = lambda seen: UNAUTHORIZED
    error = await fails(kind, api, SessionExpired, stream=stream)
    assert error.reason is ExpiryReason.REVOKED
    backend.script = lambda seen: Say(body=b"public")
    for _ in range(3):
        assert (await settle(api.get("/public", auth=None))).text == "public"
    assert backend.connections == 1


async def test_a_refresh_that_fails_leaves_everything_as_it_was(kind, hj, api, backend, emulator, *, stream):
    """A 401 and no service: the app hears that it may try again, and later everything goes on."""
    emulator.fail("token/refresh", status=503, retry_after=60)
    backend.script = lambda seen: UNAUTHORIZED
    error = await fails(kind, api, ServiceUnavailable, stream=stream)
    assert error.retry_after == 60
    assert (await settle(api.get("/public", auth=None))).status_code == 401
    emulator.advance("2m")
    backend.script = lambda seen: Say(body=b"fine")
    assert (await settle(api.get("/x"))).text == "fine"
    assert backend.connections == 1
    assert await settle(hj.auth.session()) is not None


async def test_a_token_with_life_left_is_used_when_the_service_is_down(api, backend, emulator):
    """Near its end, but good: an outage of the service is no outage of the API."""
    emulator.fail("token/refresh", status=503, retry_after=60, times=None)
    emulator.advance("3585s")
    assert (await settle(api.get("/x"))).status_code == 200
    assert backend.tokens != [None]


async def test_wrong_settings_come_out_as_what_they_are(kind, api, backend, emulator, *, stream):
    """The service refuses the client, not the session."""
    emulator.fail("token/refresh", status=403, code="tenant_mismatch")
    emulator.advance("2h")
    error = await fails(kind, api, ApiError, stream=stream)
    assert error.code == "tenant_mismatch"
    assert backend.seen == []
    emulator.advance("2m")
    assert (await settle(api.get("/x"))).status_code == 200


async def test_a_new_sign_in_revives_the_client(kind, hj, api, emulator, backend):
    """The app's client need not be made anew after the session has ended."""
    emulator.advance("31d")
    await fails(kind, api, SessionExpired, stream=False)
    await settle(hj.auth.sign_in("demo@example.com", "correct horse battery staple"))
    assert (await settle(api.get("/x"))).status_code == 200
    await settle(hj.auth.sign_out())
    await fails(kind, api, NotSignedIn, stream=False)
    assert len(backend.seen) == 1

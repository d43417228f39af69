"""The errors that come out of a request for which there is no token, and the connection after them."""

import pytest

from hellojohn import ApiError, ExpiryReason, NotSignedIn, ServiceUnavailable, SessionExpired
from tests.both_faces import settle
from tests.transport.backend import UNAUTHORIZED, Say


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app with one connection and a short wait for it, for the backend."""
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
    """Return whether the answer would have been streamed."""
    return request.param


async def test_request_without_a_session(kind, signed_out, backend, *, stream):
    """Without a session a request raises NotSignedIn, and nothing is sent."""
    api = kind.wrapped(signed_out, base_url=backend.url)
    await fails(kind, api, NotSignedIn, stream=stream)
    await kind.close(api)
    assert backend.seen == []


async def test_session_that_ended_before_the_request(kind, hj, api, backend, emulator, *, stream):
    """The reason of the end comes out of each request, and nothing is sent."""
    emulator.advance("31d")
    for _ in range(3):
        error = await fails(kind, api, SessionExpired, stream=stream)
        assert error.reason is ExpiryReason.EXPIRED
    assert backend.seen == []
    assert emulator.calls("token/refresh") == 1
    assert await settle(hj.auth.session()) is None


async def test_session_whose_end_a_401_shows(kind, hj, api, backend, emulator, *, stream):
    """When a 401 shows that the session has ended, the connection is free for the next request."""
    emulator.revoke((await settle(hj.auth.session())).id)
    backend.script = lambda seen: UNAUTHORIZED
    error = await fails(kind, api, SessionExpired, stream=stream)
    assert error.reason is ExpiryReason.REVOKED
    backend.script = lambda seen: Say(body=b"public")
    for _ in range(3):
        assert (await settle(api.get("/public", auth=None))).text == "public"
    assert backend.connections == 1


async def test_401_while_the_service_is_down(kind, hj, api, backend, emulator, *, stream):
    """A 401 that no refresh can answer is ServiceUnavailable, and later requests work."""
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


async def test_working_token_is_sent_in_an_outage(api, backend, emulator):
    """A token near its end is sent when the service is down: an outage of it stops no API."""
    emulator.fail("token/refresh", status=503, retry_after=60, times=None)
    emulator.advance("3585s")
    assert (await settle(api.get("/x"))).status_code == 200
    assert backend.tokens != [None]


async def test_wrong_settings_are_an_api_error(kind, api, backend, emulator, *, stream):
    """A service that refuses the client's settings raises ApiError, and the session is kept."""
    emulator.fail("token/refresh", status=403, code="tenant_mismatch")
    emulator.advance("2h")
    error = await fails(kind, api, ApiError, stream=stream)
    assert error.code == "tenant_mismatch"
    assert backend.seen == []
    emulator.advance("2m")
    assert (await settle(api.get("/x"))).status_code == 200


async def test_client_works_again_after_a_sign_in(kind, hj, api, emulator, backend):
    """The app's HTTP client works again when a user has signed in after the end of a session."""
    emulator.advance("31d")
    await fails(kind, api, SessionExpired, stream=False)
    await settle(hj.auth.sign_in("demo@example.com", "correct horse battery staple"))
    assert (await settle(api.get("/x"))).status_code == 200
    await settle(hj.auth.sign_out())
    await fails(kind, api, NotSignedIn, stream=False)
    assert len(backend.seen) == 1

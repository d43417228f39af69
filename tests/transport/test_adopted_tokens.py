"""After a refusal: the token of another process goes first, and no request is repeated as another user."""

import pytest

from hellojohn import MemoryStore, SessionExpired
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import close, emulated, settle
from tests.dialects import A_NEW_SECOND, on_both_emulators
from tests.transport.backend import UNAUTHORIZED, Say
from tests.transport.kinds import TLS

BOB = ("bob@example.com", "correct horse B")


@pytest.fixture
async def pair(kind, emulator):
    """Return two clients of the kind that share a store, as two processes do, both signed in."""
    emulator.add_user(*BOB)
    store = MemoryStore()
    hj, other = (kind.owner(**emulated(emulator, store=store, verify=TLS)) for _ in range(2))
    await settle(hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    await settle(other.auth.access_token())
    yield hj, other
    await close(hj)
    await close(other)


@pytest.fixture
async def api(kind, pair, backend):
    """Return a client of the app that uses the first of the two, for the backend."""
    client = kind.wrapped(pair[0], base_url=backend.url)
    yield client
    await kind.close(client)


async def bearer(hj) -> str:
    """Return the header that the client sends."""
    return f"Bearer {await settle(hj.auth.access_token())}"


@on_both_emulators
async def test_token_of_another_process_is_adopted(pair, api, emulator, backend):
    """A refused request is repeated with the newer token in the store, without a refresh."""
    hj, other = pair
    old = await bearer(hj)
    await settle(other.auth.refresh())
    backend.script = lambda seen: UNAUTHORIZED if seen.token == old else Say(body=b"fine")
    assert (await settle(api.get("/x"))).text == "fine"
    assert backend.tokens == [old, await bearer(other)]
    assert emulator.rotations == 1


@on_both_emulators
async def test_adopted_token_that_is_refused_too(pair, api, emulator, backend):
    """When the adopted token is refused as well, the same request is repeated once more after a refresh."""
    hj, other = pair
    refused = {await bearer(hj)}
    await settle(other.auth.refresh())
    refused.add(await bearer(other))
    emulator.advance(A_NEW_SECOND)
    backend.script = lambda seen: UNAUTHORIZED if seen.token in refused else Say(body=b"fine")
    assert (await settle(api.post("/x", json={"a": 1}))).text == "fine"
    assert len(backend.seen) == 3
    assert len({seen.body for seen in backend.seen}) == 1
    assert emulator.rotations == 2


@on_both_emulators
async def test_three_refusals_go_to_the_caller(pair, api, emulator, backend):
    """The old, the adopted and the refreshed token were refused: the 401 goes to the caller."""
    _hj, other = pair
    await settle(other.auth.refresh())
    emulator.advance(A_NEW_SECOND)
    backend.script = lambda seen: UNAUTHORIZED
    assert (await settle(api.get("/x"))).status_code == 401
    assert (len(backend.seen), len(set(backend.tokens))) == (3, 3)
    assert emulator.rotations == 2


@on_both_emulators
async def test_request_is_not_repeated_as_another_user(pair, api, emulator, backend):
    """When another process has signed another user in, the request of the first is not repeated."""
    hj, other = pair
    old = await bearer(hj)
    await settle(other.auth.sign_out())
    await settle(other.auth.sign_in(*BOB))
    backend.script = lambda seen: UNAUTHORIZED if seen.token == old else Say(body=b"fine")
    assert (await settle(api.post("/transfer", json={"to": 1}))).status_code == 401
    assert backend.tokens == [old]
    assert (await settle(api.get("/x"))).text == "fine"
    assert (await settle(hj.auth.user())).email == BOB[0]
    assert emulator.rotations == 0


@on_both_emulators
async def test_request_is_repeated_in_a_new_session_of_its_user(pair, api, emulator, backend):
    """The same user's request is repeated when another process has signed that user in again."""
    hj, other = pair
    old = await bearer(hj)
    emulator.advance(A_NEW_SECOND)
    await settle(other.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    backend.script = lambda seen: UNAUTHORIZED if seen.token == old else Say(body=b"fine")
    assert (await settle(api.post("/x", json={"a": 1}))).text == "fine"
    assert len(backend.seen) == 2
    assert emulator.rotations == 0


@on_both_emulators
async def test_session_that_another_process_has_ended(pair, api, backend):
    """A refusal after another process has signed out raises SessionExpired."""
    _hj, other = pair
    await settle(other.auth.sign_out())
    backend.script = lambda seen: UNAUTHORIZED
    with pytest.raises(SessionExpired):
        await settle(api.get("/x"))
    assert len(backend.seen) == 1

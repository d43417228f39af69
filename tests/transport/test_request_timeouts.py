"""A request's own timeouts bound how long it waits for a token."""

import asyncio
import threading
import time

import pytest

from hellojohn import MemoryStore, ServiceUnavailable
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.both_faces import EventLog, emulated, settle
from tests.transport.backend import UNAUTHORIZED, Say
from tests.transport.kinds import KINDS, TLS


class HangingStore(MemoryStore):
    """A store whose reads hang while ``answers`` is not set."""

    def __init__(self):
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()

    def load(self, key):
        """Wait, and load."""
        assert self.answers.wait(20)
        return super().load(key)


@pytest.fixture
async def api(kind, hj, backend):
    """Return a client of the app, for the backend."""
    client = kind.wrapped(hj, base_url=backend.url, timeout=20.0)
    yield client
    await kind.close(client)


async def waits(kind, api, seconds: float, **timeout: float) -> None:
    """Check that a request raises ServiceUnavailable after about so many seconds."""
    begun = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="within the time that the request allows") as caught:
        await settle(api.get("/x", timeout=kind.library.Timeout(20.0, **timeout)))
    assert seconds - 0.05 <= time.monotonic() - begun < seconds + 1.5
    assert not caught.value.ambiguous


async def test_stalled_service(kind, api, hj, emulator, backend):
    """With a stalled auth service a request fails after its time to connect and to be answered."""
    log = EventLog(hj)
    emulator.advance("2h")
    with emulator.hold("token/refresh"):
        await waits(kind, api, 0.2, connect=0.1, read=0.1)
        await waits(kind, api, 0.5, connect=0.1, read=0.4)
    await asyncio.to_thread(log.wait_for, "TOKEN_REFRESHED")
    assert (await settle(api.get("/x"))).status_code == 200
    assert (len(backend.seen), emulator.rotations, emulator.reuses) == (1, 1, 0)


async def test_stalled_service_after_a_401(kind, api, emulator, backend):
    """The same when the API has refused the token."""
    backend.script = lambda seen: UNAUTHORIZED
    with emulator.hold("token/refresh"):
        await waits(kind, api, 0.2, connect=0.1, read=0.1)
    assert len(backend.seen) == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.is_async], ids=str)
async def test_store_that_hangs(kind, emulator, backend):
    """An async request does not wait longer for a store that hangs. A sync one reads the store itself."""
    store = HangingStore()
    settings = emulated(emulator, store=store, verify=TLS)
    await settle((signing_in := kind.owner(**settings)).auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    hj = kind.owner(**settings)
    api = kind.wrapped(hj, base_url=backend.url, timeout=20.0)
    store.answers.clear()
    await waits(kind, api, 0.2, connect=0.1, read=0.1)
    store.answers.set()
    assert (await settle(api.get("/x"))).status_code == 200
    for client in (api, hj, signing_in):
        await kind.close(client)


async def test_each_request_has_its_own_bound(kind, api, emulator):
    """While one request waits for long, another one gives up early."""
    emulator.advance("2h")
    with emulator.hold("token/refresh") as hold:
        if kind.is_async:
            patient = asyncio.create_task(api.get("/x"))
            await asyncio.to_thread(hold.wait_arrived)
        else:
            answers: list[object] = []
            thread = threading.Thread(target=lambda: answers.append(api.get("/x")))
            thread.start()
            hold.wait_arrived()
        await waits(kind, api, 0.2, connect=0.1, read=0.1)
    if kind.is_async:
        assert (await patient).status_code == 200
    else:
        thread.join(20)
        assert [answer.status_code for answer in answers] == [200]
    assert emulator.rotations == 1


async def test_working_token_is_sent_after_the_bound(kind, api, hj, emulator, backend):
    """In a token's last seconds a request waits within its timeouts, and then sends the token it has."""
    old = f"Bearer {await settle(hj.auth.access_token())}"
    emulator.advance("3585s")
    with emulator.hold("token/refresh"):
        begun = time.monotonic()
        timeout = kind.library.Timeout(20.0, connect=0.1, read=0.2)
        assert (await settle(api.get("/x", timeout=timeout))).status_code == 200
        assert time.monotonic() - begun < 2
    assert backend.tokens == [old]


async def test_fresh_token_is_never_waited_for(kind, api, hj, emulator, backend):
    """A request with a usable token does not wait for the background refresh."""
    old = f"Bearer {await settle(hj.auth.access_token())}"
    emulator.advance("58m")
    with emulator.hold("token/refresh") as hold:
        assert (await settle(api.get("/x"))).status_code == 200
        assert (await settle(api.get("/x"))).status_code == 200
        await asyncio.to_thread(hold.wait_arrived)
    assert backend.tokens == [old, old]


async def test_request_without_timeouts_waits_for_the_refresh(kind, api, emulator, backend):
    """With timeout=None a request waits as long as the refresh takes."""
    backend.script = lambda seen: Say(body=b"fine")
    emulator.advance("2h")
    with emulator.hold("token/refresh") as hold:
        releasing = threading.Thread(target=lambda: (hold.wait_arrived(), time.sleep(0.3), hold.release()))
        releasing.start()
        assert (await settle(api.get("/x", timeout=None))).text == "fine"
        releasing.join(20)

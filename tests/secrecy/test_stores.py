"""A store that fails, and says what it was given; and records that are none. Nothing shows."""

import asyncio
import threading

import pytest

from hellojohn import HelloJohnError, StoreCorrupt, StoreError, StoreUnavailable
from tests.secrecy.markers import ACCESS, REFRESH
from tests.secrecy.test_answers import ANSWERS, CALLS, outcome
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed
from tests.secrecy.world import Trouble, World, settle


class Talkative(StoreUnavailable):
    """A store's own error, with the text in every place there is."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.text = message
        self.add_note(message)


def chained(text):
    """Return an error that came of another."""
    error = StoreUnavailable("It failed.")
    error.__cause__ = error.__context__ = ValueError(text)
    return error


FAILURES = {
    "a foreign error": RuntimeError,
    "the system's": lambda text: OSError(28, "No space left on device", text),
    "a key error": KeyError,
    "a store error": StoreUnavailable,
    "a plain store error": StoreError,
    "corrupt": StoreCorrupt,
    "an own store error": Talkative,
    "a store error with a cause": chained,
    "a unicode error": lambda text: UnicodeEncodeError("utf-8", text, 0, 1, "no"),
}
PLACES = ["load", "save", "delete", "lock", "unlock"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_store_that_repeats_what_it_was_given_shows_nothing(owner, place, failure):
    """Whatever a plug-in raises leaves as a ``StoreError`` without the record."""
    store = Trouble(FAILURES[failure])
    world = World(owner, store)
    for name in CALLS:
        store.at = ""
        world.service.answers.clear()
        await world.sign_in()
        world.now += 7_200
        store.at = place
        result = await outcome(world, name)
        if isinstance(result, BaseException):
            assert judged(result)
            assert exposed_by(result) == [], name
    assert exposed([world.hj, world.events]) == []
    await world.close()


@pytest.mark.parametrize(
    "text",
    [
        "MARKED-junk",
        '{"v": 1, "access_token": "MARKED-access"',
        '{"v": 1, "access_token": "MARKED-access", "refresh_token": 7}',
        '{"v": 1, "access_token": "MARKED access", "refresh_token": "MARKED-refresh"}',
        '{"v": 99, "access_token": "MARKED-access", "refresh_token": "MARKED-refresh"}',
        '["MARKED-access"]',
        '"MARKED-access"',
        '{"v": "MARKED-access"}',
    ],
)
@pytest.mark.parametrize("name", CALLS)
async def test_a_corrupt_record_is_not_quoted(owner, text, name):
    """What lies in the store may hold a token in any place."""
    world = World(owner)
    world.store.save(world.key, text)
    result = await outcome(world, name)
    if isinstance(result, BaseException):
        assert exposed_by(result) == []
    assert exposed(world.hj) == []
    await world.close()


async def test_another_tenant_s_record_is_not_quoted(owner):
    """A record that is good but not for this client."""
    world, other = World(owner), World(owner)
    await other.sign_in()
    text = other.store.load(other.key).replace("tnt_1", "tnt_2")
    assert ACCESS in text
    world.store.save(world.key, text)
    result = await outcome(world, "access_token")
    assert isinstance(result, StoreCorrupt)
    assert exposed_by(result) == []
    await world.close()
    await other.close()


@pytest.mark.parametrize("place", ["load", "save"])
async def test_a_refresh_that_cannot_be_saved_shows_nothing(owner, place):
    """The new tokens are in memory only; the log says so, without them."""
    store = Trouble(StoreUnavailable)
    world = World(owner, store)
    await world.sign_in()
    world.now += 7_200

    def fail_from_now_on(*_):
        store.at = place
        return world.service.grant()

    world.service.answers.append(fail_from_now_on)
    assert await settle(world.hj.auth.access_token())
    assert exposed([world.hj, world.events]) == []
    await world.close()


async def test_a_callback_that_raises_is_logged_without_a_secret(owner, ear):
    """It may do so in the middle of a sign-in, with the whole stack below it."""
    world = World(owner)
    heard = threading.Event()

    def callback(event):
        heard.set()
        raise RuntimeError(f"{event!r} {world.hj!r}")

    world.hj.on(callback)
    await world.sign_in()
    world.now += 7_200
    await settle(world.hj.auth.refresh())
    await settle(world.hj.auth.sign_out())
    assert heard.is_set()
    assert [line for line in ear.lines if "An event callback failed" in line]
    await world.close()


async def test_a_lost_task_is_reported_without_a_secret(ear):
    """Nobody awaited a call that failed: asyncio logs the error with its traceback."""
    from hellojohn import AsyncHelloJohn  # noqa: PLC0415

    world = World(AsyncHelloJohn)
    await world.sign_in()
    world.now += 7_200
    world.service.answers.append(ANSWERS["revoked"])
    task = asyncio.ensure_future(world.hj.auth.access_token())
    await asyncio.wait([task])
    del task
    await asyncio.sleep(0)
    assert [line for line in ear.lines if line.startswith("asyncio") and "SessionExpired" in line]
    await world.close()


def test_a_lost_thread_is_reported_without_a_secret(monkeypatch):
    """The same for a thread of the app's, through ``threading.excepthook``."""
    from hellojohn import HelloJohn  # noqa: PLC0415

    world, left = World(HelloJohn), []
    asyncio.run(world.sign_in())
    world.now += 7_200
    world.service.answers.append(ANSWERS["revoked"])
    monkeypatch.setattr(
        threading, "excepthook", lambda hook: left.extend(exposed_by(hook.exc_value) or ["clean"])
    )
    thread = threading.Thread(target=world.hj.auth.access_token)
    thread.start()
    thread.join()
    assert left == ["clean"]
    asyncio.run(world.close())


@pytest.mark.parametrize("method", ["load", "save", "delete", "quarantine"])
def test_the_memory_store_shows_nothing_by_itself(method):
    """A store may be called by anybody: its own frames and errors are ours as well."""
    store = Trouble(StoreUnavailable)
    store.save("key", f"{ACCESS} {REFRESH}")
    store._current().inherited.add("key")
    with pytest.raises(HelloJohnError) as caught:
        store.save("key", f"{ACCESS} {REFRESH}")
    assert exposed_by(caught.value) == []

"""Stores that repeat in their errors what they were given, and corrupt records: no secret shows."""

import asyncio
import threading

import pytest

from hellojohn import (
    AsyncHelloJohn,
    HelloJohn,
    HelloJohnError,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from tests.behaviour.scripted import DictStore
from tests.both_faces import settle
from tests.secrecy.marked_client import MarkedClient, Repeating
from tests.secrecy.markers import ACCESS, REFRESH
from tests.secrecy.test_answers import ANSWERS, SESSION_CALLS, outcome
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed


class Talkative(StoreUnavailable):
    """An app's own store error, with the text in every place."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.text = message
        self.add_note(message)


def chained(text):
    """Return an error with a cause."""
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
async def test_store_that_repeats_what_it_was_given(owner, place, failure):
    """Whatever a store raises arrives as a StoreError without the record."""
    store = Repeating(FAILURES[failure])
    world = MarkedClient(owner, store)
    for name in SESSION_CALLS:
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
@pytest.mark.parametrize("name", SESSION_CALLS)
async def test_corrupt_record_is_not_quoted(owner, text, name):
    """A corrupt text may hold a token in any place, and no error repeats it."""
    world = MarkedClient(owner, DictStore())
    await world.sign_in()
    (key,) = world.store.texts
    world.store.texts[key] = text
    await world.close()
    world = MarkedClient(owner, world.store)
    result = await outcome(world, name)
    if isinstance(result, BaseException):
        assert exposed_by(result) == []
    assert exposed(world.hj) == []
    await world.close()


async def test_record_of_another_tenant_is_not_quoted(owner):
    """The error about a record of another tenant does not repeat it."""
    other = MarkedClient(owner, DictStore())
    await other.sign_in()
    (key,) = other.store.texts
    other.store.texts[key] = other.store.text().replace("tnt_1", "tnt_2")
    assert ACCESS in other.store.text()
    world = MarkedClient(owner, other.store)
    result = await outcome(world, "access_token")
    assert isinstance(result, StoreCorrupt)
    assert exposed_by(result) == []
    await world.close()
    await other.close()


@pytest.mark.parametrize("place", ["load", "save"])
async def test_refresh_that_cannot_be_saved_shows_nothing(owner, place):
    """The log says that the new pair is only in memory, and does not show it."""
    store = Repeating(StoreUnavailable)
    world = MarkedClient(owner, store)
    await world.sign_in()
    world.now += 7_200

    def fail_from_now_on(*_):
        store.at = place
        return world.service.grant()

    world.service.answers.append(fail_from_now_on)
    assert await settle(world.hj.auth.access_token())
    assert exposed([world.hj, world.events]) == []
    await world.close()


async def test_callback_that_raises_is_logged_without_a_secret(owner, listener):
    """The traceback of a callback that raises shows no secret."""
    world = MarkedClient(owner)
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
    assert [line for line in listener.lines if "An event callback failed" in line]
    await world.close()


async def test_lost_task_is_reported_without_a_secret(listener):
    """Asyncio logs the error of a call that nothing awaited, without a secret."""
    world = MarkedClient(AsyncHelloJohn)
    await world.sign_in()
    world.now += 7_200
    world.service.answers.append(ANSWERS["revoked"])
    task = asyncio.ensure_future(world.hj.auth.access_token())
    await asyncio.wait([task])
    del task
    await asyncio.sleep(0)
    assert [line for line in listener.lines if line.startswith("asyncio") and "SessionExpired" in line]
    await world.close()


def test_lost_thread_is_reported_without_a_secret(monkeypatch):
    """The error that ends a thread of the app reaches threading.excepthook without a secret."""
    world, left = MarkedClient(HelloJohn), []
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
def test_error_of_a_store_that_an_app_calls(method):
    """An app may call a store itself: the frames of the store show no record."""
    store = Repeating(lambda text: StoreUnavailable("It failed."))
    store.save("key", f"{ACCESS} {REFRESH}")
    store.at = method
    with pytest.raises(HelloJohnError) as caught:
        store.save("key", f"{ACCESS} {REFRESH}") if method == "save" else getattr(store, method)("key")
    assert exposed_by(caught.value) == []

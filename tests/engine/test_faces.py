"""Two faces of one engine, the same in every signature; and nothing behind them that runs by itself."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable

import pytest

from hellojohn import AsyncAuth, AsyncHelloJohn, Auth, HelloJohn
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from hellojohn.stores import MemoryStore
from tests.engine.crowd import settings
from tests.engine.rig import until

RENAMED = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
PLAIN = {"on", "for_account", "client", "wrap", "httpx_auth", "httpx2_auth", "account", "auth"}
"""What neither face waits for."""


def _public(kind: type) -> dict[str, object]:
    return {name: member for name, member in inspect.getmembers_static(kind) if not name.startswith("_")}


def _parameters(function: object) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


PAIRS = [
    (sync, asynchronous, name)
    for sync, asynchronous in ((HelloJohn, AsyncHelloJohn), (Auth, AsyncAuth))
    for name, member in inspect.getmembers_static(sync)
    if (not name.startswith("_") or name in RENAMED) and inspect.isfunction(member)
]


@pytest.mark.parametrize(
    ("sync", "asynchronous", "name"), PAIRS, ids=lambda value: getattr(value, "__name__", value)
)
def test_every_call_has_a_twin_with_the_same_arguments(sync, asynchronous, name):
    """Who knows one face knows the other: names, order, kinds and defaults."""
    one, other = getattr(sync, name), getattr(asynchronous, RENAMED.get(name, name))
    assert _parameters(one) == _parameters(other)
    assert inspect.iscoroutinefunction(other) == (name not in PLAIN)
    assert not inspect.iscoroutinefunction(one)


@pytest.mark.parametrize(("sync", "asynchronous"), [(HelloJohn, AsyncHelloJohn), (Auth, AsyncAuth)])
def test_neither_face_has_a_call_that_the_other_lacks(sync, asynchronous):
    """Nothing is forgotten on one side."""
    assert {RENAMED.get(name, name) for name in _public(sync)} == set(_public(asynchronous))


def test_both_are_made_with_the_same_settings():
    """One set of settings for a sync worker and an async web app."""
    assert _parameters(HelloJohn.__init__) == _parameters(AsyncHelloJohn.__init__)


@pytest.mark.parametrize("name", [name for sync, _, name in PAIRS if sync is Auth])
def test_the_twins_return_the_same(name):
    """A ``Session`` here is a ``Session`` there."""
    returns = [inspect.signature(getattr(kind, name)).return_annotation for kind in (Auth, AsyncAuth)]
    assert returns[0] == returns[1]


def test_every_call_says_what_it_does():
    """The reference is made of docstrings."""
    for kind in (HelloJohn, AsyncHelloJohn, Auth, AsyncAuth):
        assert all(
            inspect.getdoc(getattr(kind, name)) for name, member in _public(kind).items() if callable(member)
        )


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} - {"MainThread", "hellojohn-emulator"}


def test_a_client_at_rest_has_no_thread(emulator):
    """There is no timer: signed in, refreshed in the background, signed out, it leaves nothing running."""
    until(lambda: not _threads())
    hj = HelloJohn(**settings(emulator, MemoryStore()))
    assert not _threads()
    hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    emulator.advance("58m")
    hj.auth.access_token()
    until(lambda: emulator.rotations == 1 and not _threads())
    emulator.advance("100d")
    assert not _threads()
    hj.auth.sign_out()
    until(lambda: not _threads())
    assert emulator.calls("token/refresh") == 1
    hj.close()


def test_an_async_client_at_rest_has_no_thread_and_no_task(emulator):
    """Nor does it leave a task behind that a loop would have to cancel."""

    async def main() -> set[Awaitable[object]]:
        async with AsyncHelloJohn(**settings(emulator, MemoryStore())) as hj:
            await hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
            emulator.advance("58m")
            await hj.auth.access_token()
            await asyncio.to_thread(until, lambda: emulator.rotations == 1)
            return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    until(lambda: not _threads())


def test_a_loaded_session_is_used_without_any_thread(emulator):
    """The first look at the store happens where the caller is, and a fresh token costs nothing."""
    store = MemoryStore()
    with HelloJohn(**settings(emulator, store)) as hj:
        hj.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    until(lambda: not _threads())
    with HelloJohn(**settings(emulator, store)) as again:
        for _ in range(10):
            assert again.auth.access_token()
            assert again.auth.session() is not None
            assert not _threads()

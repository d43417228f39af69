"""The shared fixtures of the tests of the public behaviour."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import Emulator
from tests.behaviour.scripted import ScriptedService
from tests.both_faces import close_now, emulated
from tests.dialects import Api


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HELLOJOHN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def api() -> Api:
    """Return the dialect of the service. ``both_dialects`` overrides it."""
    return "v1"


@pytest.fixture
def service(api: Api) -> ScriptedService:
    """Return a service without sockets, and its clock."""
    return ScriptedService(api)


@pytest.fixture
def emulator(api: Api) -> Iterator[Emulator]:
    """Return a running emulator, whose clock runs with the real one. Access tokens live for an hour."""
    with Emulator(api=api) as running:
        if api == "v2":
            running.configure(access_token_ttl="1h", lifetimes_from_sign_in=True)
        yield running


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync", "async"])
def owner(request: pytest.FixtureRequest) -> type[HelloJohn | AsyncHelloJohn]:
    """Return each of the two clients."""
    found: type[HelloJohn | AsyncHelloJohn] = request.param
    return found


@pytest.fixture
def new_client(emulator: Emulator) -> Iterator[Callable[..., Any]]:
    """Return a function that creates a client of the emulator. The clients are closed after the test."""
    created: list[Any] = []

    def create(kind: type[HelloJohn | AsyncHelloJohn] = HelloJohn, **settings: Any) -> Any:
        hj = kind(**emulated(emulator, **settings))
        created.append(hj)
        return hj

    yield create
    for hj in created:
        close_now(hj)

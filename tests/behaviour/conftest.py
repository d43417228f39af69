"""What the tests of the public behaviour share."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import Emulator
from tests.behaviour.scripted import ScriptedService
from tests.both_faces import close_now, emulated


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HELLOJOHN_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def service() -> ScriptedService:
    """Return a service without sockets, and its clock."""
    return ScriptedService()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Return a running emulator, whose clock runs with the real one."""
    with Emulator() as running:
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

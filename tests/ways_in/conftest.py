"""Fixtures of the ways in: an emulator of each dialect, and clients of both faces behind one."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn, MemoryStore
from hellojohn.emulator import Emulator

START = 1_800_000_000.0
EMAIL, PASSWORD = "ada@example.com", "Correct-Horse-Battery-9"


@pytest.fixture(params=["v1", "v2"])
def api(request: pytest.FixtureRequest) -> str:
    """Each dialect in turn. A test that names one with ``parametrize`` runs on that one only."""
    return request.param


@pytest.fixture
def emulator(api: str) -> Iterator[Emulator]:
    """An emulator with one user, whose clock moves by ``advance`` only."""
    with Emulator(api=api, clock=lambda: START) as running:
        running.add_user(EMAIL, PASSWORD, name="Ada")
        yield running


def settings(emulator: Emulator, **more: Any) -> dict[str, Any]:
    """Return the settings of a client of an emulator."""
    return {
        "api": emulator.api,
        "api_url": emulator.url,
        "tenant_id": emulator.tenant_id,
        "client_id": emulator.client_id,
        "publishable_key": emulator.publishable_key,
        "secret_key": emulator.secret_key,
        "clock": emulator.clock,
        "store": MemoryStore(),
        **more,
    }


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync", "async"])
async def hj(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Any]:
    """A client of each face in turn. Use ``done`` on what its calls return."""
    client = request.param(**settings(emulator))
    yield client
    await done(client.close() if isinstance(client, HelloJohn) else client.aclose())


async def done(value: Any) -> Any:
    """Return the result of a call of either face."""
    return await value if inspect.isawaitable(value) else value

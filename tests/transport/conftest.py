"""What the transport's tests share: the four kinds of client, a service, and a signed-in session."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.transport.backend import Backend
from tests.transport.kinds import KINDS, TLS, Kind, settle


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """One of the four kinds of client, each in turn."""
    return request.param


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The service."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def backend() -> Iterator[Backend]:
    """An app's API, which answers 200 unless told otherwise."""
    with Backend() as backend:
        yield backend


@pytest.fixture
def stranger() -> Iterator[Backend]:
    """Somebody else's server."""
    with Backend() as stranger:
        yield stranger


@pytest.fixture
async def nobody(kind: Kind, emulator: Emulator) -> AsyncIterator[Any]:
    """A HelloJohn client of the kind, signed out."""
    hj = kind.owner(
        tenant_id=emulator.tenant_id,
        publishable_key=emulator.publishable_key,
        api_url=emulator.url,
        verify=TLS,
        clock=emulator.clock,
    )
    yield hj
    await kind.close(hj)


@pytest.fixture
async def hj(nobody: Any) -> Any:
    """A HelloJohn client of the kind, signed in."""
    await settle(nobody.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    return nobody

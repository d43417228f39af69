"""The shared fixtures of the tests of the auth hook: four kinds of client, a service, and servers."""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.both_faces import emulated, settle
from tests.transport.backend import Backend
from tests.transport.kinds import KINDS, TLS, Kind


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return each of the four kinds of client."""
    return request.param


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Return the service, on v1 unless ``on_both_emulators`` says more. Access tokens live for an hour."""
    with Emulator(api=getattr(request, "param", "v1")) as emulator:
        if emulator.api == "v2":
            emulator.configure(access_token_ttl="1h", lifetimes_from_sign_in=True)
        yield emulator


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Return an app's API, which answers 200 unless a test sets its script."""
    with Backend() as backend:
        yield backend


@pytest.fixture
def stranger() -> Iterator[Backend]:
    """Return a server of another origin."""
    with Backend() as stranger:
        yield stranger


@pytest.fixture
async def signed_out(kind: Kind, emulator: Emulator) -> AsyncIterator[Any]:
    """Return a HelloJohn client of the kind, signed out."""
    hj = kind.owner(**emulated(emulator, verify=TLS))
    yield hj
    await kind.close(hj)


@pytest.fixture
async def hj(signed_out: Any) -> Any:
    """Return a HelloJohn client of the kind, signed in."""
    await settle(signed_out.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD))
    return signed_out

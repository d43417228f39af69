"""Apps of the four frameworks with the same guarded routes, behind one way to call them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.emulator import Emulator
from hellojohn.testing._settings import settings_for
from tests.both_faces import close_now
from tests.integrations.apps import FRAMEWORKS, Caller
from tests.integrations.browsers import CAREFUL, EMAIL, HTTPS, PASSWORD, SITES, Browsers, close_all

START = 1_800_000_000.0


class App(NamedTuple):
    """A guarded app in some framework.

    Attributes:
        call: Sends a request to one of the routes.
        make: Builds the app again with another client.
    """

    call: Caller
    make: Callable[[Any], Caller]


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """An emulator whose clock moves by ``advance`` only, on v1 unless ``on_both_emulators`` says more."""
    with Emulator(api=getattr(request, "param", "v1"), clock=lambda: START) as running:
        if running.client_id is not None:
            running.add_client(running.client_id, redirect_uris=[f"{HTTPS}/callback"])
            running.configure(mended=True, access_token_ttl="1h", lifetimes_from_sign_in=True)
        yield running


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["sync-client", "async-client"])
def hj(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Any]:
    """A client of each face in turn."""
    client = request.param(**settings_for(emulator))
    yield client
    close_now(client)


@pytest.fixture(params=["sync-routes", "async-routes"])
def style(request: pytest.FixtureRequest) -> str:
    """How the routes are written, each in turn."""
    return request.param


@pytest.fixture(params=FRAMEWORKS)
def app(request: pytest.FixtureRequest, hj: Any, style: str) -> App:
    """A guarded app of each framework in turn."""

    def make(client: Any) -> Caller:
        return FRAMEWORKS[request.param](client, is_async=style == "async-routes")

    return App(make(hj), make)


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Callable[..., Browsers]]:
    """A function that builds the site in each framework in turn."""
    emulator.add_user(EMAIL, PASSWORD)
    emulator.add_user(CAREFUL, PASSWORD, mfa_code="123456")
    yield lambda **settings: SITES[request.param](emulator, **settings)
    close_all()


@pytest.fixture
def browsers(site: Callable[..., Browsers]) -> Browsers:
    """The usual site."""
    return site()


@pytest.fixture
def browser(browsers: Browsers) -> Any:
    """One browser on it."""
    return browsers()

"""The fixtures, as pytest finds them. Loaded at the start of every pytest run: it imports pytest and no more.

A fixture loads its modules when a test asks for it, and names the line to install where one is missing.
"""

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from hellojohn import AsyncHelloJohn, HelloJohn
    from hellojohn.emulator import Emulator


@pytest.fixture
def hellojohn_api() -> Literal["v1", "v2"]:
    """The API that ``hellojohn_emulator`` speaks. Override it to run tests on another one."""
    return "v1"


@pytest.fixture
def hellojohn_emulator(hellojohn_api: Literal["v1", "v2"]) -> "Iterator[Emulator]":
    """A running HelloJohn service for this test: a demo user, a clock to move, failures on demand."""
    try:
        from hellojohn.emulator import Emulator  # noqa: PLC0415 - an extra
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with Emulator(api=hellojohn_api) as emulator:
        yield emulator


@pytest.fixture
def hellojohn_client(hellojohn_emulator: "Emulator") -> "Iterator[HelloJohn]":
    """A signed-out ``HelloJohn`` that talks to ``hellojohn_emulator`` and uses its clock."""
    from hellojohn import HelloJohn  # noqa: PLC0415 - see above
    from hellojohn.testing._settings import settings_for  # noqa: PLC0415

    with HelloJohn(**settings_for(hellojohn_emulator)) as client:
        yield client


@pytest.fixture
def hellojohn_async_client(hellojohn_emulator: "Emulator") -> "Iterator[AsyncHelloJohn]":
    """A signed-out ``AsyncHelloJohn``, bound to it as well. It works with or without a plugin for asyncio."""
    from hellojohn import AsyncHelloJohn  # noqa: PLC0415 - see above
    from hellojohn.testing._settings import settings_for  # noqa: PLC0415

    client = AsyncHelloJohn(**settings_for(hellojohn_emulator))
    yield client
    _close(client)


@pytest.fixture
def hellojohn_environment(hellojohn_emulator: "Emulator", monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment variables of ``hellojohn_emulator``, set, for an app that makes its own client."""
    from hellojohn.testing._settings import environment_for  # noqa: PLC0415 - see above

    variables = environment_for(hellojohn_emulator)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def hellojohn_headers(hellojohn_emulator: "Emulator") -> Callable[..., dict[str, str]]:
    """A function that signs a user in and returns the headers of a request to a guarded app.

    It takes ``email``, the demo user's by default, and ``scopes`` and ``roles``, the user's by default.
    """

    def headers(
        email: str | None = None,
        *,
        scopes: Collection[str] | None = None,
        roles: Collection[str] | None = None,
    ) -> dict[str, str]:
        from hellojohn.emulator import DEMO_EMAIL  # noqa: PLC0415 - see above

        token = hellojohn_emulator.token(email or DEMO_EMAIL, scopes=scopes, roles=roles)
        return {"Authorization": f"Bearer {token}"}

    return headers


def _close(client: "AsyncHelloJohn") -> None:
    """Close it on another thread: the event loop of this one, running or not, belongs to the test."""
    import asyncio  # noqa: PLC0415 - see above
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, client.aclose()).result()

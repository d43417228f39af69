"""The fixtures, as pytest finds them. Loaded at the start of every pytest run: it imports pytest and no more.

A fixture loads what it needs when a test asks for it, and names the line to install where that is missing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hellojohn import AsyncHelloJohn, HelloJohn
    from hellojohn.emulator import Emulator


@pytest.fixture
def hellojohn_emulator() -> "Iterator[Emulator]":
    """A HelloJohn service of the test's own, running: a demo user, a clock to move, failures to order."""
    try:
        from hellojohn.emulator import Emulator  # noqa: PLC0415 - an extra
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def hellojohn_client(hellojohn_emulator: "Emulator") -> "Iterator[HelloJohn]":
    """A signed-out ``HelloJohn`` that talks to ``hellojohn_emulator`` and goes by its clock."""
    from hellojohn import HelloJohn  # noqa: PLC0415 - see above
    from hellojohn.testing._settings import settings_for  # noqa: PLC0415

    with HelloJohn(**settings_for(hellojohn_emulator)) as client:
        yield client


@pytest.fixture
def hellojohn_async_client(hellojohn_emulator: "Emulator") -> "Iterator[AsyncHelloJohn]":
    """A signed-out ``AsyncHelloJohn``, likewise. It needs no pytest plugin for asyncio, and goes with any."""
    from hellojohn import AsyncHelloJohn  # noqa: PLC0415 - see above
    from hellojohn.testing._settings import settings_for  # noqa: PLC0415

    client = AsyncHelloJohn(**settings_for(hellojohn_emulator))
    yield client
    _close(client)


def _close(client: "AsyncHelloJohn") -> None:
    """Close it on a thread of its own: this one's event loop, running or not, belongs to the test."""
    import asyncio  # noqa: PLC0415 - see above
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, client.aclose()).result()

"""Two open-source servers for the same tests: the emulator, and a running one that the environment names.

A test for the running server is skipped where the environment does not name the parts that it needs.
CONTRIBUTING.md lists them.
"""

import os
import uuid
from collections.abc import Iterator
from typing import Protocol

import pytest

from hellojohn import HelloJohn
from hellojohn.emulator import Emulator
from tests.behaviour.scripted import DictStore
from tests.real_server.counted_clients import Clients, Place
from tests.real_server.database import CommandedDatabase, EmulatedDatabase
from tests.real_server.mailbox import Mailbox

PASSWORD = "Correct-Horse-Battery-9"
PREFIX = "HELLOJOHN_SERVER_"


def named(*names: str) -> list[str]:
    """Return the values of environment variables, or skip the test."""
    for name in names:
        if not os.environ.get(PREFIX + name):
            pytest.skip(f"only on machines with {PREFIX}{name} set")
    return [os.environ[PREFIX + name] for name in names]


@pytest.fixture(params=["emulated", "running"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator | None]:
    """The emulator; ``None`` for the running server."""
    if request.param == "running":
        named("URL", "TENANT", "CLIENT")
        yield None
        return
    with Emulator(api="v2") as emulator:
        yield emulator


@pytest.fixture
def place(emulator: Emulator | None) -> Place:
    """Where the server is."""
    if emulator is None:
        return Place(*named("URL", "TENANT", "CLIENT"))
    return Place(emulator.url, emulator.tenant_id, emulator.client_id or "")


@pytest.fixture
def server(place: Place) -> Iterator[Clients]:
    """The clients of the server."""
    with Clients(place) as clients:
        yield clients


@pytest.fixture
def email() -> str:
    """An address that has no account yet."""
    return f"user-{uuid.uuid4().hex[:12]}@example.com"


@pytest.fixture
def store() -> DictStore:
    """The store of ``hj``."""
    return DictStore()


@pytest.fixture
def hj(server: Clients, store: DictStore, email: str) -> HelloJohn:
    """A client of a new user, who is signed in."""
    client = server.client(store=store)
    client.auth.sign_up(email, PASSWORD)
    return client


@pytest.fixture
def api_key(emulator: Emulator | None) -> str:
    """A key for the tenant's settings."""
    return named("API_KEY")[0] if emulator is None else emulator.api_key()


@pytest.fixture
def mended(emulator: Emulator | None) -> None:
    """A server that has a key for second factors, and accepts the codes that it gave out."""
    if emulator is None:
        named("MENDED")
    else:
        emulator.configure(mended=True)


@pytest.fixture
def published(emulator: Emulator | None) -> None:
    """The server as it is published."""
    if emulator is None and os.environ.get(PREFIX + "MENDED"):
        pytest.skip("only on machines with the published server")


class Mails(Protocol):
    """The mails that the server sent."""

    def link(self, address: str) -> str:
        """Wait for a mail to an address, take it out, and return its link."""
        ...

    def __len__(self) -> int:
        """Return how many mails are there."""
        ...


class EmulatedMails:
    """The emulator's inbox. Mails are there at once."""

    def __init__(self, emulator: Emulator) -> None:
        self._inbox = emulator.inbox
        self._taken = 0

    def link(self, address: str) -> str:
        """Take a mail out."""
        self._taken += 1
        return self._inbox.latest(address).link or ""

    def __len__(self) -> int:
        """Return how many mails are there."""
        return len(self._inbox) - self._taken


@pytest.fixture
def mails(emulator: Emulator | None) -> Iterator[Mails]:
    """The mail server that the tenant's settings name, or the emulator's inbox."""
    if emulator is not None:
        yield EmulatedMails(emulator)
        return
    host, _, port = named("SMTP")[0].rpartition(":")
    with Mailbox(host, int(port)) as mailbox:
        yield mailbox


@pytest.fixture
def database(emulator: Emulator | None) -> Iterator[CommandedDatabase | EmulatedDatabase]:
    """The tenant's database. It runs again afterwards."""
    database = CommandedDatabase(*named("DATABASE")) if emulator is None else EmulatedDatabase(emulator)
    yield database
    database.start()

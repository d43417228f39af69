"""What the secrecy tests share: both clients, no pauses, and a listener on every log line and thread."""

import logging
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn._clock import Timing
from hellojohn._session import engine
from tests.secrecy.marked_client import MarkedClient
from tests.secrecy.markers import leaks
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import exposed


class Listener(logging.Handler):
    """Checks what any logger writes, with the arguments and the tracebacks.

    Attributes:
        lines: The lines, with the names of their loggers.
        leaks: The secrets that were found.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Check a record."""
        line = self.format(record)
        self.lines.append(f"{record.name}: {line}")
        found = [f"{leak} in {line!r}" for leak in leaks(line)] + exposed(record.args)
        if record.exc_info and record.exc_info[1]:
            found += exposed_by(record.exc_info[1])
        self.leaks += [f"{record.name}: {leak}" for leak in found]


@pytest.fixture(autouse=True)
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Check each log line at DEBUG, and each error that a thread leaves behind, for secrets."""
    listener, root = Listener(), logging.getLogger()
    before = root.level
    monkeypatch.setattr(
        threading, "excepthook", lambda left: listener.leaks.extend(exposed_by(left.exc_value))
    )
    monkeypatch.setattr(sys, "unraisablehook", lambda left: listener.leaks.extend(exposed_by(left.exc_value)))
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener
    root.setLevel(before)
    root.removeHandler(listener)
    assert listener.leaks == []


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow each other at once: hundreds of these tests lose an answer."""
    monkeypatch.setattr(engine, "Timing", partial(Timing, sleep=lambda seconds: None))


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["blocking", "awaiting"])
def owner(request: pytest.FixtureRequest) -> type:
    """Return each of the two clients."""
    return request.param


@pytest.fixture
async def world(owner):
    """Return a signed-out client with its service and its store."""
    world = MarkedClient(owner)
    yield world
    await world.close()

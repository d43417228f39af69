"""What the secrecy tests share: both clients, no waiting, and an ear on every log line and thread."""

import logging
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from hellojohn import AsyncHelloJohn, HelloJohn, _engine
from hellojohn._clock import Timing
from tests.secrecy.markers import leaks
from tests.secrecy.tracebacks import exposed_by
from tests.secrecy.walk import exposed
from tests.secrecy.world import World


class Ear(logging.Handler):
    """Notes what any logger says, with the objects and the tracebacks it says it with."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record."""
        line = self.format(record)
        self.lines.append(f"{record.name}: {line}")
        found = [f"{leak} in {line!r}" for leak in leaks(line)] + exposed(record.args)
        if record.exc_info and record.exc_info[1]:
            found += exposed_by(record.exc_info[1])
        self.leaks += [f"{record.name}: {leak}" for leak in found]


@pytest.fixture(autouse=True)
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Listen to every logger at DEBUG, and to what threads leave behind; no secret may be heard."""
    ear, root = Ear(), logging.getLogger()
    before = root.level
    monkeypatch.setattr(threading, "excepthook", lambda left: ear.leaks.extend(exposed_by(left.exc_value)))
    monkeypatch.setattr(sys, "unraisablehook", lambda left: ear.leaks.extend(exposed_by(left.exc_value)))
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    yield ear
    root.setLevel(before)
    root.removeHandler(ear)
    assert ear.leaks == []


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_engine, "Timing", partial(Timing, sleep=lambda seconds: None))


@pytest.fixture(params=[HelloJohn, AsyncHelloJohn], ids=["blocking", "awaiting"])
def owner(request: pytest.FixtureRequest) -> type:
    """Both clients, each in turn."""
    return request.param


@pytest.fixture
async def world(owner):
    """A client of which nobody has signed in."""
    world = World(owner)
    yield world
    await world.close()

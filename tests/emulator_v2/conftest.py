"""Fixtures of the v2 emulator's tests: an emulator whose clock stands still, and an app that calls it."""

from collections.abc import Iterator

import httpx
import pytest

from hellojohn.emulator import Emulator
from tests.emulator_v2.calls import App
from tests.emulator_v2.named import START


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A running emulator of the open-source server. Its clock moves by ``advance`` only."""
    with Emulator(api="v2", clock=lambda: START) as running:
        yield running


@pytest.fixture
def http(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the emulator."""
    with httpx.Client(base_url=emulator.url, verify=False) as client:
        yield client


@pytest.fixture
def app(emulator: Emulator, http: httpx.Client) -> App:
    """An app that calls the emulator."""
    return App(emulator, http)

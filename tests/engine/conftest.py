"""What the engine's tests share: an emulator, and a watch over the threads they leave behind."""

from collections.abc import Iterator

import pytest

from hellojohn._owner import OWNER
from hellojohn.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose clock runs with the real one."""
    with Emulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_stays_under_way() -> Iterator[None]:
    """Let no test leave work to the next one."""
    yield
    assert OWNER.wait(10)

"""What the engine's tests share: an emulator, and a watch over the threads they leave behind."""

from collections.abc import Iterator

import pytest

from hellojohn.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An emulator whose clock runs with the real one."""
    with Emulator() as running:
        yield running

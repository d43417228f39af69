"""Fixtures of the v2 emulator's tests: a clock that stands still."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.emulator_v2.named import START


@dataclass
class StillClock:
    """A clock that moves only by ``advance``."""

    now: float = START

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, **units: float) -> None:
        """Move by the arguments of a ``timedelta``."""
        self.now += timedelta(**units).total_seconds()


@pytest.fixture
def clock() -> StillClock:
    """A clock that stands still."""
    return StillClock()

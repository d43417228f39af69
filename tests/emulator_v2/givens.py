"""Which state goes before which recording.

A state is a function that brings a ``World`` there; its docstring says where that is. The modules
``givens_*.py`` have them by topic.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

from tests.emulator_v2.world import World

Given = Callable[[World], None]
_STATES: dict[str, Given] = {}


def given(*patterns: str) -> Callable[[Given], Given]:
    """Register a state for the recordings whose names fit."""

    def register(state: Given) -> Given:
        for pattern in patterns:
            assert pattern not in _STATES, f"two states go before {pattern}"
            _STATES[pattern] = state
        return state

    return register


def load_states() -> None:
    """Load every module with states."""
    for path in sorted(Path(__file__).parent.glob("givens_*.py")):
        import_module(f"tests.emulator_v2.{path.stem}")


def state_before(name: str) -> Given | None:
    """Return the state before a recording: by its name, or by the longest pattern that fits."""
    if name in _STATES:
        return _STATES[name]
    fitting = [pattern for pattern in _STATES if fnmatchcase(name, pattern)]
    return _STATES[max(fitting, key=len)] if fitting else None

"""Durations: ``"30d"`` to ``timedelta`` and back. Pure."""

import re
from datetime import timedelta

from hellojohn._errors import ConfigurationError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_PATTERN = re.compile(r"([0-9]{1,10})([smhdwy])")
_LONGEST = timedelta(days=365 * 100)


def parse_duration(value: str | timedelta, *, name: str) -> timedelta:
    """Read a duration.

    Args:
        value: Text such as ``90s``, ``15m``, ``24h``, ``30d``, ``2w`` or ``1y`` (365 days), or a
            ``timedelta`` of whole seconds. From one second to 100 years.
        name: What to call the value in the error.

    Raises:
        ConfigurationError: The value is anything else.
    """
    duration = value if isinstance(value, timedelta) else _parse_text(value)
    if duration is None or not _is_sendable(duration):
        msg = (
            f"{name} is not a duration: write a whole number and a unit, such as 90s, 15m, 24h, 30d, 2w or"
            f" 1y, or a timedelta of whole seconds (one second to 100 years), not {_shown(value)}."
        )
        raise ConfigurationError(msg)
    return duration


def format_duration(duration: timedelta) -> str:
    """Write a duration as the API's documentation does: ``30d``, ``24h``, ``15m``, ``90s``.

    The unit is the largest one up to days that divides it. A single day is ``24h``.
    """
    seconds = int(duration.total_seconds())
    units = "hms" if seconds == _SECONDS["d"] else "dhms"
    unit = next(unit for unit in units if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def _parse_text(value: object) -> timedelta | None:
    match = _PATTERN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    seconds = int(match[1]) * _SECONDS[match[2]]
    return timedelta(seconds=seconds) if seconds <= _LONGEST.total_seconds() else None


def _is_sendable(duration: timedelta) -> bool:
    return timedelta(seconds=1) <= duration <= _LONGEST and duration.microseconds == 0


def _shown(value: object) -> str:
    return repr(value)[:40] if isinstance(value, str | float | timedelta) else type(value).__name__

"""A tenant's session settings: the four of ``admin/config``, validated. Pure.

A duration stays the text that was given, so that reading the settings shows the text that was written.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, TypedDict

from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError


class Settings(TypedDict, total=False):
    """The settings that may be changed; ``None`` clears a limit."""

    session_duration: str | timedelta
    access_token_ttl: str | timedelta
    idle_timeout: str | timedelta | None
    max_sessions_per_user: int | None


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings in force.

    Attributes:
        session_duration: The life of a whole session, and the most that a sign-in may ask for.
        access_token_ttl: The life of an access token.
        idle_timeout: How long a session may go without a refresh; ``None`` for any time.
        max_sessions_per_user: Active sessions a user may have; ``None`` for any number.
    """

    session_duration: str = "30d"
    access_token_ttl: str = "1h"  # noqa: S105 - a length of time
    idle_timeout: str | None = None
    max_sessions_per_user: int | None = None

    def changed(self, settings: Mapping[str, object]) -> "Policy":
        """Return the policy with these settings.

        Raises:
            ConfigurationError: A name or a value is wrong; nothing is changed then.
        """
        read: dict[str, Any] = {name: _read(name, value) for name, value in settings.items()}
        return replace(self, **read)

    def as_json(self) -> dict[str, str | int | None]:
        """Return the settings as the API writes them."""
        return asdict(self)


def seconds(duration: str) -> float:
    """Return the length of a duration in seconds."""
    return parse_duration(duration, name="The duration").total_seconds()


def _read(name: str, value: object) -> str | int | None:
    match name:
        case "session_duration" | "access_token_ttl":
            return _read_duration(name, value)
        case "idle_timeout":
            return None if value is None else _read_duration(name, value)
        case "max_sessions_per_user":
            return None if value is None else _read_cap(name, value)
        case _:
            msg = f"There is no setting {name[:40]!r}: the four are {', '.join(Policy.__slots__)}."
            raise ConfigurationError(msg)


def _read_duration(name: str, value: object) -> str:
    duration = parse_duration(value, name=name)  # type: ignore[arg-type]  # it refuses other types
    return value if isinstance(value, str) else format_duration(duration)


def _read_cap(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000:  # noqa: PLR2004 - a bound
        return value
    msg = f"{name} is a whole number of sessions, 1 or more, or null for no cap."
    raise ConfigurationError(msg)

"""``SessionPolicy``: the settings of a tenant's sessions, with presets and warnings."""

import json
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError

__all__ = ["PolicyWarning", "SessionPolicy"]

LIVES = ("session_duration", "access_token_ttl")
DURATIONS = (*LIVES, "idle_timeout")

Duration = str | timedelta


class PolicyWarning(UserWarning):
    """A session policy defeats itself, such as tokens that outlive the idle timeout."""


@dataclass(frozen=True, kw_only=True)
class SessionPolicy:
    """The settings of a tenant's sessions. ``str()`` of it is the JSON of the documentation.

    Attributes:
        session_duration: The life of a whole session; ``None`` if the server does not say.
        access_token_ttl: The life of an access token; ``None`` if the server does not say.
        idle_timeout: How long a session may go without a refresh; ``None`` for no limit.
        max_sessions_per_user: How many sessions a user may have; ``None`` for no limit.
    """

    session_duration: Duration | None = "30d"
    access_token_ttl: Duration | None = "1h"  # noqa: S105 - a duration
    idle_timeout: Duration | None = None
    max_sessions_per_user: int | None = None

    STANDARD: ClassVar["SessionPolicy"]
    HIGH_SECURITY: ClassVar["SessionPolicy"]
    COMPLIANCE: ClassVar["SessionPolicy"]

    def __post_init__(self) -> None:
        """Check the values, and keep durations as ``timedelta``.

        Raises:
            ConfigurationError: A value is malformed.
        """
        for name in DURATIONS:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, parse_duration(value, name=name))
        most: object = self.max_sessions_per_user
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ConfigurationError("max_sessions_per_user must be a whole number from 1, or None.")

    def to_json(self) -> dict[str, str | int | None]:
        """Return the settings as the API has them."""
        return {**{name: _text(getattr(self, name)) for name in DURATIONS}, **self._numbers()}

    def warn(self, *, stacklevel: int = 2) -> None:
        """Issue a ``PolicyWarning`` for settings that defeat each other.

        Args:
            stacklevel: Whose line the warning names, as for ``warnings.warn``: by default the caller's.
        """
        session, token, idle = (_seconds(getattr(self, name)) for name in DURATIONS)
        if token is not None and idle is not None and token >= idle:
            message = (
                "access_token_ttl is not shorter than idle_timeout. The service counts refreshes as"
                " activity, so users who are active all the time are signed out as idle."
            )
            warnings.warn(message, PolicyWarning, stacklevel=stacklevel)
        if token is not None and session is not None and token > session:
            message = "access_token_ttl is longer than session_duration: tokens outlive their sessions."
            warnings.warn(message, PolicyWarning, stacklevel=stacklevel)

    def _numbers(self) -> dict[str, str | int | None]:
        return {"max_sessions_per_user": self.max_sessions_per_user}

    def __str__(self) -> str:
        """Return the JSON of the documentation."""
        return json.dumps(self.to_json(), indent=2)


SessionPolicy.STANDARD = SessionPolicy()
SessionPolicy.HIGH_SECURITY = SessionPolicy(
    session_duration="24h",
    access_token_ttl="15m",  # noqa: S106 - a duration
    idle_timeout="1h",
    max_sessions_per_user=3,
)
SessionPolicy.COMPLIANCE = SessionPolicy(
    session_duration="8h",
    access_token_ttl="5m",  # noqa: S106 - a duration
    idle_timeout="30m",
    max_sessions_per_user=2,
)


def _text(duration: timedelta | None) -> str | None:
    return None if duration is None else format_duration(duration)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()

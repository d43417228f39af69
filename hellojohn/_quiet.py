"""The quiet after a failed refresh: while the token works, requests do not wait for another failure."""

import random

from hellojohn._errors import ServiceUnavailable

_QUIET = 5.0
_LONGEST = 60.0


class Quiet:
    """For some seconds after a failure, at most a minute, no refresh is begun that can wait."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        """Begin without one."""
        self._until = 0.0

    def begin(self, error: Exception, now: float) -> None:
        """Be quiet after ``error``: as long as the service asked for, and not in step with other clients."""
        asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
        own = random.uniform(_QUIET / 2, _QUIET)  # noqa: S311 - spreads load, guards nothing
        self._until = now + min(max(asked or 0.0, own), _LONGEST)

    def holds(self, now: float) -> bool:
        """Return whether it is quiet; a clock that was set back does not make it longer."""
        return now < self._until <= now + _LONGEST

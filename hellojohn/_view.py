"""What a request needs to know of a session, worked out once per token so that using it costs nothing."""

import math
from typing import NoReturn

from hellojohn._freshness import Schedule
from hellojohn._record import Record


class View:
    """One token of one session, ready to be sent. Immutable, and masked like a secret.

    The hot path reads three attributes: while ``fresh_from <= now < fresh_until``, ``header`` goes out.
    """

    __slots__ = ("fresh_from", "fresh_until", "header", "noticed", "record", "schedule")

    def __init__(
        self,
        record: Record,
        *,
        idle_timeout: float | None,
        background_refresh: bool,
        noticed: bool,
        watched: bool = False,
    ) -> None:
        """Work out the moments between which nothing has to be done.

        Args:
            record: The stored session.
            idle_timeout: The tenant's idle timeout in seconds, if known.
            background_refresh: Whether a stale token is a reason to act.
            noticed: Whether the session's near end was already told.
            watched: Whether every use shall be looked at, as there is something left to do.
        """
        schedule = Schedule.of(record, idle_timeout=idle_timeout, background_refresh=background_refresh)
        due_at = schedule.stale_at if background_refresh else schedule.expiring_at
        self.record: Record = record
        self.schedule: Schedule = schedule
        self.noticed: bool = noticed
        self.header: str = f"Bearer {record.access_token.reveal()}"
        self.fresh_from: float = schedule.arrived_at if background_refresh else -math.inf
        notice_at = math.inf if noticed else schedule.notice_at
        self.fresh_until: float = -math.inf if watched else min(due_at, schedule.over_at, notice_at)

    def is_of_same_token(self, other: "View | None") -> bool:
        """Return whether the other view is of the same access token."""
        return other is not None and self.record.access_token == other.record.access_token

    def __repr__(self) -> str:
        """Show the generation, not the token."""
        return f"<View of generation {self.record.generation}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle: a pickle would carry the token."""
        msg = "A View does not pickle: it holds a token."
        raise TypeError(msg)

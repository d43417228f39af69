"""Is this token fresh, stale, expiring or over? Pure: a record and a moment in, a state out.

    state      when                                                        what the engine does
    ---------  ----------------------------------------------------------  ---------------------------------
    FRESH      more than the stale window is left                          use it
    STALE      less than min(ttl / 5, 5 min) is left, jittered per token,  use it, and start a refresh that
               or half of a known idle timeout has gone by,                nobody waits for
               or the clock was set back behind the token's arrival
    EXPIRING   less than min(ttl / 10, 30 s) is left,                      wait for a refresh; if none can be
               or, where nobody refreshes in the background, half of       had, use it while it has life
               a known idle timeout has gone by
    OVER       the deadline that this client keeps for the server passed   end the session

A token's life runs from the moment its answer arrived, by this side's clock. The server's plays no part. A
clock that names no moment (NaN, infinity) tells nothing: the token is used until the API refuses it.
"""

import math
import zlib
from enum import StrEnum
from typing import NamedTuple

from hellojohn._record import Record
from hellojohn._timing import LAST_MOMENT, within_time

_STALE_WINDOW = 300.0
_EXPIRING_WINDOW = 30.0
_JITTER = 0.2
_NOTICE = 86_400.0
_CLOCK_SLACK = 60.0


class Freshness(StrEnum):
    """The states of the table above."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRING = "expiring"
    OVER = "over"


class Schedule(NamedTuple):
    """The moments at which a token's state changes, in seconds since the epoch.

    Attributes:
        arrived_at: Before this the clock must have been set back.
        stale_at: From here on a refresh is due.
        expiring_at: From here on a caller waits for it.
        dead_at: From here on the token is worthless.
        over_at: From here on the session is over by the client's own word; infinity without a deadline.
        notice_at: From here on the session's end is near; infinity when the end is unknown.
    """

    arrived_at: float
    stale_at: float
    expiring_at: float
    dead_at: float
    over_at: float
    notice_at: float

    @classmethod
    def of(cls, record: Record, *, idle_timeout: float | None, background_refresh: bool = True) -> "Schedule":
        """Work the moments out for a record."""
        dead_at = -math.inf if record.is_spent else record.refreshed_at + record.ttl
        idle_half = math.inf if idle_timeout is None else record.refreshed_at + idle_timeout / 2
        expiring_at = dead_at - min(record.ttl / 10, _EXPIRING_WINDOW)
        if not background_refresh:
            expiring_at = min(expiring_at, idle_half)
        window = min(record.ttl / 5, _STALE_WINDOW) * (1 - _JITTER * _fraction(record))
        return cls(
            arrived_at=record.refreshed_at - _CLOCK_SLACK,
            stale_at=min(dead_at - window, expiring_at, idle_half),
            expiring_at=expiring_at,
            dead_at=dead_at,
            over_at=_over_at(record),
            notice_at=_notice_at(record),
        )

    def state(self, now: float) -> Freshness:
        """Look the moment up in the table."""
        if not math.isfinite(now):
            return Freshness.FRESH
        now = within_time(now)
        if now >= self.over_at:
            return Freshness.OVER
        if now >= self.expiring_at:
            return Freshness.EXPIRING
        if now >= self.stale_at or now < self.arrived_at:
            return Freshness.STALE
        return Freshness.FRESH

    def ends_soon(self, now: float) -> bool:
        """Return whether the session's end is near."""
        return self.notice_at <= now < math.inf


def _over_at(record: Record) -> float:
    """Take a deadline at the end of time for none: whoever set it had no clock."""
    deadline = record.deadline
    return math.inf if deadline is None or deadline >= LAST_MOMENT else deadline


def _notice_at(record: Record) -> float:
    end = record.over_at
    return math.inf if end is None else end - min((end - record.created_at) / 10, _NOTICE)


def _fraction(record: Record) -> float:
    """Spread tokens over [0, 1): sessions signed in together do not refresh together, processes agree."""
    return zlib.crc32(record.access_token.reveal().encode()) / 2**32

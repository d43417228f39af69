"""Is an access token fresh, stale, expiring, or is its session over? Pure.

    state     when                                                     what the engine does
    --------  -------------------------------------------------------  --------------------------------------
    FRESH     more than the stale window is left                       uses it
    STALE     less than min(ttl / 5, 5 min) is left, with a jitter,    uses it, refreshes in the background
              or half of a known idle timeout has passed,
              or the clock was set back before the token's arrival
    EXPIRING  less than min(ttl / 10, 30 s) is left, or, without       waits for a refresh; if it fails, uses
              background refresh, half of the idle timeout has passed  the token while it lives
    OVER      the end that the client keeps for the session has passed ends the session

A token's life runs from the arrival of its answer, by this machine's clock, so a wrong clock does no harm. A
clock that returns NaN or infinity says nothing: the token is used until the API refuses it.
"""

import math
import zlib
from enum import Enum, auto
from typing import NoReturn

from hellojohn._clock import LAST_MOMENT, within_time
from hellojohn._limits import (
    CLOCK_SLACK,
    END_NOTICE_SHARE,
    EXPIRING_SHARE,
    JITTER,
    LONGEST_END_NOTICE,
    LONGEST_EXPIRING,
    LONGEST_STALE,
    LONGEST_STORM,
    STALE_SHARE,
    STORM_SHARE,
)
from hellojohn._session.record import SessionRecord


class Freshness(Enum):
    """The states of the table above."""

    FRESH = auto()
    STALE = auto()
    EXPIRING = auto()
    OVER = auto()


class TokenSnapshot:
    """One generation of a session, with the moments at which its state changes. Immutable.

    The hot path reads three attributes: while ``fresh_from <= now < fresh_until``, ``header`` is sent.

    Attributes:
        record: The session.
        header: The value of the ``Authorization`` header.
        fresh_from: Before this the clock must have been set back.
        fresh_until: From here on the engine must look at the token before it is sent.
        stale_at: From here on a refresh is due.
        expiring_at: From here on a caller waits for it.
        token_expires_at: From here on the token is useless.
        over_at: From here on the client ends the session. Infinite without such an end.
        idle_at: From here on the session is idle, where the client ends idle sessions. Else infinite.
        notice_at: From here on the end of the session is near. Infinite when the end is unknown.
    """

    __slots__ = (
        "expiring_at",
        "fresh_from",
        "fresh_until",
        "header",
        "idle_at",
        "notice_at",
        "over_at",
        "record",
        "stale_at",
        "token_expires_at",
    )

    def __init__(
        self,
        record: SessionRecord,
        *,
        idle_timeout: float | None,
        background: bool,
        ends_idle: bool = False,
        unsaved: bool = False,
    ) -> None:
        """Compute the moments.

        Args:
            record: The session.
            idle_timeout: The tenant's idle timeout in seconds, if it is known.
            background: Whether stale tokens are refreshed in the background.
            ends_idle: Whether the client ends idle sessions, because the server does not.
            unsaved: Whether the store does not have the session yet: the engine then looks at every use.
        """
        self.record: SessionRecord = record
        self.header: str = f"Bearer {record.access_token.reveal()}"
        expires_at = record.token_expires_at
        idle_half = math.inf if idle_timeout is None else record.refreshed_at + idle_timeout / 2
        expiring_at = expires_at - min(record.ttl * EXPIRING_SHARE, LONGEST_EXPIRING)
        if not background:
            expiring_at = min(expiring_at, idle_half)
        # The jitter spreads sessions that were signed in together. All processes compute the same one.
        spread = zlib.crc32(self.header.encode()) / 2**32
        window = min(record.ttl * STALE_SHARE, LONGEST_STALE) * (1 - JITTER * spread)
        stale_at = min(expires_at - window, expiring_at, idle_half)
        end, limit = record.session_ends_at, record.client_ends_at
        self.token_expires_at: float = expires_at
        self.expiring_at: float = expiring_at
        self.stale_at: float = stale_at
        self.idle_at: float = math.inf
        if ends_idle and idle_timeout is not None:
            self.idle_at = max(record.refreshed_at, record.last_used_at or 0.0) + idle_timeout
        # An end at the last moment comes from a clock that returned no time.
        self.over_at: float = math.inf if limit is None or limit >= LAST_MOMENT else limit
        self.notice_at: float = math.inf
        if end is not None and not record.end_announced:
            self.notice_at = end - min((end - record.created_at) * END_NOTICE_SHARE, LONGEST_END_NOTICE)
        due_at = stale_at if background else expiring_at
        self.fresh_from: float = record.refreshed_at - CLOCK_SLACK if background else -math.inf
        self.fresh_until: float = (
            -math.inf if unsaved else min(due_at, self.over_at, self.idle_at, self.notice_at)
        )

    def freshness(self, now: float) -> Freshness:
        """Return the state at a moment."""
        # A service's account begins with a token that expired at minus infinity: it has no token at any time.
        if not math.isfinite(now) and self.token_expires_at > -math.inf:
            return Freshness.FRESH
        now = within_time(now)
        if now >= self.over_at or now >= self.idle_at:
            return Freshness.OVER
        if now >= self.expiring_at:
            return Freshness.EXPIRING
        if now >= self.stale_at or now < self.record.refreshed_at - CLOCK_SLACK:
            return Freshness.STALE
        return Freshness.FRESH

    def ends_soon(self, now: float) -> bool:
        """Return whether the end of the session is near and was not announced."""
        return self.notice_at <= now < math.inf

    def came_from_recent_refusal(self, now: float, *, since_refusal: float = math.inf) -> bool:
        """Return whether a refusal has just brought this token, so that another refusal brings no new one.

        Args:
            now: The time.
            since_refusal: The seconds since a refusal last caused a refresh here. They count where the clock
                returns no time, and so cannot tell the token's age.
        """
        record = self.record
        recent = min(record.ttl * STORM_SHARE, LONGEST_STORM)
        if now != within_time(now):
            return since_refusal < recent
        return record.after_refusal and 0 <= now - record.refreshed_at < recent

    def __repr__(self) -> str:
        """Show the generation, not the token."""
        return f"<TokenSnapshot of generation {self.record.generation}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle: a pickle would carry the token."""
        msg = "A TokenSnapshot does not pickle: it holds a token."
        raise TypeError(msg)

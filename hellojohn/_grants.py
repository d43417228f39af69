"""What a grant makes of a record, pure: at sign-in a new one, at a refresh the next generation."""

from datetime import timedelta

from hellojohn._record import Record
from hellojohn._timing import within_time
from hellojohn._wire import TokenResponse

_SLACK = 60.0


def signed_in(
    grant: TokenResponse,
    *,
    api_url: str,
    tenant_id: str,
    now: float,
    asked: timedelta | None,
    remember_me: bool | None,
    limited: bool,
) -> Record:
    """Make the record of a new session.

    Args:
        grant: The answer; it carries a refresh token.
        api_url: Which service gave it.
        tenant_id: For which tenant.
        now: When it arrived.
        asked: The duration that was asked for.
        remember_me: What was asked for.
        limited: Whether the service limits sessions by itself; if not, the record carries the deadline.
    """
    assert grant.refresh_token is not None  # noqa: S101 - the wire refuses a sign-in without one
    now = within_time(now)
    duration = None if asked is None else asked.total_seconds()
    record = Record(
        api_url=api_url,
        tenant_id=tenant_id,
        generation=1,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        refreshed_at=now,
        ttl=grant.ttl,
        created_at=now,
        duration=duration,
        remember_me=remember_me,
        session_id=grant.session_id,
        user=grant.user,
        deadline=None if limited or duration is None else within_time(now + duration),
    )
    return _with_end(record, grant, now)


def refreshed(record: Record, grant: TokenResponse, *, now: float) -> Record:
    """Make the next generation: a refresh token that the answer does not carry is kept."""
    now = within_time(now)
    record = record.changed(
        generation=record.generation + 1,
        access_token=grant.access_token,
        refresh_token=grant.refresh_token or record.refresh_token,
        refreshed_at=now,
        ttl=grant.ttl,
        session_id=grant.session_id or record.session_id,
        user=grant.user or record.user,
        intent_at=None,
        retry_at=None,
    )
    return _with_end(record, grant, now)


def _with_end(record: Record, grant: TokenResponse, now: float) -> Record:
    """Note when the server ends the session, and keep the promise when it gives more than was asked.

    It is the lengths that are compared: a clock that was set in between tells nothing about the session.
    """
    if grant.session_ttl is None:
        return record
    ends_at = within_time(now + grant.session_ttl)
    if record.duration is not None and grant.session_ttl > record.duration + _SLACK:
        record = record.changed(deadline=within_time(record.created_at + record.duration))
    return record.changed(ends_at=ends_at)

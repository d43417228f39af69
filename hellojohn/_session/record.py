"""One session as the store keeps it, and how a token response makes the next generation. Pure.

A session that the service has ended leaves an ``EndedRecord`` in its place, so that every client that shares
the store reports the same reason.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hellojohn._clock import Clock, as_moment, within_time
from hellojohn._errors import ExpiryReason
from hellojohn._models import Session, User
from hellojohn._secret import Secret
from hellojohn._wire import TokenResponse

_LONGER_THAN_ASKED = 60.0  # seconds by which an answer may exceed the duration asked for: times are rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One generation of a session. Times are seconds since the epoch, by this machine's clock.

    Attributes:
        api_url: The service that issued the session. Its refresh token is sent nowhere else.
        tenant_id: The tenant.
        sign_in_id: A random id of the sign-in, the same in every generation of the session.
        generation: The number of token pairs so far. A refresh adds one.
        access_token: The access token.
        refresh_token: The refresh token; in the account of a service, the client's secret.
        refreshed_at: When this pair arrived.
        ttl: The access token's life in seconds, from its arrival.
        created_at: When the user signed in.
        server_ends_at: When the service ends the session, if it said so.
        client_ends_at: When the client ends the session, because the service would keep it longer than asked.
        duration: The duration asked for at sign-in, in seconds.
        remember_me: The choice made at sign-in.
        session_id: The service's id of the session, if it gave one.
        user: The signed-in user, if the service said so.
        last_used_at: The last request that the client knows of, where the client ends idle sessions.
        refresh_started_at: When a refresh of this generation began whose outcome is not known.
        refresh_not_before: Until then another process may still be sending this refresh token.
        cooldown_until: No refresh is tried before, because the last one failed.
        end_announced: Whether ``SESSION_EXPIRING`` was emitted.
        after_refusal: Whether the API's refusal of the last access token brought this pair.
    """

    api_url: str
    tenant_id: str
    sign_in_id: str
    generation: int
    access_token: Secret
    refresh_token: Secret
    refreshed_at: float
    ttl: float
    created_at: float
    server_ends_at: float | None = None
    client_ends_at: float | None = None
    duration: float | None = None
    remember_me: bool | None = None
    session_id: str | None = None
    user: User | None = None
    last_used_at: float | None = None
    refresh_started_at: float | None = None
    refresh_not_before: float | None = None
    cooldown_until: float | None = None
    end_announced: bool = False
    after_refusal: bool = False

    @property
    def token_expires_at(self) -> float:
        """When the access token expires."""
        return self.refreshed_at + self.ttl

    @property
    def session_ends_at(self) -> float | None:
        """When the session ends, as far as the client knows."""
        server, client = self.server_ends_at, self.client_ends_at
        if server is None or client is None:
            return client if server is None else server
        return min(server, client)

    def is_same_session(self, other: "SessionRecord | EndedRecord") -> bool:
        """Return whether both belong to one sign-in."""
        return self.sign_in_id == other.sign_in_id

    def is_newer_than(self, other: "SessionRecord") -> bool:
        """Return whether this is a later generation, or another session."""
        return self.sign_in_id != other.sign_in_id or self.generation > other.generation

    def used(self, at: float) -> "SessionRecord":
        """Return a copy that notes a later use, or this record if that was earlier."""
        later = at > (self.last_used_at or 0.0)
        return replace(self, last_used_at=within_time(at)) if later else self

    def changed(self, **changes: Any) -> "SessionRecord":  # noqa: ANN401 - the fields' own types apply
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRecord:
    """The note that replaces an ended session in the store. It holds no token.

    Attributes:
        api_url: The service that issued the session.
        tenant_id: The tenant.
        sign_in_id: The id of the sign-in.
        session_id: The service's id of the session, if it gave one.
        reason: Why the session ended.
        code: The service's error code, if there was one.
    """

    api_url: str
    tenant_id: str
    sign_in_id: str
    session_id: str | None
    reason: ExpiryReason
    code: str | None

    def is_same_session(self, other: "SessionRecord | EndedRecord") -> bool:
        """Return whether both belong to one sign-in."""
        return self.sign_in_id == other.sign_in_id


Stored = SessionRecord | EndedRecord


def signed_in(
    tokens: TokenResponse,
    *,
    api_url: str,
    tenant_id: str,
    now: float,
    duration: timedelta | None,
    remember_me: bool | None,
    server_ends_sessions: bool,
) -> SessionRecord:
    """Return the record of a new session.

    Args:
        tokens: The answer. It has a refresh token.
        api_url: The service that sent it.
        tenant_id: The tenant.
        now: When it arrived.
        duration: The duration asked for.
        remember_me: The choice made at sign-in.
        server_ends_sessions: Whether the service ends sessions after the duration asked for. If not, the
            client does.
    """
    assert tokens.refresh_token is not None  # noqa: S101 - the dialect refuses a sign-in without one
    now = within_time(now)
    asked = None if duration is None else duration.total_seconds()
    record = SessionRecord(
        api_url=api_url,
        tenant_id=tenant_id,
        sign_in_id=secrets.token_hex(8),
        generation=1,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        refreshed_at=now,
        ttl=tokens.ttl,
        created_at=now,
        duration=asked,
        remember_me=remember_me,
        session_id=tokens.session_id,
        user=tokens.user,
        client_ends_at=None if server_ends_sessions or asked is None else within_time(now + asked),
    )
    return _with_end(record, tokens, now)


def next_generation(
    record: SessionRecord, tokens: TokenResponse, *, now: float, after_refusal: bool
) -> SessionRecord:
    """Return the record after a refresh. An answer without a refresh token leaves the old one valid."""
    now = within_time(now)
    renewed = replace(
        record,
        generation=record.generation + 1,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or record.refresh_token,
        refreshed_at=now,
        ttl=tokens.ttl,
        session_id=tokens.session_id or record.session_id,
        user=tokens.user or record.user,
        refresh_started_at=None,
        refresh_not_before=None,
        cooldown_until=None,
        after_refusal=after_refusal,
    )
    return _with_end(renewed, tokens, now)


def ended(record: SessionRecord, reason: ExpiryReason, code: str | None) -> EndedRecord:
    """Return what to leave in the store of a session that has ended."""
    return EndedRecord(
        api_url=record.api_url,
        tenant_id=record.tenant_id,
        sign_in_id=record.sign_in_id,
        session_id=record.session_id,
        reason=reason,
        code=code,
    )


def to_session(record: SessionRecord, *, idle_timeout: float | None, clock: Clock) -> Session:
    """Return the public form of a record."""
    ends_at = record.session_ends_at
    used_at = max(record.refreshed_at, record.last_used_at or 0.0)
    return Session(
        id=record.session_id or "",
        user=record.user or User(id=""),
        tenant_id=record.tenant_id,
        created_at=as_moment(record.created_at),
        access_token_expires_at=as_moment(record.token_expires_at),
        expires_at=None if ends_at is None else as_moment(ends_at),
        duration=None if record.duration is None else timedelta(seconds=record.duration),
        remember_me=record.remember_me,
        idle_expires_at=None if idle_timeout is None else as_moment(used_at + idle_timeout),
    ).counted_by(clock)


def _with_end(record: SessionRecord, tokens: TokenResponse, now: float) -> SessionRecord:
    """Set when the service ends the session; limit it to the duration asked for.

    Lengths are compared, not moments: a clock that was set between two answers must not end the session.
    """
    if tokens.session_ttl is None:
        return record
    limit = record.client_ends_at
    if record.duration is not None and tokens.session_ttl > record.duration + _LONGER_THAN_ASKED:
        limit = within_time(record.created_at + record.duration)
    return replace(record, server_ends_at=within_time(now + tokens.session_ttl), client_ends_at=limit)

"""The public values of a sign-in: users, sessions, options, events. Frozen, and free of secrets."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from hellojohn._clock import Clock, as_moment
from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError, ExpiryReason


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in.

    Attributes:
        id: The user's id, opaque.
        email: The email address.
        name: The display name.
        username: The user name.
        email_verified: Whether the address was confirmed; ``None`` when the API did not say.
        created_at: When the user signed up (UTC).
        extra: Every other field of the API's answer, as it came.
    """

    id: str
    email: str | None = None
    name: str | None = None
    username: str | None = None
    email_verified: bool | None = None
    created_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the constructor."""
        fields = (self.id, self.email, self.name, self.username, self.email_verified, self.created_at)
        return User, (*fields, dict(self.extra))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What to ask for at sign-in.

    Attributes:
        duration: How long the session may live: ``"8h"`` or a ``timedelta``. The tenant's own
            ``session_duration`` is the upper bound.
    """

    duration: str | timedelta

    def __post_init__(self) -> None:
        """Check the duration.

        Raises:
            ConfigurationError: It is not a duration.
        """
        parse_duration(self.duration, name="session_options duration")

    @classmethod
    def read(cls, options: "SessionOptions | Mapping[str, Any]") -> "SessionOptions":
        """Take the options as an instance or as ``{"duration": "8h"}``.

        Raises:
            ConfigurationError: They are anything else.
        """
        if isinstance(options, SessionOptions):
            return options
        if isinstance(options, Mapping) and set(options) == {"duration"}:
            return cls(duration=options["duration"])
        msg = 'session_options takes {"duration": "8h"} or SessionOptions(duration="8h"), and nothing else.'
        raise ConfigurationError(msg)


class _Clocked:
    """Holds a clock outside of the fields, so that a session is made of plain values only."""

    __slots__ = ("_clock",)

    _clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(_Clocked):
    """The session as the client knows it. It holds no token, and serialises as plain values.

    Attributes:
        id: The service's id of the session. It is empty where the service gives none.
        user: The signed-in user, as of sign-in. ``auth.user()`` asks the service.
        tenant_id: The tenant.
        created_at: When the user signed in, by this machine's clock (UTC).
        access_token_expires_at: When the present access token expires, by this machine's clock (UTC).
        expires_at: When the session itself ends, by this machine's clock (UTC); ``None`` when unknown.
        duration: The duration asked for at sign-in; ``None`` for the tenant's default.
        remember_me: The choice made at sign-in.
        idle_expires_at: When the session ends if it is not refreshed before, or not used before where the
            client ends idle sessions; ``None`` without a known idle timeout.
    """

    id: str
    user: User
    tenant_id: str
    created_at: datetime
    access_token_expires_at: datetime
    expires_at: datetime | None
    duration: timedelta | None
    remember_me: bool | None
    idle_expires_at: datetime | None

    def time_left(self) -> timedelta | None:
        """Return how long the session lives if it is used: never negative, ``None`` when unknown.

        It is counted by the client's clock, or by the system's in a session that was unpickled or copied.
        """
        if self.expires_at is None:
            return None
        clock: Clock = getattr(self, "_clock", time.time)
        return max(self.expires_at - as_moment(clock()), timedelta(0))

    def counted_by(self, clock: Clock) -> "Session":
        """Set the clock of ``time_left``. Called once, by the client that makes the session."""
        object.__setattr__(self, "_clock", clock)
        return self


class AuthEventType(StrEnum):
    """What happened to a session."""

    SIGNED_IN = "SIGNED_IN"
    TOKEN_REFRESHED = "TOKEN_REFRESHED"  # noqa: S105 - an event's name
    SESSION_EXPIRING = "SESSION_EXPIRING"
    """The session ends soon: the last tenth of it, at most a day. Emitted once per session, on use."""
    SESSION_EXPIRED = "SESSION_EXPIRED"
    SIGNED_OUT = "SIGNED_OUT"
    SESSION_REPLACED = "SESSION_REPLACED"
    """Another process has signed a user in on this account."""
    MFA_REQUIRED = "MFA_REQUIRED"


@dataclass(frozen=True, slots=True)
class AuthEvent:
    """One event, as ``hj.on`` delivers it.

    Attributes:
        type: What happened.
        session: The session; ``None`` for an event without one.
        reason: Why the session is over, for ``SESSION_EXPIRED``.
        account: Which session in the store.
    """

    type: AuthEventType
    session: Session | None = None
    reason: ExpiryReason | None = None
    account: str = "default"

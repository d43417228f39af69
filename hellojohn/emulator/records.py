"""The values the session rules work on: users, sessions and what a sign-in grants. Pure and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hellojohn._secret import Secret


class AccountState(StrEnum):
    """Whether a user may sign in."""

    ACTIVE = "active"
    LOCKED = "locked"
    DISABLED = "disabled"


class SessionStatus(StrEnum):
    """Whether a session lives, and how it ended."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user says about themselves."""

    name: str | None = None
    username: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in."""

    id: str
    email: str
    password: Secret
    profile: Profile
    mfa_code: Secret | None
    created_at: float
    state: AccountState = AccountState.ACTIVE


@dataclass(frozen=True, slots=True)
class Device:
    """Where a sign-in came from."""

    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in and its life; ``serial`` counts sign-ins, ``token`` is the live token's digest."""

    id: str
    serial: int
    user_id: str
    device: Device
    mfa_verified: bool
    created_at: float
    last_active_at: float
    expires_at: float
    token: bytes = field(repr=False)
    status: SessionStatus = SessionStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Grant:
    """What a sign-in or a refresh gives: the session, its user and the one live refresh token."""

    session: Session
    user: User
    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class Challenge:
    """A second factor that is due, and the sign-in that waits for it."""

    user_id: str
    duration: str | None
    device: Device
    expires_at: float

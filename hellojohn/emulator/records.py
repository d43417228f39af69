"""Values that every API of the emulator shares: users to add, devices and sessions. Pure and frozen."""

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
    """The data that users give about themselves."""

    name: str | None = None
    username: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Access:
    """The roles and scopes that an access token names."""

    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to add.

    Attributes:
        email: The address to sign in with.
        password: The password.
        profile: The user's data.
        access: The roles and scopes of the user's access tokens.
        mfa_code: The code that always answers the user's authenticator app; ``None`` without one.
        factors: Second factors that are sent: ``email_otp``, ``sms``.
        verified: Whether the address counts as verified.
    """

    email: str
    password: Secret
    profile: Profile = field(default_factory=Profile)
    access: Access = field(default_factory=Access)
    mfa_code: Secret | None = None
    factors: tuple[str, ...] = ()
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Device:
    """Where a sign-in came from."""

    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as ``Emulator.sessions`` shows it. Times are seconds since the epoch."""

    id: str
    user_id: str
    status: SessionStatus
    device: Device
    created_at: float
    last_active_at: float
    expires_at: float

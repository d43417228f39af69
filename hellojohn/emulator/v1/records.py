"""The values that the rules of v1 work on. Pure and frozen."""

from dataclasses import dataclass, field
from typing import Literal

from hellojohn._secret import Secret
from hellojohn.emulator.records import Access, AccountState, Device, Profile, SessionStatus

FactorStatus = Literal["pending", "active"]


@dataclass(frozen=True, slots=True)
class User:
    """A person who can sign in."""

    id: str
    email: str
    password: Secret
    profile: Profile
    access: Access
    created_at: float
    verified: bool
    state: AccountState = AccountState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in and its life.

    Attributes:
        id: Its id.
        serial: The number of sign-ins before it.
        user_id: Whose it is.
        device: Where the sign-in came from.
        access: The roles and scopes of its access tokens.
        mfa_verified: Whether a second factor was given.
        created_at: When it began.
        last_active_at: When it was last refreshed.
        expires_at: When its duration is over.
        token: The digest of the live refresh token.
        status: Whether it lives.
    """

    id: str
    serial: int
    user_id: str
    device: Device
    access: Access
    mfa_verified: bool
    created_at: float
    last_active_at: float
    expires_at: float
    token: bytes = field(repr=False)
    status: SessionStatus = SessionStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Grant:
    """The result of a sign-in or a refresh: the session, its user and the live refresh token."""

    session: Session
    user: User
    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a second factor: the grant, and the token of the device if it is to be remembered."""

    grant: Grant
    device_token: Secret | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A second factor of a user.

    Attributes:
        id: Its id.
        user_id: Whose it is.
        type: ``totp``, ``email_otp`` or ``sms``.
        name: The user's name for it.
        status: ``pending`` until its first code was given, then ``active``.
        created_at: When its enrolment began.
        last_used_at: When it was last used.
        secret: The secret of an authenticator app, in Base32.
        fixed_code: The code that always answers it, where a test has set one.
        to: The address or telephone number that codes are sent to.
        last_step: The time step of the last code that was used; it and earlier ones are refused.
    """

    id: str
    user_id: str
    type: str
    name: str
    status: FactorStatus
    created_at: float
    last_used_at: float | None = None
    secret: Secret | None = None
    fixed_code: Secret | None = None
    to: str | None = None
    last_step: int = -1


@dataclass(frozen=True, slots=True)
class Challenge:
    """A second factor that is due, and the sign-in that waits for it."""

    user_id: str
    duration: str | None
    device: Device
    expires_at: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that webhooks report, such as ``session.revoked``."""

    kind: str
    user: User
    session: Session | None = None

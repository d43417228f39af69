"""The public values around an account: devices, second factors, password rules, listed sessions. Frozen."""

from dataclasses import dataclass, field
from datetime import datetime

from hellojohn._errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The browser for which a back end signs a user in, so that the list of sessions shows it.

    Attributes:
        user_agent: The ``User-Agent`` of the browser's request.
        ip_address: The address that the browser's request came from.
    """

    user_agent: str | None = None
    ip_address: str | None = None

    def __post_init__(self) -> None:
        """Check the types.

        Raises:
            ConfigurationError: A value is not text.
        """
        for name, value in (("user_agent", self.user_agent), ("ip_address", self.ip_address)):
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"device.{name} must be text or None, not {type(value).__name__}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class MfaFactor:
    """A second factor of a user.

    Attributes:
        type: The kind, such as ``totp``, ``sms`` or ``email``, as the server names it.
        id: The service's id of it, where it has one.
        name: The name that the user gave it.
        active: Whether it can be used. An enrolment that was not confirmed is not active.
        preferred: Whether the server asks for it first.
        created_at: When it was enrolled (UTC).
        last_used_at: When it was last used (UTC).
    """

    type: str
    id: str | None = None
    name: str | None = None
    active: bool = True
    preferred: bool = False
    created_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpEnrollment:
    """An authenticator app that is being enrolled: show it to the user, then call ``mfa.confirm_totp``.

    Its repr hides the secret. Serialised, it carries the secret: keep it on the server.

    Attributes:
        secret: The secret in base 32, for typing it in.
        uri: The ``otpauth`` URI, for a QR code.
        factor_id: The service's id of the factor, where it has one.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    factor_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """The rules for new passwords, as far as the server publishes them.

    Attributes:
        min_length: The fewest characters.
        max_length: The most characters.
        needs_uppercase: Whether an upper-case letter is needed.
        needs_lowercase: Whether a lower-case letter is needed.
        needs_digit: Whether a digit is needed.
        needs_symbol: Whether another character is needed.
        refuses_common: Whether passwords that many people use are refused.
        refuses_personal: Whether passwords that contain the user's address or name are refused.
    """

    min_length: int | None = None
    max_length: int | None = None
    needs_uppercase: bool = False
    needs_lowercase: bool = False
    needs_digit: bool = False
    needs_symbol: bool = False
    refuses_common: bool = False
    refuses_personal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as the service describes it. Times are UTC; ``None`` stands for a value that it leaves out.

    Attributes:
        id: The session's id.
        user_id: The user whose session it is.
        tenant_id: The tenant.
        status: ``active``, ``expired`` or ``revoked``.
        user_agent: The user agent of the sign-in.
        ip_address: The address of the sign-in.
        country: The country of the sign-in.
        device_type: The kind of device of the sign-in.
        created_at: When the user signed in.
        last_active_at: When the session was last refreshed.
        expires_at: When it ends.
    """

    id: str
    user_id: str | None = None
    tenant_id: str | None = None
    status: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    country: str | None = None
    device_type: str | None = None
    created_at: datetime | None = None
    last_active_at: datetime | None = None
    expires_at: datetime | None = None

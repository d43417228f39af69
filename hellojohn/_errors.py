"""Every error the SDK raises, as one tree.

    HelloJohnError                       never raised itself
    ├ ConfigurationError (ValueError)    the code or the settings are wrong: fix them
    │ └ NotSupported                     this server cannot do it; nothing was sent
    ├ SignInSuperseded                   a later sign-in or sign-out came first
    ├ SignInRequired                     no usable session: send the user to sign-in
    │ ├ NotSignedIn                      no user has signed in on this account
    │ └ SessionExpired                   there was a session and it is over; see ``reason``
    ├ ApiError                           the API refused the request
    │ ├ InvalidCredentials  ├ MfaRequired  ├ AccountLocked  ├ AccountDisabled
    │ ├ PermissionDenied    ├ NotFound     ├ Conflict       ├ ValidationFailed
    │ ├ ChallengeExpired    ├ EmailNotVerified
    │ └ RateLimited                      wait ``retry_after`` seconds
    ├ ServiceUnavailable                 no usable answer: try again later, the session is kept
    │ └ KeysUnavailable                  no keys to verify tokens with: answer 503, not 401
    ├ StoreError (OSError)               the token store failed
    │ ├ StoreLocked   ├ StoreCorrupt   └ StoreUnavailable
    ├ TokenInvalid                       a token did not verify: answer 401; see ``reason``
    │ ├ TokenExpired   ├ TokenRevoked  ├ UnknownKey
    │ └ WrongAudience  └ WrongIssuer   └ WrongTenant
    └ WebhookInvalid                     a webhook was forged or cannot be read: answer 400

Constructors take a message and keyword-only fields with defaults, so that every error pickles and
copies. No error carries a token, a password or a key. This module imports nothing of the package.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar


class ExpiryReason(StrEnum):
    """Why a session is over."""

    EXPIRED = "expired"
    """Its duration has passed (the server's word)."""
    IDLE = "idle"
    """It was not used for longer than the tenant's idle timeout."""
    REVOKED = "revoked"
    """An administrator, the user or a session cap revoked it."""
    REUSE_DETECTED = "reuse_detected"
    """The server saw a rotated refresh token again and closed the session."""
    SIGNED_OUT = "signed_out"
    """It was signed out, here or by another process that shares the store."""
    USER_DISABLED = "user_disabled"
    """The user's account was disabled."""
    DURATION_ELAPSED = "duration_elapsed"
    """This client ended it: the duration asked for at sign-in has passed."""
    REFRESH_OUTCOME_UNKNOWN = "refresh_outcome_unknown"
    """A refresh was cut off, and the server has since refused the old refresh token."""
    REJECTED = "rejected"
    """The server refused the refresh token for any other reason."""


class TokenRefusal(StrEnum):
    """Why a token did not verify."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    """Its ``nbf`` or ``iat`` is in the future: check the clocks."""
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_TENANT = "wrong_tenant"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    BAD_ALGORITHM = "bad_algorithm"
    MALFORMED = "malformed"
    MISSING_CLAIM = "missing_claim"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class MfaChallenge:
    """The challenge that a second factor answers: pass it to ``auth.verify_mfa``.

    Its repr hides the id. Serialised, it carries the id, so that a web back end can keep it between two
    requests: keep it on the server.

    Attributes:
        id: The id or token of the challenge. It is single-use and worthless without the factor's code.
        factors: The factors that can answer it, as the server names them.
        duration: The session's duration that was asked for at sign-in, which still holds.
        remember_me: The choice made at sign-in.
        preferred_factor: The factor that the server asks for first, where it says so.
        expires_at: When the challenge ends, by this machine's clock (UTC); ``None`` when unknown.
    """

    id: str = field(repr=False)
    factors: tuple[str, ...] = ()
    duration: timedelta | None = None
    remember_me: bool | None = None
    preferred_factor: str | None = None
    expires_at: datetime | None = None

    def asking(
        self,
        duration: timedelta | None,
        remember_me: bool | None,  # noqa: FBT001 - the pair as it is kept
        expires_at: datetime | None = None,
    ) -> "MfaChallenge":
        """Return the challenge with the choices made at sign-in, and with its end."""
        return replace(self, duration=duration, remember_me=remember_me, expires_at=expires_at)


_NO_CHALLENGE = MfaChallenge("")


class HelloJohnError(Exception):
    """Catch this to catch everything the SDK raises."""

    def __init__(self, message: str = "") -> None:
        """Keep ``message``, a sentence that says what to do."""
        super().__init__(message)


class ConfigurationError(HelloJohnError, ValueError):
    """An argument or a setting is wrong. Fix the code or the environment; retrying does not help."""


class NotSupported(ConfigurationError):
    """This server cannot do it. Nothing was sent. The message says which server, and what to use instead."""


class SignInSuperseded(HelloJohnError):
    """A later sign-in or sign-out was asked for before this sign-in was complete. The later one counts.

    The session that this sign-in brought was signed out at the service.
    """


class SignInRequired(HelloJohnError):
    """There is no usable session. Send the user to sign-in."""


class NotSignedIn(SignInRequired):
    """Nobody has signed in on this account. Send the user to sign-in."""


class SessionExpired(SignInRequired):
    """The session is over. Send the user to sign-in; ``reason`` says why.

    Attributes:
        reason: Why it is over.
        session_id: The session's id, where the server gave one.
        code: The server's error code, where the server ended it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reason: ExpiryReason = ExpiryReason.REJECTED,
        session_id: str | None = None,
        code: str | None = None,
    ) -> None:
        """Keep why, and of which session."""
        super().__init__(message)
        self.reason = reason
        self.session_id = session_id
        self.code = code


class ApiError(HelloJohnError):
    """The API refused the request.

    Attributes:
        status: The HTTP status.
        code: The API's error code, or ``None`` when it named none. Branch on this.
        message: A sentence for the developer or the user.
        request_id: What to quote to support.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep the API's answer."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id


class InvalidCredentials(ApiError):
    """The email, the password or the second factor's code is wrong. Let the user try again."""


class MfaRequired(ApiError):
    """The password was right and a second factor is due: call ``auth.verify_mfa(error.challenge, code)``.

    Attributes:
        challenge: The challenge that the second factor answers.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        challenge: MfaChallenge = _NO_CHALLENGE,
    ) -> None:
        """Keep the challenge beside the API's answer."""
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.challenge = challenge


class AccountLocked(ApiError):
    """Too many failed attempts locked the account. Tell the user how to unlock it."""


class AccountDisabled(ApiError):
    """The account is disabled. Refer the user to the operator of the service."""


class PermissionDenied(ApiError):
    """The key or the user may not do this. Use another key, or ask for the permission."""


class NotFound(ApiError):
    """The thing asked for does not exist."""


class Conflict(ApiError):
    """It exists already, such as an email address at sign-up."""


class ValidationFailed(ApiError):
    """The API refused a value, such as a weak password. Show the message to the user."""


class ChallengeExpired(ApiError):
    """A second-factor challenge, or the token of a mailed link, was used or has expired. Start over."""


class EmailNotVerified(ApiError):
    """The email address is not verified. Call ``auth.send_email_verification(email)`` and tell the user."""


class RateLimited(ApiError):
    """Too many calls. Wait ``retry_after`` seconds and call again.

    Attributes:
        retry_after: Seconds to wait, or ``None`` when the API did not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep the wait beside the API's answer."""
        super().__init__(message, status=status, code=code, request_id=request_id)
        self.retry_after = retry_after


class ServiceUnavailable(HelloJohnError):
    """The network or the service gave no usable answer. Try again later; the session is kept.

    Attributes:
        retry_after: Seconds to wait, where the service asked for a wait.
        ambiguous: Whether the service may have carried out the call although no answer arrived.
    """

    def __init__(
        self, message: str = "", *, retry_after: float | None = None, ambiguous: bool = False
    ) -> None:
        """Keep how long to wait, and whether the call may have been carried out."""
        super().__init__(message)
        self.retry_after = retry_after
        self.ambiguous = ambiguous


class KeysUnavailable(ServiceUnavailable):
    """No usable keys to verify tokens with are available.

    Answer 503 with ``retry_after``: the token may be good.
    """


class StoreError(HelloJohnError, OSError):
    """The token store failed. The message names the store and the fix."""


class StoreLocked(StoreError):
    """Another process held the store's lock for the whole wait. Try again."""


class StoreCorrupt(StoreError):
    """The store holds something that is not a session of hellojohn, or that was encrypted with another key.

    Attributes:
        readable_elsewhere: Whether another key or a later version of hellojohn can read it. Reading leaves it
            alone then; signing in or out quarantines it.
    """

    def __init__(self, message: str = "", *, readable_elsewhere: bool = False) -> None:
        """Keep whether the text is good for another reader."""
        super().__init__(message)
        self.readable_elsewhere = readable_elsewhere


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written now: a full disk, a read-only folder, a lost server."""


class TokenInvalid(HelloJohnError):
    """A token did not verify. Answer the request that brought it with 401.

    Attributes:
        reason: Why. Branch on this; the message is for people.
    """

    _default: ClassVar[TokenRefusal] = TokenRefusal.MALFORMED

    def __init__(self, message: str = "", *, reason: TokenRefusal | None = None) -> None:
        """Keep why the token was refused. Without a reason, the class decides."""
        super().__init__(message)
        self.reason: TokenRefusal = self._default if reason is None else reason


class TokenExpired(TokenInvalid):
    """The token was valid and has expired. The client refreshes it and asks again."""

    _default = TokenRefusal.EXPIRED


class TokenRevoked(TokenInvalid):
    """The token's session or user was revoked. The user has to sign in again."""

    _default = TokenRefusal.REVOKED


class WrongAudience(TokenInvalid):
    """The token was issued for another audience. Check ``audience`` and, on v2, ``client_id``."""

    _default = TokenRefusal.WRONG_AUDIENCE


class WrongIssuer(TokenInvalid):
    """The token was issued by another service. Check ``api_url``."""

    _default = TokenRefusal.WRONG_ISSUER


class WrongTenant(TokenInvalid):
    """The token belongs to another tenant. Check ``tenant_id``."""

    _default = TokenRefusal.WRONG_TENANT


class UnknownKey(TokenInvalid):
    """No published key has signed the token."""

    _default = TokenRefusal.UNKNOWN_KEY


class WebhookInvalid(HelloJohnError):
    """A webhook was not sent by the service, or cannot be read. Answer it with 400; nothing was changed."""

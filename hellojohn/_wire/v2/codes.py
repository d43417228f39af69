"""The error codes of v2, in upper or lower case: what each means, and which end a session."""

from hellojohn._errors import (
    AccountDisabled,
    ApiError,
    ChallengeExpired,
    EmailNotVerified,
    ExpiryReason,
    InvalidCredentials,
    NotFound,
    PermissionDenied,
    RateLimited,
    ValidationFailed,
)
from hellojohn._wire.failures import Codes, Meaning
from hellojohn._wire.outcome import Ending, Endings

_SIGN_IN_AGAIN = Meaning(ApiError, "The session has ended. Send the user to sign-in.")
_SETTINGS = Meaning(
    ApiError,
    "The server knows no such client in this tenant: check tenant_id (HELLOJOHN_TENANT_ID, the tenant's slug)"
    " and client_id (HELLOJOHN_CLIENT_ID).",
)
_OTHER_CLIENT = Meaning(
    ApiError,
    "The token belongs to another client or tenant: check client_id (HELLOJOHN_CLIENT_ID) and tenant_id"
    " (HELLOJOHN_TENANT_ID).",
)
_NO_PASSWORDS = Meaning(
    PermissionDenied, "Passwords are switched off for this client: add the provider password to it."
)
_BAD_KEY = Meaning(
    ApiError, "The server does not accept the API key: check secret_key (HELLOJOHN_SECRET_KEY)."
)
_BAD_TOKEN = Meaning(
    ApiError,
    "The server did not accept the access token. A tenant in issuer mode global has routes that refuse its"
    " own tokens: switch it to path.",
)
_WEAK = Meaning(
    ValidationFailed,
    "The password does not meet the tenant's rules. The server does not say which: auth.password_policy()"
    " shows them.",
)
_BAD_FACTOR = Meaning(ValidationFailed, "The user has no such second factor.")

_MEANINGS = {
    "INVALID_CREDENTIALS": Meaning(InvalidCredentials, "The email or the password is wrong."),
    "invalid_password": Meaning(InvalidCredentials, "The password is wrong."),
    "invalid_mfa_code": Meaning(InvalidCredentials, "The second factor's code is wrong or was used before."),
    "EMAIL_NOT_VERIFIED": Meaning(
        EmailNotVerified, "The email address is not verified: call auth.send_email_verification(email)."
    ),
    "user_disabled": Meaning(AccountDisabled, "The account is disabled."),
    "UNAUTHORIZED: password login is disabled": _NO_PASSWORDS,
    "UNAUTHORIZED: password registration disabled for this client": _NO_PASSWORDS,
    "CLIENT_NOT_FOUND": _SETTINGS,
    "TENANT_NOT_FOUND": _SETTINGS,
    "UNAUTHORIZED: invalid tenant or client": _SETTINGS,
    "UNAUTHORIZED: client_id mismatch": _OTHER_CLIENT,
    "UNAUTHORIZED: refresh token is revoked": _SIGN_IN_AGAIN,
    "REFRESH_TOKEN_REUSE": _SIGN_IN_AGAIN,
    "SESSION_EXPIRED": _SIGN_IN_AGAIN,
    "UNAUTHORIZED: invalid or expired API key": _BAD_KEY,
    "UNAUTHORIZED: invalid API key format": _BAD_KEY,
    "UNAUTHORIZED: invalid admin token": _BAD_KEY,
    "UNAUTHORIZED: authorization header required": _BAD_KEY,
    "UNAUTHORIZED: token invalid or expired": _BAD_TOKEN,
    "TOKEN_INVALID": _BAD_TOKEN,
    "TOKEN_EXPIRED": Meaning(ApiError, "The access token has expired."),
    "TOKEN_MISSING": Meaning(ApiError, "No token has reached the server: check proxies that drop headers."),
    "CSRF_TOKEN_MISSING": Meaning(
        ApiError, "The Authorization header has not reached the server: check proxies that drop headers."
    ),
    "UNAUTHORIZED": Meaning(ApiError, "The server did not accept the request.", quotes=True),
    "FORBIDDEN": Meaning(PermissionDenied, "This key or user may not do this.", quotes=True),
    "INSUFFICIENT_SCOPES": Meaning(PermissionDenied, "The token lacks a scope.", quotes=True),
    "BAD_REQUEST: password does not meet policy requirements": _WEAK,
    "BAD_REQUEST: password does not meet policy": _WEAK,
    "BAD_REQUEST: token invalid or expired": Meaning(
        ChallengeExpired, "The link was used or has expired. Ask for a new one."
    ),
    "BAD_REQUEST": Meaning(ApiError, "The server did not understand the request.", quotes=True),
    "INVALID_JSON": Meaning(ApiError, "The server did not understand the request, or it is too large."),
    "invalid_grant": Meaning(
        ChallengeExpired, "The second-factor challenge was used or has expired. Send the user to sign-in."
    ),
    "mfa_not_initialized": Meaning(NotFound, "No authenticator app is enrolled: call mfa.enroll_totp first."),
    "mfa_factor_not_available": _BAD_FACTOR,
    "mfa_email_not_available": _BAD_FACTOR,
    "mfa_sms_not_available": _BAD_FACTOR,
    "invalid_mfa_factor": _BAD_FACTOR,
    "RATE_LIMIT_EXCEEDED": Meaning(RateLimited, "Too many requests: wait before trying again."),
}

# The server rounds Retry-After down, even to 0.
CODES = Codes(_MEANINGS, shortest_wait=1.0)

# Rotation, sign-out, revocation, a new password and a disabled user are all refused as "revoked". With reuse
# detection the same list is refused as "reuse", so that this code proves no theft.
_REVOKED = Ending(ExpiryReason.REVOKED, token_was_used=True)

ENDINGS: Endings = {
    "UNAUTHORIZED: refresh token is revoked": _REVOKED,
    "REFRESH_TOKEN_REUSE": _REVOKED,
    # The server says the same while its database is away.
    "SESSION_EXPIRED": Ending(ExpiryReason.EXPIRED, doubtful=True),
    "user_disabled": Ending(ExpiryReason.USER_DISABLED),
}

TOKEN_REFUSED = frozenset({"TOKEN_INVALID", "TOKEN_EXPIRED", "UNAUTHORIZED: token invalid or expired"})
"""The answers to a request with the user's access token that a newer token may change."""

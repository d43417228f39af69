"""The error codes of v1: what each means, and which end a session."""

from hellojohn._errors import (
    AccountDisabled,
    AccountLocked,
    ApiError,
    ChallengeExpired,
    Conflict,
    ExpiryReason,
    InvalidCredentials,
    MfaRequired,
    PermissionDenied,
    RateLimited,
    ValidationFailed,
)
from hellojohn._wire.failures import Codes, Meaning
from hellojohn._wire.outcome import Ending, Endings

_KEYS = "publishable_key (HELLOJOHN_PUBLISHABLE_KEY) and secret_key (HELLOJOHN_SECRET_KEY)"
_SIGN_IN_AGAIN = "The session has ended. Send the user to sign-in."
_DISABLED = Meaning(AccountDisabled, "The account is disabled.")

_MEANINGS = {
    "invalid_credentials": Meaning(InvalidCredentials, "The email or the password is wrong."),
    "invalid_mfa_code": Meaning(InvalidCredentials, "The second factor's code is wrong."),
    "mfa_required": Meaning(
        MfaRequired, "A second factor is needed: call auth.verify_mfa(error.challenge, code)."
    ),
    "mfa_challenge_expired": Meaning(
        ChallengeExpired, "The second-factor challenge has ended. Send the user to sign-in."
    ),
    "account_locked": Meaning(AccountLocked, "The account is locked."),
    "account_disabled": _DISABLED,
    "user_disabled": _DISABLED,
    "token_expired": Meaning(ApiError, "The access token has expired."),
    "invalid_token": Meaning(ApiError, "The access token is not valid."),
    "refresh_token_expired": Meaning(ApiError, _SIGN_IN_AGAIN),
    "refresh_token_invalid": Meaning(ApiError, _SIGN_IN_AGAIN),
    "refresh_token_reused": Meaning(ApiError, _SIGN_IN_AGAIN),
    "session_expired": Meaning(ApiError, _SIGN_IN_AGAIN),
    "session_revoked": Meaning(ApiError, _SIGN_IN_AGAIN),
    "invalid_publishable_key": Meaning(
        ApiError, "The publishable key is wrong: check publishable_key (HELLOJOHN_PUBLISHABLE_KEY)."
    ),
    "invalid_api_key": Meaning(ApiError, f"The key is wrong: check {_KEYS}."),
    "missing_token": Meaning(
        ApiError, f"No key or token has reached the API: check {_KEYS}, and proxies that drop headers."
    ),
    "insufficient_permissions": Meaning(
        PermissionDenied, "This is not permitted with this key or for this user."
    ),
    "tenant_mismatch": Meaning(
        PermissionDenied,
        "The key or the token belongs to another tenant: check tenant_id (HELLOJOHN_TENANT_ID).",
    ),
    "cp_admin_required": Meaning(PermissionDenied, "This needs an administrator's secret key.", quotes=True),
    "email_already_exists": Meaning(Conflict, "There is an account with this email address already."),
    "password_too_weak": Meaning(ValidationFailed, "The password is too weak.", quotes=True),
    "invalid_email": Meaning(ValidationFailed, "The email address is not valid.", quotes=True),
    "link_expired": Meaning(ChallengeExpired, "The link was used or has expired. Ask for a new one."),
    "rate_limit_exceeded": Meaning(RateLimited, "Too many requests: wait before trying again."),
}

CODES = Codes(_MEANINGS)

ENDINGS: Endings = {
    "refresh_token_expired": Ending(ExpiryReason.EXPIRED),
    "session_expired": Ending(ExpiryReason.EXPIRED),
    "session_revoked": Ending(ExpiryReason.REVOKED),
    "refresh_token_reused": Ending(ExpiryReason.REUSE_DETECTED, token_was_used=True),
    "refresh_token_invalid": Ending(ExpiryReason.REJECTED, token_was_used=True),
    "account_disabled": Ending(ExpiryReason.USER_DISABLED),
    "user_disabled": Ending(ExpiryReason.USER_DISABLED),
}

TOKEN_REFUSED = frozenset(
    {
        *("token_expired", "invalid_token"),
        # The refresh that follows finds out whether the session has ended.
        *("session_expired", "session_revoked"),
    }
)
"""The answers to a request with the user's access token that a newer token may change."""

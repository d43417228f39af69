"""The error codes of v1, each with its status and its sentence. Pure data."""

from typing import Final

from hellojohn.emulator.problems import ApiProblem

_PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "token_expired": (401, "The access token has expired. Refresh it."),
    "invalid_token": (401, "This service did not issue the access token."),
    "refresh_token_expired": (401, "The refresh token has expired. Sign in again."),
    "session_expired": (401, "The session is over. Sign in again."),
    "session_revoked": (401, "The session was revoked. Sign in again."),
    "refresh_token_invalid": (401, "This service did not issue the refresh token. Sign in again."),
    "refresh_token_reused": (401, "The refresh token was used before, so its session was revoked."),
    "invalid_credentials": (401, "The email or the password is wrong."),
    "invalid_api_key": (401, "The secret key is wrong. Send the one that the emulator printed."),
    "invalid_publishable_key": (401, "The publishable key is wrong. Send the one that the emulator printed."),
    "missing_token": (401, "Send an Authorization header: Bearer and the key or token."),
    "mfa_required": (403, "A second factor is due. Answer the challenge at mfa/verify."),
    "account_locked": (403, "The account is locked."),
    "account_disabled": (403, "The account is disabled."),
    "insufficient_permissions": (403, "This needs the secret key."),
    "cp_admin_required": (403, "The tenant's settings need the secret key."),
    "tenant_mismatch": (403, "Send the tenant's id in X-Tenant-ID."),
    "email_already_exists": (409, "There is an account with this email. Sign in instead."),
    "password_too_weak": (422, "The password needs at least 8 characters."),
    "invalid_email": (422, "This is not an email address."),
    "rate_limit_exceeded": (429, "Too many requests. Wait and try again."),
    # The documentation names no code for the cases below.
    "invalid_request": (400, "The body is not a JSON object."),
    "link_expired": (400, "The link was used, has expired or was never sent. Ask for a new one."),
    "oauth_code_invalid": (400, "The code was used, has expired, or belongs to another sign-in."),
    "invalid_mfa_code": (401, "The second factor's code is wrong."),
    "mfa_challenge_expired": (401, "The challenge was answered or has expired. Sign in again."),
    "not_found": (404, "There is nothing at this address."),
    "method_not_allowed": (405, "This address does not take this method."),
    "payload_too_large": (413, "The body is larger than 1 MiB."),
    "validation_failed": (422, "A value is wrong."),
    "internal_error": (500, "Something went wrong in the service."),
    "bad_gateway": (502, "The gateway got no usable answer."),
    "service_unavailable": (503, "The service is away. Try again later."),
    "gateway_timeout": (504, "The gateway waited too long."),
}
_CODES_BY_STATUS: Final = {
    **{status: code for code, (status, _) in reversed(_PROBLEMS.items())},
    400: "invalid_request",
    401: "invalid_token",
    403: "insufficient_permissions",
    422: "validation_failed",
}


class V1Problem(ApiProblem):
    """A refusal of v1."""

    def __init__(
        self, code: str, message: str | None = None, *, status: int | None = None, **details: object
    ) -> None:
        """Look up the status and the sentence. A code that is not in the table needs its ``status``."""
        usual, sentence = _PROBLEMS.get(code, (400, "The request was refused."))
        super().__init__(code, message or sentence, status=usual if status is None else status, **details)


def code_for(status: int) -> str:
    """Return the code of an error with this status, where no other code is asked for."""
    fallback = "internal_error" if status >= 500 else "invalid_request"  # noqa: PLR2004 - what 5xx means
    return _CODES_BY_STATUS.get(status, fallback)

"""The service's no: every error code it gives, with its status and its sentence.

Pure data and one exception. It knows no HTTP framework and no session rule, and imports nothing of the SDK.
"""

from typing import Final

_REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "token_expired": (401, "The access token's life is over. Refresh it."),
    "invalid_token": (401, "The access token is not one of ours."),
    "refresh_token_expired": (401, "The refresh token's life is over. Sign in again."),
    "session_expired": (401, "The session is over. Sign in again."),
    "session_revoked": (401, "The session was revoked. Sign in again."),
    "refresh_token_invalid": (401, "The refresh token is not one of ours. Sign in again."),
    "refresh_token_reused": (401, "The refresh token was used before, so its session was revoked."),
    "invalid_credentials": (401, "The email or the password is wrong."),
    "invalid_api_key": (401, "The secret key is wrong. Send the one the emulator printed."),
    "invalid_publishable_key": (401, "The publishable key is wrong. Send the one the emulator printed."),
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
    "invalid_mfa_code": (401, "The second factor's code is wrong."),
    "mfa_challenge_expired": (401, "There is no such challenge any more. Sign in again."),
    "not_found": (404, "There is no such thing here."),
    "method_not_allowed": (405, "This address does not take this method."),
    "payload_too_large": (413, "The body is larger than 1 MiB."),
    "validation_failed": (422, "A value is wrong."),
    "internal_error": (500, "Something went wrong on our side."),
    "bad_gateway": (502, "The gateway got no usable answer."),
    "service_unavailable": (503, "The service is away. Try again later."),
    "gateway_timeout": (504, "The gateway waited too long."),
}
_CODES_BY_STATUS: Final = {
    **{status: code for code, (status, _) in reversed(_REFUSALS.items())},
    401: "invalid_token",
    403: "insufficient_permissions",
    422: "validation_failed",
}


class ApiProblem(Exception):
    """The service says no.

    Attributes:
        code: The error code clients branch on.
        status: The HTTP status.
        message: One sentence for people.
        details: Further fields of the error, such as a challenge's id.
    """

    def __init__(
        self, code: str, message: str | None = None, *, status: int | None = None, **details: object
    ) -> None:
        """Look the code up; an unknown one needs its ``status``."""
        usual, sentence = _REFUSALS.get(code, (400, "The request was refused."))
        self.code = code
        self.status: int = usual if status is None else status
        self.message: str = message or sentence
        self.details = details
        super().__init__(self.message)


def code_for(status: int) -> str:
    """Return the code that an error of this status carries unless another is asked for."""
    fallback = "internal_error" if status >= 500 else "invalid_request"  # noqa: PLR2004
    return _CODES_BY_STATUS.get(status, fallback)

"""The error codes of v2, each with its status and a sentence. Pure data.

The codes, statuses and ``detail`` texts are the server's, because clients branch on them. The sentences are
not.
"""

from collections.abc import Mapping
from typing import Final

from hellojohn.emulator.problems import ApiProblem

_PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "BAD_REQUEST": (400, "The request is malformed or lacks a value."),
    "INVALID_JSON": (400, "The body is not the JSON that this call takes."),
    "MISSING_FIELDS": (400, "A field is missing."),
    "CLIENT_NOT_FOUND": (400, "There is no such client. Check client_id and the tenant."),
    "REDIRECT_URI_MISMATCH": (400, "The client has not registered this redirect_uri, letter by letter."),
    "PKCE_REQUIRED": (400, "Send code_challenge, and code_challenge_method S256."),
    "SCOPE_NOT_ALLOWED": (400, "The client may not ask for this scope."),
    "mfa_not_initialized": (400, "No authenticator app was enrolled."),
    "mfa_email_not_available": (400, "The user gets no codes by mail."),
    "invalid_mfa_factor": (400, "There is no such kind of second factor."),
    "invalid_grant": (400, "The mfa_token was used, has expired or was never issued."),
    "UNAUTHORIZED": (401, "Sign in first."),
    "INVALID_CREDENTIALS": (401, "The email or the password is wrong."),
    "SESSION_EXPIRED": (401, "The session has expired. Sign in again."),
    "REFRESH_TOKEN_REUSE": (401, "The refresh token is no longer good. Sign in again."),
    "TOKEN_MISSING": (401, "Send an access token."),
    "TOKEN_INVALID": (401, "The access token is malformed, expired or not from this server."),
    "invalid_mfa_code": (401, "The code is wrong."),
    "invalid_password": (401, "The password is wrong."),
    "EMAIL_NOT_VERIFIED": (403, "Confirm the email address first."),
    "CSRF_TOKEN_MISSING": (403, "Send a Bearer token, or the CSRF token as cookie and as header."),
    "CSRF_TOKEN_INVALID": (403, "The CSRF cookie and the CSRF header differ."),
    "FORBIDDEN": (403, "This is not allowed."),
    "INSUFFICIENT_SCOPES": (403, "The access token lacks a scope."),
    "NOT_FOUND": (404, "There is nothing at this address."),
    "TENANT_NOT_FOUND": (404, "There is no such tenant."),
    "user_not_found": (404, "There is no such user."),
    "METHOD_NOT_ALLOWED": (405, "This address does not take this method."),
    "method_not_allowed": (405, "Only GET is allowed."),
    "mfa_factor_not_available": (422, "The user does not have this second factor."),
    "user_disabled": (423, "The user is disabled."),
    "RATE_LIMIT_EXCEEDED": (429, "Too many requests. Wait and try again."),
    "INTERNAL_SERVER_ERROR": (500, "Something went wrong in the server."),
    "crypto_failed": (500, "The server has no key for second factors."),
    "store_error": (500, "The database did not answer."),
    "BAD_GATEWAY": (502, "The gateway got no usable answer."),
    "SERVICE_UNAVAILABLE": (503, "The server is not available now."),
    "TENANT_NO_DATABASE": (503, "The tenant has no database."),
    "mfa_sms_unavailable": (503, "Text messages cannot be sent now."),
    "GATEWAY_TIMEOUT": (504, "The gateway waited too long."),
}
_CODES_BY_STATUS: Final = {
    **{status: code for code, (status, _) in reversed(_PROBLEMS.items())},
    404: "NOT_FOUND",
}
_OAUTH_STATUS: Final = {"invalid_client": 401}


class V2Problem(ApiProblem):
    """A refusal of v2.

    Attributes:
        headers: Headers of the answer.
    """

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Look up the status and the sentence. ``detail`` is the server's hint for developers."""
        usual, sentence = _PROBLEMS.get(code, (400, "The request was refused."))
        details = {} if detail is None else {"detail": detail}
        super().__init__(code, sentence, status=usual if status is None else status, **details)
        self.headers: Mapping[str, str] = headers or {}


class OAuthProblem(ApiProblem):
    """A refusal of the token endpoint, which has the shape of RFC 6749.

    Attributes:
        headers: Headers of the answer.
    """

    def __init__(
        self, code: str, message: str, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Look up the status."""
        super().__init__(code, message, status=status or _OAUTH_STATUS.get(code, 400))
        self.headers: Mapping[str, str] = headers or {}


def code_for(status: int) -> str:
    """Return the code of an error with this status, where no other code is asked for."""
    fallback = "INTERNAL_SERVER_ERROR" if status >= 500 else "BAD_REQUEST"  # noqa: PLR2004 - what 5xx means
    return _CODES_BY_STATUS.get(status, fallback)

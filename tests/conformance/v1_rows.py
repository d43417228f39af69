"""The rows of the cloud API (v1), from its documentation. ``assumed`` and ``ours`` mark the rest."""

from typing import Any

from hellojohn import MfaChallenge, TotpEnrollment
from tests.conformance.keys import KEY, signed
from tests.conformance.rows import ACCESS, LOST, NOW, Answer, Call, Reply

CHALLENGE = MfaChallenge("chl_1", ("totp_1",))
USER = {
    "id": "usr_1",
    "email": "ada@example.com",
    "email_verified": True,
    "created_at": "2023-01-01T00:00:00Z",
}
FLAT = {"access_token": ACCESS, "refresh_token": "rt_2", "expires_in": 900, "session_id": "ses_1"}
NESTED = {
    "user": USER,
    "session": {
        "id": "ses_1",
        "access_token": ACCESS,
        "refresh_token": "rt_2",
        "access_token_expires_at": "2023-11-14T22:28:20Z",
        "refresh_token_expires_at": "2023-12-14T22:13:20.000Z",
    },
}
SESSION = {
    "id": "ses_1",
    "user_id": "usr_1",
    "tenant_id": "tnt_1",
    "status": "active",
    "device_type": "mobile",
}
POLICY = {
    "session_duration": "30d",
    "access_token_ttl": "1h",
    "idle_timeout": None,
    "max_sessions_per_user": None,
}
PAGE = {"data": [SESSION], "pagination": {"total": 1, "limit": 20, "has_more": False, "next_cursor": None}}
FACTOR = {"id": "fac_1", "type": "totp", "status": "active"}
NO_FACTORS = {"GET /v1/users/usr_1/mfa/factors": Reply(200, {"data": []})}
FACTORS = {"GET /v1/users/usr_1/mfa/factors": Reply(200, {"data": [FACTOR]})}
REFRESH = {"POST /v1/auth/token/refresh": Reply(200, FLAT)}
BACK = "https://app.example.com/callback"
PASSWORD = "Correct-Horse-9"
GONE = Reply(502, "<html>Bad gateway</html>")


def problem(status: int, code: str, **more: Any) -> Reply:
    """Return an error in the documented shape."""
    about = {"code": code, "message": "Words.", "status": status, "request_id": "req_1"}
    return Reply(status, {"error": about, **more})


def unknown_path(
    then: str = "`ApiError`", note: str = "The error says that the path is an assumption."
) -> tuple[Answer, ...]:
    """Return the row of an assumed path that the service does not have."""
    return (Answer(problem(404, "not_found"), then, note, ours=True),)


LATER = Reply(429, {"error": "rate_limit_exceeded", "message": "Slow down.", "retry_after": 12})
LATER_BY_HEADER = Reply(429, {"error": {"code": "rate_limit_exceeded", "message": "m"}}, {"Retry-After": "7"})
LATER_BY_DATE = Reply(429, None, {"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"})

SIGN_IN = Call(
    "auth.sign_in",
    lambda hj: hj.auth.sign_in("ada@example.com", PASSWORD, remember_me=True),
    "POST /v1/auth/sign-in",
    "publishable key",
    (
        Answer(Reply(200, NESTED), "the session", "The nested shape: user, session, both ends."),
        Answer(Reply(200, FLAT), "the session", "The flat shape, with `expires_in`."),
        Answer(problem(401, "invalid_credentials"), "`InvalidCredentials`"),
        Answer(
            problem(403, "mfa_required", challenge_id="chl_1", available_factors=["totp_1"]),
            "`MfaRequired` with the challenge",
        ),
        Answer(problem(403, "account_locked"), "`AccountLocked`"),
        Answer(problem(403, "account_disabled"), "`AccountDisabled`"),
        Answer(problem(401, "invalid_publishable_key"), "`ApiError`", "The message names the setting."),
        Answer(problem(401, "invalid_api_key"), "`ApiError`", "The message names the settings."),
        Answer(problem(401, "missing_token"), "`ApiError`", "The message names the settings."),
        Answer(problem(403, "insufficient_permissions"), "`PermissionDenied`"),
        Answer(problem(403, "tenant_mismatch"), "`PermissionDenied`", "The message names `tenant_id`."),
        Answer(problem(422, "invalid_email"), "`ValidationFailed`"),
        Answer(LATER, "`RateLimited`, wait 12 s", "The flat shape, with `retry_after`."),
        Answer(LATER_BY_HEADER, "`RateLimited`, wait 7 s", "`Retry-After` in seconds."),
        Answer(LATER_BY_DATE, "`RateLimited`, wait 30 s", "`Retry-After` as a date, without a body."),
        Answer(
            Reply(503, None, {"Retry-After": "0"}),
            "`ServiceUnavailable`, wait 0 s",
            "A wait of 0 is accepted.",
        ),
        Answer(
            problem(500, "internal_error"), "`ServiceUnavailable`, ambiguous", "The body is not looked at."
        ),
        Answer(GONE, "`ServiceUnavailable`, ambiguous"),
        Answer(
            Reply(200, "<html>Welcome to the hotel</html>"),
            "`ServiceUnavailable`, ambiguous",
            "Not an answer of the service.",
        ),
        Answer(LOST, "`ServiceUnavailable`, ambiguous"),
    ),
    fields=("email", "password", "session_options"),
    assumed=("session_options",),
)
SIGN_UP = Call(
    "auth.sign_up",
    lambda hj: hj.auth.sign_up(
        "ada@example.com", PASSWORD, name="Ada", username="ada", metadata={"team": "blue"}, remember_me=False
    ),
    "POST /v1/auth/sign-up",
    "publishable key",
    (
        Answer(Reply(201, NESTED), "the session"),
        Answer(Reply(201, FLAT), "the session"),
        Answer(problem(409, "email_already_exists"), "`Conflict`"),
        Answer(problem(422, "password_too_weak"), "`ValidationFailed`", "The service's words are quoted."),
        Answer(problem(422, "invalid_email"), "`ValidationFailed`"),
        Answer(LATER, "`RateLimited`, wait 12 s"),
    ),
    fields=("email", "password", "name", "username", "metadata", "session_options"),
    assumed=("session_options",),
)
REFRESHING = Call(
    "auth.refresh",
    lambda hj: hj.auth.refresh(),
    "POST /v1/auth/token/refresh",
    "none",
    (
        Answer(Reply(200, FLAT), "the session", "The refresh token rotates."),
        Answer(
            Reply(200, {"access_token": ACCESS, "expires_in": 900}),
            "the session",
            "The old refresh token is kept.",
        ),
        Answer(problem(401, "refresh_token_expired"), "`SessionExpired`: expired"),
        Answer(problem(401, "session_expired"), "`SessionExpired`: expired"),
        Answer(problem(401, "session_revoked"), "`SessionExpired`: revoked"),
        Answer(problem(401, "refresh_token_reused"), "`SessionExpired`: reuse_detected"),
        Answer(problem(401, "refresh_token_invalid"), "`SessionExpired`: rejected"),
        Answer(problem(403, "account_disabled"), "`SessionExpired`: user_disabled"),
        Answer(problem(403, "user_disabled"), "`SessionExpired`: user_disabled"),
        Answer(problem(401, "invalid_api_key"), "`ApiError`", "A setting is wrong. The session is kept."),
        Answer(problem(403, "tenant_mismatch"), "`PermissionDenied`", "The session is kept."),
        Answer(problem(401, "unheard_of"), "`ApiError`", "An unknown code ends nothing."),
        Answer(
            Reply(401, "<html>Sign in to the network</html>"),
            "`ServiceUnavailable`",
            "Not the service's answer.",
        ),
        Answer(
            Reply(429, None, {"Retry-After": "3600"}),
            "`ServiceUnavailable`, wait 3600 s",
            "The session is kept.",
        ),
        Answer(
            Reply(503, None, {"Retry-After": "3600"}),
            "`ServiceUnavailable`, wait 3600 s",
            "The session is kept.",
        ),
        Answer(Reply(504, "<html>Timeout</html>"), "`ServiceUnavailable`, ambiguous", "The session is kept."),
        Answer(
            Reply(200, "<html>Welcome to the hotel</html>"),
            "`ServiceUnavailable`, ambiguous",
            "The session is kept.",
        ),
    ),
    fields=("refresh_token",),
)
SIGN_OUT = Call(
    "auth.sign_out",
    lambda hj: hj.auth.sign_out(),
    "POST /v1/auth/sign-out",
    "access token",
    (
        Answer(Reply(204), "confirmed", ours=True),
        Answer(problem(401, "token_expired"), "not confirmed", "The session is gone here.", ours=True),
        *unknown_path("not confirmed", "The session is gone here."),
        Answer(LOST, "not confirmed", "The session is gone here."),
    ),
    fields=("refresh_token",),
    assumed=("path", "refresh_token"),
)
SIGN_OUT_EVERYWHERE = Call(
    "auth.sign_out, everywhere",
    lambda hj: hj.auth.sign_out(everywhere=True),
    "POST /v1/auth/sign-out",
    "access token",
    (
        Answer(Reply(204), "confirmed", ours=True),
        Answer(problem(401, "token_expired"), "`ApiError`", "The other sessions may live on.", ours=True),
        Answer(LOST, "`ServiceUnavailable`, ambiguous", "The other sessions may live on."),
    ),
    fields=("refresh_token", "everywhere"),
    assumed=("path", "refresh_token", "everywhere"),
)
WHO = Call(
    "auth.user",
    lambda hj: hj.auth.user(),
    "GET /v1/auth/me",
    "access token",
    (
        Answer(Reply(200, USER), "the user"),
        Answer(Reply(200, {"user": USER}), "the user", ours=True),
        Answer(problem(401, "invalid_token"), "`ApiError`", "After one refresh."),
        Answer(problem(401, "token_expired"), "`ApiError`", "After one refresh."),
        Answer(problem(403, "insufficient_permissions"), "`PermissionDenied`"),
    ),
    usual=REFRESH,
)
FACTOR_CODE = Call(
    "auth.verify_mfa",
    lambda hj: hj.auth.verify_mfa(CHALLENGE, "123456"),
    "POST /v1/mfa/verify",
    "publishable key",
    (
        Answer(Reply(200, NESTED), "the session"),
        Answer(
            problem(401, "invalid_mfa_code"), "`InvalidCredentials`", "The challenge stays good.", ours=True
        ),
        Answer(problem(401, "mfa_challenge_expired"), "`ChallengeExpired`", ours=True),
    ),
    fields=("challenge_id", "code", "factor_id"),
)
REMEMBERED = Call(
    "auth.verify_mfa, remembered",
    lambda hj: hj.auth.verify_mfa(CHALLENGE, "123456", remember_device=True),
    "POST /v1/mfa/verify",
    "publishable key",
    (
        Answer(
            Reply(200, {**NESTED, "device_token": "dev_1"}),
            "the session",
            "The token is sent at the next sign-in.",
            ours=True,
        ),
    ),
    fields=("challenge_id", "code", "factor_id", "remember_device"),
    assumed=("remember_device",),
)
SENT_CODE = Call(
    "auth.send_mfa_code",
    lambda hj: hj.auth.send_mfa_code(CHALLENGE, factor="totp_1"),
    "POST /v1/mfa/send",
    "publishable key",
    (Answer(Reply(204), "done", ours=True), *unknown_path()),
    fields=("challenge_id", "factor_id"),
    assumed=("path", "challenge_id", "factor_id"),
)
LISTED = Call(
    "mfa.factors",
    lambda hj: hj.mfa.factors(),
    "GET /v1/users/usr_1/mfa/factors",
    "secret key",
    (
        Answer(Reply(200, {"data": [FACTOR]}), "a list of 1"),
        Answer(problem(403, "insufficient_permissions"), "`PermissionDenied`"),
    ),
)
ENROLLED = Call(
    "mfa.enroll_totp",
    lambda hj: hj.mfa.enroll_totp(),
    "POST /v1/users/usr_1/mfa/factors",
    "secret key",
    (
        Answer(
            Reply(201, {"factor_id": "fac_1", "totp": {"secret": "JBSW", "uri": "otpauth://totp/x"}}),
            "the secret and its URI",
        ),
        Answer(problem(409, "factor_exists"), "`Conflict`", ours=True),
    ),
    fields=("type",),
    usual=NO_FACTORS,
)
CONFIRMED = Call(
    "mfa.confirm_totp",
    lambda hj: hj.mfa.confirm_totp(
        TotpEnrollment(secret="JBSW", uri="otpauth://totp/x", factor_id="fac_1"), "123456"
    ),
    "POST /v1/users/usr_1/mfa/factors/fac_1/confirm",
    "secret key",
    (
        Answer(Reply(200, FACTOR), "a list of 0"),
        Answer(problem(401, "invalid_mfa_code"), "`InvalidCredentials`", ours=True),
    ),
    fields=("code",),
)
DISABLED = Call(
    "mfa.disable_totp",
    lambda hj: hj.mfa.disable_totp(PASSWORD, "123456"),
    "DELETE /v1/users/usr_1/mfa/factors/fac_1",
    "secret key",
    (Answer(Reply(204), "done"), Answer(problem(404, "not_found"), "`NotFound`")),
    usual=FACTORS,
)
RECOVERY = Call(
    "mfa.new_recovery_codes",
    lambda hj: hj.mfa.new_recovery_codes(PASSWORD, "123456"),
    "POST /v1/users/usr_1/mfa/backup-codes/generate",
    "secret key",
    (Answer(Reply(200, {"codes": ["ABCD-EFGH", "IJKL-MNOP"]}), "a list of 2"),),
)
MAGIC = Call(
    "auth.send_magic_link",
    lambda hj: hj.auth.send_magic_link("ada@example.com", redirect_to=BACK),
    "POST /v1/auth/magic-link",
    "publishable key",
    (Answer(Reply(200, {"sent": True}), "done"), Answer(LATER, "`RateLimited`, wait 12 s")),
    fields=("email", "redirect_to"),
)
MAGIC_USED = Call(
    "auth.verify_magic_link",
    lambda hj: hj.auth.verify_magic_link("tok_1", remember_me=True),
    "POST /v1/auth/magic-link/verify",
    "publishable key",
    (
        Answer(Reply(200, NESTED), "the session", ours=True),
        Answer(problem(400, "link_expired"), "`ChallengeExpired`", ours=True),
        Answer(
            problem(410, "unheard_of"),
            "`ChallengeExpired`",
            "Any unknown code with 400, 401 or 410.",
            ours=True,
        ),
        *unknown_path(),
    ),
    fields=("token", "session_options"),
    assumed=("path", "token", "session_options"),
)
FORGOT = Call(
    "auth.send_password_reset",
    lambda hj: hj.auth.send_password_reset("ada@example.com", redirect_to=BACK),
    "POST /v1/auth/password/forgot",
    "publishable key",
    (Answer(Reply(200, {"sent": True}), "done"), Answer(LATER, "`RateLimited`, wait 12 s")),
    fields=("email", "redirect_to"),
)
RESET = Call(
    "auth.confirm_password_reset",
    lambda hj: hj.auth.confirm_password_reset("tok_1", PASSWORD),
    "POST /v1/auth/password/reset",
    "publishable key",
    (
        Answer(Reply(204), "done", ours=True),
        Answer(problem(422, "password_too_weak"), "`ValidationFailed`", "The link stays good.", ours=True),
        Answer(problem(400, "link_expired"), "`ChallengeExpired`", ours=True),
        *unknown_path(),
    ),
    fields=("token", "new_password"),
    assumed=("path", "token", "new_password"),
)
CHANGED = Call(
    "auth.change_password",
    lambda hj: hj.auth.change_password(PASSWORD, "Another-Horse-10"),
    "POST /v1/auth/password/change",
    "access token",
    (
        Answer(Reply(204), "done"),
        Answer(problem(401, "invalid_credentials"), "`InvalidCredentials`"),
        Answer(problem(422, "password_too_weak"), "`ValidationFailed`"),
    ),
    fields=("current_password", "new_password"),
)
VERIFYING = Call(
    "auth.send_email_verification",
    lambda hj: hj.auth.send_email_verification("ada@example.com", redirect_to=BACK),
    "POST /v1/auth/email/verify/send",
    "publishable key",
    (Answer(Reply(204), "done", ours=True), *unknown_path()),
    fields=("email", "redirect_to"),
    assumed=("path", "email", "redirect_to"),
)
VERIFYING_OWN = Call(
    "auth.send_email_verification, own address",
    lambda hj: hj.auth.send_email_verification(),
    "POST /v1/auth/email/verify/send",
    "access token",
    (Answer(Reply(204), "done", ours=True),),
    assumed=("path",),
)
VERIFIED = Call(
    "auth.verify_email",
    lambda hj: hj.auth.verify_email("tok_1"),
    "POST /v1/auth/email/verify",
    "publishable key",
    (
        Answer(Reply(204), "done", ours=True),
        Answer(problem(400, "link_expired"), "`ChallengeExpired`", ours=True),
        *unknown_path(),
    ),
    fields=("token",),
    assumed=("path", "token"),
)
BROWSER = Call(
    "auth.sign_in_with_oauth",
    lambda hj: hj.auth.sign_in_with_oauth("google", BACK),
    "GET /v1/auth/oauth/google/authorize",
    "none",
    (),
    fields=(
        *("redirect_uri", "state", "code_challenge", "code_challenge_method", "tenant_id", "publishable_key"),
    ),
    assumed=("tenant_id", "publishable_key"),
)


def come_back(hj: Any, provider: str | None = "google") -> object:
    """Complete a browser sign-in."""
    request = hj.auth.sign_in_with_oauth(provider, BACK, remember_me=True)
    return hj.auth.complete_oauth(request, f"{BACK}?code=code_1&state={request.state}")


CALLBACK = Call(
    "auth.complete_oauth",
    come_back,
    "POST /v1/auth/oauth/google/callback",
    "publishable key",
    (
        Answer(Reply(200, NESTED), "the session"),
        Answer(
            problem(400, "unheard_of"),
            "`ChallengeExpired`",
            "Any unknown code with 400, 401 or 410.",
            ours=True,
        ),
        Answer(
            problem(403, "mfa_required", challenge_id="chl_1", available_factors=["totp_1"]),
            "`MfaRequired` with the challenge",
            ours=True,
        ),
    ),
    fields=("code", "code_verifier", "redirect_uri", "session_options"),
    assumed=("code", "code_verifier", "redirect_uri", "session_options"),
)
SESSIONS = Call(
    "sessions.list",
    lambda hj: list(hj.sessions.list(user_id="usr_1", status="active")),
    "GET /v1/sessions",
    "secret key",
    (
        Answer(Reply(200, PAGE), "a list of 1", "Pages are read as long as there is a `next_cursor`."),
        Answer(problem(401, "invalid_api_key"), "`ApiError`"),
        Answer(problem(403, "cp_admin_required"), "`PermissionDenied`"),
    ),
    fields=("user_id", "status", "limit"),
)
SESSION_READ = Call(
    "sessions.get",
    lambda hj: hj.sessions.get("ses_1"),
    "GET /v1/sessions/ses_1",
    "secret key",
    (Answer(Reply(200, SESSION), "the session's facts"), Answer(problem(404, "not_found"), "`NotFound`")),
)
SESSION_ENDED = Call(
    "sessions.revoke",
    lambda hj: hj.sessions.revoke("ses_1"),
    "DELETE /v1/sessions/ses_1",
    "secret key",
    (Answer(Reply(204), "done"), Answer(problem(404, "not_found"), "`NotFound`")),
)
ALL_ENDED = Call(
    "sessions.revoke_all",
    lambda hj: hj.sessions.revoke_all("usr_1"),
    "DELETE /v1/sessions",
    "secret key",
    (Answer(Reply(204), "done", ours=True), *unknown_path()),
    fields=("user_id",),
    assumed=("path", "user_id"),
)
REMOTE = Call(
    "verify_token_remote",
    lambda hj: hj.verify_token_remote(signed()),
    "POST /v1/sessions/verify",
    "secret key",
    (
        Answer(
            Reply(200, {"valid": True, "session": SESSION, "claims": {"sub": "usr_1", "exp": NOW + 900}}),
            "valid, with claims",
            ours=True,
        ),
        Answer(Reply(200, {"valid": False}), "not valid", ours=True),
        Answer(problem(401, "session_revoked"), "not valid", ours=True),
        Answer(
            problem(401, "invalid_api_key"),
            "`ApiError`",
            "The error is about the key, and not about the token.",
        ),
    ),
    fields=("token",),
    assumed=("token",),
)
CONFIG = Call(
    "admin.config.get",
    lambda hj: hj.admin.config.get(),
    "GET /v1/admin/config",
    "secret key",
    (
        Answer(Reply(200, POLICY), "the settings"),
        Answer(problem(403, "cp_admin_required"), "`PermissionDenied`"),
    ),
)
CONFIG_CHANGED = Call(
    "admin.config.update",
    lambda hj: hj.admin.config.update(idle_timeout="7d", max_sessions_per_user=5),
    "PATCH /v1/admin/config",
    "secret key",
    (Answer(Reply(200, {**POLICY, "idle_timeout": "7d", "max_sessions_per_user": 5}), "the settings"),),
    fields=("idle_timeout", "max_sessions_per_user"),
)
KEYS = Call(
    "verify_token",
    lambda hj: hj.verify_token(signed()),
    "GET /.well-known/jwks.json",
    "none",
    (
        Answer(
            Reply(200, {"keys": [KEY]}), "the claims", "The keys are kept, and read again in the background."
        ),
        Answer(
            Reply(200, {"keys": []}),
            "`KeysUnavailable`",
            "A set without a usable key counts as a failure.",
        ),
        Answer(Reply(500, None), "`KeysUnavailable`"),
        Answer(GONE, "`KeysUnavailable`"),
    ),
)

CALLS = (
    *(
        SIGN_IN,
        SIGN_UP,
        REFRESHING,
        SIGN_OUT,
        SIGN_OUT_EVERYWHERE,
        WHO,
        FACTOR_CODE,
        REMEMBERED,
        SENT_CODE,
        LISTED,
        ENROLLED,
    ),
    *(CONFIRMED, DISABLED, RECOVERY, MAGIC, MAGIC_USED, FORGOT, RESET, CHANGED, VERIFYING, VERIFYING_OWN),
    *(VERIFIED, BROWSER, CALLBACK, SESSIONS, SESSION_READ, SESSION_ENDED, ALL_ENDED, REMOTE, CONFIG),
    *(CONFIG_CHANGED, KEYS),
)

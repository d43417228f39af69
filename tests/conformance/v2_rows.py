"""The rows of the open-source server (v2). ``recorded`` names an answer that a running server gave."""

from hellojohn import MfaChallenge, TotpEnrollment
from tests.conformance.keys import KEY, signed
from tests.conformance.rows import ACCESS, LOST, TENANT, Answer, Call, Reply, recorded

CHALLENGE = MfaChallenge("chl_1", ("totp", "email"), preferred_factor="totp")
PASSWORD = "Correct-Horse-9"
BACK = "http://127.0.0.1:8765/callback"
CREDENTIALS = ("tenant_id", "client_id", "email", "password")
GRANT = {"access_token": ACCESS, "refresh_token": "rt_2", "token_type": "Bearer", "expires_in": 899}
NO_FACTORS = {"GET /v2/mfa/factors": recorded("signin/mfa.factors.none")}
STORE_ERROR = Reply(500, {"code": "store_error", "message": "Words."})
CLIENTS = "GET /v2/admin/tenants/acme/clients"
CLIENT = {"client_id": "web", "name": "web", "access_token_ttl": 60, "refresh_token_ttl": 120}

SIGN_IN = Call(
    "auth.sign_in",
    lambda hj: hj.auth.sign_in("ada@example.com", PASSWORD, remember_me=True),
    "POST /v2/auth/login",
    "none",
    (
        Answer(
            recorded("sessions/login.ok.slug"),
            "the session",
            "No user, no session id and no end of the session.",
        ),
        Answer(
            recorded("signin/mfa.login.required"),
            "`MfaRequired` with the challenge",
            "A second factor is asked for with a success.",
        ),
        Answer(
            recorded("sessions/login.missing.tenant_id"),
            "`InvalidCredentials`",
            "Also in an outage of the database.",
        ),
        Answer(
            recorded("sessions/login.ok.slug_upper"),
            "`ApiError`",
            "The message names `tenant_id` and `client_id`.",
        ),
        Answer(recorded("sessions/login.password_provider_off"), "`PermissionDenied`"),
        Answer(recorded("sessions/login.unverified.client_demands"), "`EmailNotVerified`"),
        Answer(recorded("sessions/login.disabled"), "`AccountDisabled`", "Before the password is looked at."),
        Answer(recorded("sessions/login.tenant_without_db"), "`ServiceUnavailable`"),
        Answer(recorded("sessions/rate.login.4"), "`RateLimited`, wait 1 s"),
        Answer(
            Reply(429, {"code": "RATE_LIMIT_EXCEEDED", "message": "m"}, {"Retry-After": "0"}),
            "`RateLimited`, wait 1 s",
            "0 has a floor.",
        ),
        Answer(
            recorded("sessions/misc.unknown_route"),
            "`ServiceUnavailable`",
            "A page of the router, and not the server's words.",
        ),
        Answer(LOST, "`ServiceUnavailable`, ambiguous"),
    ),
    fields=CREDENTIALS,
    recorded="sessions/login.ok.slug",
)
SIGN_UP = Call(
    "auth.sign_up",
    lambda hj: hj.auth.sign_up("ada@example.com", PASSWORD, metadata={"team": "blue"}),
    "POST /v2/auth/register",
    "none",
    (
        Answer(recorded("sessions/register.ok.auto_login"), "the session"),
        Answer(
            Reply(200, {"user_id": "usr_1"}),
            "the session",
            "A server that does not sign in by itself: the SDK signs in with the same password.",
            beside={"POST /v2/auth/login": recorded("sessions/login.ok.slug")},
        ),
        Answer(
            recorded("sessions/register.duplicate"),
            "`ApiError`",
            "The message says that the address may be taken.",
        ),
        Answer(
            recorded("sessions/register.weak.default_policy.short"),
            "`ValidationFailed`",
            "The server does not name the rule.",
        ),
        Answer(
            recorded("signin/password.reset.one_letter"),
            "`ValidationFailed`",
            "The other wording of the same refusal.",
        ),
        Answer(
            recorded("sessions/register.unknown.tenant"),
            "`ApiError`",
            "The message names `tenant_id` and `client_id`.",
        ),
        Answer(recorded("sessions/register.client_without_password_provider"), "`PermissionDenied`"),
        Answer(recorded("sessions/register.tenant_without_db"), "`ServiceUnavailable`"),
        Answer(recorded("sessions/register.unknown_key"), "`ApiError`"),
    ),
    fields=(*CREDENTIALS, "custom_fields"),
)
REFRESH = Call(
    "auth.refresh",
    lambda hj: hj.auth.refresh(),
    "POST /v2/auth/refresh",
    "none",
    (
        Answer(recorded("sessions/refresh.ok"), "the session", "The old refresh token is dead at once."),
        Answer(
            recorded("sessions/refresh.reused.detection_off"),
            "`SessionExpired`: revoked",
            "Rotated, signed out, revoked or disabled.",
        ),
        Answer(
            recorded("sessions/refresh.reused.detection_on"),
            "`SessionExpired`: revoked",
            "The same list: no proof of theft.",
        ),
        Answer(
            recorded("sessions/refresh.tenant.wrong"),
            "`SessionExpired`: expired",
            "After a second look, and the same answer again.",
        ),
        Answer(
            recorded("sessions/refresh.tenant.wrong"),
            "`ServiceUnavailable`",
            "The second look fails: the database is away. The session is kept.",
            beside={"GET /v2/mfa/factors": STORE_ERROR},
        ),
        Answer(
            recorded("sessions/refresh.tenant.wrong"),
            "`SessionExpired`: expired",
            "The second look is closed: the refusal is believed.",
            beside={"GET /v2/mfa/factors": Reply(404, "404 page not found")},
        ),
        Answer(
            recorded("sessions/refresh.client.wrong"),
            "`ApiError`",
            "A setting is wrong. The session is kept.",
        ),
        Answer(recorded("sessions/refresh.tenant.query_tenant"), "`ApiError`", "The session is kept."),
        Answer(recorded("sessions/refresh.tenant.unknown"), "`ApiError`", "The session is kept."),
        Answer(recorded("sessions/refresh.user.disabled_flag_only"), "`SessionExpired`: user_disabled"),
        Answer(recorded("sessions/refresh.tenant.nodb"), "`ServiceUnavailable`", "The session is kept."),
        Answer(
            Reply(429, None, {"Retry-After": "3600"}),
            "`ServiceUnavailable`, wait 3600 s",
            "The session is kept.",
        ),
        Answer(Reply(504, "<html>Timeout</html>"), "`ServiceUnavailable`, ambiguous", "The session is kept."),
        Answer(
            recorded("sessions/misc.unknown_route"),
            "`ServiceUnavailable`",
            "Not the server's words. The session is kept.",
        ),
    ),
    fields=("tenant_id", "client_id", "refresh_token"),
    usual={"GET /v2/mfa/factors": recorded("signin/mfa.factors.none")},
    recorded="sessions/refresh.ok",
)
LOGOUT = Call(
    "auth.sign_out",
    lambda hj: hj.auth.sign_out(),
    "POST /v2/auth/logout",
    "access token",
    (
        Answer(
            recorded("sessions/logout.chain258.newest"),
            "confirmed",
            "It proves nothing: an unknown token is 204, too.",
        ),
        Answer(recorded("sessions/logout.wrong_client_id"), "not confirmed", "The session is gone here."),
        Answer(
            recorded("sessions/logout.bearer_empty"),
            "not confirmed",
            "Without a bearer, which the SDK always sends.",
        ),
        Answer(recorded("sessions/logout.tenant.nodb"), "not confirmed", "The session is gone here."),
        Answer(recorded("sessions/rate.logout.4"), "not confirmed", "The session is gone here."),
    ),
    fields=("tenant_id", "client_id", "refresh_token"),
    recorded="sessions/logout.chain258.newest",
)
LOGOUT_ALL = Call(
    "auth.sign_out, everywhere",
    lambda hj: hj.auth.sign_out(everywhere=True),
    "POST /v2/auth/logout-all",
    "access token",
    (
        Answer(recorded("sessions/logout_all.no_auth"), "confirmed"),
        Answer(
            recorded("sessions/logout_all.user_id_not_uuid"),
            "`ServiceUnavailable`, ambiguous",
            "The other sessions may live on.",
        ),
        Answer(
            recorded("sessions/outage.server_restarted.logout_all"),
            "`ServiceUnavailable`",
            "The other sessions may live on.",
        ),
    ),
    fields=("user_id",),
)
WHO = Call(
    "auth.user",
    lambda hj: hj.auth.user(),
    "GET /userinfo",
    "access token",
    (
        Answer(recorded("sessions/userinfo.path.get"), "the user"),
        Answer(
            recorded("sessions/userinfo.signed_after_rotation"),
            "the user",
            "A good token: the SDK asks `/v2/me`.",
        ),
        Answer(recorded("sessions/userinfo.global.get"), "`ApiError`", "After one refresh."),
        Answer(recorded("sessions/userinfo.no_token"), "`ApiError`"),
    ),
    usual={
        "GET /v2/me": recorded("sessions/me.path.get"),
        "POST /v2/auth/refresh": recorded("sessions/refresh.ok"),
    },
)
WHO_ELSE = Call(
    "auth.user, by the token alone",
    lambda hj: hj.auth.user(),
    "GET /v2/me",
    "access token",
    (
        Answer(recorded("sessions/me.path.get"), "the user", "The user has an id only."),
        Answer(recorded("sessions/me.expired"), "`ApiError`", "Both routes refuse the token."),
    ),
    usual={
        "GET /userinfo": recorded("sessions/userinfo.signed_after_rotation"),
        "POST /v2/auth/refresh": recorded("sessions/refresh.ok"),
    },
)
CODE = Call(
    "auth.verify_mfa",
    lambda hj: hj.auth.verify_mfa(CHALLENGE, "123 456", remember_device=True),
    "POST /v2/mfa/totp/challenge",
    "none",
    (
        Answer(
            recorded("signin/mfa.remember_device.challenge"),
            "the session",
            "The cookie is kept, and sent at the next sign-in.",
        ),
        Answer(
            recorded("signin/mfa.totp.challenge.wrong_code"),
            "`InvalidCredentials`",
            "The challenge stays good.",
        ),
        Answer(recorded("signin/mfa.totp.challenge.used_mfa_token"), "`ChallengeExpired`", "Start over."),
        Answer(recorded("signin/mfa.recovery.limited"), "`RateLimited`", "Feature limits send no wait."),
        Answer(recorded("signin/mfa.totp.challenge.no_tenant"), "`ApiError`"),
    ),
    fields=("mfa_token", "code", "remember_device"),
    recorded="signin/mfa.remember_device.challenge",
)
RECOVERY_CODE = Call(
    "auth.verify_mfa, recovery code",
    lambda hj: hj.auth.verify_mfa(CHALLENGE, "abcde-fghij"),
    "POST /v2/mfa/totp/challenge",
    "none",
    (Answer(recorded("signin/mfa.totp.challenge.ok"), "the session"),),
    fields=("mfa_token", "recovery"),
)
MAILED_CODE = Call(
    "auth.send_mfa_code",
    lambda hj: hj.auth.send_mfa_code(CHALLENGE, factor="email"),
    "POST /v2/mfa/email/send",
    "none",
    (
        Answer(recorded("signin/mfa.email.send.ok"), "done"),
        Answer(Reply(400, {"code": "mfa_email_not_available", "message": "m"}), "`ValidationFailed`"),
        Answer(recorded("signin/mfa.email.send.limited"), "`RateLimited`"),
        Answer(recorded("signin/oauth.authorize.mfa.email_send"), "`ChallengeExpired`"),
    ),
    fields=("mfa_token",),
    recorded="signin/mfa.email.send.ok",
)
TEXTED_CODE = Call(
    "auth.send_mfa_code, text message",
    lambda hj: hj.auth.send_mfa_code(CHALLENGE, factor="sms"),
    "POST /v2/mfa/sms/send",
    "none",
    (
        Answer(
            recorded("signin/mfa.sms.send.no_provider"),
            "`ServiceUnavailable`",
            "The server has no provider for text messages.",
        ),
    ),
    fields=("mfa_token",),
)
FACTORS = Call(
    "mfa.factors",
    lambda hj: hj.mfa.factors(),
    "GET /v2/mfa/factors",
    "access token",
    (
        Answer(recorded("signin/mfa.factors.none"), "a list of 1"),
        Answer(
            recorded("signin/mfa.factors.no_tenant_header"),
            "`ApiError`",
            "Without `X-Tenant-ID`, which the SDK always sends.",
        ),
        Answer(Reply(404, {"code": "user_not_found", "message": "m"}), "`NotFound`", "A deleted user."),
    ),
)
ENROLL = Call(
    "mfa.enroll_totp",
    lambda hj: hj.mfa.enroll_totp(replace=True),
    "POST /v2/mfa/totp/enroll",
    "access token",
    (
        Answer(
            recorded("signin/mfa.totp.enroll"),
            "the secret and its URI",
            "The URI names the tenant and the account.",
        ),
        Answer(
            recorded("signin/mfa.totp.enroll.as_published"),
            "`ApiError`",
            "The message names the missing key. No second try.",
        ),
    ),
    usual=NO_FACTORS,
)
CONFIRM = Call(
    "mfa.confirm_totp",
    lambda hj: hj.mfa.confirm_totp(TotpEnrollment(secret="JBSW", uri="otpauth://totp/x"), "123456"),
    "POST /v2/mfa/totp/verify",
    "access token",
    (
        Answer(
            recorded("signin/mfa.totp.verify.ok"),
            "a list of 10",
            "Recovery codes come with the first enrolment only.",
        ),
        Answer(recorded("signin/mfa.totp.verify.wrong_code"), "`InvalidCredentials`"),
        Answer(recorded("signin/mfa.totp.verify.before_enroll"), "`NotFound`"),
    ),
    fields=("code",),
    recorded="signin/mfa.totp.verify.ok",
)
DISABLE = Call(
    "mfa.disable_totp",
    lambda hj: hj.mfa.disable_totp(PASSWORD, "123456"),
    "POST /v2/mfa/totp/disable",
    "access token",
    (
        Answer(recorded("signin/mfa.totp.disable.ok"), "done"),
        Answer(recorded("signin/mfa.totp.disable.wrong_password"), "`InvalidCredentials`"),
        Answer(recorded("signin/mfa.totp.disable.twice"), "`NotFound`"),
    ),
    fields=("password", "code"),
)
ROTATE = Call(
    "mfa.new_recovery_codes",
    lambda hj: hj.mfa.new_recovery_codes(PASSWORD, "123456"),
    "POST /v2/mfa/recovery/rotate",
    "access token",
    (
        Answer(recorded("signin/mfa.recovery.rotate.ok"), "a list of 10"),
        Answer(recorded("signin/mfa.recovery.rotate.wrong_password"), "`InvalidCredentials`"),
        Answer(recorded("signin/mfa.recovery.rotate.wrong_code"), "`InvalidCredentials`"),
    ),
    fields=("password", "code"),
)
FORGOT = Call(
    "auth.send_password_reset",
    lambda hj: hj.auth.send_password_reset("ada@example.com", redirect_to="https://app.example.com/reset"),
    "POST /v2/auth/forgot",
    "none",
    (
        Answer(
            recorded("signin/password.forgot.unknown_user"),
            "done",
            "Whether or not there is such a user, or a mail.",
        ),
    ),
    fields=("tenant_id", "client_id", "email", "redirect_uri"),
)
RESET = Call(
    "auth.confirm_password_reset",
    lambda hj: hj.auth.confirm_password_reset("http://localhost/v2/auth/reset?token=tok_1", PASSWORD),
    "POST /v2/auth/reset",
    "none",
    (
        Answer(recorded("signin/password.reset.ok"), "done", "It signs no user in."),
        Answer(
            recorded("signin/password.reset.unknown_token"),
            "`ChallengeExpired`",
            "Used, unknown, expired, or an outage.",
        ),
        Answer(recorded("signin/password.reset.one_letter"), "`ValidationFailed`", "The link stays good."),
    ),
    fields=("tenant_id", "client_id", "token", "new_password"),
    recorded="signin/password.reset.ok",
)
POLICY = Call(
    "auth.password_policy",
    lambda hj: hj.auth.password_policy(),
    "GET /v2/auth/password-policy",
    "none",
    (Answer(recorded("sessions/policy.default"), "the rules"),),
    fields=("tenant_id",),
)
VERIFY = Call(
    "auth.send_email_verification",
    lambda hj: hj.auth.send_email_verification("ada@example.com"),
    "POST /v2/auth/verify-email/start",
    "none",
    (
        Answer(
            recorded("signin/verify_email.start.unknown_user"),
            "done",
            "Whether or not there is such a user, or a mail.",
        ),
    ),
    fields=("tenant_id", "client_id", "email"),
)
VERIFIED = Call(
    "auth.verify_email",
    lambda hj: hj.auth.verify_email("tok_1"),
    "GET /v2/auth/verify-email",
    "none",
    (
        Answer(recorded("signin/verify_email.confirm.ok"), "done"),
        Answer(
            recorded("signin/verify_email.confirm.unknown_token"),
            "`ChallengeExpired`",
            "Used, unknown, expired, or an outage.",
        ),
    ),
    fields=("tenant_id", "client_id", "token"),
)
AUTHORIZE = Call(
    "auth.sign_in_with_oauth",
    lambda hj: hj.auth.sign_in_with_oauth(None, BACK),
    "GET /oauth2/authorize",
    "none",
    (),
    fields=(
        *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    ),
)


def come_back(hj, **query):
    """Complete a browser sign-in."""
    request = hj.auth.sign_in_with_oauth(None, BACK)
    callback = "&".join(f"{name}={value}" for name, value in {"state": request.state, **query}.items())
    return hj.auth.complete_oauth(request, f"{BACK}?{callback}")


CODE_TOKENS = Call(
    "auth.complete_oauth",
    lambda hj: come_back(hj, code="code_1"),
    "POST /oauth2/token",
    "none",
    (
        Answer(Reply(200, GRANT), "the session"),
        Answer(
            recorded("signin/oauth.token.code.ok"), "`ApiError`", "The ID token has another nonce: refused."
        ),
        Answer(
            recorded("signin/oauth.token.code.as_published"),
            "`ChallengeExpired`",
            "The message says that the published server does so.",
        ),
        Answer(recorded("signin/oauth.token.code.unknown_client"), "`ApiError`"),
        Answer(recorded("sessions/rate.oauth.4"), "`RateLimited`, wait 1 s"),
    ),
    fields=("grant_type", "code", "redirect_uri", "client_id", "code_verifier"),
    recorded="signin/oauth.token.code.ok",
)
SERVICE = Call(
    "service_token",
    lambda hj: hj.service_token(client_secret="secret_1", scopes=["reports:read"]),
    "POST /oauth2/token",
    "none",
    (
        Answer(
            recorded("signin/m2m.token.form_secret"), "a token", "Kept in memory, and shared by all callers."
        ),
        Answer(
            recorded("signin/m2m.token.wrong_secret"), "`ConfigurationError`", "The message names the secret."
        ),
        Answer(
            recorded("signin/m2m.token.scope_refused"),
            "`ConfigurationError`",
            "It names the scopes.",
        ),
        Answer(recorded("signin/m2m.token.public_client"), "`ConfigurationError`", "It is not a service."),
        Answer(Reply(504, "<html>Timeout</html>"), "`ServiceUnavailable`, ambiguous"),
    ),
    fields=("grant_type", "client_id", "client_secret", "scope"),
)
END_OF_USER = Call(
    "sessions.revoke_all",
    lambda hj: hj.sessions.revoke_all("usr_1"),
    "POST /v2/admin/tenants/acme/tokens/revoke-by-user",
    "API key",
    (
        Answer(recorded("sessions/admin.tokens.revoke_by_user"), "done"),
        Answer(recorded("sessions/admin.api_key.readonly.revoke_by_user"), "`PermissionDenied`"),
        Answer(
            recorded("sessions/outage.pool_known.admin_revoke_by_user"), "`ServiceUnavailable`, ambiguous"
        ),
    ),
    fields=("user_id",),
    recorded="sessions/admin.tokens.revoke_by_user",
)
CONFIG = Call(
    "admin.config.get",
    lambda hj: hj.admin.config.get(),
    CLIENTS,
    "API key",
    (
        Answer(Reply(200, [CLIENT]), "the settings", "The lives of the client's tokens."),
        Answer(Reply(200, []), "`NotFound`", "The tenant has no such client."),
    ),
)
CONFIG_SET = Call(
    "admin.config.update",
    lambda hj: hj.admin.config.update(access_token_ttl="1m", session_duration="2m"),
    "PUT /v2/admin/tenants/acme/clients/web",
    "API key",
    (
        Answer(
            Reply(200, CLIENT), "the settings", "The client is read, changed, written whole, and read back."
        ),
        Answer(
            Reply(403, {"code": "FORBIDDEN", "message": "m", "detail": "readonly key cannot mutate"}),
            "`PermissionDenied`",
        ),
    ),
    fields=("client_id", "name", "access_token_ttl", "refresh_token_ttl"),
    usual={CLIENTS: Reply(200, [CLIENT])},
)
KEYS = Call(
    "verify_token",
    lambda hj: hj.verify_token(
        signed(
            iss="https://api.example.com/t/acme",
            aud="web",
            tenant_id=None,
            tid=TENANT,
        )
    ),
    "GET /.well-known/jwks/acme.json",
    "none",
    (
        Answer(Reply(200, {"keys": [KEY]}), "the claims", "The keys of the tenant."),
        Answer(
            recorded("sessions/jwks.tenant.unknown"),
            "`KeysUnavailable`",
            "Also for a tenant that the server does not know.",
        ),
    ),
    usual={"GET /v2/auth/password-policy": recorded("sessions/policy.default")},
)

CALLS = (
    *(SIGN_IN, SIGN_UP, REFRESH, LOGOUT, LOGOUT_ALL, WHO, WHO_ELSE, CODE, RECOVERY_CODE, MAILED_CODE),
    *(TEXTED_CODE, FACTORS, ENROLL, CONFIRM, DISABLE, ROTATE, FORGOT, RESET, POLICY, VERIFY, VERIFIED),
    *(AUTHORIZE, CODE_TOKENS, SERVICE, END_OF_USER, CONFIG, CONFIG_SET, KEYS),
)

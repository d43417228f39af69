"""The recordings that are not replayed, with the reason for each.

The first pattern that fits counts. An empty reason makes an exception: such a recording is replayed.
"""

from fnmatch import fnmatchcase

_SEVERAL = (
    "Tells of several exchanges at once. The tests of this folder that state its facts are plain tests."
)
_UNUSED = "The SDK does not use this call, so the emulator does not have it."
_ADMIN = "A back end of the SDK replaces a client and revokes by user. The emulator has no other such call."
_STATE = "The state before it comes from a call that the emulator does not have."
_REFUSED = "The SDK refuses this by name on this server, so the emulator does not have it."
_LIMITER = "The emulator counts no requests. A 429 is ordered with `fail`, and those are replayed."
_FIELDS = "The emulator keeps custom fields as they are, and checks none."
_CACHES = "Depends on which keys the server happens to hold in memory."
_MUX = "A habit of the server's router, which no client meets."
NO_SUCH_CALL = {_UNUSED, _ADMIN, _REFUSED}

LEFT_OUT = {
    # Facts from several exchanges
    "sessions/login.admin_credentials.claims": _SEVERAL,
    "sessions/tokens.rotation": _SEVERAL,
    "sessions/ttl.*": _SEVERAL,
    "sessions/refresh.concurrent.*": _SEVERAL,
    "sessions/oauth.refresh.concurrent.*": _SEVERAL,
    "sessions/refresh.chain260.time": _SEVERAL,
    "sessions/outage.timeline": _SEVERAL,
    "sessions/outage.recovery": _SEVERAL,
    "sessions/lost.slow_revoke_client_waits": _SEVERAL,
    "sessions/lost.server_write_timeout": _SEVERAL,
    "sessions/keys.*": _SEVERAL,
    "sessions/jwks.tenant_equals_global": _SEVERAL,
    "sessions/restart.cookie": _SEVERAL,
    "sessions/misc.request_id.form": _SEVERAL,
    "sessions/misc.request_id.404": _SEVERAL,
    "signin/password.forgot.link": _SEVERAL,
    "signin/password.reset.sessions": _SEVERAL,
    "signin/password.forgot.reset_password_url": _SEVERAL,
    "signin/password.admin_set_password": _SEVERAL,
    "signin/verify_email.link": _SEVERAL,
    "signin/oauth.authorize.mfa.trusted_device": _SEVERAL,
    "signin/oauth.id_token.*": _SEVERAL,
    "signin/oauth.token.code.twice.effect": _SEVERAL,
    "signin/oauth.refresh.cross": _SEVERAL,
    "signin/oauth.code_access_token.usable": _SEVERAL,
    "signin/m2m.token.usable": _SEVERAL,
    "signin/m2m.token.client_ttl": _SEVERAL,
    "signin/m2m.secret.shape": _SEVERAL,
    "signin/m2m.secret.after_rotate": _SEVERAL,
    "signin/mfa.totp.enroll.again.new_secret": _SEVERAL,
    "signin/mfa.totp.enroll.when_enabled.effect": _SEVERAL,
    "signin/mfa.login.enrolled_not_verified": _SEVERAL,
    "signin/mfa.login.after_disable": _SEVERAL,
    "signin/mfa.recovery_codes.shape": _SEVERAL,
    "signin/mfa.sessions_after_enabling": _SEVERAL,
    "signin/mfa.totp.challenge.40_wrong_codes": _SEVERAL,
    "signin/mfa.refresh_after_mfa": _SEVERAL,
    "signin/mfa.two_logins_two_tokens": _SEVERAL,
    "signin/mfa.email.challenge.six_wrong": _SEVERAL,
    "signin/mfa.email.send.limit": _SEVERAL,
    "signin/mfa.remember_device.variants": _SEVERAL,
    "signin/mfa.recovery.twelve_wrong": _SEVERAL,
    "signin/mfa.required_by_policy": _SEVERAL,
    "signin/session.after_logout_all": _SEVERAL,
    # Administration
    "sessions/admin.clients.list": "",
    "sessions/admin.clients.put_ttl": "",
    "sessions/admin.tokens.revoke_by_user*": "",
    "sessions/admin.api_key.*.revoke_by_user": "",
    "sessions/admin.tenant.put.login_after": _STATE,
    "sessions/admin.*": _ADMIN,
    "sessions/restart.admin": _ADMIN,
    "sessions/refresh.token.admin_jwt_from_auth_login*": "The SDK signs no administrator in.",
    "sessions/misc.wrong_method.admin": _ADMIN,
    "sessions/restart.login.tenant_put": "The SDK never replaces a tenant's settings.",
    "sessions/outage.*.admin_tokens": _ADMIN,
    "signin/admin.*": _ADMIN,
    "signin/m2m.client.create": _ADMIN,
    "signin/m2m.secret.rotate": _ADMIN,
    "signin/invitation.*": _ADMIN,
    "signin/oauth.client.register.*": _ADMIN,
    # Calls that the emulator does not have
    "sessions/oauth.revoke.*": _UNUSED,
    "sessions/refresh.after_oauth_revoke*": _STATE,
    "sessions/me.after_oauth_revoke": _STATE,
    "sessions/oauth.introspect.*": "The SDK refuses remote verification by name on this server.",
    "sessions/outage.*.oauth_revoke": _UNUSED,
    "sessions/outage.*.introspect_refresh": _UNUSED,
    "sessions/outage.after.revoke": _STATE,
    "sessions/misc.auth_config": _UNUSED,
    "sessions/misc.providers": _UNUSED,
    "sessions/cors.*": "No page of another origin talks to the emulator.",
    "sessions/bot.*": "The emulator has no bot protection to misconfigure.",
    "signin/oauth.revoke.*": _UNUSED,
    "signin/oauth.consent.*": _UNUSED,
    "signin/m2m.introspect": "The SDK refuses remote verification by name on this server.",
    "signin/config.*": _UNUSED,
    "signin/providers.*": _UNUSED,
    "signin/social.*": _REFUSED,
    "signin/magic_link.*": _REFUSED,
    "signin/otp.*": _REFUSED,
    "signin/webauthn.*": _UNUSED,
    "signin/session.token.*": _UNUSED,
    "signin/complete_profile.*": _UNUSED,
    "signin/userinfo.after_complete_profile": _STATE,
    "signin/absent.get.login": "The emulator has a login page here, as a deployer would.",
    "signin/adaptive.*": "The emulator does not look at where a sign-in comes from.",
    # Request counting
    "sessions/rate.login.4": "",
    "sessions/rate.oauth.4": "",
    "sessions/rate.me.4": "",
    "sessions/rate.logout.4": "",
    "sessions/rate.*": _LIMITER,
    "signin/limits.mfa.429": "",
    "signin/limits.token.429_or_not": "",
    "signin/limits.*": _LIMITER,
    # Details
    "sessions/register.custom_fields.undeclared": "",
    "sessions/register.custom_fields.*": _FIELDS,
    "sessions/lost.client_timeout_*": "Depends on where inside a refresh the client hangs up.",
    "sessions/refresh.chain260.reuse_last_but_one.newest": "The emulator's families have no longest chain.",
    "sessions/me.signed_before_first_rotation*": _CACHES,
    "sessions/userinfo.signed_before_first_rotation": _CACHES,
    "sessions/discovery.other_path": _MUX,
    "sessions/misc.double_slash": _MUX,
    "sessions/misc.request_id.long": "The emulator takes request ids of up to 128 characters.",
    "sessions/misc.gzip": _SEVERAL,
    "sessions/misc.keep_alive": _SEVERAL,
    "sessions/misc.http10": _SEVERAL,
    "sessions/misc.slow_body": _SEVERAL,
    "sessions/misc.huge_header": _SEVERAL,
}


def reason(name: str) -> str:
    """Return why a recording is not replayed; empty where it is."""
    return next((why for pattern, why in LEFT_OUT.items() if fnmatchcase(name, pattern)), "")

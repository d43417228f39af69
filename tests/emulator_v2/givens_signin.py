"""The states before the recordings of ``signin.json``."""

from tests.emulator_v2.givens import given
from tests.emulator_v2.named import ANA, NEW_PASSWORD, STRICTER
from tests.emulator_v2.world import World

BO = "bo@example.test"


@given(
    *("signin/password.*", "signin/register.*", "signin/oidc.*", "signin/csrf.*", "signin/m2m.*"),
    *("signin/session.login.*", "signin/userinfo.no_token", "signin/me.bad_token"),
    *("signin/verify_email.start.unknown_user", "signin/verify_email.confirm.*"),
    *("signin/mfa.login.before_enrolment", "signin/mfa.factors.no_token", "signin/mfa.totp.enroll.no_token"),
    *("signin/oauth.authorize.no_session*", "signin/oauth.token.*"),
)
def nothing_more(world: World) -> None:
    """Ana has a verified address, and nothing has happened."""
    world.known["uuid"] = world.tenant().id


@given(
    *("signin/me.ok", "signin/profile.ok", "signin/userinfo.ok", "signin/password.change.*"),
    *("signin/absent.*", "signin/mfa.factors.*", "signin/oauth.authorize.bearer"),
    *("signin/mfa.totp.verify.before_enroll", "signin/mfa.totp.enroll.as_published"),
)
def signed_in(world: World) -> None:
    """Ana is signed in."""
    world.sign_in(client="web-acme")


@given("signin/me.global_issuer", "signin/userinfo.global_issuer")
def signed_in_globally(world: World) -> None:
    """Ana is signed in at a tenant in issuer mode "global"."""
    world.sign_in(client="web-glob", tenant="glob")


# Passwords and addresses


@given("signin/password.reset.*")
def reset_link(world: World) -> None:
    """Ana has a link for a new password."""
    token = world.mailed_token("/v2/auth/forgot", ANA, "web-acme")
    world.known |= {"token": token, "opaque": token}


@given("signin/password.reset.superseded_token")
def superseded_link(world: World) -> None:
    """Ana has asked for a second link since."""
    reset_link(world)
    world.mailed_token("/v2/auth/forgot", ANA, "web-acme")


@given("signin/password.reset.token_twice")
def used_link(world: World) -> None:
    """The link was used."""
    reset_link(world)
    body = {"tenant_id": "acme", "client_id": "web-acme", "token": world.known["token"]}
    world.post("/v2/auth/reset", {**body, "new_password": NEW_PASSWORD})


@given("signin/password.reset.expired")
def old_link(world: World) -> None:
    """The link is more than an hour old."""
    reset_link(world)
    world.advance(hours=1)


@given("signin/password.policy.configured*", "signin/password.register.policy_refused")
def stricter_policy(world: World) -> None:
    """The tenant wants 14 characters of all classes, and no earlier password."""
    world.tenant("strict").policy = STRICTER


@given("signin/password.reset.policy_refused", "signin/password.reset.same_as_present")
def stricter_reset_link(world: World) -> None:
    """Ana has a link at that tenant."""
    stricter_policy(world)
    world.known["token"] = world.mailed_token("/v2/auth/forgot", ANA, "web-strict", tenant="strict")


@given("signin/password.reset.after_refusals")
def refused_reset_link(world: World) -> None:
    """A password was refused, and the link is still good."""
    stricter_reset_link(world)
    body = {"tenant_id": "strict", "client_id": "web-strict", "token": world.known["token"]}
    assert world.http.post("/v2/auth/reset", json={**body, "new_password": "short"}).status_code == 400


@given("signin/register.auto_login")
def ana_is_new(world: World) -> None:
    """Ana has no account."""
    world.tenant().stored.accounts.delete(world.user())


@given("signin/register.duplicate", "signin/register.strict_client.login", "signin/verify_email.start.*")
def bo_is_unverified(world: World) -> None:
    """Bo's address is not verified."""
    world.add_user(BO)


@given("signin/verify_email.start.signed_in_no_email")
def bo_is_signed_in(world: World) -> None:
    """Bo is signed in."""
    world.add_user(BO)
    world.sign_in(BO, client="web-acme")


@given("signin/verify_email.confirm.ok", "signin/verify_email.confirm.post")
def verification_link(world: World) -> None:
    """Bo has a link that proves the address."""
    world.add_user(BO)
    token = world.mailed_token("/v2/auth/verify-email/start", BO, "strict-acme")
    world.known |= {"token": token, "opaque": token}


@given("signin/verify_email.confirm.twice", "signin/verify_email.login_after")
def verified(world: World) -> None:
    """Bo has followed the link."""
    verification_link(world)
    query = {"tenant_id": "acme", "token": world.known["token"]}
    assert world.http.get("/v2/auth/verify-email", params=query).status_code == 200


given("signin/verify_email.start.already")(verified)


@given("signin/verify_email.redirect.*.start")
def ana_asks(world: World) -> None:
    """Ana asks for a link, although her address is verified."""


@given("signin/verify_email.redirect.*.follow")
def redirecting_link(world: World) -> None:
    """Ana has a link that leads on to an address of her app, or of anyone."""
    token = world.mailed_token("/v2/auth/verify-email/start", ANA, "web-acme")
    world.known["opaque"] = token


# Signing in with a browser


@given("signin/oauth.authorize.*", "signin/session.logout.no_csrf")
def browser_signed_in(world: World) -> None:
    """Ana's browser is signed in at the server, with the tenant named by slug."""
    world.browser_session(tenant_id="acme")


@given("signin/oauth.authorize.session_by_uuid")
def browser_signed_in_by_uuid(world: World) -> None:
    """The same, with the tenant named by UUID."""
    world.browser_session(tenant_id=world.tenant().id)


@given("signin/oauth.authorize.session_by_client_id")
def browser_signed_in_by_client(world: World) -> None:
    """The same, with the tenant named in a header."""
    world.browser_session(client_id="native-acme")


@given("signin/oauth.authorize.mfa", "signin/oauth.authorize.mfa.prompt_none")
def browser_of_mfa_user(world: World) -> None:
    """Ana has an authenticator app, and her browser is signed in."""
    world.confirm()
    world.browser_session(tenant_id="acme")


@given("signin/oauth.authorize.mfa.challenge", "signin/oauth.authorize.mfa.email_send")
def browser_dead_end(world: World) -> None:
    """The server has asked the browser for a second factor, under a token that it does not know."""
    browser_of_mfa_user(world)
    query = {
        "response_type": "code",
        "client_id": "native-acme",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "scope": "openid",
        "code_challenge": world.known["code_challenge"],
        "code_challenge_method": "S256",
    }
    cookie = {"Cookie": f"sid={world.known['cookie sid']}"}
    answer = world.http.get("/oauth2/authorize", params=query, headers=cookie)
    world.know(answer.json())


@given("signin/session.logout.ok")
def browser_with_csrf(world: World) -> None:
    """Ana's browser is signed in, and has a CSRF token."""
    world.browser_session(tenant_id="acme")
    world.csrf()


@given("signin/oauth.token.code.as_published")
def published_code(world: World) -> None:
    """The app has a code of the published server."""
    world.authorization_code()


@given("signin/oauth.token.code.*")
def code(world: World) -> None:
    """The app has a code, and the server can redeem it."""
    world.switch(mended=True)
    world.authorization_code()


@given("signin/oauth.token.code.twice")
def used_code(world: World) -> None:
    """The code was redeemed."""
    code(world)
    assert world.redeem().status_code == 200


@given("signin/oauth.token.code.wrong_verifier")
def wrong_verifier(world: World) -> None:
    """The app has the wrong verifier."""
    code(world)
    world.known["code_verifier"] = "w" * 64


@given("signin/oauth.token.code.after_wrong_verifier")
def code_after_wrong_verifier(world: World) -> None:
    """The code was sent with the wrong verifier."""
    code(world)
    assert world.redeem(code_verifier="w" * 64).status_code == 400


@given("signin/oauth.token.code.after_no_verifier")
def code_after_no_verifier(world: World) -> None:
    """The code was sent without a verifier, which does not use it up."""
    code(world)
    assert world.redeem(code_verifier="").status_code == 400


@given("signin/oauth.token.code.after_wrong_redirect")
def code_after_wrong_redirect(world: World) -> None:
    """The code was sent with another redirect_uri."""
    code(world)
    assert world.redeem(redirect_uri="http://localhost:3000/callback").status_code == 400


@given("signin/oauth.token.refresh.ok")
def session_of_code(world: World) -> None:
    """The app has the tokens of a code."""
    code(world)
    world.know(world.redeem().json())


@given("signin/m2m.token.wrong_secret")
def wrong_secret(world: World) -> None:
    """The client's secret is wrong."""
    world.known["client_id:client_secret"] = "worker-acme:wrong"


@given("signin/m2m.token.unknown_client")
def unknown_client(world: World) -> None:
    """The client is unknown."""
    world.known["client_id:client_secret"] = "nope:nope"


@given("signin/m2m.token.web_ssr_client")
def web_client_with_secret(world: World) -> None:
    """The client is a confidential one that also signs users in."""
    world.known["client_id:client_secret"] = "ssr-acme:ssr-secret"


@given("signin/limits.*")
def rate_limited(world: World) -> None:
    """The caller has used up the limit."""
    route = "mfa/totp/challenge" if "mfa" in world.recording else "oauth2/token"
    world.emulator.fail(route, status=429, retry_after=59)

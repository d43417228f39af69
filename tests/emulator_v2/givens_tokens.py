"""The states before the recordings of access tokens and of the token endpoint."""

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.emulator_v2.givens import given
from tests.emulator_v2.world import World


@given("sessions/token.claims.refresh.path", "sessions/me.path.refreshed")
def refreshed(world: World) -> None:
    """Ana's session was refreshed."""
    world.sign_in()
    world.refresh()


@given(
    *("sessions/token.claims.login.global", "sessions/me.global.get", "sessions/profile.global.get"),
    "sessions/userinfo.global.*",
)
def signed_in_globally(world: World) -> None:
    """Ana is signed in at a tenant in issuer mode "global"."""
    world.sign_in(tenant="glob")


@given("sessions/token.claims.refresh.global", "sessions/me.global.refreshed")
def refreshed_globally(world: World) -> None:
    """Ana's session at a tenant in issuer mode "global" was refreshed."""
    world.sign_in(tenant="glob")
    world.refresh(tenant="glob")


@given("sessions/profile.no_scope")
def without_scope(world: World) -> None:
    """The client lacks the scope profile:read."""
    world.sign_in(client="web2")


@given("sessions/me.other_server", "sessions/me.forged_signature", "sessions/me.alg_none")
def forged(world: World) -> None:
    """Somebody else has signed the token, under a key id that the server knows."""
    token = world.sign_in()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    stranger = Ed25519PrivateKey.generate()
    if world.recording.endswith("none"):
        forged_token = jwt.encode(claims, None, algorithm="none", headers={"kid": kid})
    else:
        known = {"kid": kid} if world.recording.endswith("signature") else {"kid": "other"}
        forged_token = jwt.encode(claims, stranger, algorithm="EdDSA", headers=known)
    world.known["access_token"] = forged_token


@given("sessions/me.refresh_token_as_bearer")
def refresh_token_as_bearer(world: World) -> None:
    """The refresh token is sent as an access token."""
    world.sign_in()


@given("sessions/me.admin_token")
def administrator(world: World) -> None:
    """An administrator is signed in."""
    world.become_administrator()


# The token endpoint


@given(
    *("sessions/token.claims.oauth_refresh.path", "sessions/me.oauth_refreshed"),
    *("sessions/userinfo.oauth_refreshed", "sessions/profile.oauth_refreshed"),
    "sessions/refresh.token_from_oauth",
)
def refreshed_by_oauth(world: World) -> None:
    """Ana's session was refreshed at the token endpoint."""
    world.sign_in()
    world.refresh_by_oauth()


@given("sessions/oauth.refresh.reused")
def rotated_for_oauth(world: World) -> None:
    """Ana's first refresh token was rotated, and comes again."""
    world.known["refresh_token"], _ = world.rotated()


@given("sessions/token.claims.oauth_refresh.tenant_uuid")
def refreshed_by_oauth_with_uuid(world: World) -> None:
    """The session was refreshed at the token endpoint, with the tenant named by UUID."""
    world.sign_in()
    world.refresh_by_oauth(tenant=world.tenant().id)


@given("sessions/token.claims.oauth_refresh.global", "sessions/me.oauth_refreshed.global")
def refreshed_by_oauth_globally(world: World) -> None:
    """The same at a tenant in issuer mode "global"."""
    world.sign_in(tenant="glob")
    world.refresh_by_oauth(tenant="glob")


@given("sessions/oauth.refresh.no_tenant.unique_client")
def signed_in_to_uniq(world: World) -> None:
    """Only one tenant has the client."""
    world.sign_in(client="uniq")


@given("sessions/oauth.refresh.no_tenant.other_tenant")
def signed_in_at_glob(world: World) -> None:
    """Several tenants have the client, and the token belongs to a later one."""
    world.sign_in(tenant="glob")


@given("sessions/oauth.refresh.confidential.no_secret")
def signed_in_to_conf(world: World) -> None:
    """Ana is signed in to a confidential client."""
    world.sign_in(client="conf")

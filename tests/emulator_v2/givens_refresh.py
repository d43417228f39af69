"""The states before the recordings of refreshes."""

from dataclasses import replace

from tests.emulator_v2.givens import given
from tests.emulator_v2.recorded_world import World

FRED = "fred@example.test"


@given(
    *("sessions/refresh.tenant.*", "sessions/refresh.client.*", "sessions/refresh.form.ok"),
    *("sessions/refresh.content_type.*", "sessions/refresh.extra_keys", "sessions/refresh.bearer_ignored"),
    *("sessions/refresh.token.surrounding_spaces", "sessions/logout.*", "sessions/token.claims.login.path"),
    *("sessions/me.path.get", "sessions/profile.path.get", "sessions/userinfo.path.*"),
    *("sessions/me.lower_case_scheme", "sessions/me.post", "sessions/me.head", "sessions/oauth.refresh.*"),
    "sessions/refresh.after_logout_all.other_user",
    "sessions/logout_all.no_user_id*",
    *("sessions/logout_all.no_tenant", "sessions/logout_all.tenant_*", "sessions/logout_all.unknown_*"),
    *("sessions/logout_all.no_body", "sessions/logout_all.form", "sessions/logout_all.user_id_not_uuid"),
)
def signed_in(world: World) -> None:
    """Ana is signed in."""
    world.sign_in()
    world.known["refresh_token_0"] = world.known["refresh_token"]


given("sessions/refresh.ok")(signed_in)


@given("sessions/refresh.client.other_case.claims")
def refreshed_in_other_case(world: World) -> None:
    """Ana's session was refreshed under the client's name in upper case."""
    world.sign_in()
    world.refresh(client="WEB")


@given("sessions/refresh.client.wrong.then_right")
def wrong_client_tried(world: World) -> None:
    """Another client has tried Ana's refresh token."""
    world.sign_in()
    assert world.present(world.known["refresh_token"], client="web2") == 401


@given("sessions/refresh.reused.detection_off", "sessions/restart.refresh.old", "sessions/refresh.retry.*")
def rotated(world: World) -> None:
    """Ana's first refresh token was rotated, and comes again."""
    first, _ = world.rotated()
    world.known |= {"refresh_token": first, "refresh_token_0": first}


@given("sessions/refresh.reused.detection_off.newest_after")
def replayed(world: World) -> None:
    """Ana's first refresh token came again; this is the newest."""
    first, newest = world.rotated()
    assert world.present(first) == 401
    world.known |= {"refresh_token": newest, "refresh_token_1": newest}


@given("sessions/refresh.token.is_access_token")
def access_token_as_refresh_token(world: World) -> None:
    """The access token is presented in place of the refresh token."""
    world.known["refresh_token"] = world.sign_in()["access_token"]


@given("sessions/refresh.ttl.client_short")
def short_client(world: World) -> None:
    """The client has lives of 2 and 3 seconds."""
    world.sign_in(client="short")


@given("sessions/me.expired", "sessions/refresh.expired", "sessions/refresh.expired.again")
def short_client_later(world: World) -> None:
    """Tokens of 2 and 3 seconds, 3 seconds later."""
    world.sign_in(client="short")
    world.refresh(client="short")
    world.advance(seconds=3)


given("sessions/profile.expired2", "sessions/userinfo.expired2", "sessions/oauth.refresh.expired")(
    short_client_later
)


@given("sessions/refresh.ttl.one_second")
def one_second_client(world: World) -> None:
    """The client's access tokens live a second."""
    world.sign_in(client="one")


@given("sessions/refresh.ttl.changed_between")
def lives_changed(world: World) -> None:
    """The client's lives were changed to 120 and 2 seconds since the token was issued."""
    world.sign_in(client="one")
    client = world.tenant().client("one")
    assert client is not None
    world.change_client(replace(client, access_token_ttl=120, refresh_token_ttl=2))


@given("sessions/refresh.ttl.changed_between.expired")
def lives_changed_and_over(world: World) -> None:
    """A refresh token of 2 seconds, a while later."""
    lives_changed(world)
    world.refresh(client="one")
    world.advance(seconds=2.3)


@given("sessions/refresh.ttl.tenant_settings")
def tenant_lives(world: World) -> None:
    """The tenant has lives of 300 and 2 seconds, and the client none."""
    world.sign_in(tenant="ttl")


@given("sessions/refresh.ttl.tenant_settings.expired")
def tenant_lives_over(world: World) -> None:
    """The tenant's refresh token, 2.3 seconds later."""
    world.sign_in(tenant="ttl")
    world.refresh(tenant="ttl")
    world.advance(seconds=2.3)


@given("sessions/refresh.ttl.tenant_settings.login_token_lives")
def first_token_of_tenant(world: World) -> None:
    """The first refresh token of a session lives longer than the tenant says."""
    world.sign_in(tenant="ttl")
    world.advance(seconds=2.5)


@given("sessions/oauth.refresh.ttl.*")
def tenant_lives_at_oauth(world: World) -> None:
    """The tenant with lives of 300 and 2 seconds is named by slug or by UUID."""
    world.sign_in(tenant="ttl")
    world.known["tenant_uuid"] = world.tenant("ttl").id


# Users who are disabled or deleted


@given(
    *("sessions/refresh.user.disabled", "sessions/refresh.user.disabled_for_2s*"),
    *("sessions/me.user_disabled", "sessions/userinfo.user_disabled", "sessions/oauth.refresh.user_disabled"),
)
def disabled_after_sign_in(world: World) -> None:
    """Fred was disabled after he signed in."""
    world.add_user(FRED)
    world.sign_in(FRED)
    world.disable(FRED)


@given("sessions/refresh.user.enabled_again*")
def enabled_again(world: World) -> None:
    """Fred was disabled and enabled again: the revoked tokens stay revoked."""
    disabled_after_sign_in(world)
    world.enable(FRED)


@given("sessions/refresh.user.disabled_flag_only")
def disabled_without_revoking(world: World) -> None:
    """Fred is disabled in the database only, so that his tokens are not revoked."""
    world.add_user(FRED)
    world.sign_in(FRED)
    world.tenant().stored.accounts.keep(replace(world.user(FRED), disabled=True))


@given("sessions/refresh.user.disabled_flag_only.cleared")
def disabled_without_revoking_and_back(world: World) -> None:
    """The same, and taken back."""
    disabled_without_revoking(world)
    world.enable(FRED)


@given("sessions/refresh.user.password_set_by_admin")
def password_set(world: World) -> None:
    """An administrator has set Fred's password, which revokes his tokens."""
    world.add_user(FRED)
    world.sign_in(FRED)
    world.server.rules.revoke_user(world.tenant(), world.user(FRED).id)


@given("sessions/refresh.user.deleted", "sessions/me.user_deleted", "sessions/userinfo.user_deleted")
def deleted(world: World) -> None:
    """Fred was deleted after he signed in."""
    world.add_user(FRED)
    world.sign_in(FRED)
    data, user = world.tenant().stored, world.user(FRED)
    data.accounts.delete(user)
    data.tokens.forget_user(user.id)


@given("sessions/refresh.client.deleted", "sessions/refresh.client.deleted.claims")
def client_deleted(world: World) -> None:
    """The client was deleted after Ana signed in to it."""
    world.sign_in(client="gone")
    world.refresh(client="gone")
    del world.tenant().clients["gone"]
    world.refresh(client="gone")


@given("sessions/refresh.revoked_by_user", "sessions/me.revoked_by_user", "sessions/refresh.revoked_by_admin")
def revoked(world: World) -> None:
    """All of Ana's tokens were revoked."""
    world.sign_in()
    world.server.rules.revoke_user(world.tenant(), world.user().id)

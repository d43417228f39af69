"""The states before the recordings of sign-outs."""

import uuid

from tests.emulator_v2.givens import given
from tests.emulator_v2.world import World

GINA = "gina@example.test"


@given("sessions/refresh.after_logout", "sessions/refresh.after_logout.bearer_*", "sessions/me.after_logout")
def signed_out_plainly(world: World) -> None:
    """Ana has signed out."""
    world.signed_out()


given("sessions/logout.again")(signed_out_plainly)


@given("sessions/refresh.after_logout.other_session")
def signed_out_elsewhere(world: World) -> None:
    """Ana has signed out of another session."""
    world.signed_out()
    world.sign_in()


@given("sessions/logout.old_token_of_family")
def sign_out_with_old_token(world: World) -> None:
    """Ana signs out with a token that was rotated."""
    world.known["refresh_token"], _ = world.rotated()


@given("sessions/refresh.after_logout.old_token_of_family")
def signed_out_with_old_token(world: World) -> None:
    """Ana has signed out with a token that was rotated; this is the newest."""
    first = world.sign_in()["refresh_token"]
    newest = world.refresh()["refresh_token"]
    world.known["refresh_token"] = first
    world.sign_out()
    world.known["refresh_token"] = newest


@given("sessions/logout.bearer_expired")
def access_token_expired(world: World) -> None:
    """Ana's access token has expired."""
    world.sign_in()
    world.advance(seconds=1_000)


@given("sessions/logout.csrf.*")
def csrf_token(world: World) -> None:
    """Ana is signed in, and has a CSRF token."""
    world.sign_in()
    world.csrf()


@given("sessions/refresh.after_logout.no_bearer")
def sign_out_refused(world: World) -> None:
    """Ana's sign-out was refused because it had no Bearer token."""
    world.sign_in()
    body = {"tenant_id": "acme", "client_id": "web", "refresh_token": world.known["refresh_token"]}
    assert world.http.post("/v2/auth/logout", json=body).status_code == 403


@given("sessions/refresh.after_logout.csrf")
def signed_out_by_csrf(world: World) -> None:
    """Ana has signed out with a CSRF token."""
    csrf_token(world)
    body = {"tenant_id": "acme", "client_id": "web", "refresh_token": world.known["refresh_token"]}
    csrf = world.known["csrf_token"]
    headers = {"X-CSRF-Token": csrf, "Cookie": f"csrf_token={csrf}"}
    assert world.http.post("/v2/auth/logout", json=body, headers=headers).status_code == 204


@given("sessions/refresh.after_logout.without_token")
def sign_out_without_token(world: World) -> None:
    """A sign-out named no refresh token."""
    world.sign_in()
    world.post("/v2/auth/logout", {}, Authorization="Bearer x")


@given("sessions/refresh.after_logout.tenant_none")
def sign_out_without_tenant(world: World) -> None:
    """A sign-out named no tenant, and was refused."""
    world.sign_in()
    world.sign_out(tenant_id="")


@given("sessions/refresh.after_logout.tenant_wrong")
def sign_out_at_wrong_tenant(world: World) -> None:
    """A sign-out named another tenant: 204, and nothing happened."""
    world.sign_in()
    world.sign_out(tenant_id="glob")


@given("sessions/refresh.after_logout.tenant_*")
def signed_out_by_tenant(world: World) -> None:
    """Ana has signed out, with the tenant named somewhere."""
    world.signed_out()


@given("sessions/logout.post_logout_redirect_uri.*")
def signed_in_to_plu(world: World) -> None:
    """Ana is signed in to a client that names an address for after signing out."""
    world.sign_in(client="plu")


@given("sessions/logout_all.no_auth", "sessions/logout_all.bearer", "sessions/logout_all.other_users_bearer")
def gina_twice(world: World) -> None:
    """Gina is signed in twice."""
    world.add_user(GINA)
    world.sign_in(GINA)
    world.sign_in(GINA)


@given("sessions/refresh.after_logout_all.no_auth*", "sessions/me.after_logout_all")
def all_signed_out(world: World) -> None:
    """All sessions of Gina were ended."""
    gina_twice(world)
    world.post("/v2/auth/logout-all", {"user_id": world.known["uuid"]}, X_Tenant_ID="acme")


given("sessions/refresh.after_logout_all.other_users_bearer")(all_signed_out)


@given("sessions/logout_all.one_client")
def gina_at_two_clients(world: World) -> None:
    """Gina is signed in to two clients."""
    world.add_user(GINA)
    world.sign_in(GINA, client="web2")
    world.sign_in(GINA)


@given("sessions/refresh.after_logout_all.one_client.*")
def one_client_signed_out(world: World) -> None:
    """Gina's sessions with one of two clients were ended."""
    world.add_user(GINA)
    name = "web2" if world.recording.endswith("web2") else "web"
    other = "web" if name == "web2" else "web2"
    world.sign_in(GINA, client=other)
    world.sign_in(GINA, client=name)
    body = {"user_id": world.known["uuid"], "client_id": "web2"}
    world.post("/v2/auth/logout-all", body, X_Tenant_ID="acme")


@given("sessions/logout_all.unknown_user")
def random_user(world: World) -> None:
    """Nobody has this id."""
    world.known["uuid"] = str(uuid.uuid4())

"""The states before the recordings of administration, limits, outages, restarts and keys."""

from hellojohn.emulator.v2.records import Database
from tests.emulator_v2.givens import given
from tests.emulator_v2.world import World


@given("sessions/admin.clients.*")
def fewer_clients(world: World) -> None:
    """The tenant has one client, and an administrator asks."""
    world.become_administrator()
    tenant = world.tenant("glob")
    tenant.clients = {"web": tenant.clients["web"]}


@given("sessions/admin.tokens.revoke_by_user*")
def administrator_of_ana(world: World) -> None:
    """An administrator asks; Ana is signed in."""
    world.sign_in(tenant="glob")
    world.become_administrator()


@given("sessions/admin.api_key.*")
def api_key(world: World) -> None:
    """A back end asks with an API key of the kind that the recording names."""
    kind = world.recording.split(".")[2]
    scope = "tenant:acme" if kind == "tenant" else kind
    world.known["api_key"] = world.server.api_key(scope).reveal()


@given("sessions/rate.*")
def rate_limited(world: World) -> None:
    """The caller has used up the limit."""
    world.sign_in()
    route = {"login": "auth/login", "oauth": "oauth2/token", "me": "me", "logout": "auth/logout"}
    world.emulator.fail(route[world.recording.split(".")[1]], status=429, retry_after=1)


def signed_in_all_round(world: World) -> None:
    """Sign Ana in, as a browser and as an administrator too."""
    world.browser_session(tenant_id="acme")
    world.sign_in()
    if "admin" in world.recording:
        world.become_administrator()


@given("sessions/outage.pool_known.*")
def database_away(world: World) -> None:
    """The tenant's database has gone away."""
    signed_in_all_round(world)
    world.http.cookies.set("sid", world.known["cookie sid"])
    world.tenant().database = Database.AWAY


@given("sessions/outage.server_restarted.*")
def database_unknown(world: World) -> None:
    """The tenant's database is away, and the server was restarted."""
    signed_in_all_round(world)
    world.tenant().database = Database.UNKNOWN


@given("sessions/outage.after.*")
def database_back(world: World) -> None:
    """A call failed while the database was away, and the database is back."""
    world.sign_in()
    world.tenant().database = Database.AWAY
    body = {"tenant_id": "acme", "client_id": "web", "refresh_token": world.known["refresh_token"]}
    world.http.post("/v2/auth/refresh", json=body)
    world.http.post("/oauth2/token", data={**body, "grant_type": "refresh_token"})
    world.sign_out()
    world.tenant().database = Database.READY


@given("sessions/lost.server_write_timeout.retry")
def answer_lost(world: World) -> None:
    """The server has rotated the token and closed the connection without an answer."""
    world.sign_in()
    world.emulator.fail("auth/refresh", drop="after")
    body = {"tenant_id": "acme", "client_id": "web", "refresh_token": world.known["refresh_token"]}
    try:
        world.http.post("/v2/auth/refresh", json=body)
    except Exception as error:  # noqa: BLE001 - which one it is depends on the moment
        assert "disconnected" in str(error) or "reset" in str(error)  # noqa: PT017


@given("sessions/restart.me", "sessions/restart.refresh")
def restarted(world: World) -> None:
    """The server was restarted after Ana refreshed."""
    world.rotated()
    world.emulator.restart()


@given("sessions/me.signed_after_rotation", "sessions/userinfo.*_rotation", "sessions/profile.*_rotation")
def keys_rotated(world: World) -> None:
    """Ana has signed in after the tenant's keys were rotated."""
    world.rotate_keys(keep_old=6)
    world.sign_in()


given("sessions/userinfo.newest_key")(keys_rotated)


@given("sessions/jwks.tenant.after_rotation")
def old_keys_withdrawn(world: World) -> None:
    """The tenant's keys were rotated, and no old one is kept."""
    world.rotate_keys(keep_old=None)


@given("sessions/me.signed_before_rotation.after_grace")
def grace_is_over(world: World) -> None:
    """The key that signed the token was kept for 6 seconds, 20 seconds ago."""
    keys_rotated(world)
    world.rotate_keys(keep_old=6)
    world.advance(seconds=20)


@given("sessions/refresh.after_rotation")
def rotated_twice(world: World) -> None:
    """The tenant's keys were rotated twice since Ana signed in."""
    world.sign_in()
    world.rotate_keys(keep_old=6)
    world.rotate_keys(keep_old=6)


@given("sessions/me.signed_before_rotation.grace0")
def just_rotated(world: World) -> None:
    """The keys were rotated just now."""
    keys_rotated(world)
    world.rotate_keys(keep_old=60)

"""The states before the recordings of sign-ins, registrations and calls that need no state."""

from tests.emulator_v2.givens import given
from tests.emulator_v2.world import World

CARL, DORA, FRED = "carl@example.test", "dora@example.test", "fred@example.test"


@given(
    *("sessions/login.*", "sessions/register.*", "sessions/policy.*", "sessions/misc.*"),
    *("sessions/refresh.token.*", "sessions/refresh.json.*", "sessions/refresh.huge_body"),
    *("sessions/refresh.get", "sessions/oauth.token.get", "sessions/jwks.*", "sessions/discovery.*"),
    *("sessions/me.no_token", "sessions/me.nonsense", "sessions/me.empty_bearer", "sessions/me.basic"),
    *("sessions/profile.no_token", "sessions/profile.nonsense"),
    *("sessions/userinfo.no_token", "sessions/userinfo.nonsense", "sessions/csrf.get"),
    *("sessions/session.*", "sessions/logout_all.get", "sessions/logout.get"),
    "sessions/oauth.refresh.unknown_token",
)
def nothing_more(world: World) -> None:
    """Ana has an account, and nothing has happened."""


@given("sessions/login.unverified.*")
def unverified(world: World) -> None:
    """Bob's address is not verified."""
    world.add_user("bob@example.test")


@given("sessions/login.disabled", "sessions/login.disabled.*")
def carl_is_disabled(world: World) -> None:
    """Carl is disabled."""
    world.add_user(CARL)
    world.disable(CARL)


@given("sessions/login.disabled_for_2s.after")
def fred_was_disabled(world: World) -> None:
    """Fred was disabled for two seconds, a while ago: the server forgets the end."""
    world.add_user(FRED)
    world.disable(FRED)
    world.advance(seconds=3)


@given("sessions/login.lockout.*")
def eight_failures(world: World) -> None:
    """Ana has mistyped her password eight times."""
    body = {"tenant_id": "lock", "client_id": "web", "email": "ana@example.test", "password": "wrong"}
    for _ in range(8):
        assert world.http.post("/v2/auth/login", json=body).status_code == 401


@given("sessions/register.ok.no_auto_login")
def registering_signs_nobody_in(world: World) -> None:
    """The server does not sign in after registering."""
    world.switch(register_signs_in=False)


@given("sessions/register.ok.auto_login.claims")
def registered(world: World) -> None:
    """Dora has registered."""
    body = {"tenant_id": "acme", "client_id": "web", "email": DORA, "password": world.known["password"]}
    world.know(world.post("/v2/auth/register", body))


@given("sessions/register.duplicate*")
def dora_is_there(world: World) -> None:
    """Dora has an account."""
    world.add_user(DORA)


@given("sessions/register.unverified_client.then_*")
def eve_has_registered(world: World) -> None:
    """Eve has registered with a client that wants verified addresses."""
    body = {"tenant_id": "acme", "client_id": "verify", "email": "eve@example.test"}
    world.know(world.post("/v2/auth/register", {**body, "password": world.known["password"]}))

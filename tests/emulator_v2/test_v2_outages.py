"""A tenant's database that goes away: the emulated server takes it for an empty one."""

import uuid

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from tests.emulator_v2.calls import claims, refusal

NIL = str(uuid.UUID(int=0))


@pytest.fixture
def session(app):
    """A signed-in session."""
    return app.sign_in()


def test_a_refresh_looks_like_an_end_and_is_none(app, emulator, session):
    """The refusal is that of an expired session; after the outage the same token works."""
    with emulator.database_away():
        assert refusal(app.refresh(session["refresh_token"])) == (401, "SESSION_EXPIRED", None)
    assert app.refresh(session["refresh_token"]).status_code == 200


def test_two_calls_tell_an_outage_from_an_end(app, emulator, session):
    """Reading a user's factors, and a sign-out of an unknown user, fail while it is away."""
    token = session["access_token"]

    def looks():
        factors = app.get("/v2/mfa/factors", token)
        unknown = app.post("/v2/auth/logout-all", {"user_id": NIL}, X_Tenant_ID="local")
        return factors.status_code, unknown.status_code

    assert looks() == (200, 204)
    with emulator.database_away():
        assert looks() == (500, 500)
        assert refusal(app.get("/v2/mfa/factors", token))[1] == "store_error"


def test_a_deleted_user_is_told_from_an_outage(app, emulator, session):
    """The database answers that the user is unknown."""
    emulator.delete_user(DEMO_EMAIL)
    assert refusal(app.get("/v2/mfa/factors", session["access_token"]))[:2] == (404, "user_not_found")


def test_other_calls_about_factors_tell_nothing(app, emulator, session):
    """Only the reading call names the outage: the others say that a user or an app is missing."""
    token, proof = session["access_token"], {"password": DEMO_PASSWORD, "code": "000000"}
    with emulator.database_away():
        codes = [
            refusal(app.mfa("totp/enroll", token))[1],
            refusal(app.mfa("totp/verify", token, code="000000"))[1],
            refusal(app.mfa("totp/disable", token, **proof))[1],
            refusal(app.mfa("recovery/rotate", token, **proof))[1],
        ]
    assert codes == ["crypto_failed", "mfa_not_initialized", "user_not_found", "user_not_found"]


def test_sign_in_and_links_are_refused_as_if_wrong(app, emulator):
    """Right passwords and good links are refused, and work afterwards."""
    app.post("/v2/auth/forgot", {"email": DEMO_EMAIL})
    token = emulator.inbox.latest(DEMO_EMAIL).link.rpartition("token=")[2]
    reset = {"token": token, "new_password": "Other-Horse-10-Battery"}
    with emulator.database_away():
        wrong = app.post("/v2/auth/login", {"email": DEMO_EMAIL, "password": DEMO_PASSWORD})
        assert refusal(wrong)[1] == "INVALID_CREDENTIALS"
        assert refusal(app.post("/v2/auth/reset", reset))[2] == "token invalid or expired"
    assert app.post("/v2/auth/reset", reset).status_code == 204


def test_a_sign_out_is_204_and_does_nothing(app, emulator, session):
    """The session goes on after the outage."""
    with emulator.database_away():
        assert app.sign_out(session["refresh_token"]).status_code == 204
    assert app.refresh(session["refresh_token"]).status_code == 200


def test_what_needs_no_database_goes_on(app, emulator, session):
    """Access tokens are read, and service tokens are issued."""
    secret = emulator.add_client("worker", scopes=["reports:read"], confidential=True)
    with emulator.database_away():
        assert app.get("/v2/me", session["access_token"]).status_code == 200
        assert app.service_token("worker", secret).status_code == 200
        assert app.get("/readyz").status_code == 200


def test_a_restarted_server_says_503(app, emulator, session):
    """A server that was restarted during the outage knows of no database."""
    with emulator.database_away(restarted=True):
        assert refusal(app.refresh(session["refresh_token"])) == (503, "TENANT_NO_DATABASE", None)
    assert app.refresh(session["refresh_token"]).status_code == 200


def test_the_database_comes_back_after_an_error(app, emulator, session):
    """The end of the block brings it back, however the block ends."""
    with pytest.raises(KeyError), emulator.database_away():
        raise KeyError
    assert app.refresh(session["refresh_token"]).status_code == 200


def test_an_outage_does_not_reach_the_emulator_s_own_methods(app, emulator, session):
    """A test can look at the sessions while the database is away."""
    with emulator.database_away():
        assert [found.user_id for found in emulator.sessions()] == [claims(session["access_token"])["sub"]]


def test_v1_has_no_database_to_take_away():
    """The error names the API that has one."""
    with Emulator() as v1, pytest.raises(ConfigurationError, match="api='v2'"), v1.database_away():
        pass

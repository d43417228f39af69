"""Sessions on the emulated open-source server: how they begin, go on and end."""

import httpx
import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, SessionInfo
from hellojohn.emulator.v2.server import ADMIN_EMAIL, ADMIN_PASSWORD
from tests.emulator_v2.calls import claims, refusal

REVOKED = (401, "UNAUTHORIZED", "refresh token is revoked")
EXPIRED = (401, "SESSION_EXPIRED", None)
REUSED = (401, "REFRESH_TOKEN_REUSE", None)
DISABLED = (423, "user_disabled", None)


def refresh(app, token):
    """Refresh, and return the new refresh token."""
    response = app.refresh(token)
    assert response.status_code == 200, response.text
    return response.json()["refresh_token"]


class TestRotation:
    def test_a_rotated_token_is_dead_at_once(self, app):
        """The second use is refused at once, and the new token works."""
        first = app.sign_in()["refresh_token"]
        second = refresh(app, first)
        assert refusal(app.refresh(first)) == REVOKED
        assert app.refresh(second).status_code == 200

    def test_a_session_has_no_end_while_it_is_refreshed(self, app, emulator):
        """Each rotation begins a new life: after a year of refreshes the session goes on."""
        token = app.sign_in()["refresh_token"]
        for _ in range(13):
            emulator.advance("29d")
            token = refresh(app, token)

    def test_an_unused_token_expires(self, app, emulator):
        """The first refresh token lives 30 days."""
        token = app.sign_in()["refresh_token"]
        emulator.advance("30d")
        assert refusal(app.refresh(token)) == EXPIRED

    def test_two_tokens_of_one_second_are_one_text(self, app):
        """Access tokens have no id, so two that are issued in one second are equal."""
        answers = [app.refresh(app.sign_in()["refresh_token"]).json() for _ in range(2)]
        assert answers[0]["access_token"] == answers[1]["access_token"]
        assert answers[0]["refresh_token"] != answers[1]["refresh_token"]

    def test_space_around_names_and_tokens_is_ignored(self, app):
        """Only a password is taken as it was typed."""
        token = app.sign_in(email=f" {DEMO_EMAIL} ")["refresh_token"]
        body = {"tenant_id": " local ", "client_id": " app ", "refresh_token": f" {token} "}
        assert app.post("/v2/auth/refresh", body).status_code == 200
        assert "access_token" not in app.sign_in(password=f"{DEMO_PASSWORD} ")

    def test_a_lost_answer_leaves_a_dead_token(self, app, emulator):
        """A server that hangs and hangs up has rotated the token, and says so to the next attempt."""
        token = app.sign_in()["refresh_token"]
        emulator.fail("auth/refresh", delay=0.01, drop="after")
        with pytest.raises(httpx.RemoteProtocolError):
            app.refresh(token)
        assert refusal(app.refresh(token)) == REVOKED
        assert (emulator.rotations, emulator.reuses) == (1, 1)


class TestReuseDetection:
    @pytest.fixture(autouse=True)
    def detection(self, emulator):
        """The server looks for reuse."""
        emulator.configure(reuse_detection=True)

    def test_a_rotated_token_ends_its_family(self, app):
        """The newest token of the session is refused as well, and other sessions of the user go on."""
        other = app.sign_in()["refresh_token"]
        first = app.sign_in()["refresh_token"]
        newest = refresh(app, refresh(app, first))
        assert refusal(app.refresh(first)) == REUSED
        assert refusal(app.refresh(newest)) == REUSED
        assert app.refresh(other).status_code == 200

    @pytest.mark.parametrize("how", ["signed out", "revoked", "disabled"])
    def test_every_revoked_token_is_called_reused(self, app, emulator, how):
        """The code proves no theft: a token that was revoked in any way gets it."""
        token = app.sign_in()["refresh_token"]
        if how == "signed out":
            app.sign_out(token)
        elif how == "revoked":
            emulator.revoke(emulator.sessions()[0].id)
        else:
            emulator.disable_user(DEMO_EMAIL)
        assert refusal(app.refresh(token)) == REUSED


class TestLives:
    def test_a_client_s_lives_count_from_the_first_refresh(self, app, emulator):
        """The first pair lives 900 s and 30 days, also where the client has shorter lives."""
        emulator.configure(access_token_ttl="60s", session_duration="1h")
        first = app.sign_in()
        emulator.advance("2h")
        second = app.refresh(first["refresh_token"]).json()
        assert (first["expires_in"], second["expires_in"]) == (899, 59)
        emulator.advance("1h")
        assert refusal(app.refresh(second["refresh_token"])) == EXPIRED

    def test_the_lives_can_count_from_the_sign_in(self, app, emulator):
        """A test that needs short sessions does not have to refresh first."""
        emulator.configure(session_duration="1h", lifetimes_from_sign_in=True)
        token = app.sign_in()["refresh_token"]
        emulator.advance("1h")
        assert refusal(app.refresh(token)) == EXPIRED

    def test_expires_in_is_one_less_than_the_life(self, app, emulator):
        """It may be 0 for a token of one second."""
        emulator.configure(access_token_ttl="1s")
        answer = app.refresh(app.sign_in()["refresh_token"]).json()
        read = claims(answer["access_token"])
        assert (answer["expires_in"], read["exp"] - read["iat"]) == (0, 1)


class TestSignOut:
    def test_it_ends_the_session_and_no_other(self, app):
        """The family is ended by any of its tokens; the access token keeps working."""
        other = app.sign_in()["refresh_token"]
        first = app.sign_in()
        newest = refresh(app, first["refresh_token"])
        assert app.sign_out(first["refresh_token"]).status_code == 204
        assert refusal(app.refresh(newest)) == REVOKED
        assert app.get("/v2/me", first["access_token"]).status_code == 200
        assert app.refresh(other).status_code == 200

    def test_204_proves_nothing(self, app):
        """An unknown token is 204, and so is a body that cannot be read."""
        assert app.sign_out("unknown").status_code == 204
        junk = app.http.post("/v2/auth/logout", content=b"x", headers={"Authorization": "Bearer x"})
        assert junk.status_code == 204

    def test_the_tenant_in_the_header_counts(self, app):
        """The one in the body is not looked at then."""
        session = app.sign_in()
        body = {"tenant_id": "other", "refresh_token": session["refresh_token"]}
        headers = {"X_Tenant_ID": "local", "Authorization": "Bearer x"}
        assert app.post("/v2/auth/logout", body, **headers).status_code == 204
        assert refusal(app.refresh(session["refresh_token"])) == REVOKED

    def test_anyone_can_end_all_sessions_of_a_user(self, app):
        """The call needs no authentication, only the user's id."""
        session = app.sign_in()
        body = {"user_id": claims(session["access_token"])["sub"]}
        assert app.post("/v2/auth/logout-all", body, X_Tenant_ID="local").status_code == 204
        assert refusal(app.refresh(session["refresh_token"])) == REVOKED


class TestUsers:
    def test_a_disabled_user_loses_the_sessions_for_good(self, app, emulator):
        """Sign-in answers 423 before it looks at the password; enabling brings no session back."""
        token = app.sign_in()["refresh_token"]
        emulator.disable_user(DEMO_EMAIL)
        wrong = app.post("/v2/auth/login", {"email": DEMO_EMAIL, "password": "wrong"})
        assert refusal(wrong) == DISABLED
        emulator.enable_user(DEMO_EMAIL)
        assert refusal(app.refresh(token)) == REVOKED
        assert "refresh_token" in app.sign_in()

    def test_a_deleted_user_s_session_looks_expired(self, app, emulator):
        """The tokens go with the user; the access token keeps working."""
        session = app.sign_in()
        emulator.delete_user(DEMO_EMAIL)
        assert refusal(app.refresh(session["refresh_token"])) == EXPIRED
        assert app.get("/v2/me", session["access_token"]).status_code == 200

    def test_a_user_cannot_be_locked(self, emulator):
        """The server has no such state; the error says what there is."""
        with pytest.raises(ConfigurationError, match="disable_user"):
            emulator.lock_user(DEMO_EMAIL)

    def test_registering_signs_in_although_sign_in_would_refuse(self, app, emulator):
        """A client that wants verified addresses gets a session at registration, and refuses the next."""
        emulator.configure(verified_email_required=True)
        new = {"email": "new@example.com", "password": DEMO_PASSWORD + " 1"}
        session = app.post("/v2/auth/register", new).json()
        assert app.refresh(session["refresh_token"]).status_code == 200
        assert refusal(app.post("/v2/auth/login", new)) == (403, "EMAIL_NOT_VERIFIED", None)

    def test_registering_can_leave_the_sign_in_to_the_app(self, app, emulator):
        """The answer has the user's id only."""
        emulator.configure(register_signs_in=False)
        new = {"email": "new@example.com", "password": DEMO_PASSWORD + " 1"}
        assert list(app.post("/v2/auth/register", new).json()) == ["user_id"]

    def test_a_sign_in_without_a_tenant_is_an_administrator_s(self, app):
        """With an administrator's password it answers 200: a client must never leave the tenant out."""
        body = {"tenant_id": "", "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD}
        answer = app.post("/v2/auth/login", body).json()
        assert claims(answer["access_token"])["aud"] == "hellojohn:admin"


class TestTestSurface:
    def test_a_session_is_a_family(self, app, emulator):
        """Its id stays the same over refreshes, and it ends with its newest token."""
        token = app.sign_in(User_Agent="phone")["refresh_token"]
        (before,) = emulator.sessions(DEMO_EMAIL)
        emulator.advance("1m")
        refresh(app, token)
        after = emulator.session(before.id)
        assert (before.id, before.created_at, before.device.user_agent) == (
            *(after.id, after.created_at),
            "phone",
        )
        assert after.last_active_at == before.last_active_at + 60
        emulator.revoke(after.id)
        assert status(emulator.sessions()) == ["revoked"]

    def test_an_expired_session_is_shown_as_such(self, app, emulator):
        """A family whose newest token has expired is over."""
        app.sign_in()
        emulator.advance("30d")
        assert status(emulator.sessions()) == ["expired"]

    def test_unknown_sessions_and_users_are_mistakes(self, emulator):
        """A test that names something unknown gets a typed error."""
        for mistake in (
            lambda: emulator.session("unknown"),
            lambda: emulator.revoke("unknown"),
            lambda: emulator.sessions("nobody@example.com"),
            lambda: emulator.disable_user("nobody@example.com"),
            lambda: emulator.add_user(DEMO_EMAIL, "x"),
            lambda: emulator.add_user("", "x"),
            lambda: emulator.add_user("new@example.com", "x", factors=["pigeon"]),
        ):
            with pytest.raises(ConfigurationError):
                mistake()

    def test_routes_answer_to_their_names_on_v1(self, app, emulator):
        """The same test body can fail, hold and count a call on both APIs."""
        emulator.fail("auth/sign-in", status=429, retry_after=0)
        refused = app.post("/v2/auth/login", {"email": DEMO_EMAIL, "password": DEMO_PASSWORD})
        assert refusal(refused) == (429, "RATE_LIMIT_EXCEEDED", None)
        assert refused.headers["Retry-After"] == "0"
        app.refresh("unknown")
        assert emulator.calls("auth/sign-in") == emulator.calls("auth/login") == 1
        assert emulator.calls("token/refresh") == emulator.calls("auth/refresh") == 1

    def test_rejected_access_tokens_are_refused_until_reissued(self, app, emulator):
        """A token that is issued again in the same second is the same text, and a good one."""
        session = app.sign_in()
        first = app.refresh(session["refresh_token"]).json()
        emulator.reject_access_tokens()
        assert app.get("/resource", first["access_token"]).status_code == 401
        second = app.refresh(first["refresh_token"]).json()
        assert second["access_token"] == first["access_token"]
        assert app.get("/resource", second["access_token"]).status_code == 200
        assert app.get("/resource", session["access_token"]).status_code == 401


def status(sessions: list[SessionInfo]) -> list[str]:
    """Return the status of each session."""
    return [session.status.value for session in sessions]

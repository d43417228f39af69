"""Mails of the emulated open-source server: new passwords and the proof of an address."""

import httpx
import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.emulator_v2.calls import refusal

NEW = "Other-Horse-10-Battery"
NOT_GOOD = (400, "BAD_REQUEST", "token invalid or expired")


@pytest.fixture
def token(app, emulator):
    """The token of a link for a new password."""
    app.post("/v2/auth/forgot", {"email": DEMO_EMAIL})
    return httpx.URL(emulator.inbox.latest(DEMO_EMAIL).link).params["token"]


def reset(app, token, password=NEW):
    """Set a new password."""
    return app.post("/v2/auth/reset", {"token": token, "new_password": password})


class TestReset:
    def test_it_changes_the_password_and_signs_nobody_in(self, app, emulator, token):
        """The client's sessions end; the old access token and another client's session live on."""
        emulator.add_client("other")
        session = app.sign_in()
        body = {"client_id": "other", "email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        elsewhere = app.post("/v2/auth/login", body).json()
        assert (reset(app, token).status_code, reset(app, token).status_code) == (204, 400)
        assert refusal(app.refresh(session["refresh_token"]))[2] == "refresh token is revoked"
        body = {"client_id": "other", "refresh_token": elsewhere["refresh_token"]}
        assert app.post("/v2/auth/refresh", body).status_code == 200
        assert app.get("/v2/me", session["access_token"]).status_code == 200
        assert "access_token" in app.sign_in(password=NEW)

    def test_a_refused_password_leaves_the_link_good(self, app, token):
        """The policy is not named; the app shows it from the policy call."""
        assert refusal(reset(app, token, "short"))[2] == "password does not meet policy"
        assert reset(app, token).status_code == 204

    def test_a_password_with_the_address_in_it_is_refused(self, app, token):
        """The first part of the address counts from three letters on, in any case."""
        assert refusal(reset(app, token, "A-Demonstration-9"))[2] == "password does not meet policy"

    def test_two_tenants_in_one_request_are_refused(self, app, token):
        """The header counts, and the body must not name another."""
        body = {"tenant_id": "other", "token": token, "new_password": NEW}
        answer = app.post("/v2/auth/reset", body, X_Tenant_ID="local")
        assert refusal(answer)[2] == "tenant_id does not match resolved tenant"

    def test_a_newer_link_replaces_it(self, app, token):
        """Only the last mail counts."""
        app.post("/v2/auth/forgot", {"email": DEMO_EMAIL})
        assert refusal(reset(app, token)) == NOT_GOOD

    def test_it_lives_an_hour(self, app, emulator, token):
        """Then a new one is needed."""
        emulator.advance("1h")
        assert refusal(reset(app, token)) == NOT_GOOD

    def test_a_browser_that_follows_the_link_gets_405(self, app, emulator, token):
        """The app has to take the token from the address."""
        assert app.http.get(emulator.inbox[-1].link).status_code == 405

    def test_asking_tells_nothing_of_the_user(self, app, emulator):
        """The answer is the same for an unknown address, and no mail goes out."""
        answer = app.post("/v2/auth/forgot", {"email": "nobody@example.com"})
        assert (answer.status_code, len(emulator.inbox)) == (200, 0)


class TestVerification:
    def test_a_visit_of_the_link_verifies(self, app, emulator):
        """Also a mail scanner's: the next visit is refused, and the user can sign in."""
        emulator.add_user("ada@example.com", DEMO_PASSWORD, verified=False)
        emulator.configure(verified_email_required=True)
        ada = {"email": "ada@example.com", "password": DEMO_PASSWORD}
        assert refusal(app.post("/v2/auth/login", ada))[1] == "EMAIL_NOT_VERIFIED"
        app.post("/v2/auth/verify-email/start", {"email": "ada@example.com"})
        link = emulator.inbox.latest("ada@example.com").link
        assert [app.http.get(link).status_code for _ in range(2)] == [200, 400]
        assert app.post("/v2/auth/login", ada).status_code == 200

    @pytest.mark.parametrize("uri", ["javascript:alert(1)", "/relative", "http://app.example/"])
    def test_a_hostile_address_is_a_server_error(self, app, emulator, uri):
        """A link leads on to https or loopback only; the server answers 500 otherwise."""
        body = {"email": DEMO_EMAIL, "redirect_uri": uri}
        assert app.post("/v2/auth/verify-email/start", body).status_code == 500
        assert len(emulator.inbox) == 0

    def test_a_changed_link_leads_nowhere(self, app, emulator):
        """A hostile address that was put into the link later is not followed."""
        app.post("/v2/auth/verify-email/start", {"email": DEMO_EMAIL})
        answer = app.http.get(emulator.inbox[-1].link + "&redirect_uri=javascript:alert(1)")
        assert answer.json() == {"status": "verified"}

    def test_a_link_for_another_tenant_is_refused(self, app, emulator):
        """Header and query must name the same tenant."""
        answer = app.http.get("/v2/auth/verify-email?tenant_id=x&token=x", headers={"X-Tenant-ID": "local"})
        assert refusal(answer)[2] == "tenant_id does not match resolved tenant"

    def test_the_link_leads_on_to_any_https_address(self, app, emulator):
        """The address need not be registered."""
        body = {"email": DEMO_EMAIL, "redirect_uri": "https://app.example.com/done"}
        app.post("/v2/auth/verify-email/start", body)
        answer = app.http.get(emulator.inbox[-1].link)
        assert answer.headers["Location"] == "https://app.example.com/done?status=verified"


def test_the_policy_call_knows_the_tenant(app):
    """It gives the tenant's UUID; an unknown tenant is not found, and without one the default is shown."""
    known = app.get("/v2/auth/password-policy", tenant_id="local").json()
    assert known["configured"] is True
    assert known["tenant_id"] != "local"
    unknown = app.get("/v2/auth/password-policy", tenant_id="nosuch")
    assert refusal(unknown) == (404, "NOT_FOUND", "tenant not found")
    assert app.get("/v2/auth/password-policy").json()["source"] == "default"


def test_the_inbox_page_shows_mails(app, emulator, token):
    """A developer reads them in the browser."""
    html = app.http.get("/inbox").text
    assert DEMO_EMAIL in html
    assert "/v2/auth/reset?" in html

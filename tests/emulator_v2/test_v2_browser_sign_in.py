"""Signing in with a browser on the emulated open-source server: its login page, and codes for apps."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.emulator_v2.calls import claims

DEMO = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}


def query_of(url):
    """Return the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class TestLoginPage:
    def test_it_leads_back_to_the_app(self, app, emulator):
        """The browser is sent to the page, signs in, goes on, and ends at the app with a code."""
        emulator.configure(mended=True)
        login = app.http.get(app.authorization_url()).headers["Location"]
        shown = app.http.get(login)
        assert shown.status_code == 200
        return_to = query_of(login)["return_to"]
        sent_on = app.http.post("/login", data={**DEMO, "return_to": return_to})
        assert (sent_on.status_code, sent_on.headers["Location"]) == (303, return_to)
        back = query_of(app.http.get(sent_on.headers["Location"]).headers["Location"])
        assert back["state"] == "st-1"
        assert app.redeem(back["code"]).status_code == 200

    def test_it_works_without_a_mouse(self, app):
        """Every field has a label, and nothing on it is a script."""
        html = app.http.get("/login", params={"return_to": app.authorization_url()}).text
        inputs = re.findall(r'<input id="(\w+)"', html)
        assert inputs == ["email", "password"]
        assert all(f'<label for="{name}">' in html for name in inputs)
        assert "<script" not in html

    def test_a_wrong_password_is_said_on_the_page(self, app):
        """The message is an alert, and the form is there again."""
        data = {**DEMO, "password": "wrong", "return_to": app.authorization_url()}
        answer = app.http.post("/login", data=data)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "<form" in answer.text

    @pytest.mark.parametrize(
        "return_to", ["", "https://evil.example/", "//evil.example/oauth2/authorize", "javascript:alert(1)"]
    )
    def test_it_leads_nowhere_else(self, app, return_to):
        """Only the server's own authorization address is followed."""
        answer = app.http.post("/login", data={**DEMO, "return_to": return_to})
        assert answer.status_code == 400
        assert "Location" not in answer.headers

    def test_a_second_factor_is_a_dead_end(self, app, emulator):
        """The server shows JSON to the browser, and the app never hears of it."""
        emulator.add_user("ada@example.com", "correct horse", mfa_code="123456")
        data = {"email": "ada@example.com", "password": "correct horse", "return_to": app.authorization_url()}
        app.http.post("/login", data=data)
        answer = app.http.get(app.authorization_url())
        assert (answer.status_code, answer.json()["status"]) == (200, "mfa_required")


class TestCodes:
    @pytest.fixture
    def code(self, app, emulator):
        """A code on its way to the app."""
        emulator.configure(mended=True)
        return query_of(emulator.authorize(app.authorization_url()))["code"]

    def test_a_code_is_worth_tokens_once(self, app, code):
        """They go on at either endpoint; the ID token repeats the nonce."""
        answer = app.redeem(code).json()
        read = claims(answer["id_token"])
        assert (read["nonce"], read["aud"]) == ("nn-1", "app")
        assert app.redeem(code).json()["error"] == "invalid_grant"
        assert app.refresh(answer["refresh_token"]).status_code == 200

    @pytest.mark.parametrize(
        ("scope", "named", "shown"),
        [
            ("openid", set(), {"name"}),
            ("openid profile", {"name"}, {"name"}),
            ("openid email", {"email"}, {"name", "email"}),
            ("openid profile email", {"name", "email"}, {"name", "email"}),
        ],
    )
    def test_scopes_decide_what_names_the_user(self, app, emulator, scope, named, shown):
        """The address needs its scope everywhere, and the name in the ID token only."""
        emulator.configure(mended=True)
        emulator.add_user("ada@example.com", "correct horse", name="Ada Byron")
        url = app.authorization_url(scope=scope)
        answer = app.redeem(query_of(emulator.authorize(url, "ada@example.com"))["code"]).json()
        of_user = {"name", "email"}
        assert claims(answer["id_token"]).keys() & of_user == named
        assert app.get("/userinfo", answer["access_token"]).json().keys() & of_user == shown

    def test_a_code_lives_a_few_minutes(self, app, emulator, code):
        """A late app gets nothing."""
        emulator.advance("10m")
        assert app.redeem(code).json()["error"] == "invalid_grant"

    def test_the_published_server_redeems_no_code(self, app, emulator, code):
        """A right code is refused in the words of a wrong one."""
        emulator.configure(mended=False)
        assert app.redeem(code).json()["error"] == "invalid_grant"

    def test_redirect_addresses_are_compared_as_texts(self, app, emulator):
        """Another port, or a slash more, is another address."""
        for uri in ("http://127.0.0.1:9999/callback", "http://127.0.0.1:8765/callback/"):
            answer = app.http.get(app.authorization_url(redirect_uri=uri))
            assert answer.json()["code"] == "REDIRECT_URI_MISMATCH"
        for port in (8765, 8766, 8767):
            answer = app.http.get(
                app.authorization_url(redirect_uri=f"http://127.0.0.1:{port}/callback", prompt="none")
            )
            # The error goes back to the app, without the state.
            assert query_of(answer.headers["Location"]) == {
                "error": "login_required",
                "error_description": "login required",
            }

    def test_a_test_can_do_the_browser_s_part(self, app, emulator):
        """A wrong address or an unknown user is the test's mistake."""
        for url, email in (
            ("https://elsewhere.example/oauth2/authorize", DEMO_EMAIL),
            (app.authorization_url(client_id="unknown"), DEMO_EMAIL),
            (app.authorization_url(), "nobody@example.com"),
        ):
            with pytest.raises(ConfigurationError):
                emulator.authorize(url, email)

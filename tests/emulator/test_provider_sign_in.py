"""Sign-in through a provider over plain HTTP: the browser's way there and back, and the code's exchange."""

import hashlib
from base64 import urlsafe_b64encode
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1:8765/callback"
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
QUERY = {
    "redirect_uri": CALLBACK,
    "state": "state&1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def address(emulator):
    """Write the address that an app sends the browser to."""

    def write(provider="google", **changed):
        query = {name: value for name, value in {**QUERY, **changed}.items() if value is not None}
        return f"{emulator.url}/v1/auth/oauth/{provider}/authorize?{urlencode(query)}"

    return write


@pytest.fixture
def exchange(caller):
    """Exchange a code."""

    def run(code, provider="google", **changed):
        body = {"code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK, **changed}
        return caller.public(f"/v1/auth/oauth/{provider}/callback", body)

    return run


@pytest.fixture
def code(emulator, address):
    """A code that the browser has brought back."""
    return parse_qs(urlsplit(emulator.authorize(address())).query)["code"][0]


def login(caller, url, **fields):
    """Go to the login page, and post its form."""
    page = caller.http.get(url, follow_redirects=True)
    flow = parse_qs(page.url.query.decode())["flow"][0]
    form = {"flow": flow, "email": DEMO_EMAIL, "password": DEMO_PASSWORD, **fields}
    return caller.http.post(str(page.url.copy_with(query=None)), data=form)


class TestBrowser:
    def test_it_comes_back_with_a_code_and_the_state(self, caller, address, exchange):
        """The browser signs in on the provider's page and ends at the app's address."""
        answer = login(caller, address())
        assert answer.status_code == 303
        location = urlsplit(answer.headers["location"])
        assert location._replace(query="").geturl() == CALLBACK
        returned = parse_qs(location.query)
        assert returned["state"] == ["state&1"]
        assert exchange(returned["code"][0]).json()["user"]["email"] == DEMO_EMAIL

    def test_giving_up_comes_back_with_an_error(self, caller, address):
        """The second button sends the browser back without a code."""
        answer = login(caller, address(), cancel="1")
        assert parse_qs(urlsplit(answer.headers["location"]).query) == {
            "error": ["access_denied"],
            "state": ["state&1"],
        }

    def test_a_wrong_password_can_be_corrected(self, caller, address):
        """The page comes again with the problem, and its form still works."""
        page = caller.http.get(address(), follow_redirects=True)
        form = {"flow": parse_qs(page.url.query.decode())["flow"][0], "email": DEMO_EMAIL}
        wrong = caller.http.post(f"{caller.emulator.url}/login", data={**form, "password": "wrong"})
        assert (wrong.status_code, "email or the password" in wrong.text) == (401, True)
        right = caller.http.post(f"{caller.emulator.url}/login", data={**form, "password": DEMO_PASSWORD})
        assert right.status_code == 303

    def test_the_query_of_the_apps_address_is_kept(self, emulator, address):
        """The values are added to the query that is there."""
        ended = emulator.authorize(address(redirect_uri=f"{CALLBACK}?tab=2"))
        assert parse_qs(urlsplit(ended).query)["tab"] == ["2"]

    def test_a_sign_in_ends_once_and_in_time(self, caller, emulator, address):
        """A form that is posted twice or after ten minutes leads nowhere."""
        page = caller.http.get(address(), follow_redirects=True)
        form = {
            "flow": parse_qs(page.url.query.decode())["flow"][0],
            "email": DEMO_EMAIL,
            "password": DEMO_PASSWORD,
        }
        posts = [caller.http.post(f"{emulator.url}/login", data=form) for _ in range(2)]
        assert [answer.status_code for answer in posts] == [303, 400]
        late = caller.http.get(address(), follow_redirects=True)
        emulator.advance("10m")
        assert caller.http.get(late.url).status_code == 400

    @pytest.mark.parametrize(
        "changed",
        [
            {"redirect_uri": None},
            {"redirect_uri": "javascript:alert(1)"},
            {"redirect_uri": "https://app.example.com/#"},
            {"state": None},
            {"code_challenge": None},
            {"code_challenge": "short"},
            {"code_challenge_method": "plain"},
            {"code_challenge_method": None},
            {"scope": "openid"},
        ],
    )
    def test_a_malformed_address_is_refused(self, caller, address, changed):
        """The browser is not sent anywhere, and the wrong value is named."""
        answer = caller.http.get(address(**changed))
        assert caller.code(answer) == (422, "validation_failed")
        assert next(iter(changed)) in answer.json()["error"]["message"]

    def test_an_unknown_provider_is_refused(self, caller, address):
        """Only the documented providers exist."""
        assert caller.code(caller.http.get(address("myspace"))) == (404, "not_found")


class TestExchange:
    def test_it_is_a_sign_in(self, exchange, code):
        """A duration can be asked for, and the answer has a session."""
        answer = exchange(code, session_options={"duration": "8h"})
        assert answer.status_code == 200
        assert answer.json()["session"]["refresh_token"]

    @pytest.mark.parametrize(
        "changed",
        [{"code_verifier": "w" * 43}, {"redirect_uri": CALLBACK + "/"}, {"provider": "github"}],
    )
    def test_a_wrong_value_burns_the_code(self, caller, exchange, code, changed):
        """A code that was sent once is useless, also with the right values."""
        for arguments in (changed, {}):
            answer = exchange(code, **arguments)
            assert caller.code(answer) == (400, "oauth_code_invalid")

    def test_a_code_is_good_once_and_for_five_minutes(self, caller, emulator, address, exchange, code):
        """A second exchange and a late one are refused."""
        assert exchange(code).status_code == 200
        assert caller.code(exchange(code)) == (400, "oauth_code_invalid")
        late = parse_qs(urlsplit(emulator.authorize(address())).query)["code"][0]
        emulator.advance("5m")
        assert caller.code(exchange(late)) == (400, "oauth_code_invalid")

    def test_a_second_factor_is_still_due(self, caller, emulator, address, exchange):
        """The provider proves one factor."""
        emulator.add_user("ada@example.com", "x", mfa_code="123456")
        ended = emulator.authorize(address(), "ada@example.com")
        answer = exchange(parse_qs(urlsplit(ended).query)["code"][0])
        assert caller.code(answer) == (403, "mfa_required")

    def test_an_account_disabled_meanwhile_stays_out(self, caller, emulator, exchange, code):
        """The code opens nothing that the password would not open now."""
        emulator.disable_user(DEMO_EMAIL)
        assert caller.code(exchange(code)) == (403, "account_disabled")


class TestWithoutBrowser:
    @pytest.mark.parametrize(
        ("url", "email"),
        [
            ("http://127.0.0.1/v1/auth/sign-in", DEMO_EMAIL),
            ("http://127.0.0.1/v1/auth/oauth/google/authorize", DEMO_EMAIL),
            (f"http://127.0.0.1/v1/auth/oauth/google/authorize?{urlencode(QUERY)}", "nobody@example.com"),
        ],
    )
    def test_a_mistake_is_named(self, emulator, url, email):
        """An address of another route, a missing value and an unknown user are refused."""
        with pytest.raises(ConfigurationError):
            emulator.authorize(url, email)

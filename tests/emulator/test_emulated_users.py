"""Users as tests and the command line add, lock, disable and delete them."""

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD

VERIFIER = "v" * 43
CHALLENGE = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM"  # the S256 form of VERIFIER


class TestFromText:
    @pytest.mark.parametrize(
        ("text", "password", "code"),
        [
            ("ada@example.com:correct horse", "correct horse", None),
            ("ada@example.com:correct:horse", "correct:horse", None),
            ("ada@example.com:correct horse:123456", "correct horse", "123456"),
            ("ada@example.com:correct:horse:12345678", "correct:horse", "12345678"),
            ("ada@example.com:123456", "123456", None),
            ("ada@example.com:pass:12345", "pass:12345", None),
            ("ada@example.com:\u00fcber:123456", "\u00fcber", "123456"),
        ],
    )
    def test_email_password_and_code(self, caller, emulator, text, password, code):
        """The first colon ends the email; six to eight digits behind the last one are the code."""
        emulator.add_user_from(text)
        answer = caller.try_sign_in("ada@example.com", password)
        assert answer.status_code == (200 if code is None else 403)
        if code is not None:
            assert emulator.mfa_code("ada@example.com") == code

    @pytest.mark.parametrize("text", ["", "ada@example.com", "ada@example.com:", ":x", "marker:x"])
    def test_another_form_is_refused(self, emulator, text):
        """The error shows the form, and not the text: it may hold a password."""
        with pytest.raises(ConfigurationError) as caught:
            emulator.add_user_from(text)
        assert "marker" not in str(caught.value)


class TestDisabling:
    def test_it_ends_every_session(self, caller, emulator):
        """A refresh is refused as disabled; later, when the account is enabled again, as revoked."""
        session = caller.sign_in()
        emulator.disable_user(DEMO_EMAIL)
        assert emulator.session(session["id"]).status == "revoked"
        for _ in range(2):
            assert caller.code(caller.refresh(session["refresh_token"])) == (403, "account_disabled")
        emulator.enable_user(DEMO_EMAIL)
        assert caller.code(caller.refresh(session["refresh_token"])) == (401, "session_revoked")
        assert caller.sign_in()["id"]

    def test_locking_ends_none(self, caller, emulator):
        """A locked account cannot sign in, and its sessions go on."""
        session = caller.sign_in()
        emulator.lock_user(DEMO_EMAIL)
        assert caller.code(caller.try_sign_in(DEMO_EMAIL, DEMO_PASSWORD)) == (403, "account_locked")
        assert caller.refresh(session["refresh_token"]).status_code == 200


class TestDeleting:
    def test_it_ends_every_session(self, caller, emulator):
        """The refresh token is refused as revoked, and the address is free again."""
        session = caller.sign_in()
        emulator.delete_user(DEMO_EMAIL)
        assert caller.code(caller.refresh(session["refresh_token"])) == (401, "session_revoked")
        assert caller.code(caller.try_sign_in(DEMO_EMAIL, DEMO_PASSWORD)) == (401, "invalid_credentials")
        assert [known.status for known in emulator.sessions()] == ["revoked"]
        emulator.add_user(DEMO_EMAIL, "another")
        assert caller.sign_in(DEMO_EMAIL, "another")["id"]

    def test_everything_it_began_is_over(self, caller, emulator):
        """A challenge, a link and a provider's code of a deleted user are refused as expired."""
        emulator.add_user("ada@example.com", "x", mfa_code="123456")
        challenge = caller.try_sign_in("ada@example.com", "x").json()["error"]["challenge_id"]
        links = {}
        for send, use in (("magic-link", "magic-link/verify"), ("email/verify/send", "email/verify")):
            caller.public(f"/v1/auth/{send}", {"email": "ada@example.com"})
            links[use] = emulator.inbox[-1].link.partition("token=")[2]
        query = f"redirect_uri=http://x/&state=1&code_challenge={CHALLENGE}&code_challenge_method=S256"
        ended = emulator.authorize(f"http://x/v1/auth/oauth/google/authorize?{query}", "ada@example.com")
        emulator.delete_user("ada@example.com")
        body = {"challenge_id": challenge, "factor_id": "totp", "code": "123456"}
        answer = caller.call("POST", "/v1/mfa/verify", json=body)
        assert caller.code(answer) == (401, "mfa_challenge_expired")
        for use, token in links.items():
            assert caller.code(caller.public(f"/v1/auth/{use}", {"token": token})) == (400, "link_expired")
        code = ended.partition("code=")[2].partition("&")[0]
        body = {"code": code, "code_verifier": VERIFIER, "redirect_uri": "http://x/"}
        answer = caller.public("/v1/auth/oauth/google/callback", body)
        assert caller.code(answer) == (400, "oauth_code_invalid")

    def test_its_access_token_finds_no_user(self, caller, emulator):
        """The token is good until it expires, but its user is gone."""
        token = caller.sign_in()["access_token"]
        emulator.delete_user(DEMO_EMAIL)
        assert caller.code(caller.call("GET", "/v1/auth/me", bearer=token)) == (404, "not_found")


class TestSessions:
    def test_they_are_listed_oldest_first_with_their_device(self, caller, emulator):
        """A test can read the sessions without the secret key."""
        emulator.add_user("ada@example.com", "x")
        first = caller.sign_in()["id"]
        second = caller.sign_in("ada@example.com", "x")["id"]
        assert [known.id for known in emulator.sessions()] == [first, second]
        (known,) = emulator.sessions("ada@example.com")
        assert (known.id, known.status, known.device.ip_address) == (second, "active", "127.0.0.1")
        assert known == emulator.session(second)

    def test_a_mistake_is_named(self, emulator):
        """An unknown address and an unknown id are refused."""
        with pytest.raises(ConfigurationError, match="user"):
            emulator.sessions("nobody@example.com")
        with pytest.raises(ConfigurationError, match="session"):
            emulator.session("ses_unknown")

    def test_a_back_end_can_name_the_browsers_device(self, caller, emulator):
        """The user agent and the forwarded address are those of the browser."""
        headers = {"User-Agent": "Mozilla/5.0 (iPhone) Mobile", "X-Forwarded-For": "203.0.113.7, 10.0.0.1"}
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        session_id = caller.public("/v1/auth/sign-in", body, headers=headers).json()["session"]["id"]
        shown = caller.secret("GET", f"/v1/sessions/{session_id}").json()
        assert (shown["ip_address"], shown["device_type"]) == ("203.0.113.7", "mobile")
        assert shown["user_agent"] == headers["User-Agent"]

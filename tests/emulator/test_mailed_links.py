"""Magic links, password resets and changes, and address verification, over plain HTTP."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Mail

EMAIL = "ada@example.com"
PASSWORD = "correct horse"
NEW = "new password"


@dataclass(frozen=True)
class Kind:
    """A kind of link: how to ask for one, how to use it, and how long it lasts."""

    send: str
    use: str
    fields: dict[str, str]
    life: str


KINDS = {
    "magic link": Kind("/v1/auth/magic-link", "/v1/auth/magic-link/verify", {}, "15m"),
    "reset": Kind("/v1/auth/password/forgot", "/v1/auth/password/reset", {"new_password": NEW}, "1h"),
    "verification": Kind("/v1/auth/email/verify/send", "/v1/auth/email/verify", {}, "24h"),
}


@pytest.fixture
def mailed(caller, emulator):
    """Ask for a link, and return its token."""
    emulator.add_user(EMAIL, PASSWORD, verified=False)

    def ask(path, **more):
        assert caller.public(path, {"email": EMAIL, **more}).status_code == 200
        link = emulator.inbox.latest(EMAIL).link
        return parse_qs(urlsplit(link).query)["token"][0]

    return ask


@pytest.fixture
def magic(caller, mailed):
    """Sign Ada in with a magic link."""

    def run(**more):
        token = mailed("/v1/auth/magic-link")
        return caller.public("/v1/auth/magic-link/verify", {"token": token, **more})

    return run


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
class TestEveryLink:
    def test_it_is_good_once(self, caller, mailed, kind):
        """A second use is refused like a link that never was."""
        token = mailed(kind.send)
        assert caller.public(kind.use, {"token": token, **kind.fields}).status_code in (200, 204)
        for refused in (token, "lnk_made_up"):
            answer = caller.public(kind.use, {"token": refused, **kind.fields})
            assert caller.code(answer) == (400, "link_expired")

    def test_it_expires(self, caller, emulator, mailed, kind):
        """The moment of its end is too late."""
        token = mailed(kind.send)
        emulator.advance(kind.life)
        assert caller.code(caller.public(kind.use, {"token": token, **kind.fields})) == (400, "link_expired")

    def test_it_serves_no_other_purpose(self, caller, mailed, kind):
        """The token of one kind of link does not open another, and stays good."""
        token = mailed(kind.send)
        for other in KINDS.values():
            if other is not kind:
                answer = caller.public(other.use, {"token": token, **other.fields})
                assert caller.code(answer) == (400, "link_expired")
        assert caller.public(kind.use, {"token": token, **kind.fields}).status_code in (200, 204)

    def test_an_unknown_address_is_not_given_away(self, caller, emulator, mailed, kind):
        """The answer is the same, and no mail is sent."""
        known = caller.public(kind.send, {"email": EMAIL})
        sent = len(emulator.inbox)
        unknown = caller.public(kind.send, {"email": "nobody@example.com"})
        assert (unknown.status_code, unknown.json()) == (known.status_code, known.json())
        assert len(emulator.inbox) == sent

    @pytest.mark.parametrize(
        "redirect_to",
        [
            *("javascript:alert(1)", "//evil.example.com", "/path", "https:evil.example.com", "https://"),
            *("https://user:pw@app.example.com/", "https://app.example.com\\@evil", "https://a b.c/"),
            *("https://app.example.com/#token", "https://[::1", "http://x:99999/", "https://x/\n", 5),
            "https://x/" + "y" * 2048,
        ],
    )
    def test_a_hostile_redirect_is_refused(self, caller, emulator, kind, redirect_to):
        """Only a plain http or https address can be the app's page; otherwise no mail is sent."""
        answer = caller.public(kind.send, {"email": EMAIL, "redirect_to": redirect_to})
        assert caller.code(answer) == (422, "validation_failed")
        assert list(emulator.inbox) == []

    def test_both_calls_need_the_publishable_key(self, caller, kind):
        """A key that is wrong is named."""
        for path in (kind.send, kind.use):
            answer = caller.call("POST", path, bearer="pk_wrong", json={})
            assert answer.status_code == 401


class TestMagicLink:
    def test_it_signs_in_and_verifies_the_address(self, magic):
        """The answer is that of a sign-in, and the user has shown that the mail arrives."""
        answer = magic(session_options={"duration": "8h"})
        assert answer.status_code == 200
        assert answer.json()["user"]["email_verified"] is True

    def test_a_second_factor_is_still_due(self, caller, emulator):
        """A mail proves one factor."""
        emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")
        caller.public("/v1/auth/magic-link", {"email": EMAIL})
        token = parse_qs(urlsplit(emulator.inbox[-1].link).query)["token"][0]
        answer = caller.public("/v1/auth/magic-link/verify", {"token": token})
        assert caller.code(answer) == (403, "mfa_required")

    def test_a_disabled_account_stays_out(self, caller, emulator, magic):
        """A disabled account cannot sign in with a link either."""
        emulator.disable_user(EMAIL)
        assert caller.code(magic()) == (403, "account_disabled")

    def test_the_mail_leads_to_the_emulators_page(self, emulator, mailed):
        """A person can follow the link in a browser."""
        mailed("/v1/auth/magic-link")
        mail = emulator.inbox[-1]
        assert mail.link.startswith(f"{emulator.url}/ui/magic-link?token=")
        assert mail.subject == "Sign in to your account"


class TestPasswordReset:
    RESET = "/v1/auth/password/reset"

    def test_it_sets_the_password_and_ends_every_session(self, caller, mailed):
        """The old password and the old sessions stop working, and the answer is empty."""
        session = caller.sign_in(EMAIL, PASSWORD)
        token = mailed("/v1/auth/password/forgot")
        answer = caller.public(self.RESET, {"token": token, "new_password": NEW})
        assert (answer.status_code, answer.content) == (204, b"")
        assert caller.code(caller.refresh(session["refresh_token"])) == (401, "session_revoked")
        assert caller.code(caller.try_sign_in(EMAIL, PASSWORD)) == (401, "invalid_credentials")
        assert caller.sign_in(EMAIL, NEW)["id"]

    def test_a_weak_password_leaves_the_link_good(self, caller, mailed):
        """The person can think of a better one."""
        token = mailed("/v1/auth/password/forgot")
        weak = caller.public(self.RESET, {"token": token, "new_password": "short"})
        assert caller.code(weak) == (422, "password_too_weak")
        assert caller.public(self.RESET, {"token": token, "new_password": NEW}).status_code == 204

    def test_it_makes_every_other_link_useless(self, caller, mailed):
        """An attacker's link does not survive the reset."""
        earlier, magic = mailed("/v1/auth/password/forgot"), mailed("/v1/auth/magic-link")
        token = mailed("/v1/auth/password/forgot")
        caller.public(self.RESET, {"token": token, "new_password": NEW})
        answer = caller.public(self.RESET, {"token": earlier, "new_password": "attacker's"})
        assert caller.code(answer) == (400, "link_expired")
        answer = caller.public("/v1/auth/magic-link/verify", {"token": magic})
        assert caller.code(answer) == (400, "link_expired")


class TestPasswordChange:
    @pytest.fixture
    def change(self, caller):
        """Change the demo user's password."""

        def run(token, current=DEMO_PASSWORD, new=NEW):
            body = {"current_password": current, "new_password": new}
            return caller.call("POST", "/v1/auth/password/change", bearer=token, json=body)

        return run

    def test_it_keeps_this_session_and_ends_the_others(self, caller, change):
        """A thief who knew the old password is signed out."""
        here, there = caller.sign_in(), caller.sign_in()
        assert change(here["access_token"]).status_code == 204
        assert caller.refresh(here["refresh_token"]).status_code == 200
        assert caller.code(caller.refresh(there["refresh_token"])) == (401, "session_revoked")
        assert caller.sign_in(DEMO_EMAIL, NEW)["id"]

    @pytest.mark.parametrize(
        ("passwords", "expected"),
        [
            ({"current": "wrong"}, (401, "invalid_credentials")),
            ({"new": "short"}, (422, "password_too_weak")),
        ],
    )
    def test_a_refusal_changes_nothing(self, caller, change, passwords, expected):
        """A wrong current password or a weak new one leaves the old one in force."""
        assert caller.code(change(caller.sign_in()["access_token"], **passwords)) == expected
        assert caller.sign_in()["id"]

    def test_a_revoked_session_cannot_change_it(self, caller, emulator, change):
        """Its access token still works elsewhere, but not for this."""
        session = caller.sign_in()
        emulator.revoke(session["id"])
        assert caller.code(change(session["access_token"])) == (401, "session_revoked")


class TestEmailVerification:
    SEND = "/v1/auth/email/verify/send"

    def test_it_verifies_the_address(self, caller, mailed):
        """The user object says so from then on."""
        session = caller.sign_in(EMAIL, PASSWORD)
        me = caller.call("GET", "/v1/auth/me", bearer=session["access_token"])
        assert me.json()["email_verified"] is False
        caller.public("/v1/auth/email/verify", {"token": mailed(self.SEND)})
        me = caller.call("GET", "/v1/auth/me", bearer=session["access_token"])
        assert me.json()["email_verified"] is True

    def test_a_signed_in_user_needs_to_name_no_address(self, caller, emulator):
        """The mail goes to the user's own address."""
        token = caller.sign_in()["access_token"]
        assert caller.call("POST", self.SEND, bearer=token, json={}).status_code == 200
        assert emulator.inbox[-1].to == DEMO_EMAIL

    def test_a_new_account_is_not_verified(self, caller):
        """Signing up proves nothing about the address."""
        answer = caller.public("/v1/auth/sign-up", {"email": EMAIL, "password": PASSWORD})
        assert answer.json()["user"]["email_verified"] is False


class TestInbox:
    def test_it_keeps_every_mail_in_order(self, caller, emulator, mailed):
        """The newest mail is the last, and each address can be looked up."""
        mailed("/v1/auth/magic-link")
        caller.public("/v1/auth/password/forgot", {"email": DEMO_EMAIL})
        assert [mail.to for mail in emulator.inbox] == [EMAIL, DEMO_EMAIL]
        assert emulator.inbox.latest(EMAIL.upper()) == emulator.inbox[0]
        assert emulator.inbox[:1] == (emulator.inbox[0],)

    def test_it_can_be_cleared(self, emulator, mailed):
        """A test can start from nothing."""
        mailed("/v1/auth/magic-link")
        emulator.inbox.clear()
        assert len(emulator.inbox) == 0
        with pytest.raises(ConfigurationError, match=EMAIL):
            emulator.inbox.latest(EMAIL)

    def test_it_keeps_the_last_thousand(self, emulator):
        """A load test does not fill the memory."""
        for number in range(1002):
            emulator.inbox.deliver(Mail(to=f"{number}@example.com", subject="x", sent_at=0.0))
        assert len(emulator.inbox) == 1000
        assert emulator.inbox[0].to == "2@example.com"

    def test_no_representation_shows_a_link_or_a_code(self, emulator, mailed):
        """A failing assertion prints no token."""
        token = mailed("/v1/auth/magic-link")
        assert token not in f"{emulator.inbox!r} {emulator.inbox[-1]!r}"

"""Second factors on the emulated open-source server."""

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD
from tests.emulator_v2.calls import claims, refusal

ADA = "ada@example.com"
PASSWORD = "correct horse"
WRONG = (401, "invalid_mfa_code", None)
OVER = (400, "invalid_grant", None)


@pytest.fixture
def enrolled(app, emulator):
    """The demo user with an authenticator app, and the recovery codes."""
    emulator.configure(mended=True)
    token = app.sign_in()["access_token"]
    app.mfa("totp/enroll", token)
    answer = app.mfa("totp/verify", token, code=emulator.mfa_code(DEMO_EMAIL))
    emulator.advance("1m")
    return answer.json()["recovery_codes"]


def begin(app, email=DEMO_EMAIL, password=DEMO_PASSWORD):
    """Sign in as far as the second factor, and return its token."""
    return app.sign_in(email, password)["mfa_token"]


class TestInstalledFactors:
    def test_a_fixed_code_answers_every_challenge(self, app, emulator):
        """A user added with a code has an app that always shows it."""
        emulator.add_user(ADA, PASSWORD, mfa_code="123456")
        assert emulator.mfa_code(ADA) == "123456"
        for _ in range(2):
            answer = app.mfa("totp/challenge", mfa_token=begin(app, ADA, PASSWORD), code="123456")
            assert claims(answer.json()["access_token"])["amr"] == ["pwd", "mfa"]

    @pytest.mark.parametrize(("factor", "kind"), [("email_otp", "email"), ("email", "email"), ("sms", "sms")])
    def test_codes_arrive_in_the_inbox(self, app, emulator, factor, kind):
        """A user added with a factor whose codes are sent has to give one."""
        emulator.add_user(ADA, PASSWORD, factors=[factor])
        due = app.sign_in(ADA, PASSWORD)
        assert kind in due["available_factors"]
        assert app.mfa(f"{kind}/send", mfa_token=due["mfa_token"]).json() == {"sent": True, "expires_in": 300}
        answer = app.mfa(f"{kind}/challenge", mfa_token=due["mfa_token"], code=emulator.inbox[-1].code)
        assert answer.status_code == 200

    def test_a_user_without_an_app_shows_no_code(self, emulator):
        """The error says so."""
        with pytest.raises(ConfigurationError, match="authenticator app"):
            emulator.mfa_code(DEMO_EMAIL)


class TestChallenge:
    def test_wrong_codes_do_not_end_it(self, app, emulator, enrolled):
        """Forty wrong codes later the right one works, once."""
        token = begin(app)
        for _ in range(40):
            assert refusal(app.mfa("totp/challenge", mfa_token=token, code="000000")) == WRONG
        code = emulator.mfa_code(DEMO_EMAIL)
        assert app.mfa("totp/challenge", mfa_token=token, code=code).status_code == 200
        assert refusal(app.mfa("totp/challenge", mfa_token=token, code=code)) == OVER

    def test_it_ends_after_five_minutes(self, app, emulator, enrolled):
        """Then the sign-in has to start over."""
        token = begin(app)
        emulator.advance("5m")
        code = emulator.mfa_code(DEMO_EMAIL)
        assert refusal(app.mfa("totp/challenge", mfa_token=token, code=code)) == OVER

    def test_the_enrolling_code_cannot_sign_in(self, app, emulator):
        """A code counts once: the next one is needed."""
        emulator.configure(mended=True)
        token = app.sign_in()["access_token"]
        app.mfa("totp/enroll", token)
        code = emulator.mfa_code(DEMO_EMAIL)
        app.mfa("totp/verify", token, code=code)
        assert refusal(app.mfa("totp/challenge", mfa_token=begin(app), code=code)) == WRONG

    def test_six_wrong_mailed_codes_make_the_code_useless(self, app, emulator, enrolled):
        """The code of the mail dies; the challenge lives on."""
        token = begin(app)
        app.mfa("email/send", mfa_token=token)
        for _ in range(6):
            assert refusal(app.mfa("email/challenge", mfa_token=token, code="wrong")) == WRONG
        mailed = emulator.inbox[-1].code
        assert refusal(app.mfa("email/challenge", mfa_token=token, code=mailed)) == WRONG
        code = emulator.mfa_code(DEMO_EMAIL)
        assert app.mfa("totp/challenge", mfa_token=token, code=code).status_code == 200

    def test_five_mails_an_hour(self, app, emulator, enrolled):
        """The sixth is refused without a hint when to come back, and an hour later it goes out."""
        token = begin(app)
        answers = [app.mfa("email/send", mfa_token=token) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert "Retry-After" not in answers[-1].headers
        emulator.advance("1h")
        assert app.mfa("email/send", mfa_token=begin(app)).status_code == 202

    def test_a_deleted_user_s_challenge_is_over(self, app, emulator, enrolled):
        """Neither can a code be sent."""
        token = begin(app)
        emulator.delete_user(DEMO_EMAIL)
        assert refusal(app.mfa("totp/challenge", mfa_token=token, recovery=enrolled[0])) == OVER
        assert refusal(app.mfa("email/send", mfa_token=token))[1] == "store_error"

    def test_a_mailed_code_lives_five_minutes(self, app, emulator, enrolled):
        """A code that was sent before another challenge can answer that one, but not for long."""
        app.mfa("email/send", mfa_token=begin(app))
        emulator.advance("5m")
        answer = app.mfa("email/challenge", mfa_token=begin(app), code=emulator.inbox[-1].code)
        assert refusal(answer) == WRONG

    def test_a_missing_value_is_named(self, app, emulator, enrolled):
        """The server says which of them it needs."""
        recovered = app.mfa("totp/challenge", mfa_token=begin(app), recovery=enrolled[0]).json()
        headers = {"Authorization": f"Bearer {recovered['access_token']}", "X-Tenant-ID": "local"}
        preference = app.http.put("/v2/mfa/factors/preference", json={}, headers=headers)
        assert refusal(preference)[2] == "factor is required"
        assert refusal(app.mfa("email/send"))[2] == "mfa_token and code are required"

    def test_a_user_without_factors_has_no_preferred_one(self, app, emulator):
        """The list is empty, and the other field is missing."""
        emulator.add_user(ADA, PASSWORD, verified=False)
        token = app.sign_in(ADA, PASSWORD)["access_token"]
        assert app.get("/v2/mfa/factors", token).json() == {"available_factors": []}

    def test_two_challenges_are_open_at_once(self, app, emulator, enrolled):
        """A second sign-in does not end the first one's challenge."""
        first, _ = begin(app), begin(app)
        code = emulator.mfa_code(DEMO_EMAIL)
        assert app.mfa("totp/challenge", mfa_token=first, code=code).status_code == 200


class TestRecoveryCodes:
    def test_each_counts_once(self, app, enrolled):
        """The ten codes have ten characters each, and are sent in the field ``recovery``."""
        assert [len(code) for code in enrolled] == [10] * 10
        token = begin(app)
        assert refusal(app.mfa("totp/challenge", mfa_token=token, code=enrolled[0])) == WRONG
        assert app.mfa("totp/challenge", mfa_token=token, recovery=enrolled[0]).status_code == 200
        assert refusal(app.mfa("totp/challenge", mfa_token=begin(app), recovery=enrolled[0])) == WRONG

    def test_too_many_wrong_ones_are_limited(self, app, emulator, enrolled):
        """A code of the app still works, and after an hour recovery codes do as well."""
        token = begin(app)
        wrong = [app.mfa("totp/challenge", mfa_token=token, recovery="A" * 10) for _ in range(11)]
        assert [answer.status_code for answer in wrong] == [401] * 10 + [429]
        code = emulator.mfa_code(DEMO_EMAIL)
        assert app.mfa("totp/challenge", mfa_token=token, code=code).status_code == 200
        emulator.advance("1h")
        assert app.mfa("totp/challenge", mfa_token=begin(app), recovery=enrolled[0]).status_code == 200

    def test_new_ones_replace_the_old(self, app, enrolled):
        """It takes the password and a second factor."""
        code = {"mfa_token": begin(app), "recovery": enrolled[0]}
        token = app.mfa("totp/challenge", **code).json()["access_token"]
        proof = {"password": DEMO_PASSWORD, "recovery": enrolled[1]}
        new = app.mfa("recovery/rotate", token, **proof).json()["recovery_codes"]
        assert refusal(app.mfa("totp/challenge", mfa_token=begin(app), recovery=enrolled[2])) == WRONG
        assert app.mfa("totp/challenge", mfa_token=begin(app), recovery=new[0]).status_code == 200


class TestEnrolment:
    def test_the_published_server_cannot(self, app):
        """It lacks the key for second factors."""
        token = app.sign_in()["access_token"]
        assert refusal(app.mfa("totp/enroll", token)) == (500, "crypto_failed", None)

    def test_enrolling_again_kills_the_old_app(self, app, emulator, enrolled):
        """The new app counts at once, before its first code was given."""
        old = emulator.mfa_code(DEMO_EMAIL)
        answer = app.mfa("totp/challenge", mfa_token=begin(app), code=old).json()
        app.mfa("totp/enroll", answer["access_token"])
        emulator.advance("1m")
        new = emulator.mfa_code(DEMO_EMAIL)
        assert app.mfa("totp/challenge", mfa_token=begin(app), code=new).status_code == 200

    def test_disabling_takes_password_and_code(self, app, emulator, enrolled):
        """Afterwards the password is enough."""
        code = {"mfa_token": begin(app), "recovery": enrolled[0]}
        token = app.mfa("totp/challenge", **code).json()["access_token"]
        wrong = app.mfa("totp/disable", token, password="wrong", recovery=enrolled[1])
        assert refusal(wrong) == (401, "invalid_password", None)
        proof = {"password": DEMO_PASSWORD, "code": emulator.mfa_code(DEMO_EMAIL)}
        assert app.mfa("totp/disable", token, **proof).json() == {"disabled": True}
        assert "access_token" in app.sign_in()


class TestRememberedDevice:
    @pytest.fixture
    def cookie(self, app, enrolled):
        """The cookie of a device that is remembered."""
        code = {"mfa_token": begin(app), "recovery": enrolled[0]}
        answer = app.mfa("totp/challenge", **code, remember_device=True)
        app.http.cookies.clear()
        return answer.headers["Set-Cookie"].partition(";")[0]

    def test_it_needs_no_second_factor_for_30_days(self, app, emulator, cookie):
        """The tokens say that there was one."""
        session = app.sign_in(Cookie=cookie)
        assert claims(session["access_token"])["amr"] == ["pwd", "mfa"]
        emulator.advance("30d")
        assert "mfa_token" in app.sign_in(Cookie=cookie)

    def test_it_helps_no_other_user(self, app, emulator, cookie):
        """The cookie belongs to a user."""
        emulator.add_user(ADA, PASSWORD, mfa_code="123456")
        assert "mfa_token" in app.sign_in(ADA, PASSWORD, Cookie=cookie)

"""Second factors over plain HTTP: challenges, codes that are sent, enrolment, recovery codes, devices."""

from urllib.parse import parse_qs, urlsplit

import pytest

from hellojohn import ConfigurationError

EMAIL = "ada@example.com"
PASSWORD = "correct horse"


@pytest.fixture
def challenge(caller):
    """Sign Ada in as far as her second factor, and return the error."""

    def begin(**more):
        answer = caller.try_sign_in(EMAIL, PASSWORD, **more)
        assert caller.code(answer) == (403, "mfa_required")
        return answer.json()["error"]

    return begin


@pytest.fixture
def verify(caller):
    """Answer a challenge."""

    def run(challenge, factor, code, **more):
        body = {"challenge_id": challenge["challenge_id"], "factor_id": factor, "code": code, **more}
        return caller.call("POST", "/v1/mfa/verify", json=body)

    return run


@pytest.fixture
def send(caller):
    """Ask for a code."""

    def run(challenge, factor=None):
        body = {"challenge_id": challenge["challenge_id"], "factor_id": factor}
        return caller.call("POST", "/v1/mfa/send", json=body)

    return run


@pytest.fixture
def tools(challenge, verify, send):
    """The three steps of a sign-in with a second factor."""
    return challenge, verify, send


@pytest.fixture
def factors(caller, emulator):
    """Ada without a second factor, and a way to call the routes of her factors."""
    user_id = emulator.add_user(EMAIL, PASSWORD)

    def call(method, path="/factors", **options):
        return caller.secret(method, f"/v1/users/{user_id}/mfa{path}", **options)

    return call


class TestFixedCode:
    @pytest.fixture(autouse=True)
    def ada(self, emulator):
        """Ada's authenticator app always shows 123456."""
        emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")

    def test_the_code_finishes_the_sign_in(self, challenge, verify):
        """The answer is that of a sign-in, as long as the sign-in asked for."""
        answer = verify(challenge(session_options={"duration": "8h"}), "totp", "123456")
        assert answer.status_code == 200
        assert set(answer.json()) == {"user", "session"}

    def test_a_wrong_code_can_be_corrected(self, caller, challenge, verify):
        """Any number of wrong codes leaves the challenge good."""
        asked = challenge()
        for _ in range(40):
            assert caller.code(verify(asked, "totp", "000000")) == (401, "invalid_mfa_code")
        assert verify(asked, "totp", "123456").status_code == 200

    @pytest.mark.parametrize("factor", ["sms", "email_otp", "backup_codes", "fac_unknown"])
    def test_a_factor_the_user_lacks_is_a_wrong_code(self, caller, challenge, verify, factor):
        """The answer does not say which factors exist."""
        assert caller.code(verify(challenge(), factor, "123456")) == (401, "invalid_mfa_code")

    def test_the_code_can_be_used_again(self, emulator, challenge, verify):
        """A fixed code serves every sign-in, so that a test needs no clock for it."""
        for _ in range(2):
            assert verify(challenge(), "totp", emulator.mfa_code(EMAIL)).status_code == 200

    def test_an_app_takes_no_code_by_mail(self, caller, challenge, send):
        """There is nothing to send for an authenticator app."""
        for factor in ("totp", None):
            assert caller.code(send(challenge(), factor)) == (422, "validation_failed")


class TestSentCodes:
    @pytest.fixture(autouse=True)
    def ada(self, emulator):
        """Ada gets codes by mail and by text message."""
        emulator.add_user(EMAIL, PASSWORD, factors=["email_otp", "sms"])

    def test_no_code_is_sent_by_itself(self, emulator, challenge):
        """The app asks for the code, which may cost money."""
        assert challenge()["available_factors"] == ["email_otp", "sms"]
        assert list(emulator.inbox) == []

    @pytest.mark.parametrize(("factor", "to"), [("email_otp", EMAIL), ("sms", "+15550100")])
    def test_the_sent_code_finishes_the_sign_in(self, emulator, tools, factor, to):
        """A code arrives where the factor says, and is good once."""
        challenge, verify, send = tools
        asked = challenge()
        answer = send(asked, factor)
        assert (answer.status_code, answer.json()["type"]) == (202, factor)
        code = emulator.inbox.latest(to).code
        assert verify(asked, factor, code).status_code == 200
        assert verify(challenge(), factor, code).status_code == 401

    def test_the_first_factor_is_meant_where_none_is_named(self, emulator, challenge, send):
        """A user with one such factor needs no choice."""
        send(challenge())
        assert emulator.inbox[-1].to == EMAIL

    def test_only_the_newest_code_is_good(self, emulator, challenge, verify, send):
        """A second mail replaces the code of the first."""
        asked = challenge()
        for _ in range(2):
            send(asked)
        first, second = (mail.code for mail in emulator.inbox)
        if first != second:
            assert verify(asked, "email_otp", first).status_code == 401
        assert verify(asked, "email_otp", second).status_code == 200

    def test_a_code_lasts_five_minutes(self, caller, emulator, challenge, verify, send):
        """A late code is wrong, even for a new challenge."""
        send(challenge())
        emulator.advance("5m")
        late = verify(challenge(), "email_otp", emulator.inbox[-1].code)
        assert caller.code(late) == (401, "invalid_mfa_code")

    def test_an_ended_challenge_sends_nothing(self, caller, emulator, challenge, send):
        """A challenge that has expired or never existed is over."""
        asked = challenge()
        emulator.advance("5m")
        for over in (asked, {"challenge_id": "chl_unknown"}):
            assert caller.code(send(over)) == (401, "mfa_challenge_expired")
        assert list(emulator.inbox) == []


class TestEnrolment:
    def test_an_authenticator_app(self, caller, emulator, factors, challenge, verify):
        """The secret makes the codes that confirm the app and, in a later step, sign in."""
        begun = factors("POST", json={"type": "totp", "name": "My phone"})
        assert begun.status_code == 201
        assert caller.sign_in(EMAIL, PASSWORD)["id"]
        factor_id = begun.json()["factor_id"]
        code = emulator.mfa_code(EMAIL)
        confirmed = factors("POST", f"/factors/{factor_id}/confirm", json={"code": code})
        assert (confirmed.status_code, confirmed.json()["status"]) == (200, "active")
        asked = challenge()
        assert verify(asked, "totp", code).status_code == 401
        emulator.advance("30s")
        assert verify(asked, "totp", emulator.mfa_code(EMAIL)).status_code == 200

    def test_the_uri_names_account_and_issuer(self, factors):
        """An authenticator app can read everything that it needs."""
        totp = factors("POST", json={"type": "totp"}).json()["totp"]
        uri = urlsplit(totp["uri"])
        assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/HelloJohn:ada%40example.com")
        assert parse_qs(uri.query) == {"secret": [totp["secret"]], "issuer": ["HelloJohn"]}

    @pytest.mark.parametrize("drift", ["-30s", "30s"])
    def test_a_clock_may_be_off_by_one_step(self, clock, emulator, factors, drift):
        """A telephone's clock is rarely exact; two steps are too many."""
        factor_id = factors("POST", json={"type": "totp"}).json()["factor_id"]
        seconds = float(drift.rstrip("s"))
        for steps, expected in ((2, 401), (1, 200)):
            clock.advance(seconds=steps * seconds)
            code = emulator.mfa_code(EMAIL)
            clock.advance(seconds=-steps * seconds)
            answer = factors("POST", f"/factors/{factor_id}/confirm", json={"code": code})
            assert answer.status_code == expected

    @pytest.mark.parametrize(
        ("enrolment", "shown", "to"),
        [
            ({"type": "email_otp"}, ("email", "a***@example.com"), EMAIL),
            ({"type": "sms", "phone_number": "+14155552671"}, ("phone_number", "***2671"), "+14155552671"),
        ],
        ids=["email_otp", "sms"],
    )
    def test_a_factor_whose_codes_are_sent(self, emulator, factors, enrolment, shown, to):
        """Enrolment sends a first code and shows where, masked."""
        begun = factors("POST", json=enrolment).json()
        assert begun[shown[0]] == shown[1]
        code = emulator.inbox.latest(to).code
        confirmed = factors("POST", f"/factors/{begun['factor_id']}/confirm", json={"code": code})
        assert confirmed.json()["status"] == "active"

    def test_a_new_app_replaces_the_old_one_when_confirmed(self, emulator, factors, challenge):
        """Until its first code the old app keeps working."""
        for _ in range(2):
            begun = factors("POST", json={"type": "totp"}).json()
            code = emulator.mfa_code(EMAIL)
            factors("POST", f"/factors/{begun['factor_id']}/confirm", json={"code": code})
        listed = factors("GET").json()
        assert [factor["id"] for factor in listed["data"]] == [begun["factor_id"]]
        assert challenge()["available_factors"] == ["totp"]

    def test_removing_one_of_two_leaves_the_other(self, emulator, factors, challenge):
        """The recovery codes stay as long as a factor does."""
        begun = [factors("POST", json={"type": kind}).json() for kind in ("totp", "email_otp")]
        codes = (emulator.mfa_code(EMAIL), emulator.inbox[-1].code)
        for factor, code in zip(begun, codes, strict=True):
            factors("POST", f"/factors/{factor['factor_id']}/confirm", json={"code": code})
        factors("POST", "/backup-codes/generate")
        factors("DELETE", f"/factors/{begun[0]['factor_id']}")
        assert challenge()["available_factors"] == ["email_otp", "backup_codes"]

    def test_removing_the_last_factor_ends_the_challenges(self, caller, emulator, factors):
        """The user signs in with the password alone again."""
        begun = factors("POST", json={"type": "totp"}).json()
        path = f"/factors/{begun['factor_id']}"
        factors("POST", f"{path}/confirm", json={"code": emulator.mfa_code(EMAIL)})
        assert factors("DELETE", path).status_code == 204
        assert caller.sign_in(EMAIL, PASSWORD)["id"]
        assert caller.code(factors("DELETE", path)) == (404, "not_found")

    def test_the_list_shows_no_secret(self, factors):
        """A factor is shown with its name, status and dates."""
        factors("POST", json={"type": "totp", "name": "My phone"})
        listed = factors("GET").json()
        assert listed["total"] == 1
        assert set(listed["data"][0]) == {"id", "user_id", "type", "name", "status", "created_at"}
        assert listed["data"][0]["status"] == "pending"

    @pytest.mark.parametrize(
        "body", [{}, {"type": "carrier_pigeon"}, {"type": "sms"}, {"type": "totp", "color": "red"}]
    )
    def test_a_malformed_enrolment_is_named(self, caller, factors, body):
        """An unknown kind, a missing number and an unknown field are refused."""
        assert caller.code(factors("POST", json=body)) == (422, "validation_failed")
        assert factors("GET").json()["total"] == 0

    def test_a_wrong_first_code_changes_nothing(self, caller, factors):
        """The factor stays pending."""
        begun = factors("POST", json={"type": "totp"}).json()
        wrong = factors("POST", f"/factors/{begun['factor_id']}/confirm", json={"code": "abcdef"})
        assert caller.code(wrong) == (401, "invalid_mfa_code")
        assert factors("GET").json()["data"][0]["status"] == "pending"

    def test_it_needs_the_secret_key_and_a_user(self, caller, emulator):
        """The end user's own path is not published."""
        token = caller.sign_in()["access_token"]
        mine = caller.call("GET", "/v1/users/usr_1/mfa/factors", bearer=token)
        assert caller.code(mine) == (403, "insufficient_permissions")
        missing = caller.secret("GET", "/v1/users/usr_unknown/mfa/factors")
        assert caller.code(missing) == (404, "not_found")


class TestRecoveryCodes:
    @pytest.fixture
    def codes(self, caller, emulator):
        """Make new recovery codes for Ada, who has an authenticator app."""
        user_id = emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")

        def make():
            path = f"/v1/users/{user_id}/mfa/backup-codes/generate"
            return caller.secret("POST", path).json()["codes"]

        return make

    def test_each_is_good_once(self, codes, challenge, verify):
        """A recovery code stands for the app, and is used up."""
        code = codes()[0]
        assert challenge()["available_factors"] == ["totp", "backup_codes"]
        assert verify(challenge(), "backup_codes", code).status_code == 200
        assert verify(challenge(), "backup_codes", code).status_code == 401

    def test_new_ones_replace_the_old_ones(self, codes, challenge, verify):
        """Eight codes are good at a time."""
        old, new = codes(), codes()
        assert len(set(old) | set(new)) == 16
        assert verify(challenge(), "backup_codes", old[0]).status_code == 401
        assert verify(challenge(), "backup_codes", new[0]).status_code == 200

    def test_without_any_left_they_are_not_offered(self, codes, challenge, verify):
        """A challenge lists the factors that can answer it."""
        for code in codes():
            verify(challenge(), "backup_codes", code)
        assert challenge()["available_factors"] == ["totp"]


class TestRememberedDevice:
    @pytest.fixture
    def device_token(self, emulator, challenge, verify):
        """Ada has signed in with her second factor on this device, and had it remembered."""
        emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")
        return verify(challenge(), "totp", "123456", remember_device=True).json()["device_token"]

    def test_it_skips_the_second_factor(self, caller, device_token):
        """The password is enough on that device, more than once."""
        for _ in range(2):
            assert caller.sign_in(EMAIL, PASSWORD, device_token=device_token)["id"]

    def test_it_is_given_only_if_asked_for(self, emulator, challenge, verify):
        """Without the wish the answer has no such token."""
        emulator.add_user(EMAIL, PASSWORD, mfa_code="123456")
        assert "device_token" not in verify(challenge(), "totp", "123456").json()

    def test_it_lasts_thirty_days(self, emulator, device_token, challenge):
        """After that the second factor is due again."""
        emulator.advance("30d")
        challenge(device_token=device_token)

    def test_it_is_good_for_its_user_only(self, caller, emulator, device_token):
        """Another user's password does not go with it."""
        emulator.add_user("bob@example.com", PASSWORD, mfa_code="123456")
        answer = caller.try_sign_in("bob@example.com", PASSWORD, device_token=device_token)
        assert caller.code(answer) == (403, "mfa_required")

    def test_an_unknown_one_changes_nothing(self, caller, device_token, challenge):
        """A made-up token is not an error: the second factor is due."""
        challenge(device_token="dvc_made_up")
        wrong = caller.try_sign_in(EMAIL, "wrong", device_token=device_token)
        assert caller.code(wrong) == (401, "invalid_credentials")

    def test_signing_out_everywhere_forgets_it(self, caller, device_token, challenge):
        """Ending every session ends the trust in every device."""
        session = caller.sign_in(EMAIL, PASSWORD, device_token=device_token)
        body = {"refresh_token": session["refresh_token"], "everywhere": True}
        caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json=body)
        challenge(device_token=device_token)


def test_a_user_with_an_app_of_real_codes(emulator, challenge, verify):
    """A factor named ``totp`` makes codes from a secret and the clock."""
    emulator.add_user(EMAIL, PASSWORD, factors=["totp"])
    first = emulator.mfa_code(EMAIL)
    emulator.advance("1h")
    assert verify(challenge(), "totp", first).status_code == 401
    assert verify(challenge(), "totp", emulator.mfa_code(EMAIL)).status_code == 200


def test_a_mistake_is_named(caller, emulator):
    """An unknown factor adds no user, and a user without an app shows no code."""
    with pytest.raises(ConfigurationError, match="totp, email_otp, sms"):
        emulator.add_user(EMAIL, PASSWORD, factors=["carrier_pigeon"])
    assert caller.code(caller.try_sign_in(EMAIL, PASSWORD)) == (401, "invalid_credentials")
    emulator.add_user(EMAIL, PASSWORD)
    with pytest.raises(ConfigurationError, match="authenticator"):
        emulator.mfa_code(EMAIL)

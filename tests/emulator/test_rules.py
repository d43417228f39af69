"""The session rules, case by case, with the clock in hand."""

import threading

import pytest

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.records import AccountState, NewUser, SessionStatus
from hellojohn.emulator.v1.problems import V1Problem as ApiProblem

EMAIL = "ada@example.com"
DAY = 86_400.0


class TestSigningIn:
    def test_the_tenants_duration_is_the_default(self, desk):
        """A sign-in without a duration lasts as long as the tenant's setting."""
        session = desk.sign_in().session
        assert session.expires_at - session.created_at == 30 * DAY

    def test_a_shorter_duration_is_granted(self, desk):
        """A sign-in can ask for less than the tenant allows."""
        session = desk.sign_in("8h").session
        assert session.expires_at - session.created_at == DAY / 3

    def test_a_longer_duration_is_capped(self, desk):
        """A sign-in cannot ask for more than the tenant allows."""
        session = desk.sign_in("1y").session
        assert session.expires_at - session.created_at == 30 * DAY

    @pytest.mark.parametrize(
        ("email", "password"), [("nobody@example.com", "correct horse"), (EMAIL, "wrong")]
    )
    def test_wrong_credentials_look_alike(self, desk, refused, email, password):
        """An unknown email and a wrong password get the same refusal."""
        code = refused(desk.rules.sign_in, email, Secret(password), duration=None, device=None)
        assert code == "invalid_credentials"

    def test_the_email_can_be_in_any_case(self, desk):
        """Ada can write her address in capitals."""
        assert desk.sign_in(email="ADA@Example.COM").user.email == EMAIL

    def test_a_locked_account_keeps_its_session(self, desk, refused):
        """Locking stops new sign-ins only."""
        grant = desk.sign_in()
        desk.rules.set_state(EMAIL, AccountState.LOCKED)
        assert refused(desk.sign_in) == "account_locked"
        assert desk.rules.refresh(grant.refresh_token).session.id == grant.session.id

    def test_a_disabled_account_loses_its_sessions(self, desk, refused):
        """Disabling ends every session. The account can sign in again once it is enabled."""
        grant = desk.sign_in()
        desk.rules.set_state(EMAIL, AccountState.DISABLED)
        assert refused(desk.sign_in) == "account_disabled"
        assert refused(desk.rules.refresh, grant.refresh_token) == "account_disabled"
        desk.rules.set_state(EMAIL, AccountState.ACTIVE)
        assert refused(desk.rules.refresh, grant.refresh_token) == "session_revoked"
        assert desk.sign_in().session.status is SessionStatus.ACTIVE

    def test_an_unknown_user_cannot_be_locked(self, desk, refused):
        """A misspelt address is refused."""
        assert refused(desk.rules.set_state, "nobody@example.com", AccountState.LOCKED) == "not_found"


class TestSigningUp:
    def test_it_signs_in_as_well(self, desk):
        """A new user has a session at once, with the duration asked for."""
        grant = desk.sign_up("bob@example.com", duration="1d")
        assert grant.session.expires_at - grant.session.created_at == DAY
        assert desk.rules.user(grant.user.id) == grant.user

    def test_a_taken_email_is_refused_in_any_case(self, desk, refused):
        """One address, in any case, is one account."""
        assert refused(desk.sign_up, "ADA@example.com") == "email_already_exists"

    def test_a_short_password_is_refused(self, desk, refused):
        """A password needs eight characters."""
        assert refused(desk.sign_up, "bob@example.com", "1234567") == "password_too_weak"
        assert desk.sign_up("bob@example.com", "12345678").user.email == "bob@example.com"

    @pytest.mark.parametrize(
        "email",
        ["", "bob", "bob@", "@example.com", "bob@example", "b b@example.com", "b@x..com", "b@" + "x" * 300],
    )
    def test_a_malformed_email_is_refused(self, desk, refused, email):
        """An address needs a name, an at sign and a domain with a dot."""
        assert refused(desk.sign_up, email) == "invalid_email"


class TestSecondFactor:
    @pytest.fixture
    def challenge(self, desk):
        """Bob has a second factor, and has signed in with his password."""
        desk.rules.add_user(
            NewUser(email="bob@example.com", password=Secret("correct horse"), mfa_code=Secret("123456"))
        )
        with pytest.raises(ApiProblem) as caught:
            desk.sign_in("8h", email="bob@example.com")
        assert caught.value.code == "mfa_required"
        return caught.value.details

    def test_the_right_code_finishes_the_sign_in(self, desk, challenge):
        """The session lasts as long as the first step asked for, and counts as verified."""
        assert challenge["available_factors"] == ["totp"]
        verified = desk.rules.answer_challenge(challenge["challenge_id"], "totp", Secret("123456"))
        grant = verified.grant
        assert grant.session.mfa_verified
        assert grant.session.expires_at - grant.session.created_at == DAY / 3

    @pytest.mark.parametrize(("factor", "code"), [("totp", "000000"), ("sms", "123456")])
    def test_a_wrong_code_can_be_corrected(self, desk, refused, challenge, factor, code):
        """A wrong code or factor leaves the challenge open."""
        answer = desk.rules.answer_challenge
        assert refused(answer, challenge["challenge_id"], factor, Secret(code)) == "invalid_mfa_code"
        assert answer(challenge["challenge_id"], "totp", Secret("123456")).grant.session.mfa_verified

    def test_it_can_be_answered_once(self, desk, refused, challenge):
        """An answered challenge is over."""
        answer = desk.rules.answer_challenge
        answer(challenge["challenge_id"], "totp", Secret("123456"))
        code = refused(answer, challenge["challenge_id"], "totp", Secret("123456"))
        assert code == "mfa_challenge_expired"

    def test_it_lasts_five_minutes(self, desk, refused, challenge, clock):
        """A late answer needs a new sign-in."""
        clock.advance(minutes=5)
        code = refused(desk.rules.answer_challenge, challenge["challenge_id"], "totp", Secret("123456"))
        assert code == "mfa_challenge_expired"

    def test_an_account_disabled_meanwhile_stays_out(self, desk, refused, challenge):
        """A disabled account cannot finish a sign-in that began before."""
        desk.rules.set_state("bob@example.com", AccountState.DISABLED)
        code = refused(desk.rules.answer_challenge, challenge["challenge_id"], "totp", Secret("123456"))
        assert code == "account_disabled"


class TestRefreshing:
    def test_it_rotates_the_token_and_counts(self, desk, clock):
        """A refresh gives a new token and moves the session's last activity, not its end."""
        first = desk.sign_in()
        clock.advance(days=1)
        second = desk.rules.refresh(first.refresh_token)
        assert second.refresh_token != first.refresh_token
        assert second.session.last_active_at == first.session.last_active_at + DAY
        assert second.session.expires_at == first.session.expires_at
        assert (desk.rules.rotations, desk.rules.reuses) == (1, 0)

    def test_an_unknown_token_is_invalid(self, desk, refused):
        """A made-up token does not count as reuse."""
        grant = desk.sign_in()
        assert refused(desk.rules.refresh, Secret("rt_made_up")) == "refresh_token_invalid"
        assert desk.status(grant) == "active"
        assert desk.rules.reuses == 0

    def test_a_rotated_token_revokes_the_whole_session(self, desk, refused):
        """Reuse revokes the session for the thief and the owner. Other sessions go on."""
        first, other = desk.sign_in(), desk.sign_in()
        second = desk.rules.refresh(first.refresh_token)
        assert refused(desk.rules.refresh, first.refresh_token) == "refresh_token_reused"
        assert refused(desk.rules.refresh, second.refresh_token) == "session_revoked"
        assert refused(desk.rules.refresh, first.refresh_token) == "refresh_token_reused"
        assert desk.status(other) == "active"
        assert (desk.rules.rotations, desk.rules.reuses) == (1, 2)

    def test_a_session_past_its_duration_is_over(self, desk, refused, clock):
        """A refresh works one second before the end, and not at the end."""
        grant = desk.sign_in("1d")
        clock.advance(seconds=DAY - 1)
        grant = desk.rules.refresh(grant.refresh_token)
        clock.advance(seconds=1)
        assert refused(desk.rules.refresh, grant.refresh_token) == "session_expired"
        assert desk.status(grant) == "expired"

    def test_reuse_after_the_end_is_expired(self, desk, refused, clock):
        """A rotated token of a session past its duration is expired, and still counted as reuse."""
        first = desk.sign_in("1d")
        desk.rules.refresh(first.refresh_token)
        clock.advance(days=1)
        assert refused(desk.rules.refresh, first.refresh_token) == "refresh_token_expired"
        assert desk.status(first) == "expired"
        assert desk.rules.reuses == 1

    def test_a_session_idle_too_long_is_over(self, desk, refused, clock):
        """Idle time counts from the last refresh or sign-in. Exactly the timeout is still good."""
        desk.rules.configure({"idle_timeout": "1h"})
        grant = desk.sign_in()
        for _ in range(3):
            clock.advance(hours=1)
            grant = desk.rules.refresh(grant.refresh_token)
        clock.advance(hours=1, seconds=1)
        assert refused(desk.rules.refresh, grant.refresh_token) == "session_expired"

    def test_looking_at_a_session_is_not_activity(self, desk, clock):
        """Only a refresh counts as activity."""
        desk.rules.configure({"idle_timeout": "1h"})
        grant = desk.sign_in()
        clock.advance(minutes=59)
        assert desk.status(grant) == "active"
        clock.advance(minutes=2)
        assert desk.status(grant) == "expired"


class TestGrace:
    def test_a_token_just_rotated_works_once_more(self, open_desk, refused, clock):
        """Within the grace window the old token works, and the token of the lost answer is rotated."""
        desk = open_desk(reuse_grace="10s")
        first = desk.sign_in()
        lost = desk.rules.refresh(first.refresh_token)
        clock.advance(seconds=10)
        found = desk.rules.refresh(first.refresh_token)
        assert (desk.rules.rotations, desk.rules.reuses) == (2, 0)
        clock.advance(seconds=11)
        assert desk.rules.refresh(found.refresh_token).session.id == first.session.id
        assert refused(desk.rules.refresh, lost.refresh_token) == "refresh_token_reused"

    def test_the_window_starts_at_the_rotation(self, open_desk, refused, clock):
        """Presenting a rotated token again does not lengthen its window."""
        desk = open_desk(reuse_grace="10s")
        first = desk.sign_in()
        for _ in range(2):
            desk.rules.refresh(first.refresh_token)
            clock.advance(seconds=6)
        assert refused(desk.rules.refresh, first.refresh_token) == "refresh_token_reused"

    def test_it_does_not_revive_a_session(self, open_desk, refused):
        """A revoked session refuses its token within the window as well."""
        desk = open_desk(reuse_grace="10s")
        first = desk.sign_in()
        desk.rules.refresh(first.refresh_token)
        desk.rules.revoke(first.session.id)
        assert refused(desk.rules.refresh, first.refresh_token) == "session_revoked"

    def test_it_is_a_duration(self, open_desk):
        """A malformed window is refused with its name."""
        with pytest.raises(ConfigurationError, match="reuse_grace"):
            open_desk(reuse_grace="soon")


class TestEnding:
    def test_revoking_refuses_the_next_refresh(self, desk, refused):
        """A revoked session is over at once."""
        grant = desk.sign_in()
        desk.rules.revoke(grant.session.id)
        assert refused(desk.rules.refresh, grant.refresh_token) == "session_revoked"

    def test_an_unknown_session_cannot_be_revoked(self, desk, refused):
        """A misspelt id is refused."""
        assert refused(desk.rules.revoke, "ses_unknown") == "not_found"

    def test_an_expired_session_stays_expired(self, desk, refused, clock):
        """Revoking an expired session does not change its status."""
        grant = desk.sign_in("1h")
        clock.advance(hours=1)
        desk.rules.revoke(grant.session.id)
        assert desk.status(grant) == "expired"

    def test_signing_out_ends_one_session(self, desk, refused):
        """The user's other sessions go on."""
        here, there = desk.sign_in(), desk.sign_in()
        desk.rules.sign_out(here.refresh_token, session_id=here.session.id, everywhere=False)
        assert (desk.status(here), desk.status(there)) == ("revoked", "active")

    def test_signing_out_everywhere_ends_all_of_them(self, desk):
        """Every session of the user ends, and another user's goes on."""
        here, there, other = desk.sign_in(), desk.sign_in(), desk.sign_up("bob@example.com")
        desk.rules.sign_out(here.refresh_token, session_id=here.session.id, everywhere=True)
        assert [desk.status(grant) for grant in (here, there, other)] == ["revoked", "revoked", "active"]

    def test_a_rotated_token_can_sign_out(self, desk):
        """A sign-out with a rotated token, or a second one, does not count as reuse."""
        first = desk.sign_in()
        second = desk.rules.refresh(first.refresh_token)
        for token in (first.refresh_token, second.refresh_token):
            desk.rules.sign_out(token, session_id=first.session.id, everywhere=False)
        assert desk.status(first) == "revoked"
        assert desk.rules.reuses == 0

    def test_signing_out_needs_a_token_of_the_session(self, desk, refused):
        """A made-up token and another session's token are refused."""
        here, there = desk.sign_in(), desk.sign_in()
        for token in (Secret("rt_made_up"), there.refresh_token):
            code = refused(desk.rules.sign_out, token, session_id=here.session.id, everywhere=True)
            assert code == "refresh_token_invalid"
        assert (desk.status(here), desk.status(there)) == ("active", "active")


class TestCap:
    def test_over_the_cap_the_least_active_session_ends(self, desk, clock):
        """The oldest session survives if it was used last."""
        desk.rules.configure({"max_sessions_per_user": 2})
        oldest = desk.sign_in()
        clock.advance(hours=1)
        middle = desk.sign_in()
        clock.advance(hours=1)
        desk.rules.refresh(oldest.refresh_token)
        newest = desk.sign_in()
        statuses = [desk.status(grant) for grant in (oldest, middle, newest)]
        assert statuses == ["active", "revoked", "active"]

    def test_sessions_that_are_over_do_not_count(self, desk, clock):
        """An expired session does not count towards the cap."""
        desk.rules.configure({"max_sessions_per_user": 2})
        short, long = desk.sign_in("1h"), desk.sign_in()
        clock.advance(hours=1)
        newest = desk.sign_in()
        statuses = [desk.status(grant) for grant in (short, long, newest)]
        assert statuses == ["expired", "active", "active"]

    def test_a_lower_cap_is_met_at_the_next_sign_in(self, desk):
        """The next sign-in revokes as many as needed, the oldest first. Other users' sessions stay."""
        grants = [desk.sign_in() for _ in range(4)]
        other = desk.sign_up("bob@example.com")
        desk.rules.configure({"max_sessions_per_user": 2})
        assert [desk.status(grant) for grant in grants] == ["active"] * 4
        newest = desk.sign_in()
        statuses = [desk.status(grant) for grant in (*grants, newest, other)]
        assert statuses == ["revoked"] * 3 + ["active"] * 3

    def test_a_cap_of_one_keeps_the_newest(self, desk):
        """A new sign-in never revokes itself."""
        desk.rules.configure({"max_sessions_per_user": 1})
        first, second = desk.sign_in(), desk.sign_in()
        assert (desk.status(first), desk.status(second)) == ("revoked", "active")


class TestPolicyChanges:
    def test_a_new_duration_counts_for_new_sessions(self, desk):
        """A session's end is set when it begins."""
        before = desk.sign_in()
        desk.rules.configure({"session_duration": "1d"})
        assert desk.rules.session(before.session.id).expires_at == before.session.expires_at
        after = desk.sign_in().session
        assert after.expires_at - after.created_at == DAY

    def test_an_idle_session_stays_over(self, desk, clock, refused):
        """Removing the idle timeout later does not bring a session back."""
        desk.rules.configure({"idle_timeout": "1h"})
        grant = desk.sign_in()
        clock.advance(hours=2)
        desk.rules.configure({"idle_timeout": None})
        assert refused(desk.rules.refresh, grant.refresh_token) == "session_expired"

    def test_a_new_idle_timeout_counts_at_once(self, desk, clock):
        """A session that was idle longer than the new timeout is over."""
        grant = desk.sign_in()
        clock.advance(hours=2)
        desk.rules.configure({"idle_timeout": "1h"})
        assert desk.status(grant) == "expired"

    @pytest.mark.parametrize(
        "settings",
        [
            {"session_duration": None},
            {"session_duration": "30 days"},
            {"access_token_ttl": 900},
            {"idle_timeout": "0s"},
            {"max_sessions_per_user": 0},
            {"max_sessions_per_user": True},
            {"max_sessions_per_user": "5"},
            {"remember_me": "30d"},
        ],
    )
    def test_a_wrong_setting_changes_nothing(self, desk, settings):
        """A good setting beside a wrong one is not applied."""
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            desk.rules.configure({"idle_timeout": "1h", **settings})
        assert desk.rules.policy.idle_timeout is None


class TestListing:
    def test_sessions_are_filtered_newest_first(self, desk):
        """Sessions are found by user and by status, the newest first."""
        first, second = desk.sign_in(), desk.sign_in()
        other = desk.sign_up("bob@example.com")
        desk.rules.revoke(first.session.id)
        ids = [session.id for session in desk.rules.sessions()]
        assert ids == [other.session.id, second.session.id, first.session.id]
        found = desk.rules.sessions(user_id=second.user.id, status=SessionStatus.ACTIVE)
        assert [session.id for session in found] == [second.session.id]

    def test_an_unknown_user_is_refused(self, desk, refused):
        """A user id that was never given out is refused."""
        assert refused(desk.rules.user, "usr_unknown") == "not_found"


def test_one_of_many_threads_gets_the_rotation(desk):
    """Of 16 threads with one token exactly one succeeds."""
    grant = desk.sign_in()
    start = threading.Barrier(16)
    codes: list[str] = []

    def present() -> None:
        start.wait(10)
        try:
            desk.rules.refresh(grant.refresh_token)
            codes.append("done")
        except ApiProblem as refusal:
            codes.append(refusal.code)

    threads = [threading.Thread(target=present) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(codes) == ["done"] + ["refresh_token_reused"] * 15
    assert (desk.rules.rotations, desk.rules.reuses) == (1, 15)


def test_no_representation_shows_a_secret(desk):
    """Grants, users, sessions and problems show neither a password nor a token."""
    grant = desk.sign_in()
    shown = f"{grant!r} {grant.user!r} {grant.session!r} {vars(ApiProblem('refresh_token_reused'))!r}"
    assert "correct horse" not in shown
    assert grant.refresh_token.reveal() not in shown
    assert repr(grant.session.token) not in shown

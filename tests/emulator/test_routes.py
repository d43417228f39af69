"""The documented calls over a real socket, with plain httpx."""

import hashlib
from datetime import datetime

import httpx
import jwt
import pytest

from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator
from hellojohn.emulator.v1.policy import seconds

START = 1_700_000_000.0


def moment(text):
    """Read a timestamp as seconds since the epoch."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text).timestamp()


def claims(token):
    """Read a token's claims without a check."""
    return jwt.decode(token, options={"verify_signature": False})


class TestSigningIn:
    def test_the_nested_shape(self, caller):
        """Sign-in answers with the user, the session and both expiries."""
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD, "session_options": {"duration": "8h"}}
        answer = caller.public("/v1/auth/sign-in", body)
        assert answer.status_code == 200
        assert set(answer.json()) == {"user", "session"}
        session = answer.json()["session"]
        assert set(session) == {
            "id",
            "access_token",
            "refresh_token",
            "access_token_expires_at",
            "refresh_token_expires_at",
        }
        assert moment(session["access_token_expires_at"]) == START + 3600
        assert moment(session["refresh_token_expires_at"]) == START + 8 * 3600
        assert answer.json()["user"]["email"] == DEMO_EMAIL

    def test_the_flat_shape(self, clock):
        """The other documented shape can be chosen."""
        with Emulator(clock=clock, answers="flat") as emulator:
            answer = httpx.post(
                f"{emulator.url}/v1/auth/sign-in",
                headers={
                    "X-Tenant-ID": emulator.tenant_id,
                    "Authorization": f"Bearer {emulator.publishable_key}",
                },
                json={"email": DEMO_EMAIL, "password": DEMO_PASSWORD},
                trust_env=False,
            )
        assert set(answer.json()) == {"access_token", "refresh_token", "expires_in", "session_id"}
        assert answer.json()["expires_in"] == 3600

    def test_a_longer_session_than_allowed_is_capped(self, caller):
        """The answer's expiry shows the tenant's duration, not the one asked for."""
        session = caller.sign_in(session_options={"duration": "1y"})
        assert moment(session["refresh_token_expires_at"]) == START + 30 * 86_400

    def test_wrong_credentials(self, caller):
        """A wrong password is a 401 with its code."""
        answer = caller.public("/v1/auth/sign-in", {"email": DEMO_EMAIL, "password": "wrong"})
        assert caller.code(answer) == (401, "invalid_credentials")

    def test_an_unknown_field_is_refused(self, caller):
        """The JavaScript spelling would silently give the longest session, so it is refused by name."""
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD, "sessionOptions": {"duration": "8h"}}
        answer = caller.public("/v1/auth/sign-in", body)
        assert caller.code(answer) == (422, "validation_failed")
        assert "sessionOptions" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("options", ["30d", {"duration": "a month"}, {"duration": 30}, {"length": "30d"}])
    def test_malformed_session_options_are_refused(self, caller, options):
        """A duration is text such as 30d, in an object with nothing else."""
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD, "session_options": options}
        assert caller.code(caller.public("/v1/auth/sign-in", body)) == (422, "validation_failed")

    def test_locked_and_disabled_accounts(self, caller, emulator):
        """Each state of an account has its code, until the account is enabled again."""
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        emulator.lock_user(DEMO_EMAIL)
        assert caller.code(caller.public("/v1/auth/sign-in", body)) == (403, "account_locked")
        emulator.disable_user(DEMO_EMAIL)
        assert caller.code(caller.public("/v1/auth/sign-in", body)) == (403, "account_disabled")
        emulator.enable_user(DEMO_EMAIL)
        assert caller.sign_in()["id"]


class TestSigningUp:
    def test_a_new_user_is_signed_in(self, caller):
        """Sign-up answers 201 in the shape of sign-in, and keeps the user's data."""
        told = {"name": "Ada", "username": "ada", "metadata": {"plan": ["pro", None]}}
        body = {"email": "ada@example.com", "password": "12345678", **told}
        answer = caller.public("/v1/auth/sign-up", body)
        assert answer.status_code == 201
        token = answer.json()["session"]["access_token"]
        me = caller.call("GET", "/v1/auth/me", bearer=token).json()
        assert me == answer.json()["user"]
        assert {name: me[name] for name in told} == told

    @pytest.mark.parametrize(
        ("email", "password", "expected"),
        [
            (DEMO_EMAIL, "12345678", (409, "email_already_exists")),
            ("ada@example.com", "1234567", (422, "password_too_weak")),
            ("ada", "12345678", (422, "invalid_email")),
        ],
    )
    def test_sign_ups_that_are_refused(self, caller, email, password, expected):
        """A taken address, a weak password and a malformed address have their codes."""
        answer = caller.public("/v1/auth/sign-up", {"email": email, "password": password})
        assert caller.code(answer) == expected


class TestSecondFactor:
    def test_the_challenge_is_answered(self, caller, emulator):
        """Sign-in answers with a challenge and its factors. The right code gets a sign-in's answer."""
        emulator.add_user("ada@example.com", "correct horse", mfa_code="123456")
        body = {"email": "ada@example.com", "password": "correct horse"}
        answer = caller.public("/v1/auth/sign-in", body)
        assert caller.code(answer) == (403, "mfa_required")
        error = answer.json()["error"]
        body = {"challenge_id": error["challenge_id"], "factor_id": error["available_factors"][0]}
        wrong = caller.call("POST", "/v1/mfa/verify", json={**body, "code": "000000"})
        assert caller.code(wrong) == (401, "invalid_mfa_code")
        right = caller.call("POST", "/v1/mfa/verify", json={**body, "code": "123456"})
        assert claims(right.json()["session"]["access_token"])["mfa_verified"] is True

    def test_a_missing_field_is_named(self, caller):
        """All three fields are needed."""
        answer = caller.call("POST", "/v1/mfa/verify", json={"challenge_id": "chl_1", "code": "1"})
        assert caller.code(answer) == (422, "validation_failed")
        assert "factor_id" in answer.json()["error"]["message"]


class TestRefreshing:
    def test_it_rotates(self, caller, emulator):
        """A refresh gives two new tokens and the access token's life."""
        session = caller.sign_in()
        answer = caller.refresh(session["refresh_token"])
        assert answer.status_code == 200
        assert set(answer.json()) == {"access_token", "refresh_token", "expires_in"}
        assert answer.json()["expires_in"] == 3600
        assert answer.json()["refresh_token"] != session["refresh_token"]
        assert answer.json()["access_token"] != session["access_token"]
        assert emulator.rotations == 1

    def test_reuse_revokes_the_session(self, caller, emulator):
        """A rotated token revokes the session, and a made-up one does not."""
        old = caller.sign_in()["refresh_token"]
        new = caller.refresh(old).json()["refresh_token"]
        assert caller.code(caller.refresh("rt_made_up")) == (401, "refresh_token_invalid")
        assert caller.code(caller.refresh(old)) == (401, "refresh_token_reused")
        assert caller.code(caller.refresh(new)) == (401, "session_revoked")
        assert emulator.reuses == 1

    def test_the_clock_ends_the_session(self, caller, emulator):
        """Past the duration the session is over, and its rotated token is expired."""
        old = caller.sign_in()["refresh_token"]
        new = caller.refresh(old).json()["refresh_token"]
        emulator.advance("31d")
        assert caller.code(caller.refresh(new)) == (401, "session_expired")
        assert caller.code(caller.refresh(old)) == (401, "refresh_token_expired")

    def test_the_access_tokens_life_follows_the_settings(self, caller, emulator):
        """A changed life counts from the next refresh on."""
        token = caller.sign_in()["refresh_token"]
        emulator.configure(access_token_ttl="15m")
        answer = caller.refresh(token).json()
        assert answer["expires_in"] == 900
        assert claims(answer["access_token"])["exp"] == START + 900


class TestSigningOut:
    def test_this_session(self, caller):
        """Sign-out ends the session, and only this one."""
        here, there = caller.sign_in(), caller.sign_in()
        body = {"refresh_token": here["refresh_token"]}
        answer = caller.call("POST", "/v1/auth/sign-out", bearer=here["access_token"], json=body)
        assert (answer.status_code, answer.content) == (204, b"")
        assert caller.code(caller.refresh(here["refresh_token"])) == (401, "session_revoked")
        assert caller.refresh(there["refresh_token"]).status_code == 200

    def test_everywhere(self, caller):
        """All sessions of the user end."""
        here, there = caller.sign_in(), caller.sign_in()
        body = {"refresh_token": here["refresh_token"], "everywhere": True}
        caller.call("POST", "/v1/auth/sign-out", bearer=here["access_token"], json=body)
        assert caller.code(caller.refresh(there["refresh_token"])) == (401, "session_revoked")

    def test_an_expired_access_token_is_enough(self, caller, emulator):
        """A client can sign out without a refresh."""
        session = caller.sign_in()
        emulator.advance("2h")
        body = {"refresh_token": session["refresh_token"]}
        answer = caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json=body)
        assert answer.status_code == 204

    def test_it_needs_both_tokens(self, caller):
        """Neither token alone ends a session."""
        session = caller.sign_in()
        bodies = {"refresh_token": session["refresh_token"]}
        missing = caller.call("POST", "/v1/auth/sign-out", json=bodies)
        assert caller.code(missing) == (401, "missing_token")
        wrong = caller.call("POST", "/v1/auth/sign-out", bearer="made.up.token", json=bodies)
        assert caller.code(wrong) == (401, "invalid_token")
        empty = caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json={})
        assert caller.code(empty) == (422, "validation_failed")
        odd = {**bodies, "everywhere": "yes"}
        answer = caller.call("POST", "/v1/auth/sign-out", bearer=session["access_token"], json=odd)
        assert caller.code(answer) == (422, "validation_failed")


class TestAccessTokens:
    def test_the_claims(self, caller, emulator):
        """Tokens carry the documented claims, and the published key verifies them."""
        session = caller.sign_in()
        token = session["access_token"]
        answer = caller.call("GET", "/.well-known/jwks.json")
        assert answer.headers["cache-control"] == "public, max-age=3600"
        keys = {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}
        header = jwt.get_unverified_header(token)
        assert header["alg"] == "EdDSA"
        read = jwt.decode(
            token,
            keys[header["kid"]],
            algorithms=["EdDSA"],
            audience=emulator.tenant_id,
            issuer=emulator.url,
            options={"verify_exp": False},
        )
        assert read["session_id"] == session["id"]
        assert read["tenant_id"] == emulator.tenant_id
        assert read["email"] == DEMO_EMAIL
        assert read["mfa_verified"] is False
        assert (read["iat"], read["exp"]) == (START, START + 3600)

    def test_who_am_i(self, caller, emulator):
        """A good token gets the user. A missing, made-up or expired one gets a 401."""
        token = caller.sign_in()["access_token"]
        assert caller.call("GET", "/v1/auth/me", bearer=token).json()["email"] == DEMO_EMAIL
        missing = caller.call("GET", "/v1/auth/me")
        assert caller.code(missing) == (401, "missing_token")
        assert missing.headers["www-authenticate"] == "Bearer"
        assert caller.code(caller.call("GET", "/v1/auth/me", bearer="made.up")) == (401, "invalid_token")
        emulator.advance("1h")
        expired = caller.call("GET", "/v1/auth/me", bearer=token)
        assert caller.code(expired) == (401, "token_expired")
        assert expired.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    def test_another_emulators_token_is_refused(self, caller):
        """A token of another emulator in the same process is refused."""
        token = caller.sign_in()["access_token"]
        with Emulator() as other:
            answer = httpx.get(
                f"{other.url}/resource", headers={"Authorization": f"Bearer {token}"}, trust_env=False
            )
        assert caller.code(answer) == (401, "invalid_token")

    def test_only_the_remote_check_sees_a_revocation(self, caller, emulator):
        """The access token of a revoked session works everywhere but in the remote check."""
        session = caller.sign_in()
        token = session["access_token"]
        good = caller.secret("POST", "/v1/sessions/verify", json={"token": token}).json()
        assert good["valid"] is True
        assert good["session"]["id"] == good["claims"]["session_id"] == session["id"]
        emulator.revoke(session["id"])
        assert caller.call("GET", "/v1/auth/me", bearer=token).status_code == 200
        assert caller.call("GET", "/resource", bearer=token).status_code == 200
        bad = caller.secret("POST", "/v1/sessions/verify", json={"token": token})
        assert (bad.status_code, bad.json()) == (200, {"valid": False})

    @pytest.mark.parametrize("token", ["", "made.up", "x" * 5000])
    def test_the_remote_check_of_a_made_up_token(self, caller, token):
        """A made-up token is not valid, and an empty one is refused."""
        answer = caller.secret("POST", "/v1/sessions/verify", json={"token": token})
        assert answer.json() == {"valid": False} if token else answer.status_code == 422


class TestSessions:
    def test_one_session(self, caller):
        """A session is shown with its device and its times."""
        session_id = caller.sign_in()["id"]
        shown = caller.secret("GET", f"/v1/sessions/{session_id}").json()
        assert shown["status"] == "active"
        assert shown["user_agent"].startswith("python-httpx")
        assert shown["ip_address"] == "127.0.0.1"
        assert moment(shown["created_at"]) == moment(shown["last_active_at"]) == START
        assert moment(shown["expires_at"]) == START + 30 * 86_400

    def test_an_unknown_session(self, caller):
        """An unknown id is neither shown nor revoked."""
        for method in ("GET", "DELETE"):
            answer = caller.secret(method, "/v1/sessions/ses_unknown")
            assert caller.code(answer) == (404, "not_found")

    def test_revoking_one(self, caller):
        """The session's next refresh is refused, and revoking it again changes nothing."""
        session = caller.sign_in()
        for _ in range(2):
            assert caller.secret("DELETE", f"/v1/sessions/{session['id']}").status_code == 204
        assert caller.code(caller.refresh(session["refresh_token"])) == (401, "session_revoked")

    def test_revoking_all_of_a_user(self, caller, emulator):
        """The sessions of another user stay, and a request without a user is refused."""
        ada = emulator.add_user("ada@example.com", "correct horse")
        session = caller.sign_in("ada@example.com", "correct horse")
        other = caller.sign_in()
        assert caller.code(caller.secret("DELETE", "/v1/sessions")) == (422, "validation_failed")
        assert caller.secret("DELETE", f"/v1/sessions?user_id={ada}").status_code == 204
        assert caller.code(caller.refresh(session["refresh_token"])) == (401, "session_revoked")
        assert caller.refresh(other["refresh_token"]).status_code == 200

    def test_pages_hold_every_session_once(self, caller):
        """The cursor visits every session once, the newest first, even while new ones begin."""
        made = [caller.sign_in()["id"] for _ in range(5)]
        seen, query = [], "limit=2"
        for _ in range(3):
            page = caller.secret("GET", f"/v1/sessions?{query}").json()
            seen += [session["id"] for session in page["data"]]
            query = f"limit=2&cursor={page['pagination']['next_cursor']}"
            made_meanwhile = caller.sign_in()["id"]
        assert seen == made[::-1]
        assert page["pagination"] == {"total": 7, "limit": 2, "has_more": False, "next_cursor": None}
        assert made_meanwhile not in seen

    def test_a_thousand_sessions_take_ten_requests(self, caller, emulator):
        """A page has up to 100 sessions, and its size can be chosen."""
        for _ in range(1000):
            emulator.token()
        seen, query = [], "limit=100"
        for _ in range(10):
            page = caller.secret("GET", f"/v1/sessions?{query}").json()
            seen += [session["id"] for session in page["data"]]
            query = f"limit=100&cursor={page['pagination']['next_cursor']}"
        assert page["pagination"] == {"total": 1000, "limit": 100, "has_more": False, "next_cursor": None}
        assert seen == [session.id for session in reversed(emulator.sessions())]

    def test_filters(self, caller, emulator):
        """Sessions are listed by user and by status, 20 at a time."""
        ada = emulator.add_user("ada@example.com", "correct horse")
        revoked = caller.sign_in("ada@example.com", "correct horse")["id"]
        active = caller.sign_in("ada@example.com", "correct horse")["id"]
        caller.sign_in()
        emulator.revoke(revoked)
        found = caller.secret("GET", f"/v1/sessions?user_id={ada}&status=active").json()
        assert [session["id"] for session in found["data"]] == [active]
        assert found["pagination"]["limit"] == 20

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=101",
            "limit=ten",
            "limit=-1",
            "cursor=next",
            "cursor=cur_x",
            "cursor=1",
            "cursor=",
            "status=gone",
        ],
    )
    def test_malformed_queries_are_refused(self, caller, query):
        """The error names the query parameter."""
        answer = caller.secret("GET", f"/v1/sessions?{query}")
        assert caller.code(answer) == (422, "validation_failed")
        assert query.partition("=")[0] in answer.json()["error"]["message"]


class TestConfig:
    def test_all_four_settings(self, caller):
        """All four settings are shown as they were written, and null clears a limit."""
        assert caller.secret("GET", "/v1/admin/config").json() == {
            "session_duration": "30d",
            "access_token_ttl": "1h",
            "idle_timeout": None,
            "max_sessions_per_user": None,
        }
        settings = {
            "session_duration": "24h",
            "access_token_ttl": "15m",
            "idle_timeout": "1h",
            "max_sessions_per_user": 3,
        }
        assert caller.secret("PATCH", "/v1/admin/config", json=settings).json() == settings
        cleared = {"idle_timeout": None, "max_sessions_per_user": None}
        answer = caller.secret("PATCH", "/v1/admin/config", json=cleared)
        assert answer.json() == caller.secret("GET", "/v1/admin/config").json() == {**settings, **cleared}

    @pytest.mark.parametrize(
        "preset",
        [("30d", "1h", None, None), ("24h", "15m", "1h", 3), ("8h", "5m", "30m", 2)],
        ids=["standard", "high security", "compliance"],
    )
    def test_a_preset_changes_what_sessions_do(self, caller, emulator, preset):
        """Each documented preset sets the session's end, the token's life, the idle time and the cap."""
        duration, ttl, idle, cap = preset
        settings = {
            "session_duration": duration,
            "access_token_ttl": ttl,
            "idle_timeout": idle,
            "max_sessions_per_user": cap,
        }
        assert caller.secret("PATCH", "/v1/admin/config", json=settings).json() == settings
        sessions = [caller.sign_in() for _ in range(4)]
        active = [session for session in emulator.sessions() if session.status == "active"]
        assert len(active) == (cap or 4)
        assert active[0].expires_at - START == seconds(duration)
        assert caller.refresh(sessions[-1]["refresh_token"]).json()["expires_in"] == seconds(ttl)
        emulator.advance("61m")
        assert emulator.session(sessions[-1]["id"]).status == ("active" if idle is None else "expired")

    @pytest.mark.parametrize(
        "settings",
        [{"session_duration": None}, {"idle_timeout": "soon"}, {"max_sessions_per_user": 0}, {"mfa": True}],
    )
    def test_a_wrong_setting_changes_nothing(self, caller, settings):
        """The error names the setting, and the good one beside it is not applied."""
        body = {"access_token_ttl": "5m", **settings}
        answer = caller.secret("PATCH", "/v1/admin/config", json=body)
        assert caller.code(answer) == (422, "validation_failed")
        assert next(iter(settings)) in answer.json()["error"]["message"]
        assert caller.secret("GET", "/v1/admin/config").json()["access_token_ttl"] == "1h"


class TestKeys:
    def test_sign_in_needs_the_publishable_key(self, caller, emulator):
        """No key, a wrong key and the secret key are refused."""
        path = "/v1/auth/sign-in"
        assert caller.code(caller.call("POST", path, json={})) == (401, "missing_token")
        for key in ("pk_test_wrong", emulator.secret_key):
            answer = caller.call("POST", path, bearer=key, json={})
            assert caller.code(answer) == (401, "invalid_publishable_key")

    @pytest.mark.parametrize(
        ("path", "code"),
        [("/v1/sessions", "insufficient_permissions"), ("/v1/admin/config", "cp_admin_required")],
    )
    def test_administration_needs_the_secret_key(self, caller, emulator, path, code):
        """A known key or token that is not enough gets a 403, anything else a 401."""
        assert caller.code(caller.call("GET", path)) == (401, "missing_token")
        assert caller.code(caller.call("GET", path, bearer="sk_test_wrong")) == (401, "invalid_api_key")
        for known in (emulator.publishable_key, caller.sign_in()["access_token"]):
            assert caller.code(caller.call("GET", path, bearer=known)) == (403, code)

    def test_another_scheme_is_refused(self, caller):
        """Basic authentication counts as a missing token."""
        answer = caller.call("GET", "/v1/auth/me", headers={"Authorization": "Basic eDp5"})
        assert caller.code(answer) == (401, "missing_token")

    @pytest.mark.parametrize("tenant", ["", "tnt_other"])
    def test_the_tenant_must_be_named(self, caller, tenant):
        """Every documented call but the key set needs the tenant's id."""
        calls = [
            ("POST", "/v1/auth/sign-in"),
            ("POST", "/v1/auth/sign-up"),
            ("POST", "/v1/auth/token/refresh"),
            ("POST", "/v1/auth/sign-out"),
            ("GET", "/v1/auth/me"),
            ("POST", "/v1/auth/magic-link"),
            ("POST", "/v1/auth/magic-link/verify"),
            ("POST", "/v1/auth/password/forgot"),
            ("POST", "/v1/auth/password/reset"),
            ("POST", "/v1/auth/password/change"),
            ("POST", "/v1/auth/email/verify/send"),
            ("POST", "/v1/auth/email/verify"),
            ("POST", "/v1/auth/oauth/google/callback"),
            ("POST", "/v1/mfa/verify"),
            ("POST", "/v1/mfa/send"),
            ("GET", "/v1/users/usr_1/mfa/factors"),
            ("GET", "/v1/sessions"),
            ("POST", "/v1/sessions/verify"),
            ("GET", "/v1/admin/config"),
        ]
        for method, path in calls:
            answer = caller.call(method, path, headers={"X-Tenant-ID": tenant})
            assert caller.code(answer) == (403, "tenant_mismatch"), path


class TestResource:
    def test_it_echoes_any_method_and_body(self, caller):
        """The answer describes the request that arrived."""
        session = caller.sign_in()
        body = b"\x00binary" * 400_000
        answer = caller.call(
            "PUT", "/resource/files/a%20b", bearer=session["access_token"], content=body, headers={"X": "y"}
        )
        assert answer.json() == {
            "method": "PUT",
            "path": "/resource/files/a b",
            "body_length": len(body),
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "session_id": session["id"],
        }

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
    def test_every_method(self, caller, method):
        """The resource takes every method."""
        token = caller.sign_in()["access_token"]
        assert caller.call(method, "/resource", bearer=token).status_code == 200

    def test_rejected_tokens(self, caller, emulator):
        """Tokens issued so far are refused. A refreshed one works at once, even in the same second."""
        session = caller.sign_in()
        emulator.reject_access_tokens()
        refused = caller.call("GET", "/resource", bearer=session["access_token"])
        assert caller.code(refused) == (401, "invalid_token")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        token = caller.refresh(session["refresh_token"]).json()["access_token"]
        assert caller.call("GET", "/resource", bearer=token).status_code == 200

    def test_an_expired_or_missing_token(self, caller, emulator):
        """Both get a 401 that names the scheme."""
        token = caller.sign_in()["access_token"]
        emulator.advance("1h")
        for answer, code in [
            (caller.call("GET", "/resource", bearer=token), "token_expired"),
            (caller.call("GET", "/resource"), "missing_token"),
        ]:
            assert caller.code(answer) == (401, code)
            assert answer.headers["www-authenticate"].startswith("Bearer")

"""What back ends do at the emulated open-source server: service tokens, a client's settings, revocation."""

import uuid

import pytest

from hellojohn import ConfigurationError
from hellojohn.emulator import DEMO_EMAIL, Emulator
from tests.emulator_v2.calls import claims, refusal


class TestServiceTokens:
    @pytest.fixture
    def secret(self, emulator):
        """The secret of a client that is a service."""
        return emulator.add_client("worker", scopes=["a", "b"], confidential=True)

    def test_scopes_are_granted_all_or_none(self, app, secret):
        """Without any asked for, the client gets its own."""
        assert app.service_token("worker", secret).json()["scope"] == "a b"
        assert app.service_token("worker", secret, scope="b").json()["scope"] == "b"
        assert app.service_token("worker", secret, scope="a c").json()["error"] == "invalid_scope"

    def test_it_is_the_client_s_own(self, app, secret):
        """The answer has no refresh token, and the subject is the client."""
        answer = app.service_token("worker", secret).json()
        assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
        assert claims(answer["access_token"])["sub"] == "worker"
        assert app.get("/resource", answer["access_token"]).status_code == 200

    def test_it_names_the_tenant_as_the_request_does(self, app, emulator, secret):
        """By slug under the server's issuer, or by id under the tenant's."""
        tenant_id = app.get("/v2/auth/password-policy", tenant_id="local").json()["tenant_id"]
        for named, issuer in (("local", emulator.url), (tenant_id, f"{emulator.url}/t/local")):
            form = {"grant_type": "client_credentials"}
            headers = {"X-Tenant-ID": named}
            answer = app.http.post("/oauth2/token", data=form, headers=headers, auth=("worker", secret))
            read = claims(answer.json()["access_token"])
            assert (read["tid"], read["iss"]) == (named, issuer)

    def test_a_wrong_secret_is_final(self, app, secret):
        """So is an unknown client, and a client without a secret may not ask."""
        assert app.service_token("worker", "wrong").status_code == 401
        assert app.service_token("nobody", secret).json()["error"] == "invalid_client"
        assert app.service_token("app", "").json()["error"] == "unsupported_grant_type"


class TestClients:
    def test_a_put_replaces_the_whole_client(self, app, emulator):
        """Scopes and providers that are not named are lost, and with them the scopes of tokens."""
        token = app.sign_in()["refresh_token"]
        app.admin("PUT", "clients/app", {"access_token_ttl": 60})
        answer = app.refresh(token).json()
        assert answer["expires_in"] == 59
        assert claims(answer["access_token"])["scp"] == ""
        client = app.admin("GET", "clients/app").json()
        assert "scopes" not in client
        assert "providers" not in client
        assert len(client["redirect_uris"]) == 3

    def test_a_client_that_is_written_whole_keeps_everything(self, app):
        """Read it, change it, write it, read it back."""
        (client,) = app.admin("GET", "clients").json()
        changed = {**client, "access_token_ttl": 60, "refresh_token_ttl": 3_600}
        assert app.admin("PUT", "clients/app", changed).json() == changed
        assert app.admin("GET", "clients").json() == [changed]

    def test_a_replaced_client_keeps_its_secret(self, app, emulator):
        """The client that is read has a hash of the secret, which must not be shown either."""
        secret = emulator.add_client("worker", scopes=["a"], confidential=True)
        (worker,) = [c for c in app.admin("GET", "clients").json() if c["client_id"] == "worker"]
        assert secret not in str(worker)
        assert len(worker["secret_hash"]) == 64
        app.admin("PUT", "clients/worker", {**worker, "access_token_ttl": 60})
        assert app.service_token("worker", secret).json()["expires_in"] == 59

    @pytest.mark.parametrize(
        "field",
        [
            {"scopes": "a b"},
            {"scopes": [1]},
            {"access_token_ttl": "60"},
            {"access_token_ttl": True},
            {"require_email_verification": "yes"},
            {"name": 5},
        ],
    )
    def test_a_field_of_the_wrong_type_is_refused(self, app, field):
        """The client stays as it was."""
        before = app.admin("GET", "clients").json()
        assert refusal(app.admin("PUT", "clients/app", field)) == (400, "INVALID_JSON", None)
        assert app.admin("GET", "clients").json() == before

    @pytest.mark.parametrize("uri", ["http://app.example/cb", "app:/cb", "http://127.0.0.1:*/cb", ""])
    def test_a_redirect_address_is_https_or_loopback(self, app, uri):
        """Private schemes, plain http elsewhere and patterns are refused."""
        answer = app.admin("PUT", "clients/app", {"redirect_uris": [uri]})
        assert refusal(answer)[2] == f"control plane: bad input: invalid redirect uri: {uri}"

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_an_unknown_client_is_not_found(self, app, method):
        """Nothing is created by mistake."""
        assert app.admin(method, "clients/nobody", {}).status_code == 404


class TestRevocation:
    def test_all_sessions_of_a_user_end(self, app):
        """The answer says how many tokens were revoked."""
        sessions = [app.sign_in() for _ in range(2)]
        user_id = claims(sessions[0]["access_token"])["sub"]
        answer = app.admin("POST", "tokens/revoke-by-user", {"user_id": user_id})
        assert answer.json()["revoked_count"] == 2
        assert {app.refresh(s["refresh_token"]).status_code for s in sessions} == {401}

    def test_narrow_keys_do_less(self, app, emulator):
        """A key for reading changes nothing, and a tenant's key works on its own tenant."""
        body = {"user_id": str(uuid.UUID(int=0))}
        readonly, tenant = emulator.api_key(readonly=True), emulator.api_key()
        path = "tokens/revoke-by-user"
        assert refusal(app.admin("POST", path, body, key=readonly))[1] == "FORBIDDEN"
        assert app.admin("GET", "clients", key=readonly).status_code == 200
        unknown = app.admin("POST", path, {"user_id": "not a uuid"})
        assert refusal(unknown)[1] == "INTERNAL_SERVER_ERROR"
        assert app.admin("POST", path, body, key=tenant).status_code == 200
        elsewhere = app.http.get("/v2/admin/tenants/other/clients", headers={"X-API-Key": tenant})
        assert refusal(elsewhere)[:2] == (403, "FORBIDDEN")

    def test_the_tenant_and_a_key_have_to_be_there(self, app, emulator):
        """The tenant is looked at after the key."""
        unknown = app.http.get("/v2/admin/tenants/nosuch/clients", headers={"X-API-Key": emulator.secret_key})
        assert refusal(unknown) == (404, "TENANT_NOT_FOUND", "nosuch")
        without = app.http.get("/v2/admin/tenants/nosuch/clients")
        assert refusal(without)[2] == "authorization header required"

    @pytest.mark.parametrize(
        ("key", "detail"),
        [
            (f"hj_admin_{'0' * 64}", "invalid or expired API key"),
            ("hj_admin_wrong", "invalid API key format"),
            ("sk_test_local_0123456789", "invalid API key format"),
            ("", "authorization header required"),
        ],
    )
    def test_a_wrong_key_opens_nothing(self, app, key, detail):
        """Neither does one of the other API."""
        assert refusal(app.admin("GET", "clients", key=key)) == (401, "UNAUTHORIZED", detail)

    def test_a_user_s_token_opens_nothing(self, app):
        """Administration takes an administrator's token."""
        token = app.sign_in()["access_token"]
        assert refusal(app.get("/v2/admin/tenants/local/clients", token))[2] == "invalid admin token"


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"reuse_detection": "yes"}, "reuse_detection"),
            ({"issuer_mode": "domain"}, "issuer_mode"),
            ({"session_duration": 5}, "session_duration"),
            ({"idle_timeout": "1h"}, "idle_timeout"),
            ({"max_sessions_per_user": 3}, "max_sessions_per_user"),
            ({"unknown": True}, "unknown"),
        ],
    )
    def test_a_wrong_setting_is_named(self, app, emulator, settings, named):
        """Nothing is changed then, and the two limits that the server lacks are refused."""
        with pytest.raises(ConfigurationError, match=named):
            emulator.configure(mended=True, **settings)
        token = app.sign_in()["access_token"]
        assert app.mfa("totp/enroll", token).status_code == 500

    def test_limits_that_are_not_there_may_be_none(self, app, emulator):
        """Shared test bodies set them to None, and lives are cleared by it."""
        emulator.configure(idle_timeout=None, max_sessions_per_user=None, access_token_ttl="60s")
        emulator.configure(access_token_ttl=None)
        assert app.refresh(app.sign_in()["refresh_token"]).json()["expires_in"] == 899

    @pytest.mark.parametrize("option", [{"answers": "flat"}, {"reuse_grace": "10s"}])
    def test_options_of_v1_are_refused(self, option):
        """The open-source server has one shape and no grace."""
        with pytest.raises(ConfigurationError, match="api='v1'"):
            Emulator(api="v2", **option)

    def test_v1_refuses_what_only_v2_has(self):
        """The error names the API."""
        emulator = Emulator()
        for call in (lambda: emulator.add_client("x"), emulator.api_key):
            with pytest.raises(ConfigurationError, match="api='v2'"):
                call()
        with pytest.raises(ConfigurationError):
            emulator.configure(reuse_detection=True)

    def test_the_secret_key_is_the_same_in_each_emulator(self, emulator):
        """It can stand in a settings file of a developer's machine."""
        assert emulator.secret_key == Emulator(api="v2").secret_key
        assert emulator.secret_key.startswith("hj_admin_")
        assert DEMO_EMAIL not in repr(emulator)

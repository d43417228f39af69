"""The access tokens and keys of the emulated open-source server, as a verifier sees them."""

import jwt
import pytest

from hellojohn.emulator import DEMO_EMAIL
from tests.emulator_v2.calls import claims


def published(app, path="/.well-known/jwks/local.json"):
    """Return the ids of the published keys."""
    return [key["kid"] for key in app.http.get(path).json()["keys"]]


def kid(token):
    """Return the id of the key that signed a token."""
    return jwt.get_unverified_header(token)["kid"]


def test_a_token_verifies_with_the_published_key(app, emulator):
    """A standard library accepts it."""
    token = emulator.token()
    (key,) = app.http.get("/.well-known/jwks/local.json").json()["keys"]
    options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    read = jwt.decode(token, jwt.PyJWK(key), algorithms=["EdDSA"], audience="app", options=options)
    assert read["iss"] == f"{emulator.url}/t/local"


def test_one_tenant_has_several_issuers_and_two_ids(app, emulator):
    """Password tokens name the tenant by id, those of the token endpoint by slug."""
    session = app.sign_in()
    form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": session["refresh_token"]}
    by_oauth = claims(app.http.post("/oauth2/token", data=form).json()["access_token"])
    by_password = claims(session["access_token"])
    emulator.configure(issuer_mode="global")
    globally = claims(app.sign_in()["access_token"])
    base = emulator.url
    assert [read["iss"] for read in (by_password, by_oauth, globally)] == [f"{base}/t/local", base, base]
    assert by_oauth["tid"] == "local"
    assert by_password["tid"] == globally["tid"] != "local"


def test_scopes_are_spelt_in_four_ways(app, emulator):
    """As one text, as a list beside a text, as an empty list, and as the same text twice."""
    emulator.configure(mended=True)
    secret = emulator.add_client("worker", scopes=["a", "b"], confidential=True)
    session = app.sign_in()
    code = emulator.authorize(app.authorization_url()).rpartition("code=")[2].partition("&")[0]
    form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": session["refresh_token"]}
    found = [
        claims(answer.json()["access_token"])
        for answer in (
            app.refresh(app.sign_in()["refresh_token"]),
            app.redeem(code),
            app.http.post("/oauth2/token", data=form),
            app.service_token("worker", secret),
        )
    ]
    assert [(read.get("scp"), read.get("scope")) for read in found] == [
        ("openid profile email profile:read offline_access", None),
        (["openid", "profile"], "openid profile"),
        ([], None),
        ("a b", "a b"),
    ]


@pytest.mark.parametrize("mode", ["path", "global"])
def test_the_sample_resource_takes_good_tokens(app, emulator, mode):
    """It takes a password token in each issuer mode, where the server's own /v2/me does not."""
    emulator.configure(issuer_mode=mode)
    token = app.sign_in()["access_token"]
    assert app.get("/resource", token).status_code == 200
    assert app.get("/v2/me", token).status_code == (200 if mode == "path" else 401)
    assert app.get("/resource").status_code == 401
    emulator.advance("15m")
    assert app.get("/resource", token).status_code == 401


def test_a_new_key_is_published_late(app, emulator):
    """It signs at once; a key set that was asked for is shown for 15 s."""
    old = published(app)
    emulator.rotate_keys(keep_old="1h")
    new = kid(app.sign_in()["access_token"])
    emulator.advance("14s")
    assert published(app) == old
    emulator.advance("1s")
    assert published(app) == [*old, new]


def test_a_withdrawn_key_verifies_nothing(app, emulator):
    """After its time the old key's tokens are refused, also by the server."""
    token = app.sign_in()["access_token"]
    emulator.rotate_keys(keep_old="60s")
    assert app.get("/v2/me", token).status_code == 200
    emulator.advance("60s")
    assert app.get("/v2/me", token).status_code == 401
    assert kid(token) not in published(app)


def test_the_server_s_own_keys_do_not_rotate(app, emulator):
    """Tokens in issuer mode "global" keep the server's key, which the tenant's set no longer has."""
    emulator.configure(issuer_mode="global")
    emulator.rotate_keys(keep_old=None)
    token = app.sign_in()["access_token"]
    assert published(app, "/.well-known/jwks.json") == [kid(token)]
    assert kid(token) not in published(app)


def test_an_unknown_tenant_s_keys_are_an_error(app):
    """The server answers 500, not 404."""
    assert app.http.get("/.well-known/jwks/nosuch.json").status_code == 500


def test_the_emulator_issues_tokens_to_order(app, emulator):
    """Scopes, roles, life and further claims are the test's; a session stands behind each token."""
    token = emulator.token(scopes=["orders:read"], roles=["admin"], expires_in="5m", claims={"plan": "pro"})
    read = claims(token)
    assert (read["scp"], read["plan"], read["exp"] - read["iat"]) == ("orders:read", "pro", 300)
    assert read["custom"] == {
        f"{emulator.url}/t/local/claims/sys": {
            "claims_ver": 1,
            "is_admin": False,
            "perms": [],
            "roles": ["admin"],
        }
    }
    assert app.get("/resource", token).status_code == 200
    assert len(emulator.sessions(DEMO_EMAIL)) == 1


def test_a_user_s_scopes_and_roles_are_in_the_tokens(app, emulator):
    """A test gives them with the user; roles appear where the server names any."""
    emulator.add_user("ada@example.com", "x", scopes=["orders:read"], roles=["clerk"])
    session = app.sign_in("ada@example.com", "x")
    assert claims(session["access_token"])["scp"] == "orders:read"
    refreshed = claims(app.refresh(session["refresh_token"]).json()["access_token"])
    (known,) = refreshed["custom"].values()
    assert (refreshed["scp"], known["roles"]) == ("orders:read", ["clerk"])

"""Every published shape of a token, and what becomes of its claims."""

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime

import pytest

from hellojohn._errors import (
    ConfigurationError,
    KeysUnavailable,
    TokenInvalid,
    TokenRefusal,
    WrongAudience,
    WrongIssuer,
    WrongTenant,
)
from tests.verify.conftest import NOW
from tests.verify.test_attacks import b64json, sign_text

UUID = "6f2f9d9a-24f5-4a53-9f7e-0b6f3a6a1c11"
POLICY = "/v2/auth/password-policy?tenant_id=acme"
TENANT_KEYS = "/.well-known/jwks/acme.json"


def test_the_usual_claims_are_read(verifier, signer, claims):
    """Times are aware UTC datetimes, and nothing is made up."""
    found = verifier.verify_token(signer.sign(claims))
    assert dataclasses.asdict(found) == {
        "user_id": "usr_1",
        "session_id": "ses_1",
        "tenant_id": "tnt_1",
        "email": "ada@example.com",
        "org_id": None,
        "roles": frozenset(),
        "scopes": frozenset(),
        "mfa_verified": False,
        "issued_at": datetime.fromtimestamp(NOW, UTC),
        "expires_at": datetime.fromtimestamp(NOW + 3_600, UTC),
        "custom": {},
        "raw": claims,
    }


@pytest.mark.parametrize(
    ("extra", "attribute", "expected"),
    [
        ({"session_id": None, "sid": "ses_2"}, "session_id", "ses_2"),
        ({"session_id": None}, "session_id", None),
        ({"sid": "ses_2"}, "session_id", "ses_1"),
        ({"tenant_id": None, "tid": "tnt_1"}, "tenant_id", "tnt_1"),
        ({"tid": "tnt_1"}, "tenant_id", "tnt_1"),
        ({"tenant_id": None}, "tenant_id", None),
        ({"aud": ["x", "tnt_1"], "tenant_id": None}, "tenant_id", None),
        ({"org_id": "org_1"}, "org_id", "org_1"),
        ({"role": "admin"}, "roles", {"admin"}),
        ({"roles": ["a", "b"]}, "roles", {"a", "b"}),
        ({"roles": "a"}, "roles", {"a"}),
        ({"org_role": "owner", "role": "admin", "roles": ["a"]}, "roles", {"owner", "admin", "a"}),
        ({"role": None, "roles": []}, "roles", set()),
        ({"scope": "a b"}, "scopes", {"a", "b"}),
        ({"scope": ["a", "b"]}, "scopes", {"a", "b"}),
        ({"scp": "a b"}, "scopes", {"a", "b"}),
        ({"scp": ["a", "b"]}, "scopes", {"a", "b"}),
        ({"scp": [], "scope": ""}, "scopes", set()),
        ({"mfa_verified": True}, "mfa_verified", True),
        ({"mfa_verified": "yes"}, "mfa_verified", False),
        ({"iat": None}, "issued_at", None),
        ({"exp": NOW + 0.5}, "expires_at", datetime.fromtimestamp(NOW + 0.5, UTC)),
        ({"plan": "pro"}, "custom", {"plan": "pro"}),
        ({"custom": {"plan": "pro"}}, "custom", {"plan": "pro"}),
        ({"custom_claims": {"plan": "pro"}}, "custom", {"plan": "pro"}),
        (
            {"custom": {"plan": 2, "a": 2}, "plan": 1, "custom_claims": {"plan": 3, "a": 3, "b": 3}},
            "custom",
            {"plan": 1, "a": 2, "b": 3},
        ),
        ({"custom": "text"}, "custom", {}),
    ],
    ids=range(27),
)
def test_each_spelling_is_read(verifier, signer, claims, extra, attribute, expected):  # noqa: PLR0917 - fixtures
    """The top level goes before custom, and custom before custom_claims."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), b64json({**claims, **extra}))
    assert getattr(verifier.verify_token(token), attribute) == expected


def test_claims_are_frozen_and_serialise(verifier, signer, claims):
    """A program hands them on whole, and changes nothing by accident."""
    found = verifier.verify_token(signer.sign({**claims, "plan": {"name": "pro"}}))
    for copied in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert copied == found
    assert json.loads(json.dumps(found.custom)) == {"plan": {"name": "pro"}}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.user_id = "usr_2"
    for change in (lambda: found.raw.update(sub="x"), lambda: found.custom.pop("plan"), found.raw.clear):
        with pytest.raises(TypeError, match="read-only"):
            change()


def test_audience_replaces_the_usual_one(verifier, signer, claims):
    """A token for one of the audiences asked for will do, and the tenant is checked all the more."""
    api = {**claims, "aud": ["https://api.example.com"]}
    assert verifier.verify_token(signer.sign(api), audience="https://api.example.com").user_id == "usr_1"
    assert verifier.verify_token(signer.sign(api), audience=["other", "https://api.example.com"])
    for asked in ("tnt_1", ("a", "b")):
        with pytest.raises(WrongAudience):
            verifier.verify_token(signer.sign(api), audience=asked)
    with pytest.raises(WrongTenant) as caught:
        verifier.verify_token(signer.sign({**api, "tenant_id": None}), audience="https://api.example.com")
    assert caught.value.reason is TokenRefusal.MISSING_CLAIM


@pytest.mark.parametrize(
    "asked",
    [
        {"audience": ""},
        {"audience": []},
        {"audience": [1]},
        {"audience": 1},
        {"leeway": -1},
        {"leeway": float("nan")},
        {"leeway": True},
        {"leeway": "1"},
    ],
    ids=str,
)
def test_senseless_arguments_are_configuration_errors(verifier, signer, claims, asked):
    """An empty audience must not mean any audience."""
    with pytest.raises(ConfigurationError):
        verifier.verify_token(signer.sign(claims), **asked)


def test_leeway_moves_every_time(verifier, signer, claims):
    """Clocks may differ by so many seconds, in either direction."""
    for extra in ({"exp": int(NOW) - 9}, {"nbf": int(NOW) + 10}, {"iat": int(NOW) + 10}):
        token = signer.sign({**claims, **extra})
        assert verifier.verify_token(token, leeway=10).user_id == "usr_1"
        with pytest.raises(TokenInvalid):
            verifier.verify_token(token, leeway=5)


@pytest.fixture
def v2(make, server, signer):
    """Return a verifier of the tenant acme of an open-source server."""
    server.publish(signer.jwk, path=TENANT_KEYS)
    server.documents[POLICY] = json.dumps({"configured": True, "tenant_id": UUID}).encode()
    return make(api="v2", tenant_id="acme", client_id="web")


def v2_claims(server, issuer, tenant):
    """Return claims as that server issues them."""
    times = {"iat": int(NOW), "nbf": int(NOW), "exp": int(NOW) + 900}
    return {
        "iss": f"{server.url}{issuer}",
        "tid": tenant,
        "aud": "web",
        "sub": "u-1",
        "amr": ["pwd"],
        **times,
    }


@pytest.mark.parametrize("issuer", ["", "/t/acme", f"/t/{UUID}"])
@pytest.mark.parametrize("tenant", ["acme", UUID])
def test_v2_accepts_three_issuers_and_two_tenant_ids(v2, server, signer, issuer, tenant):
    """One tenant of the open-source server goes by several names."""
    found = v2.verify_token(signer.sign(v2_claims(server, issuer, tenant)))
    assert (found.user_id, found.session_id, found.tenant_id) == ("u-1", None, tenant)
    assert server.fetches == [TENANT_KEYS, POLICY]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"iss": "/t/other"}, WrongIssuer),
        ({"iss": "/"}, WrongIssuer),
        ({"tid": "other"}, WrongTenant),
        ({"tid": UUID.replace("6f2f", "aaaa")}, WrongTenant),
        ({"tid": None}, WrongTenant),
        ({"aud": "acme"}, WrongAudience),
    ],
    ids=str,
)
def test_v2_accepts_no_other(v2, server, signer, changed, kind):
    """Those three issuers, those two ids, this client."""
    claims = v2_claims(server, "", "acme")
    changed = {name: server.url + value if name == "iss" else value for name, value in changed.items()}
    with pytest.raises(kind):
        v2.verify_token(signer.sign({**claims, **changed}))


def test_v2_asks_for_the_tenants_uuid_once(v2, server, clocks, signer):
    """It never changes; the keys do."""
    token = signer.sign({**v2_claims(server, "/t/acme", UUID), "exp": int(NOW) + 9_000})
    v2.verify_token(token)
    clocks.advance(601)
    v2.verify_token(token)
    assert server.fetches == [TENANT_KEYS, POLICY, TENANT_KEYS]


def test_v2_with_a_uuid_as_tenant_asks_for_nothing_more(make, server, signer):
    """The slug is not known then, so tokens with it are refused."""
    server.publish(signer.jwk, path=f"/.well-known/jwks/{UUID}.json")
    verifier = make(api="v2", tenant_id=UUID, client_id="web")
    assert verifier.verify_token(signer.sign(v2_claims(server, f"/t/{UUID}", UUID))).tenant_id == UUID
    with pytest.raises(WrongTenant):
        verifier.verify_token(signer.sign(v2_claims(server, "", "acme")))
    assert server.fetches == [f"/.well-known/jwks/{UUID}.json"]


def test_v2_without_the_uuid_verifies_by_the_slug(v2, server, signer):
    """A server that does not publish the tenant's UUID is not an outage."""
    del server.documents[POLICY]
    assert v2.verify_token(signer.sign(v2_claims(server, "/t/acme", "acme"))).tenant_id == "acme"


def test_v2_without_the_uuid_names_the_cause(v2, server, signer):
    """A tenant whose settings have no security block gets an answer without its UUID."""
    server.documents[POLICY] = json.dumps({"configured": False, "source": "default"}).encode()
    with pytest.raises(WrongTenant, match="security block"):
        v2.verify_token(signer.sign(v2_claims(server, "/t/acme", UUID)))


def test_v2_without_an_answer_about_the_uuid_is_an_outage(v2, server, signer):
    """A token that names the UUID must not be called another tenant's because a request failed."""
    del server.documents[POLICY]
    server.failing[POLICY] = 500
    with pytest.raises(KeysUnavailable, match="status 500"):
        v2.verify_token(signer.sign(v2_claims(server, "/t/acme", UUID)))


def test_v2_reads_the_servers_own_roles(v2, server, signer):
    """They stand under a name that begins with the token's issuer."""
    claims = v2_claims(server, "/t/acme", UUID)
    custom = {f"{claims['iss']}/claims/sys": {"roles": ["admin"], "is_admin": False}}
    assert v2.verify_token(signer.sign({**claims, "custom": custom})).roles == {"admin"}
    foreign = {f"{server.url}/t/other/claims/sys": {"roles": ["admin"]}}
    assert v2.verify_token(signer.sign({**claims, "custom": foreign})).roles == frozenset()


def test_v1_has_no_such_roles(verifier, signer, claims):
    """On the cloud API, a tenant decides what stands in its own claims."""
    custom = {f"{claims['iss']}/claims/sys": {"roles": ["admin"]}}
    assert verifier.verify_token(signer.sign({**claims, "custom": custom})).roles == frozenset()


def test_v2_needs_a_client_id(make):
    """It is the audience of every token."""
    with pytest.raises(ConfigurationError, match="client_id"):
        make(api="v2", tenant_id="acme")

"""Tokens that must not verify: each is refused with its reason, and costs the key server nothing."""

import base64
import hashlib
import hmac
import json
import random
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hellojohn._errors import (
    TokenExpired,
    TokenInvalid,
    TokenRefusal,
    UnknownKey,
    WrongAudience,
    WrongIssuer,
    WrongTenant,
)
from tests.counts import FULL
from tests.verify.conftest import NOW
from tests.verify.keyserver import Signer

MUTATIONS = 100_000 if FULL else 1_000


def b64(data: bytes) -> str:
    """Encode as tokens do."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64json(value: object) -> str:
    """Encode JSON as tokens do."""
    return b64(json.dumps(value).encode())


def sign_text(signer: Signer, header: str, payload: str) -> str:
    """Sign any two texts as a token of the service's key."""
    return f"{header}.{payload}.{b64(signer.key.sign(f'{header}.{payload}'.encode()))}"


def refused(verifier: Any, token: str, **asked: Any) -> TokenInvalid:
    """Return the refusal of a token, which must not show the token."""
    with pytest.raises(TokenInvalid) as caught:
        verifier.verify_token(token, **asked)
    shown = f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert not any(part and part in shown for part in token.split(".") if len(part) > 8)
    assert caught.value.__context__ is None
    return caught.value


def test_a_good_token_verifies(verifier, signer, rsa_signer, claims):
    """The attacks below differ from these tokens in one point each."""
    assert verifier.verify_token(signer.sign(claims)).user_id == "usr_1"
    assert verifier.verify_token(rsa_signer.sign(claims)).user_id == "usr_1"
    renamed = sign_text(signer, b64json({"alg": "Ed25519", "kid": "ed-1"}), b64json(claims))
    assert verifier.verify_token(renamed).user_id == "usr_1"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "", "HS256", "PS256", "ES256", "RS1", None, 1, ["EdDSA"]]
)
def test_other_algorithms_are_refused_without_a_fetch(verifier, server, claims, algorithm):
    """The token has no say in how it is verified."""
    token = f"{b64json({'alg': algorithm, 'kid': 'ed-1'})}.{b64json(claims)}."
    assert refused(verifier, token).reason is TokenRefusal.BAD_ALGORITHM
    assert server.fetches == []


def test_hs256_with_the_public_key_is_refused(verifier, rsa_signer, signer, claims):
    """A public key is not a shared secret."""
    for one in (signer, rsa_signer):
        key = json.dumps(one.jwk).encode()
        signed = f"{b64json({'alg': 'HS256', 'kid': one.kid})}.{b64json(claims)}"
        token = f"{signed}.{b64(hmac.digest(key, signed.encode(), hashlib.sha256))}"
        assert refused(verifier, token).reason is TokenRefusal.BAD_ALGORITHM


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "ed-1"), ("EdDSA", "rsa-1"), ("RS512", "rsa-1")])
def test_an_algorithm_that_is_not_the_keys_is_refused(verifier, signer, claims, algorithm, kid):
    """The algorithm is the key's."""
    token = sign_text(signer, b64json({"alg": algorithm, "kid": kid}), b64json(claims))
    assert refused(verifier, token).reason is TokenRefusal.BAD_ALGORITHM


def test_a_remembered_header_is_held_against_the_new_key(verifier, server, clocks, signer, claims):
    """A header that was parsed before a rotation says nothing about the key that has its kid now."""
    token = signer.sign(claims)
    verifier.verify_token(token)
    server.publish(Signer("ed-1", "RS256").jwk)
    clocks.advance(601)
    assert refused(verifier, token).reason is TokenRefusal.BAD_ALGORITHM


def test_few_headers_are_remembered(verifier, signer, claims):
    """An issuer uses a handful; the memory is bounded, and tokens beyond it verify as well."""
    payload = b64json(claims)
    for number in range(100):
        header = b64json({"alg": "EdDSA", "kid": "ed-1", "x": number})
        assert verifier.verify_token(sign_text(signer, header, payload)).user_id == "usr_1"
        refused(
            verifier, f"{b64json({'alg': 'EdDSA', 'kid': 'ed-1', 'y': number})}.{payload}.{b64(bytes(64))}"
        )
    assert len(verifier._headers._known) <= 64
    remembered = [base64.urlsafe_b64decode(f"{segment}==") for segment in verifier._headers._known]
    assert remembered
    assert all(b'"x"' in header for header in remembered)


def test_a_token_without_kid_costs_no_fetch(verifier, server, claims):
    """It does not say which key has signed it, and trying keys is not verifying."""
    token = f"{b64json({'alg': 'EdDSA'})}.{b64json(claims)}.{b64(bytes(64))}"
    assert isinstance(refused(verifier, token), UnknownKey)
    assert server.fetches == []


def test_a_strangers_signature_is_refused(verifier, stranger, claims):
    """Neither under the stranger's kid nor under a published one."""
    assert refused(verifier, stranger.sign(claims)).reason is TokenRefusal.UNKNOWN_KEY
    forged = stranger.sign(claims, headers={"kid": "ed-1"})
    assert refused(verifier, forged).reason is TokenRefusal.BAD_SIGNATURE


def test_forgeries_with_a_published_kid_cost_no_fetch(verifier, server, stranger, signer, claims):
    """A hundred forgeries leave the key server alone."""
    verifier.verify_token(signer.sign(claims))
    for number in range(100):
        refused(verifier, stranger.sign({**claims, "jti": str(number)}, headers={"kid": "ed-1"}))
    assert len(server.fetches) == 1


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_embedded_keys_and_addresses_are_ignored(verifier, server, stranger, claims, member):
    """Keys come from the settings' URL only."""
    values = {"jwk": stranger.jwk, "jku": f"{server.url}/evil", "x5u": f"{server.url}/evil", "x5c": ["AA=="]}
    token = stranger.sign(claims, headers={"kid": "ed-1", member: values[member]})
    assert refused(verifier, token).reason is TokenRefusal.BAD_SIGNATURE
    assert server.fetches == ["/.well-known/jwks.json"]


@pytest.mark.parametrize("extra", [{"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"typ": "logout+jwt"}])
def test_header_extensions_and_other_types_are_refused(verifier, signer, claims, extra):
    """An unknown extension must not be passed over, even when our key has signed it."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1", **extra}), b64json(claims))
    assert refused(verifier, token).reason is TokenRefusal.MALFORMED


@pytest.mark.parametrize("member", [{"nonce": "n"}, {"at_hash": "h"}])
def test_an_id_token_is_refused(verifier, signer, claims, member):
    """It is signed by the same key for the same client, and is meant for the sign-in only."""
    assert refused(verifier, signer.sign({**claims, **member})).reason is TokenRefusal.MALFORMED


REFUSED_CLAIMS: list[tuple[dict[str, Any], type[TokenInvalid], TokenRefusal]] = [
    ({"exp": int(NOW)}, TokenExpired, TokenRefusal.EXPIRED),
    ({"exp": int(NOW) - 5}, TokenExpired, TokenRefusal.EXPIRED),
    ({"nbf": int(NOW) + 1}, TokenInvalid, TokenRefusal.NOT_YET_VALID),
    ({"iat": int(NOW) + 1}, TokenInvalid, TokenRefusal.NOT_YET_VALID),
    ({"iss": "https://evil.example"}, WrongIssuer, TokenRefusal.WRONG_ISSUER),
    ({"iss": None}, WrongIssuer, TokenRefusal.MISSING_CLAIM),
    ({"aud": "tnt_2"}, WrongAudience, TokenRefusal.WRONG_AUDIENCE),
    ({"aud": ["tnt_2", "tnt_3"]}, WrongAudience, TokenRefusal.WRONG_AUDIENCE),
    ({"aud": 7}, TokenInvalid, TokenRefusal.MALFORMED),
    ({"aud": ["tnt_1", 7]}, TokenInvalid, TokenRefusal.MALFORMED),
    ({"aud": {"tnt_1": 1}}, TokenInvalid, TokenRefusal.MALFORMED),
    ({"aud": []}, WrongAudience, TokenRefusal.MISSING_CLAIM),
    ({"aud": None}, WrongAudience, TokenRefusal.MISSING_CLAIM),
    ({"tenant_id": "tnt_2"}, WrongTenant, TokenRefusal.WRONG_TENANT),
    ({"tid": "tnt_2"}, WrongTenant, TokenRefusal.WRONG_TENANT),
    ({"tenant_id": None, "tid": "tnt_2"}, WrongTenant, TokenRefusal.WRONG_TENANT),
    ({"sub": None}, TokenInvalid, TokenRefusal.MISSING_CLAIM),
    ({"sub": ""}, TokenInvalid, TokenRefusal.MISSING_CLAIM),
    ({"exp": None}, TokenInvalid, TokenRefusal.MISSING_CLAIM),
]


@pytest.mark.parametrize(("changed", "kind", "reason"), REFUSED_CLAIMS, ids=str)
def test_wrong_claims_are_refused_with_their_reason(verifier, signer, claims, changed, kind, reason):  # noqa: PLR0917 - fixtures
    """The error's class and its reason say the same."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), b64json({**claims, **changed}))
    error = refused(verifier, token)
    assert (type(error), error.reason) == (kind, reason)


ODD = [0, 1, True, 1.5, [], ["x", 1], {}, {"a": "b"}]


@pytest.mark.parametrize("name", ["sub", "session_id", "sid", "tenant_id", "tid", "email", "org_id", "iss"])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_claims_that_are_not_text_are_refused(verifier, signer, claims, name, value):
    """A number that looks like an id in one place and not in another opens doors."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), b64json({**claims, name: value}))
    assert refused(verifier, token).reason is TokenRefusal.MALFORMED


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", ["1", True, [], {}, 10**400, 1e300, -1e300], ids=repr)
def test_times_that_are_not_numbers_are_refused(verifier, signer, claims, name, value):
    """Nor is one that no calendar has."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), b64json({**claims, name: value}))
    assert refused(verifier, token).reason is TokenRefusal.MALFORMED


@pytest.mark.parametrize("name", ["scope", "scp", "role", "roles", "org_role"])
@pytest.mark.parametrize("value", [1, True, {}, ["a", 1], [["a"]]], ids=repr)
def test_roles_and_scopes_of_odd_types_are_refused(verifier, signer, claims, name, value):
    """What allows something must be readable without guessing."""
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), b64json({**claims, name: value}))
    assert refused(verifier, token).reason is TokenRefusal.MALFORMED


@pytest.mark.parametrize(
    "extra", ['"sub":"usr_2"', '"exp":99999999999', '"aud":"tnt_1"', '"custom":{"a":1,"a":2}', '"x":NaN']
)
def test_duplicate_and_senseless_members_are_refused(verifier, signer, claims, extra):
    """Two readers of a duplicate claim may see two values."""
    payload = b64((json.dumps(claims)[:-1] + "," + extra + "}").encode())
    token = sign_text(signer, b64json({"alg": "EdDSA", "kid": "ed-1"}), payload)
    assert refused(verifier, token).reason is TokenRefusal.MALFORMED


def test_a_duplicate_member_of_the_header_is_refused(verifier, signer, claims):
    """Neither the first nor the last of two algorithms counts."""
    header = b64(b'{"alg":"EdDSA","alg":"EdDSA","kid":"ed-1"}')
    assert refused(verifier, sign_text(signer, header, b64json(claims))).reason is TokenRefusal.MALFORMED


MALFORMED = [
    *("", ".", "..", "a.b.c", "....", "x" * 40, "ü.ü.ü", "\ud800", "a\nb", " ", "Bearer x.y.z"),
    b64json([]) + "." + b64json({}) + ".",
    b64json({"alg": "EdDSA", "kid": 7}) + "." + b64json({}) + "." + b64(bytes(64)),
    b64(b"\xff\xfe") + "." + b64json({}) + ".",
    b64(b'{"a":' * 3_000) + "." + b64json({}) + ".",
]


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_text_that_is_not_a_token_is_refused(verifier, server, token):
    """It is the sender's fault, and costs no fetch."""
    assert isinstance(refused(verifier, token), TokenInvalid)
    assert server.fetches == []


def test_payloads_that_are_not_objects_are_refused(verifier, signer):
    """The signature alone is not enough."""
    header = b64json({"alg": "EdDSA", "kid": "ed-1"})
    deep = b64(b"[" * 6_000 + b"]" * 6_000)
    for payload in (b64json([]), b64json(1), b64(b"{"), b64(b"\xff"), deep, b64(b'{"a":1} ')[:-1] + "*"):
        assert refused(verifier, sign_text(signer, header, payload)).reason is TokenRefusal.MALFORMED


def test_an_oversized_token_is_refused(verifier, server, signer, claims):
    """It is refused by its length, before anything of it is read."""
    assert refused(verifier, signer.sign({**claims, "x": "y" * 16_384})).reason is TokenRefusal.MALFORMED
    assert server.fetches == []


def test_one_token_has_one_text(verifier, signer, claims):
    """Padding, other alphabets and unused bits would make several texts of one token."""
    token = signer.sign(claims)
    head, last = token[:-1], token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bits = alphabet[alphabet.index(last) | 1]
    others = [
        head + same_bits,
        token + "=",
        token + "==",
        token + "\n",
        token + ".",
        "." + token,
        token + "A",
    ]
    for other in others:
        refused(verifier, other)


@pytest.mark.parametrize("token", [None, b"a.b.c", 1, ["a"]], ids=repr)
def test_a_token_that_is_not_text_is_a_type_error(verifier, token):
    """That is a mistake of the program, not of the sender."""
    with pytest.raises(TypeError, match="must be text"):
        verifier.verify_token(token)


def test_the_same_kid_in_two_tenants_is_two_keys(make, server, signer, stranger, claims):
    """On v2 each tenant has its own keys, and one cannot sign for the other."""
    twin = Signer("ed-1")
    server.publish(signer.jwk, path="/.well-known/jwks/acme.json")
    server.publish(twin.jwk, path="/.well-known/jwks/other.json")
    acme, other = (make(api="v2", tenant_id=name, client_id="web") for name in ("acme", "other"))
    mine = {**claims, "aud": "web", "tenant_id": None, "tid": "acme"}
    assert acme.verify_token(signer.sign(mine)).tenant_id == "acme"
    assert refused(other, signer.sign({**mine, "tid": "other"})).reason is TokenRefusal.BAD_SIGNATURE
    assert refused(acme, twin.sign(mine)).reason is TokenRefusal.BAD_SIGNATURE
    assert isinstance(refused(acme, signer.sign({**mine, "tid": "other"})), WrongTenant)


@pytest.fixture
def mutable(verifier, signer, rsa_signer, claims):
    """Return a verifier and good tokens to spoil."""
    tokens = [signer.sign(claims), rsa_signer.sign(claims)]
    for token in tokens:
        verifier.verify_token(token)
    return verifier, tokens


@settings(
    max_examples=MUTATIONS,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.timeout(3_600)
def test_no_mutated_token_verifies(mutable, data):
    """Whatever a token is changed into, it is refused, and by nothing but TokenInvalid."""
    verifier, tokens = mutable
    token = data.draw(st.sampled_from(tokens))
    at = data.draw(st.integers(0, len(token) - 1))
    piece = data.draw(
        st.text(max_size=4) | st.text("AZaz09-_.=", max_size=8) | st.sampled_from(token.split("."))
    )
    cut = data.draw(st.integers(0, 6))
    changed = token[:at] + piece + token[at + cut :]
    if changed in tokens:
        assert verifier.verify_token(changed).user_id == "usr_1"
        return
    refused(verifier, changed)


def test_flipped_bits_never_verify(mutable):
    """Each bit of each part counts."""
    verifier, tokens = mutable
    chosen = random.Random(0)
    for number in range(1_000):
        token = bytearray(tokens[number % 2].encode())
        token[chosen.randrange(len(token))] ^= 1 << (number % 7)
        refused(verifier, token.decode("latin-1"))


def test_pyjwt_agrees_that_the_good_token_is_good(signer, server, claims):
    """The test's tokens are real ones."""
    decoded = jwt.decode(
        signer.sign(claims),
        signer.key.public_key(),
        algorithms=["EdDSA"],
        audience="tnt_1",
        issuer=server.url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert decoded["sub"] == "usr_1"

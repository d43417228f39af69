"""Codes for challenges, enrolments and recovery codes, on both dialects."""

import pytest

from hellojohn._details import MfaFactor, TotpEnrollment
from hellojohn._errors import (
    ApiError,
    ChallengeExpired,
    ConfigurationError,
    Conflict,
    InvalidCredentials,
    MfaChallenge,
    NotFound,
    NotSupported,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import SignedIn
from hellojohn._wire.v1 import V1
from tests.wire.samples import ADA, KEY, SECRET_KEY, problem, reply, sent, talk, v1
from tests.wire.v2_samples import ADA as ADA_ON_V2
from tests.wire.v2_samples import refused, v2

PASSWORD, CODE = Secret("correct horse"), Secret("123 456")
FACTORS = "/v1/users/usr_1/mfa/factors"
TOTP = {
    "id": "fac_1",
    "type": "totp",
    "name": "Phone",
    "status": "active",
    "created_at": "2024-01-10T09:00:00Z",
}
ENROLLED = {
    "factor_id": "fac_2",
    "type": "totp",
    "status": "pending",
    "totp": {"secret": "JBSWY3DP", "uri": "otpauth://totp/HelloJohn:a?secret=JBSWY3DP"},
}
ENROLLMENT = TotpEnrollment(secret="JBSWY3DP", uri="otpauth://totp/x", factor_id="fac_2")
LISTED = reply(200, {"available_factors": ["totp", "email"], "preferred_factor": "email"})
NONE_LISTED = reply(200, {"available_factors": ["email"], "preferred_factor": "email"})


def listing(*factors):
    """Return the answer to v1's list of factors."""
    return reply(200, {"data": list(factors), "total": len(factors)})


# ---------------------------------------------------------------- v1


@pytest.mark.parametrize(("factor", "more"), [(None, {}), ("sms", {"factor_id": "sms"})])
def test_v1_sends_a_code(factor, more):
    """The path is an assumption of the SDK."""
    conversation = v1.second_factors.send_code(MfaChallenge("ch_1"), factor=factor)
    (request,), _ = talk(conversation, reply(202, {"expires_in": 300}))
    assert (request.path, request.bearer) == ("/v1/mfa/send", KEY)
    assert sent(request) == {"challenge_id": "ch_1", **more}


def test_v1_lists_factors():
    """Factors whose enrolment was not confirmed are listed as not active."""
    answer = listing(TOTP, {"type": "sms", "status": "pending"}, {"id": "no type"}, 7)
    (request,), factors = talk(v1.second_factors.list_factors(ADA), answer)
    assert (request.method, request.path, request.bearer) == ("GET", FACTORS, SECRET_KEY)
    assert [(factor.type, factor.id, factor.active) for factor in factors] == [
        ("totp", "fac_1", True),
        ("sms", None, False),
    ]


def test_v1_enrolls_an_app():
    """The service names the account in the URI itself."""
    conversation = v1.second_factors.enroll_totp(ADA, account="ada@example.com", replace=False)
    (_, request), enrollment = talk(conversation, listing(), reply(201, ENROLLED))
    assert (request.method, request.path, sent(request)) == ("POST", FACTORS, {"type": "totp"})
    assert enrollment == TotpEnrollment(
        secret="JBSWY3DP", uri="otpauth://totp/HelloJohn:a?secret=JBSWY3DP", factor_id="fac_2"
    )


@pytest.mark.parametrize(("dialect", "who", "listed"), [(v1, ADA, listing(TOTP)), (v2, ADA_ON_V2, LISTED)])
def test_second_app_needs_replace(dialect, who, listed):
    """On v2 a new enrolment ends the old app at once."""
    conversation = dialect.second_factors.enroll_totp(who, account="ada@example.com", replace=False)
    with pytest.raises(Conflict, match="replace=True"):
        talk(conversation, listed)


def test_v1_replaces_an_app_when_asked():
    """The second request is sent although an app is enrolled."""
    conversation = v1.second_factors.enroll_totp(ADA, account="a", replace=True)
    requests, _ = talk(conversation, listing(TOTP), reply(201, ENROLLED))
    assert len(requests) == 2


def test_v1_confirms_an_enrolment():
    """v1 hands out recovery codes by their own call."""
    conversation = v1.second_factors.confirm_totp(ADA, ENROLLMENT, CODE)
    (request,), codes = talk(conversation, reply(200, TOTP))
    assert (request.path, sent(request), codes) == (f"{FACTORS}/fac_2/confirm", {"code": "123456"}, ())


def test_v1_confirms_its_own_enrolments_only():
    """An enrolment of v2 has no id of a factor."""
    with pytest.raises(ConfigurationError, match=r"TotpEnrollment of mfa.enroll_totp"):
        v1.second_factors.confirm_totp(ADA, TotpEnrollment(secret="x", uri="y"), CODE)


def test_v1_disables_the_app():
    """The factor is found in the list."""
    conversation = v1.second_factors.disable_totp(ADA, password=PASSWORD, code=CODE)
    (_, request), _ = talk(conversation, listing({"id": "sms_1", "type": "sms"}, TOTP), reply(204, raw=b""))
    assert (request.method, request.path) == ("DELETE", f"{FACTORS}/fac_1")


def test_v1_cannot_disable_a_missing_app():
    """Nothing is deleted then."""
    conversation = v1.second_factors.disable_totp(ADA, password=PASSWORD, code=CODE)
    with pytest.raises(NotFound, match="No authenticator app is enrolled"):
        talk(conversation, listing())


def test_v1_replaces_recovery_codes():
    """The codes are shown once."""
    conversation = v1.second_factors.new_recovery_codes(ADA, password=PASSWORD, code=CODE)
    (request,), codes = talk(conversation, reply(200, {"codes": ["ABCD-EFGH", "IJKL-MNOP"]}))
    assert (request.method, request.path) == ("POST", "/v1/users/usr_1/mfa/backup-codes/generate")
    assert codes == ("ABCD-EFGH", "IJKL-MNOP")


@pytest.mark.parametrize(
    "call",
    [
        lambda mfa: mfa.list_factors(ADA),
        lambda mfa: mfa.enroll_totp(ADA, account="a", replace=False),
        lambda mfa: mfa.confirm_totp(ADA, ENROLLMENT, CODE),
        lambda mfa: mfa.disable_totp(ADA, password=PASSWORD, code=CODE),
        lambda mfa: mfa.new_recovery_codes(ADA, password=PASSWORD, code=CODE),
    ],
)
def test_v1_refuses_enrolments_without_a_secret_key(call):
    """The end user's own routes are not published."""
    with pytest.raises(NotSupported, match=r"for back ends only. .*HELLOJOHN_SECRET_KEY"):
        call(V1("tnt_1", KEY).second_factors)


@pytest.mark.parametrize("user_id", ["..", "a b", "\ud800"])
def test_v1_refuses_ids_that_change_the_path(user_id):
    """An administrator's request must not reach another route."""
    with pytest.raises(ValidationFailed, match="user_id is not an id"):
        v1.second_factors.list_factors(SignedIn(Secret("at"), User(user_id)))


# ---------------------------------------------------------------- v2


@pytest.mark.parametrize(
    ("challenge", "factor", "path"),
    [
        (MfaChallenge("mfa_1", ("totp", "email"), preferred_factor="totp"), None, "email"),
        (MfaChallenge("mfa_1", ("sms", "email"), preferred_factor="email"), None, "email"),
        (MfaChallenge("mfa_1", ("sms", "email")), None, "sms"),
        (MfaChallenge("mfa_1", ("totp",)), "sms", "sms"),
    ],
)
def test_v2_sends_a_code(challenge, factor, path):
    """The codes of an authenticator app are never sent."""
    (request,), _ = talk(
        v2.second_factors.send_code(challenge, factor=factor), reply(202, {"sent": True, "expires_in": 300})
    )
    assert (request.path, sent(request)) == (f"/v2/mfa/{path}/send", {"mfa_token": "mfa_1"})


@pytest.mark.parametrize("factor", [None, "totp", "../x"])
def test_v2_sends_no_code_of_an_app(factor):
    """The error is raised before anything is sent."""
    with pytest.raises(ValidationFailed, match="factor"):
        v2.second_factors.send_code(MfaChallenge("mfa_1", ("totp",)), factor=factor)


def test_v2_lists_factors():
    """The server names kinds only, and the preferred one."""
    (request,), factors = talk(v2.second_factors.list_factors(ADA_ON_V2), LISTED)
    assert (request.method, request.path) == ("GET", "/v2/mfa/factors")
    assert (request.bearer, request.headers) == (ADA_ON_V2.access_token, {"X-Tenant-ID": "acme"})
    assert factors == (MfaFactor(type="totp"), MfaFactor(type="email", preferred=True))


def test_v2_enrolls_an_app_with_its_own_uri():
    """The server's own label names neither the tenant nor the account."""
    conversation = v2.second_factors.enroll_totp(ADA_ON_V2, account="ada+1@example.com", replace=False)
    secret = {"secret_base32": "JBSWY3DP", "otpauth_url": "otpauth://totp/HelloJohn:?secret=JBSWY3DP"}
    (_, request), enrollment = talk(conversation, NONE_LISTED, reply(200, secret))
    assert (request.method, request.path, request.encode()) == ("POST", "/v2/mfa/totp/enroll", None)
    assert (enrollment.secret, enrollment.factor_id) == ("JBSWY3DP", None)
    assert enrollment.uri == (
        "otpauth://totp/acme:ada%2B1@example.com?secret=JBSWY3DP&issuer=acme&algorithm=SHA1&digits=6&period=30"
    )


def test_v2_without_a_key_for_second_factors_says_so():
    """The published server has none: trying again does not help."""
    conversation = v2.second_factors.enroll_totp(ADA_ON_V2, account="a", replace=False)
    with pytest.raises(ApiError, match="has no key for second factors") as caught:
        talk(conversation, NONE_LISTED, refused("crypto_failed", status=500))
    assert (caught.value.status, caught.value.code) == (500, "crypto_failed")


@pytest.mark.parametrize(("body", "codes"), [({"recovery_codes": ["A1", "B2"]}, ("A1", "B2")), ({}, ())])
def test_v2_confirms_an_enrolment(body, codes):
    """Recovery codes come with the first confirmation only."""
    conversation = v2.second_factors.confirm_totp(ADA_ON_V2, ENROLLMENT, CODE)
    (request,), found = talk(conversation, reply(200, {"enabled": True, **body}))
    assert (request.path, sent(request), found) == ("/v2/mfa/totp/verify", {"code": "123456"}, codes)


def test_v2_disables_the_app():
    """A recovery code serves as well."""
    conversation = v2.second_factors.disable_totp(ADA_ON_V2, password=PASSWORD, code=Secret("abcdefghij"))
    (request,), _ = talk(conversation, reply(200, {"disabled": True}))
    assert request.path == "/v2/mfa/totp/disable"
    assert sent(request) == {"password": "correct horse", "recovery": "ABCDEFGHIJ"}


def test_v2_replaces_recovery_codes():
    """Password and code are needed."""
    conversation = v2.second_factors.new_recovery_codes(ADA_ON_V2, password=PASSWORD, code=CODE)
    (request,), codes = talk(conversation, reply(200, {"rotated": True, "recovery_codes": ["A1"]}))
    assert request.path == "/v2/mfa/recovery/rotate"
    assert (sent(request), codes) == ({"password": "correct horse", "code": "123456"}, ("A1",))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("invalid_password"), InvalidCredentials),
        (refused("invalid_mfa_code"), InvalidCredentials),
        (refused("mfa_not_initialized", status=400), NotFound),
        (reply(200, {"rotated": True}), ServiceUnavailable),
    ],
)
def test_v2_refusals_of_new_recovery_codes(answer, kind):
    """A success without codes is not an answer: the old ones are gone."""
    with pytest.raises(kind):
        talk(v2.second_factors.new_recovery_codes(ADA_ON_V2, password=PASSWORD, code=CODE), answer)


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [(v1, problem(401, "mfa_challenge_expired")), (v2, refused("invalid_grant", status=400))],
)
def test_ended_challenge_means_to_start_over(dialect, answer):
    """A wrong code leaves the challenge good, an ended one does not come back."""
    with pytest.raises(ChallengeExpired):
        dialect.read_tokens(answer)
    with pytest.raises(ChallengeExpired):
        talk(dialect.second_factors.send_code(MfaChallenge("c", ("email",)), factor=None), answer)

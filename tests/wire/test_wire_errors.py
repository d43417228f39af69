"""The error of each answer: codes, shapes, waits, and words that must not be repeated."""

import pickle

import pytest

from hellojohn._errors import (
    AccountDisabled,
    AccountLocked,
    ApiError,
    ChallengeExpired,
    Conflict,
    EmailNotVerified,
    InvalidCredentials,
    MfaChallenge,
    MfaRequired,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._models import User
from hellojohn._version import __version__
from hellojohn._wire import Answer, Delivery, TransportFailure
from hellojohn._wire.errors import retry_after
from hellojohn._wire.v1.codes import CODES
from tests.wire.samples import DATE, problem, reply, shown_by, v1
from tests.wire.v2_samples import refused, v2


def raised(answer: Answer, dialect=v1) -> Exception:
    """Return the error that the reader of a sign-in raises."""
    with pytest.raises((ApiError, ServiceUnavailable)) as caught:
        dialect.read_tokens(answer)
    return caught.value


V1_CODES = [
    ("invalid_credentials", 401, InvalidCredentials),
    ("invalid_mfa_code", 401, InvalidCredentials),
    ("mfa_challenge_expired", 401, ChallengeExpired),
    ("link_expired", 400, ChallengeExpired),
    ("account_locked", 403, AccountLocked),
    ("account_disabled", 403, AccountDisabled),
    ("user_disabled", 403, AccountDisabled),
    ("insufficient_permissions", 403, PermissionDenied),
    ("tenant_mismatch", 403, PermissionDenied),
    ("cp_admin_required", 403, PermissionDenied),
    ("email_already_exists", 409, Conflict),
    ("password_too_weak", 422, ValidationFailed),
    ("invalid_email", 422, ValidationFailed),
    ("rate_limit_exceeded", 429, RateLimited),
    ("token_expired", 401, ApiError),
    ("invalid_token", 401, ApiError),
    ("invalid_api_key", 401, ApiError),
    ("invalid_publishable_key", 401, ApiError),
    ("missing_token", 401, ApiError),
    ("not_heard_of", 400, ApiError),
    ("not_heard_of", 403, PermissionDenied),
    ("not_heard_of", 409, Conflict),
    ("not_heard_of", 422, ValidationFailed),
    ("not_heard_of", 429, RateLimited),
    ("invalid_credentials", 400, InvalidCredentials),
]


@pytest.mark.parametrize(("code", "status", "kind"), V1_CODES)
def test_each_v1_code_has_its_error(code, status, kind):
    """The code decides, then the status. The error carries all three facts."""
    error = raised(problem(status, code))
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "req_1")


V2_CODES = [
    (refused("INVALID_CREDENTIALS"), InvalidCredentials),
    (refused("invalid_password"), InvalidCredentials),
    (refused("invalid_mfa_code"), InvalidCredentials),
    (refused("EMAIL_NOT_VERIFIED", status=403), EmailNotVerified),
    (refused("user_disabled", status=423), AccountDisabled),
    (refused("UNAUTHORIZED", "password login is disabled"), PermissionDenied),
    (refused("UNAUTHORIZED", "password registration disabled for this client"), PermissionDenied),
    (refused("UNAUTHORIZED", "invalid tenant or client"), ApiError),
    (refused("UNAUTHORIZED", "not heard of"), ApiError),
    (refused("CLIENT_NOT_FOUND", status=400), ApiError),
    (refused("TENANT_NOT_FOUND", "127", status=404), ApiError),
    (refused("BAD_REQUEST", "password does not meet policy requirements", status=400), ValidationFailed),
    (refused("BAD_REQUEST", "password does not meet policy", status=400), ValidationFailed),
    (refused("BAD_REQUEST", "token invalid or expired", status=400), ChallengeExpired),
    (refused("invalid_grant", status=400), ChallengeExpired),
    (refused("mfa_not_initialized", status=400), NotFound),
    (refused("mfa_factor_not_available", status=422), ValidationFailed),
    (refused("mfa_email_not_available", status=400), ValidationFailed),
    (refused("mfa_sms_not_available", status=400), ValidationFailed),
    (refused("FORBIDDEN", "readonly key cannot mutate", status=403), PermissionDenied),
    (refused("INSUFFICIENT_SCOPES", "required scope: profile:read", status=403), PermissionDenied),
    (refused("RATE_LIMIT_EXCEEDED", "Email MFA rate limit exceeded", status=429), RateLimited),
]


@pytest.mark.parametrize(("answer", "kind"), V2_CODES)
def test_each_v2_code_has_its_error(answer, kind):
    """Many causes differ in the detail only."""
    assert type(raised(answer, v2)) is kind


def test_feature_limits_of_v2_have_no_wait():
    """That server sends no ``Retry-After`` with them."""
    error = raised(refused("RATE_LIMIT_EXCEEDED", status=429), v2)
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("invalid_publishable_key", ["publishable_key", "HELLOJOHN_PUBLISHABLE_KEY"]),
        ("invalid_api_key", ["publishable_key", "secret_key", "HELLOJOHN_SECRET_KEY"]),
        ("missing_token", ["HELLOJOHN_PUBLISHABLE_KEY", "HELLOJOHN_SECRET_KEY"]),
        ("tenant_mismatch", ["tenant_id", "HELLOJOHN_TENANT_ID"]),
    ],
)
def test_wrong_setting_is_named(code, settings):
    """The message says which argument and which variable to look at."""
    message = str(raised(problem(401, code)))
    assert all(name in message for name in settings)


@pytest.mark.parametrize("secret", ["wrong", "password", "email", "e", "invalid_credentials", "The"])
def test_known_code_has_its_own_sentence(secret):
    """A password that is a word of the service's sentence changes neither the sentence nor the code."""
    answer = problem(401, "invalid_credentials", message="The password is wrong.")
    error = raised(reply(401, raw=answer.body, secrets=(secret,)))
    assert type(error) is InvalidCredentials
    assert (str(error), error.code) == ("The email or the password is wrong.", "invalid_credentials")


def test_rules_of_the_service_are_quoted():
    """The user has to know the rule that the password breaks."""
    error = raised(problem(422, "password_too_weak", message="Use 12 characters."))
    assert str(error) == "The password is too weak. The service says: Use 12 characters."


def test_quoted_rules_that_repeat_the_password_are_left_out():
    """The SDK's own sentence is left."""
    answer = problem(422, "password_too_weak", message="hunter2 is too short.")
    error = raised(reply(422, raw=answer.body, secrets=("hunter2",)))
    assert str(error) == "The password is too weak."


SHAPES = [
    {"error": {"code": "account_locked", "message": "Locked.", "status": 403, "request_id": "req_9"}},
    {"error": "account_locked", "message": "Locked.", "request_id": "req_9"},
    {"code": "account_locked", "message": "Locked.", "request_id": "req_9"},
    {"error": "account_locked", "error_description": "Locked.", "request_id": "req_9"},
    {"error": {"code": "account_locked", "message": "Locked."}, "request_id": "req_9"},
    {"error": "account_locked", "request_id": "req_9"},
    {"code": "account_locked", "request_id": "req_9", "error": None},
]


@pytest.mark.parametrize("body", SHAPES)
def test_error_is_understood_in_every_shape(body):
    """Both documented shapes, and their neighbours."""
    error = raised(reply(403, body))
    assert type(error) is AccountLocked
    assert (error.code, error.request_id) == ("account_locked", "req_9")


@pytest.mark.parametrize(
    ("factors", "ids"),
    [(["totp_1", "sms_1"], ("totp_1", "sms_1")), ([{"id": "f1"}, {"x": 1}, 7, None], ("f1",)), ("totp", ())],
)
@pytest.mark.parametrize("nested", [True, False])
def test_second_factor_comes_with_its_challenge(factors, ids, nested):
    """The challenge is in the error object or beside it; factors are ids or objects with ids."""
    more = {"challenge_id": "ch_1", "available_factors": factors, "preferred_factor": "sms"}
    inside = {"code": "mfa_required", "message": "Second factor.", **(more if nested else {})}
    error = raised(reply(403, {"error": inside, **({} if nested else more)}))
    assert isinstance(error, MfaRequired)
    assert error.challenge == MfaChallenge("ch_1", ids, preferred_factor="sms")
    assert "auth.verify_mfa(error.challenge, code)" in str(error)


@pytest.mark.parametrize("password", ["1", "totp", "ch"])
def test_password_that_is_a_part_of_the_challenge(password):
    """The challenge is masked, and the usual factors are not secrets."""
    answer = problem(403, "mfa_required", challenge_id="ch_1", available_factors=["totp"])
    error = raised(reply(403, raw=answer.body, secrets=(password,)))
    assert isinstance(error, MfaRequired)
    assert error.challenge == MfaChallenge("ch_1", ("totp",))


def test_second_factor_without_a_challenge_is_an_api_error():
    """``MfaRequired`` always has a challenge that can be answered."""
    error = raised(problem(403, "mfa_required", available_factors=["totp_1"]))
    assert type(error) is ApiError
    assert error.code == "mfa_required"


@pytest.mark.parametrize(
    ("answer", "refused_token"),
    [
        (problem(401, "token_expired"), True),
        (problem(401, "invalid_token"), True),
        (problem(401, "session_revoked"), True),
        (problem(401, "missing_token"), False),
        (problem(403, "token_expired"), False),
        (reply(401, raw=b"<html>"), False),
        (TransportFailure(Delivery.UNKNOWN, "cut off"), False),
        (reply(200, {"id": "usr_1"}), False),
    ],
)
def test_v1_tells_a_refused_token(answer, refused_token):
    """A newer token may help then, or the refresh finds out that the session has ended."""
    assert v1.is_token_refused(answer) is refused_token


@pytest.mark.parametrize(
    "body", [{"id": "usr_1", "email": "a@b.c"}, {"user": {"id": "usr_1", "email": "a@b.c"}}]
)
def test_me_is_the_user_or_holds_it(body):
    """Both spellings are read. v1 has one place to ask."""
    assert v1.read_user(reply(200, body)) == User("usr_1", "a@b.c")
    assert v1.me_after(problem(401, "invalid_token"), None) is None


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{}", b"[" * 99_999, b'{"id": 7}', b'{"id": "\\ud800"}'])
@pytest.mark.parametrize("dialect", [v1, v2])
def test_me_without_a_user_is_not_an_answer(dialect, raw):
    """A page in between is not the user."""
    with pytest.raises(ServiceUnavailable):
        dialect.read_user(reply(200, raw=raw))


@pytest.mark.parametrize("answer", [reply(204, raw=b""), reply(200, {"ok": True}), reply(200, raw=b"<html>")])
@pytest.mark.parametrize("dialect", [v1, v2])
def test_done_is_any_success(dialect, answer):
    """A sign-out answers 204, or 200 with a body that is not read."""
    assert dialect.read_done(answer) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(400, "bad_request"), ApiError),
        (reply(302, raw=b""), ServiceUnavailable),
        (reply(500, raw=b""), ServiceUnavailable),
        (TransportFailure(Delivery.NOT_SENT, "ConnectError: refused"), ServiceUnavailable),
    ],
)
def test_refused_sign_out_is_reported(answer, kind):
    """A sign-out that did not reach the service says so."""
    with pytest.raises(kind):
        v1.read_done(answer)


@pytest.mark.parametrize("read", ["read_tokens", "read_user"])
@pytest.mark.parametrize("dialect", [v1, v2], ids=["v1", "v2"])
@pytest.mark.parametrize("status", [404, 405])
def test_path_that_is_not_there_names_api_url(status, dialect, read):
    """Each HelloJohn has these paths, so the address is wrong. An app must not show "not found"."""
    with pytest.raises(ServiceUnavailable, match=rf"status {status}: m\).*HELLOJOHN_API_URL") as caught:
        getattr(dialect, read)(reply(status, {"error": {"code": "not_found", "message": "m"}}))
    assert not caught.value.ambiguous
    assert not dialect.is_own_answer(problem(status, "not_found"))


@pytest.mark.parametrize("status", [407, 408, 421, 425])
def test_status_about_the_connection_is_no_refusal(status):
    """The call may be made again: it was not the call that failed."""
    error = raised(problem(status, "not_heard_of"))
    assert (type(error), error.ambiguous) == (ServiceUnavailable, False)


@pytest.mark.parametrize("status", [404, 405])
def test_unpublished_path_is_named_as_an_assumption(status):
    """No document names the path: the message says so, with the SDK's version."""
    with pytest.raises(ApiError, match=r"/v1/auth/sign-out. This path is an assumption of the SDK") as caught:
        v1.read_done(problem(status, "not_found"))
    assert f"hellojohn {__version__}" in str(caught.value)
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (status, "not_found", "req_1")


@pytest.mark.parametrize(
    "raw", [b"", b"<html>Login to the proxy</html>", b"[" * 99_999, b'{"message": "no"}']
)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 407, 413])
def test_foreign_page_is_not_a_verdict(status, raw):
    """A proxy's page does not say that the password is wrong."""
    error = raised(reply(status, raw=raw, headers={"location": "https://evil"}))
    assert isinstance(error, ServiceUnavailable)
    assert not error.ambiguous
    assert (str(status) in str(error), "HELLOJOHN_API_URL" in str(error)) == (True, True)
    assert "evil" not in str(error)


def test_rate_limit_of_a_gateway_counts():
    """Any gateway may limit the rate with a page that is not HelloJohn's."""
    error = raised(reply(429, raw=b"<html>", headers={"retry-after": "3", "x-request-id": "req_7"}))
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.request_id, error.status) == (3.0, "req_7", 429)


@pytest.mark.parametrize(
    ("status", "ambiguous"),
    [(500, True), (501, True), (502, True), (504, True), (599, True), (101, True), (503, False)],
)
@pytest.mark.parametrize("code", ["invalid_credentials", "session_revoked", None])
def test_failing_service_is_not_a_refusal(status, ambiguous, code):
    """The body of a 5xx says nothing about the user."""
    answer = reply(status, raw=b"oops") if code is None else problem(status, code)
    error = raised(answer)
    assert isinstance(error, ServiceUnavailable)
    assert error.ambiguous is ambiguous


@pytest.mark.parametrize(("delivery", "ambiguous"), [(Delivery.NOT_SENT, False), (Delivery.UNKNOWN, True)])
def test_missing_answer_says_how_far_the_request_came(delivery, ambiguous):
    """A sign-in that was cut off may have made a session."""
    error = raised(TransportFailure(delivery, "ReadTimeout: too slow"))
    assert isinstance(error, ServiceUnavailable)
    assert error.ambiguous is ambiguous
    assert "ReadTimeout: too slow" in str(error)


WAITS = [
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after": "99999999"}, 86_400.0),
    ({"retry-after": "9" * 20}, 86_400.0),
    ({"retry-after": "Sun, 15 Jun 2025 15:07:40 GMT", "date": DATE}, 60.0),
    ({"retry-after": "Sun, 15 Jun 2025 17:07:40 +0200", "date": DATE}, 60.0),
    ({"retry-after": "Sun, 15 Jun 2025 15:00:00 GMT", "date": DATE}, 0.0),
    ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": DATE}, 86_400.0),
    ({"retry-after": "Sun, 15 Jun 2025 15:07:40 GMT"}, None),
    ({"retry-after": "Sun, 15 Jun 2025 15:07:40 GMT", "date": "junk"}, None),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": ""}, None),
    ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359", "date": DATE}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_wait_is_read_from_the_header(headers, seconds):
    """Seconds or a date, measured by the answer's own date, and at most a day."""
    assert retry_after(reply(429, raw=b"", headers=headers), CODES) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": "rate_limit_exceeded", "message": "Slow down.", "retry_after": 30}, 30.0),
        ({"error": {"code": "rate_limit_exceeded", "retry_after": "30"}}, 30.0),
        ({"error": "rate_limit_exceeded", "retry_after": -1}, None),
        ({"error": "rate_limit_exceeded", "retry_after": True}, None),
        ({"error": "rate_limit_exceeded", "retry_after": [9]}, None),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"retry-after": "junk"}])
def test_wait_may_be_in_the_body(body, seconds, headers):
    """Where the header says nothing."""
    error = raised(reply(429, body, headers=headers))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_wait_of_the_header_goes_first():
    """A proxy may have raised it."""
    answer = reply(429, {"retry_after": 30}, headers={"retry-after": "5"})
    assert retry_after(answer, CODES) == 5.0


def test_busy_service_says_how_long():
    """A 503 carries a wait, although it is not this caller's limit."""
    error = raised(reply(503, raw=b"", headers={"retry-after": "20"}))
    assert isinstance(error, ServiceUnavailable)
    assert error.retry_after == 20.0


def test_words_of_a_server_are_cut_and_cleaned():
    """They may end in a terminal or a log: no escape sequence, no line break, no flood."""
    message = "\x1b[31mBad\r\nemail\u202e\ud800 " + "x" * 9_999
    shown = str(raised(problem(400, "not_heard_of", message=message)))
    assert shown.startswith("[31mBad email x")
    assert shown.isprintable()
    assert len(shown) == 300


@pytest.mark.parametrize("message", [None, 7, [], "", " \n", {"a": 1}])
def test_error_without_words_gets_a_sentence(message):
    """The status and the code are always named."""
    assert "401 (not_heard_of)" in str(raised(problem(401, "not_heard_of", message=message)))


MARK = "MARKED-SECRET"
ECHOES = [
    {"message": f"No user with password {MARK}"},
    {"message": "MARKED-\x00SECRET MARKED-" + MARK},
    {"detail": f"No user with password {MARK}"},
    {"request_id": MARK},
    {"code": f"bad_{MARK.lower()}"},
    {"message": "x" * 290 + MARK},
    {"challenge_id": MARK, "available_factors": [MARK, {"id": MARK}], "preferred_factor": MARK},
]


@pytest.mark.parametrize("echo", ECHOES)
def test_secret_of_the_request_is_never_repeated(echo):
    """A server that echoes a password does not get it into an error, an outcome or a pickle."""
    answer = reply(
        400,
        {"error": {"code": "bad", "message": "m", **echo}},
        headers={"x-request-id": MARK},
        secrets=(MARK, MARK.lower(), ""),
    )
    error = raised(answer)
    assert type(error) is ApiError
    assert MARK not in shown_by(error)
    assert MARK not in shown_by(pickle.loads(pickle.dumps(error)))
    outcome = v1.outcome(answer)
    assert MARK not in f"{outcome!r} {shown_by(outcome.error)}"


@pytest.mark.parametrize(
    ("secret", "message"),
    [("MARKED  \tSECRET", "No: MARKED  \tSECRET."), ("MARKED SECRET", "No: MARKED\n SECRET.")],
)
def test_secret_is_found_before_and_after_cleaning(secret, message):
    """Neither its spaces nor the server's hide it."""
    answer = reply(400, {"error": {"code": "bad", "message": message}}, secrets=(secret,))
    assert "MARKED" not in shown_by(raised(answer))


def test_empty_secret_silences_nothing():
    """Every text contains an empty one."""
    assert str(raised(reply(400, {"code": "bad", "message": "Words."}, secrets=("",)))) == "Words."


@pytest.mark.parametrize("request_id", ["a b", "x" * 200, "\n", 7, None, ""])
def test_unusable_request_id_is_none(request_id):
    """It is quoted to support and printed."""
    assert raised(problem(409, "gone", request_id=request_id)).request_id is None


@pytest.mark.parametrize(
    ("answer", "own"),
    [
        (problem(401, "missing_token"), True),
        (reply(200, {"id": "usr_1"}), True),
        (reply(200, raw=b"<html>Welcome</html>"), False),
        (reply(200, {}), False),
        (reply(404, raw=b"404 page not found\n"), False),
        (reply(502, raw=b"Bad gateway"), False),
        (TransportFailure(Delivery.NOT_SENT, "refused"), False),
    ],
)
@pytest.mark.parametrize("dialect", [v1, v2])
def test_own_answer_is_told_from_a_foreign_one(dialect, answer, own):
    """The doctor says whether HelloJohn answers at ``api_url``."""
    assert dialect.is_own_answer(answer) is own

"""From an error answer to the error raised: codes, shapes, waits, and words that must not be repeated."""

import pickle

import pytest

from hellojohn._errors import (
    AccountDisabled,
    AccountLocked,
    ApiError,
    Conflict,
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
from hellojohn._wire import Answer, Delivery, TransportFailure
from hellojohn._wire.errors import refusal, retry_after
from tests.wire.samples import DATE, dialect, problem, reply, told_by


def raised(answer: Answer) -> Exception:
    """Return what the reader of a sign-in raises."""
    with pytest.raises((ApiError, ServiceUnavailable)) as caught:
        dialect.read_grant(answer)
    return caught.value


CODES = [
    ("invalid_credentials", 401, InvalidCredentials),
    ("account_locked", 403, AccountLocked),
    ("account_disabled", 403, AccountDisabled),
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
    ("not_heard_of", 404, NotFound),
    ("not_heard_of", 409, Conflict),
    ("not_heard_of", 422, ValidationFailed),
    ("not_heard_of", 429, RateLimited),
    ("invalid_credentials", 400, InvalidCredentials),
]


@pytest.mark.parametrize(("code", "status", "kind"), CODES)
def test_each_code_has_its_error(code, status, kind):
    """The code decides, then the status; all the API said is on the error."""
    error = raised(problem(status, code))
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code, "req_1")
    assert str(error).startswith("Words.")


@pytest.mark.parametrize(
    ("code", "settings"),
    [
        ("invalid_publishable_key", ["publishable_key", "HELLOJOHN_PUBLISHABLE_KEY"]),
        ("invalid_api_key", ["publishable_key", "secret_key", "HELLOJOHN_SECRET_KEY"]),
        ("missing_token", ["HELLOJOHN_PUBLISHABLE_KEY", "HELLOJOHN_SECRET_KEY"]),
        ("tenant_mismatch", ["tenant_id", "HELLOJOHN_TENANT_ID"]),
    ],
)
def test_a_wrong_setting_is_named(code, settings):
    """The message says which argument and which variable to look at."""
    message = str(raised(problem(401, code)))
    assert all(name in message for name in settings)


SHAPES = [
    {"error": {"code": "account_locked", "message": "Locked.", "status": 403, "request_id": "req_9"}},
    {"error": "account_locked", "message": "Locked.", "request_id": "req_9"},
    {"code": "account_locked", "message": "Locked.", "request_id": "req_9"},
    {"error": "account_locked", "error_description": "Locked.", "request_id": "req_9"},
    {"error": {"code": "account_locked", "message": "Locked."}, "request_id": "req_9"},
]


@pytest.mark.parametrize("body", SHAPES)
def test_an_error_is_understood_in_every_shape(body):
    """Both documented ones, and their neighbours."""
    error = raised(reply(403, body))
    assert type(error) is AccountLocked
    assert (error.code, str(error), error.request_id) == ("account_locked", "Locked.", "req_9")


@pytest.mark.parametrize(
    ("factors", "ids"),
    [(["totp_1", "sms_1"], ("totp_1", "sms_1")), ([{"id": "f1"}, {"x": 1}, 7, None], ("f1",)), ("totp", ())],
)
@pytest.mark.parametrize("nested", [True, False])
def test_a_second_factor_is_asked_for_with_its_challenge(factors, ids, nested):
    """The challenge is found in the error object and beside it; factors are ids or objects with ids."""
    more = {"challenge_id": "ch_1", "available_factors": factors}
    inside = {"code": "mfa_required", "message": "Second factor.", **(more if nested else {})}
    error = raised(reply(403, {"error": inside, **({} if nested else more)}))
    assert isinstance(error, MfaRequired)
    assert error.challenge == MfaChallenge("ch_1", ids)


def test_a_second_factor_says_how_to_answer_it():
    """The server's words name a route of its own; the program has a method."""
    error = raised(problem(403, "mfa_required", challenge_id="ch_1"))
    assert str(error).endswith("Call auth.verify_mfa(error.challenge, code).")


def test_a_wrong_code_is_wrong_credentials():
    """It is the user's typing error, as a wrong password is."""
    assert type(raised(problem(401, "invalid_mfa_code"))) is InvalidCredentials


def test_a_second_factor_without_a_challenge_cannot_be_asked_for():
    """``MfaRequired`` always has one; without it this is the API's mistake, and no form could answer it."""
    error = raised(problem(403, "mfa_required", available_factors=["totp_1"]))
    assert type(error) is ApiError
    assert error.code == "mfa_required"


@pytest.mark.parametrize("code", ["token_expired", "invalid_token"])
def test_me_tells_a_stale_token_from_other_refusals(code):
    """The caller refreshes and asks again."""
    with pytest.raises(ApiError) as caught:
        dialect.read_user(problem(401, code))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body", [{"id": "usr_1", "email": "a@b.c"}, {"user": {"id": "usr_1", "email": "a@b.c"}}]
)
def test_me_is_the_user_or_holds_it(body):
    """Both spellings are read."""
    assert dialect.read_user(reply(200, body)) == User("usr_1", "a@b.c")


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{}", b"[" * 99_999, b'{"id": 7}', b'{"id": "\\ud800"}'])
def test_me_without_a_user_is_no_answer(raw):
    """A page in between is not the user."""
    with pytest.raises(ServiceUnavailable):
        dialect.read_user(reply(200, raw=raw))


@pytest.mark.parametrize("answer", [reply(204, raw=b""), reply(200, {"ok": True}), reply(200, raw=b"<html>")])
def test_done_is_any_success(answer):
    """A sign-out answers 204, or 200 with words nobody reads."""
    dialect.read_done(answer)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(404, "not_found"), NotFound),
        (reply(302, raw=b""), ApiError),
        (reply(500, raw=b""), ServiceUnavailable),
        (TransportFailure(Delivery.NOT_SENT, "ConnectError: refused"), ServiceUnavailable),
    ],
)
def test_not_done_is_told(answer, kind):
    """A sign-out that did not reach the service says so."""
    with pytest.raises(kind):
        dialect.read_done(answer)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>Login to the proxy</html>", b"[" * 99_999, b'{"message": "no"}']
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_in_foreign_words_is_nobodys_verdict(status, raw):
    """A proxy's page does not say that the password is wrong."""
    error = raised(reply(status, raw=raw))
    assert isinstance(error, ServiceUnavailable)
    assert not error.ambiguous


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (302, ApiError), (405, ApiError), (400, ApiError)]
)
def test_a_wrong_address_is_named(status, kind):
    """A page that is not the API's, and a redirect, which is never followed, point to ``api_url``."""
    error = raised(
        reply(status, raw=b"<html>", headers={"x-request-id": "req_7", "location": "https://evil"})
    )
    assert type(error) is kind
    assert "HELLOJOHN_API_URL" in str(error)
    assert "evil" not in str(error)
    assert error.request_id == "req_7"


@pytest.mark.parametrize(
    ("status", "ambiguous"),
    [(500, True), (501, True), (502, True), (504, True), (599, True), (101, True), (503, False)],
)
@pytest.mark.parametrize("code", ["invalid_credentials", "session_revoked", None])
def test_a_failing_service_is_told_apart_from_its_no(status, ambiguous, code):
    """Whatever a 5xx says in its body, it is no verdict about the user."""
    answer = reply(status, raw=b"oops") if code is None else problem(status, code)
    error = raised(answer)
    assert isinstance(error, ServiceUnavailable)
    assert error.ambiguous is ambiguous


@pytest.mark.parametrize(("fault", "ambiguous"), [(Delivery.NOT_SENT, False), (Delivery.UNKNOWN, True)])
def test_no_answer_says_how_far_the_call_came(fault, ambiguous):
    """A sign-in that was cut off may have made a session."""
    error = raised(TransportFailure(fault, "ReadTimeout: too slow"))
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
def test_the_wait_is_read_from_the_header(headers, seconds):
    """Seconds or a date, measured by the answer's own; junk is no wait, and none is longer than a day."""
    assert retry_after(reply(429, raw=b"", headers=headers)) == seconds


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
def test_the_wait_may_be_in_the_body(body, seconds, headers):
    """Where the header says nothing."""
    error = raised(reply(429, body, headers=headers))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_the_headers_wait_comes_first():
    """It is what a proxy or a load balancer may have raised."""
    assert retry_after(reply(429, {"retry_after": 30}, headers={"retry-after": "5"})) == 5.0


def test_a_busy_service_says_how_long():
    """A 503 is no limit of this caller's, and carries its wait all the same."""
    error = raised(reply(503, raw=b"", headers={"retry-after": "20"}))
    assert isinstance(error, ServiceUnavailable)
    assert error.retry_after == 20.0


def test_a_servers_words_are_cut_and_cleaned():
    """They may end in a terminal or a log: no escape sequence, no line break, no end."""
    message = str(
        raised(problem(422, "invalid_email", message="\x1b[31mBad\r\nemail\u202e\ud800 " + "x" * 9_999))
    )
    assert message.startswith("[31mBad email x")
    assert message.isprintable()
    assert len(message) == 300


@pytest.mark.parametrize("message", [None, 7, [], "", " \n", {"a": 1}])
def test_an_error_without_words_gets_ours(message):
    """The status and the code are always told."""
    assert "401 (invalid_credentials)" in str(raised(problem(401, "invalid_credentials", message=message)))


MARK = "MARKED-SECRET"
ECHOES = [
    {"message": f"No user with password {MARK}"},
    {"message": "MARKED-\x00SECRET MARKED-" + MARK},
    {"message": "x" * 5_000 + MARK},
    {"request_id": f"req_{MARK}"},
    {"code": MARK},
    {"code": f"bad_{MARK}"},
]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_server_that_echoes_a_secret_is_not_repeated(echo):
    """A hostile or careless server cannot put a password into our error, log or traceback."""
    answer = reply(
        400,
        {"error": {"code": "bad", "message": "m", **echo}},
        headers={"x-request-id": MARK},
        secrets=(MARK, ""),
    )
    error = raised(answer)
    assert type(error) is ApiError
    assert MARK not in told_by(error)
    assert MARK not in told_by(pickle.loads(pickle.dumps(error)))
    outcome = dialect.outcome(answer)
    assert MARK not in f"{outcome!r} {told_by(outcome.error)}"


@pytest.mark.parametrize(
    ("secret", "message"),
    [("MARKED  \tSECRET", "No: MARKED  \tSECRET."), ("MARKED SECRET", "No: MARKED\n SECRET.")],
)
def test_a_secret_is_known_again_before_and_after_cleaning(secret, message):
    """Neither its spaces nor the server's hide it."""
    answer = reply(400, {"error": {"code": "bad", "message": message}}, secrets=(secret,))
    assert "MARKED" not in told_by(raised(answer))


def test_an_empty_secret_silences_nothing():
    """Every text holds an empty one."""
    assert str(raised(reply(400, {"code": "bad", "message": "Words."}, secrets=("",)))) == "Words."


@pytest.mark.parametrize("secret", ["invalid", "credentials", "invalid_credentials", "e"])
def test_a_password_that_is_a_part_of_the_code_changes_nothing(secret):
    """The codes we know are our own words: the error keeps its kind."""
    error = raised(
        reply(401, {"error": {"code": "invalid_credentials", "message": "No."}}, secrets=(secret,))
    )
    assert type(error) is InvalidCredentials
    assert error.code == "invalid_credentials"


@pytest.mark.parametrize("request_id", ["a b", "x" * 200, "\n", 7, None, ""])
def test_a_senseless_request_id_is_none(request_id):
    """It is quoted to support and printed: nothing else belongs there."""
    assert refusal(problem(404, "gone", request_id=request_id)).request_id is None

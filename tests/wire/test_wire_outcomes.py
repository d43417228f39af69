"""The table of outcomes of a refresh, row by row, for both dialects."""

import pytest

from hellojohn._errors import (
    ApiError,
    ExpiryReason,
    PermissionDenied,
    ServiceUnavailable,
)
from hellojohn._wire import Delivery, OutcomeKind, TransportFailure
from tests.wire.samples import problem, reply, v1
from tests.wire.v2_samples import refused, v2

TOKENS = {"access_token": "at_2", "refresh_token": "rt_2", "expires_in": 60}
HTML = b"<html>hello</html>"
ENDINGS = {
    "refresh_token_expired": ExpiryReason.EXPIRED,
    "session_expired": ExpiryReason.EXPIRED,
    "session_revoked": ExpiryReason.REVOKED,
    "refresh_token_reused": ExpiryReason.REUSE_DETECTED,
    "refresh_token_invalid": ExpiryReason.REJECTED,
    "account_disabled": ExpiryReason.USER_DISABLED,
    "user_disabled": ExpiryReason.USER_DISABLED,
}
both = pytest.mark.parametrize("dialect", [v1, v2], ids=["v1", "v2"])


def assert_kept(outcome, kind, *, ambiguous=False, ask_again=False):
    """Assert that an outcome keeps the session, with an error that says to try again later."""
    assert (outcome.kind, outcome.reason, outcome.tokens) == (kind, None, None)
    assert isinstance(outcome.error, ServiceUnavailable)
    assert (outcome.error.ambiguous, outcome.ask_again) == (ambiguous, ask_again)


@both
@pytest.mark.parametrize("status", [200, 201, 299])
def test_readable_success_brings_the_tokens(dialect, status):
    """2xx with a readable body."""
    outcome = dialect.outcome(reply(status, TOKENS))
    assert (outcome.kind, outcome.error, outcome.ask_again) == (OutcomeKind.SUCCESS, None, False)
    assert outcome.tokens is not None
    assert outcome.tokens.ttl == 60.0


@both
def test_not_sent(dialect):
    """Nothing left this machine: the refresh may be sent again."""
    outcome = dialect.outcome(TransportFailure(Delivery.NOT_SENT, "ConnectError: refused"))
    assert_kept(outcome, OutcomeKind.NOT_SENT)


@both
def test_lost_answer_is_unknown_and_asked_again(dialect):
    """The token may be used up. A grace window of the service can still recover the answer."""
    outcome = dialect.outcome(TransportFailure(Delivery.UNKNOWN, "ReadError: reset"))
    assert_kept(outcome, OutcomeKind.UNKNOWN, ambiguous=True, ask_again=True)


@both
@pytest.mark.parametrize("raw", [b"", HTML, b"{}", b'{"access_token": "a', b"[]", b'{"access_token": "a b"}'])
@pytest.mark.parametrize("status", [200, 204])
def test_unreadable_success_is_unknown_and_not_asked_again(dialect, status, raw):
    """The token was rotated, or a captive portal answered: asking at once helps in neither case."""
    assert_kept(dialect.outcome(reply(status, raw=raw)), OutcomeKind.UNKNOWN, ambiguous=True)


@both
@pytest.mark.parametrize("code", [None, "rate_limit_exceeded", *ENDINGS])
@pytest.mark.parametrize("status", [429, 503])
def test_later_whatever_the_body_says(dialect, status, code):
    """A rate limit during a refresh is not the app's error."""
    answer = reply(status, raw=HTML) if code is None else problem(status, code)
    outcome = dialect.outcome(reply(status, raw=answer.body, headers={"retry-after": "12"}))
    assert_kept(outcome, OutcomeKind.RETRY_LATER)
    assert (outcome.retry_after, outcome.code, outcome.error.retry_after) == (12.0, code, 12.0)


@both
@pytest.mark.parametrize("status", [429, 503])
def test_later_without_a_time(dialect, status):
    """The engine picks the wait then."""
    assert dialect.outcome(reply(status, raw=HTML)).retry_after is None


def test_a_wait_of_zero_has_a_floor_on_v2():
    """That server rounds the seconds down."""
    answer = reply(429, raw=b"", headers={"retry-after": "0"})
    assert v1.outcome(answer).retry_after == 0.0
    assert v2.outcome(answer).retry_after == 1.0


@both
@pytest.mark.parametrize("code", [None, *ENDINGS, "SESSION_EXPIRED"])
@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((500, True), (501, True), (502, True), (505, True), (520, True), (599, True)),
        *((504, False), (600, False), (999, False), (100, False), (101, False)),
    ],
)
def test_failing_service_is_unknown(dialect, status, again, code):
    """A 5xx ends no session. Its body is not looked at. Behind a 504 the service is still at work."""
    answer = reply(status, raw=HTML) if code is None else problem(status, code)
    assert_kept(dialect.outcome(answer), OutcomeKind.UNKNOWN, ambiguous=True, ask_again=again)


@pytest.mark.parametrize(("code", "reason"), ENDINGS.items())
@pytest.mark.parametrize("status", [400, 401, 403, 404, 423])
def test_listed_codes_end_the_session(status, code, reason):
    """The code counts, not the status."""
    outcome = v1.outcome(problem(status, code))
    assert (outcome.kind, outcome.reason, outcome.code) == (OutcomeKind.SESSION_ENDED, reason, code)
    assert outcome.error is None


@pytest.mark.parametrize("code", ENDINGS)
def test_codes_that_a_lost_answer_explains(code):
    """After an attempt without an answer, this client itself may have used the token."""
    explained = code in {"refresh_token_reused", "refresh_token_invalid"}
    assert v1.outcome(problem(401, code)).token_was_used is explained


@pytest.mark.parametrize("shape", [lambda code: {"error": code, "message": "m"}, lambda code: {"code": code}])
def test_ending_is_understood_in_every_shape(shape):
    """The code is read wherever the service writes it."""
    assert v1.outcome(reply(401, shape("session_revoked"))).reason is ExpiryReason.REVOKED


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem(401, "invalid_api_key"), ApiError),
        (problem(401, "invalid_publishable_key"), ApiError),
        (problem(401, "missing_token"), ApiError),
        (problem(401, "invalid_token"), ApiError),
        (problem(401, "token_expired"), ApiError),
        (problem(401, "a_code_of_next_year"), ApiError),
        (problem(401, "SESSION_REVOKED"), ApiError),
        (problem(403, "tenant_mismatch"), PermissionDenied),
        (problem(400, "bad_request"), ApiError),
        (problem(409, "conflict"), ApiError),
        (problem(302, "session_revoked"), ApiError),
    ],
)
def test_settings_that_are_wrong_end_nothing(answer, kind):
    """A wrong key, client or tenant is an error to show. The session is kept."""
    outcome = v1.outcome(answer)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.MISCONFIGURED, None)
    assert isinstance(outcome.error, kind)


@both
@pytest.mark.parametrize("status", [404, 405, 407, 408, 421, 425])
def test_status_about_the_way_is_no_verdict(dialect, status):
    """A wrong path or a broken connection, also in HelloJohn's own words, does not answer the refresh."""
    outcome = dialect.outcome(problem(status, "not_heard_of"))
    assert_kept(outcome, OutcomeKind.FOREIGN_RESPONSE)
    assert f"status {status}" in str(outcome.error)
    assert "HELLOJOHN_API_URL" in str(outcome.error)


FOREIGN = [
    *(b"", HTML, b"Unauthorized", b"[" * 99_999, b"null", b"\xff", b"404 page not found\n"),
    *(b'{"message": "Unauthorized"}', b'{"error": {}}', b'{"code": 401}', b'{"code": null, "error": []}'),
    *(b'{"error": "access denied by policy", "message": "m"}', b'{"error": "unauthorized"}'),
    *(b'{"error": {"code": "ResourceNotFound", "message": "m"}}', b'{"error": "Not Found", "status": 404}'),
    *(b'{"code": "NoSuchBucket", "message": "m"}', b'{"error": {"code": 401, "status": "UNAUTHENTICATED"}}'),
]


@both
@pytest.mark.parametrize("raw", FOREIGN)
@pytest.mark.parametrize(
    "status", [301, 302, 304, 307, 400, 401, 403, 404, 405, 407, 408, 410, 421, 425, 451]
)
def test_foreign_answer_keeps_the_session(dialect, status, raw):
    """A proxy or a wrong address answered: the error names the status and the setting."""
    outcome = dialect.outcome(reply(status, raw=raw, headers={"location": "https://evil.example"}))
    assert_kept(outcome, OutcomeKind.FOREIGN_RESPONSE)
    message = str(outcome.error)
    assert (f"status {status}" in message, "HELLOJOHN_API_URL" in message) == (True, True)
    assert "evil" not in message


@pytest.mark.parametrize(
    ("answer", "reason", "used"),
    [
        (refused("UNAUTHORIZED", "refresh token is revoked"), ExpiryReason.REVOKED, True),
        (refused("REFRESH_TOKEN_REUSE"), ExpiryReason.REVOKED, True),
        (refused("user_disabled", status=423), ExpiryReason.USER_DISABLED, False),
    ],
)
def test_v2_endings(answer, reason, used):
    """A reused token is not called theft: the server says the same after a sign-out or a new password."""
    outcome = v2.outcome(answer)
    assert (outcome.kind, outcome.reason, outcome.error) == (OutcomeKind.SESSION_ENDED, reason, None)
    assert outcome.token_was_used is used


def test_v2_says_expired_during_an_outage_too():
    """The session is kept until a second look."""
    outcome = v2.outcome(refused("SESSION_EXPIRED"))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.DOUBTFUL_END, ExpiryReason.EXPIRED)
    assert (outcome.code, outcome.ask_again) == ("SESSION_EXPIRED", False)
    assert isinstance(outcome.error, ServiceUnavailable)


def test_v1_ends_are_never_doubtful():
    """The documented service has other answers for its failures."""
    outcomes = [v1.outcome(problem(401, code)) for code in (*ENDINGS, "SESSION_EXPIRED")]
    assert OutcomeKind.DOUBTFUL_END not in {outcome.kind for outcome in outcomes}


@pytest.mark.parametrize(
    "answer",
    [
        refused("UNAUTHORIZED", "client_id mismatch"),
        refused("UNAUTHORIZED", "a detail of next year"),
        refused("UNAUTHORIZED"),
        refused("CLIENT_NOT_FOUND", status=400),
        refused("BAD_REQUEST", "client_id and refresh_token are required", status=400),
        refused("INVALID_JSON", status=400),
    ],
)
def test_v2_settings_that_are_wrong_end_nothing(answer):
    """The token is unharmed."""
    outcome = v2.outcome(answer)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.MISCONFIGURED, None)
    assert type(outcome.error) is ApiError

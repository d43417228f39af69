"""The table of outcomes of a refresh, row by row."""

import pytest

from hellojohn._errors import AccountDisabled, ApiError, ExpiryReason, NotFound, ServiceUnavailable
from hellojohn._wire import ApiResponse, Delivery, OutcomeKind, TransportFailure
from tests.wire.samples import dialect, problem, reply

GRANTED = {"access_token": "at_2", "refresh_token": "rt_2", "expires_in": 60}
HTML = b"<html>hello</html>"
SESSION_ENDED = {
    "refresh_token_expired": ExpiryReason.EXPIRED,
    "session_expired": ExpiryReason.EXPIRED,
    "session_revoked": ExpiryReason.REVOKED,
    "refresh_token_reused": ExpiryReason.REUSE_DETECTED,
    "refresh_token_invalid": ExpiryReason.REJECTED,
}


@pytest.mark.parametrize("status", [200, 201, 299])
def test_done(status):
    """2xx with a readable body: the tokens are there."""
    outcome = dialect.outcome(reply(status, GRANTED))
    assert (outcome.kind, outcome.error) == (OutcomeKind.SUCCESS, None)
    assert outcome.grant is not None
    assert outcome.grant.ttl == 60.0


def test_not_sent():
    """Nothing left this machine: it may be sent again."""
    outcome = dialect.outcome(TransportFailure(Delivery.NOT_SENT, "ConnectError: refused"))
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert isinstance(outcome.error, ServiceUnavailable)
    assert not outcome.error.ambiguous


@pytest.mark.parametrize("code", [None, "rate_limit_exceeded", *SESSION_ENDED])
@pytest.mark.parametrize("status", [429, 503])
def test_later(status, code):
    """429 and 503 ask for a wait, whatever else they say; a refresh that is limited is no ``RateLimited``."""
    headers = {"retry-after": "12"}
    body = None if code is None else {"error": {"code": code}}
    outcome = dialect.outcome(reply(status, body, headers=headers))
    assert (outcome.kind, outcome.retry_after, outcome.code) == (OutcomeKind.RETRY_LATER, 12.0, code)
    assert isinstance(outcome.error, ServiceUnavailable)
    assert outcome.error.retry_after == 12.0


@pytest.mark.parametrize("status", [429, 503])
def test_later_without_a_time(status):
    """The engine picks the wait then."""
    assert dialect.outcome(reply(status, raw=HTML)).retry_after is None


def test_unknown_when_cut_off():
    """The token may be spent."""
    outcome = dialect.outcome(TransportFailure(Delivery.UNKNOWN, "ReadTimeout: too slow"))
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert isinstance(outcome.error, ServiceUnavailable)
    assert outcome.error.ambiguous


@pytest.mark.parametrize("raw", [b"", HTML, b"{}", b'{"access_token": "a'])
@pytest.mark.parametrize("status", [200, 204])
def test_unknown_when_a_success_cannot_be_read(status, raw):
    """A captive portal answers 200 as well."""
    outcome = dialect.outcome(reply(status, raw=raw))
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert isinstance(outcome.error, ServiceUnavailable)
    assert outcome.error.ambiguous


@pytest.mark.parametrize("code", [None, *SESSION_ENDED])
@pytest.mark.parametrize("status", [500, 501, 502, 504, 505, 520, 599, 600, 999, 100, 101])
def test_unknown_when_the_service_fails(status, code):
    """A 5xx never ends a session, not even one with a code that would."""
    outcome = dialect.outcome(reply(status, raw=HTML) if code is None else problem(status, code))
    assert (outcome.kind, outcome.reason) == (OutcomeKind.UNKNOWN, None)
    assert isinstance(outcome.error, ServiceUnavailable)
    assert outcome.error.ambiguous


@pytest.mark.parametrize(("code", "reason"), SESSION_ENDED.items())
@pytest.mark.parametrize("status", [401, 400, 403, 404])
def test_over(status, code, reason):
    """The listed codes end the session, each with its reason: the code counts, not the status."""
    outcome = dialect.outcome(problem(status, code))
    assert (outcome.kind, outcome.reason, outcome.code) == (OutcomeKind.SESSION_ENDED, reason, code)
    assert outcome.error is None


@pytest.mark.parametrize("shape", [lambda code: {"error": code, "message": "m"}, lambda code: {"code": code}])
def test_over_in_every_shape(shape):
    """The verdict is understood however it is written."""
    outcome = dialect.outcome(reply(401, shape("session_revoked")))
    assert outcome.reason is ExpiryReason.REVOKED


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
        (problem(403, "tenant_mismatch"), ApiError),
        (problem(403, "account_disabled"), AccountDisabled),
        (problem(400, "bad_request"), ApiError),
        (problem(404, "not_found"), NotFound),
        (problem(409, "conflict"), ApiError),
        (problem(302, "session_revoked"), ApiError),
        (reply(404, raw=HTML), NotFound),
        (reply(408, raw=b""), ApiError),
        (reply(410, raw=b""), ApiError),
        (reply(418, raw=HTML), ApiError),
        (reply(301, raw=b""), ApiError),
        (reply(307, raw=b"", headers={"location": "https://elsewhere"}), ApiError),
        (reply(304, raw=b""), ApiError),
    ],
)
def test_misconfigured(answer: ApiResponse, kind):
    """A wrong key, client, tenant or address is an error to show, and no end of the session."""
    outcome = dialect.outcome(answer)
    assert (outcome.kind, outcome.reason) == (OutcomeKind.MISCONFIGURED, None)
    assert isinstance(outcome.error, kind)


FOREIGN_RESPONSE = [
    b"",
    HTML,
    b"Unauthorized",
    b"[" * 99_999,
    b'{"message": "Unauthorized"}',
    b'{"error": {}}',
    b"null",
]


@pytest.mark.parametrize(
    "raw", [*FOREIGN_RESPONSE, b'{"error": "access denied by policy"}', b'{"code": 401}', b"\xff"]
)
@pytest.mark.parametrize("status", [401, 403])
def test_not_ours(status, raw):
    """A 401 or 403 that is no error of HelloJohn's is a proxy's word: the session is kept."""
    outcome = dialect.outcome(reply(status, raw=raw))
    assert (outcome.kind, outcome.code) == (OutcomeKind.FOREIGN_RESPONSE, None)
    assert isinstance(outcome.error, ServiceUnavailable)
    assert not outcome.error.ambiguous

"""Whatever a server sends, a reader returns a value of its type or raises an error of the tree."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hellojohn._errors import ApiError, ServiceUnavailable
from hellojohn._models import User
from hellojohn._wire import ApiResponse, Outcome, OutcomeKind, TokenResponse
from tests.wire.samples import dialect, token

# The first example builds tables of Unicode, which takes a while on a fresh machine.
fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = [
    *("access_token", "refresh_token", "expires_in", "session_id", "sid", "session", "user", "id", "error"),
    *("code", "message", "request_id", "retry_after", "challenge_id", "available_factors", "created_at"),
    *("access_token_expires_at", "refresh_token_expires_at", "expires_at", "email", "error_description"),
]
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        ["session_revoked", "mfa_required", "2025-01-01T00:00:00Z", "0001-01-01T00:00+14:00", "at", "\ud800"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
CLAIMS = st.dictionaries(st.sampled_from(["iat", "exp", "sid", "session_id"]), NUMBERS | TEXTS)
VALUES = st.recursive(
    NUMBERS | TEXTS | CLAIMS.map(lambda claims: token(**claims)),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES).map(
    lambda document: json.dumps(document).encode()
)
DATES = st.one_of(st.text(), st.datetimes().map(lambda time: f"{time:%a, %d %b %Y %H:%M:%S} GMT"))
HEADERS = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-request-id"]), DATES | st.floats().map(str)
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 422, 429, 500, 503]) | st.integers(
    100, 999
)
REPLIES = st.builds(ApiResponse, STATUSES, HEADERS, st.binary() | DOCUMENTS)


def result(read, answer: ApiResponse):
    """Return what a reader returns, or the error of the tree that it raises."""
    try:
        return read(answer)
    except (ApiError, ServiceUnavailable) as error:
        return error


def assert_showable(error: Exception) -> None:
    """Assert that a refusal can be printed, and waited for."""
    wait = getattr(error, "retry_after", None)
    assert str(error).isprintable()
    assert wait is None or 0 <= wait <= 86_400


@fuzz
@given(REPLIES)
def test_a_grant_or_an_error(answer):
    """A grant has a life and a token fit for a header."""
    read = result(dialect.read_grant, answer)
    assert_sound(read) if isinstance(read, TokenResponse) else assert_showable(read)


@fuzz
@given(REPLIES)
def test_a_user_or_an_error(answer):
    """A user can be written down."""
    read = result(dialect.read_user, answer)
    if isinstance(read, User):
        json.dumps(read.extra, ensure_ascii=False, allow_nan=False).encode()
    else:
        assert_showable(read)


@fuzz
@given(REPLIES)
def test_an_outcome_always(answer):
    """It is never an exception, and only a 4xx ends a session."""
    outcome = dialect.outcome(answer)
    assert isinstance(outcome, Outcome)
    assert (outcome.reason is not None) == (outcome.kind is OutcomeKind.SESSION_ENDED)
    assert (outcome.error is None) == (outcome.kind in {OutcomeKind.SESSION_ENDED, OutcomeKind.SUCCESS})
    assert outcome.kind is not OutcomeKind.SESSION_ENDED or 400 <= answer.status < 500
    if outcome.grant is not None:
        assert_sound(outcome.grant)


def assert_sound(grant: TokenResponse) -> None:
    """Assert that a grant can be used and stored."""
    assert 0 < grant.ttl <= 36_500 * 86_400
    assert grant.session_ttl is None or 0 < grant.session_ttl <= 36_500 * 86_400
    tokens = [grant.access_token, *([grant.refresh_token] if grant.refresh_token else [])]
    assert all(each.reveal().isascii() and each.reveal().isprintable() for each in tokens)
    assert not any(" " in each.reveal() for each in tokens)

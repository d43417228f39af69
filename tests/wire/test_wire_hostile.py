"""A reader of any answer returns a value of its type, or raises an error of the tree."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hellojohn._details import MfaFactor, PasswordPolicy, SessionInfo, TotpEnrollment
from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    ServiceUnavailable,
)
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import (
    Answer,
    ApiResponse,
    OAuthCode,
    Outcome,
    OutcomeKind,
    RemoteCheck,
    SessionPage,
    TokenResponse,
    signing_up,
)
from tests.counts import count
from tests.wire.samples import ADA, reply, shown_by, token, v1
from tests.wire.v2_samples import ADA as ADA_ON_V2
from tests.wire.v2_samples import v2

# The first example builds tables of Unicode, which takes a while on a fresh machine.
fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
both = pytest.mark.parametrize("dialect", [v1, v2], ids=["v1", "v2"])
CENTURY = 36_500 * 86_400

NAMES = [
    *("access_token", "refresh_token", "expires_in", "session_id", "sid", "session", "user", "id", "error"),
    *("code", "message", "detail", "request_id", "retry_after", "challenge_id", "available_factors", "sub"),
    *("access_token_expires_at", "refresh_token_expires_at", "expires_at", "email", "error_description"),
    *("mfa_required", "mfa_token", "preferred_factor", "user_id", "device_token", "id_token", "created_at"),
    *("data", "pagination", "has_more", "next_cursor", "valid", "claims", "session_duration", "idle_timeout"),
    *("type", "status", "name", "totp", "secret", "uri", "factor_id", "codes", "secret_base32", "enabled"),
    *("recovery_codes", "min_length", "max_length", "require_numbers", "client_id", "access_token_ttl"),
]
SECRET_FIELDS = [
    *("access_token", "refresh_token", "id_token", "device_token", "mfa_token", "challenge_id", "secret"),
    *("uri", "secret_base32", "totp", "claims", "user", "session", "error_description"),
]
CODES = [
    *("session_revoked", "mfa_required", "refresh_token_reused", "SESSION_EXPIRED", "REFRESH_TOKEN_REUSE"),
    *("UNAUTHORIZED", "refresh token is revoked", "user_disabled", "invalid_grant", "crypto_failed"),
    *("invalid_client", "invalid_scope", "INTERNAL_SERVER_ERROR", "TOKEN_INVALID", "link_expired"),
]
TEXTS = st.one_of(
    st.text(),
    st.sampled_from(
        [*CODES, "2025-01-01T00:00:00Z", "0001-01-01T00:00+14:00", "at", "\ud800", "totp", "web"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
CLAIMS = st.dictionaries(
    st.sampled_from(["iat", "exp", "sid", "session_id", "sub", "nonce"]), NUMBERS | TEXTS
)
VALUES = st.recursive(
    NUMBERS | TEXTS | CLAIMS.map(lambda claims: token(**claims)),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner),
    max_leaves=20,
)
DOCUMENTS = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES).map(lambda document: json.dumps(document).encode()),
    st.lists(VALUES).map(lambda document: json.dumps(document).encode()),
)
DATES = st.one_of(st.text(), st.datetimes().map(lambda time: f"{time:%a, %d %b %Y %H:%M:%S} GMT"))
HEADERS = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-request-id", "set-cookie"]),
    DATES | st.floats().map(str) | st.text().map(lambda text: f"__Host-hj-trusted={text}; Secure"),
)
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 405, 422, 423, 429, 500, 503])
SECRETS = st.lists(st.text(max_size=3).map(Secret), max_size=2).map(tuple)
REPLIES = st.builds(ApiResponse, STATUSES | st.integers(100, 999), HEADERS, st.binary() | DOCUMENTS, SECRETS)


def read(reader: Callable[[Answer], Any], answer: ApiResponse) -> Any:
    """Return the result of a reader, or the error of the tree that it raises."""
    try:
        return reader(answer)
    except (ApiError, ServiceUnavailable, ConfigurationError) as error:
        assert_showable(error)
        return error


def assert_showable(error: HelloJohnError) -> None:
    """Assert that an error can be printed, and waited for."""
    wait = getattr(error, "retry_after", None)
    assert str(error).isprintable()
    assert wait is None or 0 <= wait <= 86_400


def assert_sound(tokens: TokenResponse) -> None:
    """Assert that tokens can be used and stored."""
    assert 0 < tokens.ttl <= CENTURY
    assert tokens.session_ttl is None or 0 < tokens.session_ttl <= CENTURY
    found = [
        each for each in (tokens.access_token, tokens.refresh_token, tokens.device_token) if each is not None
    ]
    assert all(each.is_sendable() for each in found)
    assert_storable(tokens.user)


def assert_storable(user: User | None) -> None:
    """Assert that a user can be written down."""
    if user is not None:
        content = [user.id, user.email, user.name, user.username, user.extra]
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


@both
@fuzz
@given(answer=REPLIES)
def test_any_answer_to_a_sign_in(dialect, answer):
    """Tokens that can be stored, a challenge that can be answered, or an error."""
    found = read(dialect.read_tokens, answer)
    if isinstance(found, TokenResponse):
        assert_sound(found)
        assert found.refresh_token is not None
    elif isinstance(found, MfaRequired):
        assert isinstance(found.challenge, MfaChallenge)
        assert found.challenge.id
        assert all(isinstance(factor, str) and factor for factor in found.challenge.factors)


@both
@fuzz
@given(answer=REPLIES)
def test_any_answer_to_me(dialect, answer):
    """A user that can be stored, or an error."""
    found = read(dialect.read_user, answer)
    assert isinstance(found, User | HelloJohnError)
    if isinstance(found, User):
        assert_storable(found)
    assert isinstance(dialect.is_token_refused(answer), bool)
    assert isinstance(dialect.is_own_answer(answer), bool)
    assert isinstance(dialect.is_serving(answer), bool)
    dialect.me_after(answer, Secret("at"))


@both
@fuzz
@given(answer=REPLIES)
def test_any_answer_to_a_refresh(dialect, answer):
    """An outcome, and never an exception. Only a 4xx ends a session."""
    outcome = dialect.outcome(answer)
    assert_meaning(outcome)
    ends = outcome.kind in {OutcomeKind.SESSION_ENDED, OutcomeKind.DOUBTFUL_END}
    assert (outcome.reason is not None) == ends
    assert not ends or 400 <= answer.status < 500


def assert_meaning(outcome: Outcome) -> None:
    """Assert that an outcome holds what its kind promises."""
    assert isinstance(outcome, Outcome)
    assert (outcome.error is None) == (outcome.kind in {OutcomeKind.SESSION_ENDED, OutcomeKind.SUCCESS})
    assert (outcome.tokens is not None) == (outcome.kind is OutcomeKind.SUCCESS)
    assert not outcome.ask_again or outcome.kind is OutcomeKind.UNKNOWN
    if outcome.tokens is not None:
        assert_sound(outcome.tokens)
    if outcome.error is not None:
        assert_showable(outcome.error)


CODE = OAuthCode(code=Secret("c"), code_verifier=Secret("v"), redirect_uri="http://127.0.0.1/cb", nonce="n")
ENROLLMENT = TotpEnrollment(secret="S", uri="u", factor_id="f")
P, C, L = Secret("password"), Secret("123456"), Secret("lnk_1")
V1_FACTORS = reply(200, {"data": [{"type": "totp", "id": "f"}]})
V2_FACTORS = reply(200, {"available_factors": ["totp"]})
WEB = reply(200, [{"client_id": "web"}])
nothing = type(None)


def sign_up():
    """Begin a sign-up on v2, which may go on with a sign-in."""
    request = v2.sign_up("a", P, duration=None, name=None, username=None, metadata=None)
    return signing_up(v2, request, v2.sign_in("a", P, duration=None, captcha_token=None))


# Each way in: how it begins, the type of its result, and the good answers before the hostile one.
WAYS: dict[str, tuple[Callable[[], Any], type, list[ApiResponse]]] = {
    "v1 send": (lambda: v1.second_factors.send_code(MfaChallenge("c"), factor=None), nothing, []),
    "v1 factors": (lambda: v1.second_factors.list_factors(ADA), tuple, []),
    "v1 enroll": (
        lambda: v1.second_factors.enroll_totp(ADA, account="a", replace=True),
        TotpEnrollment,
        [V1_FACTORS],
    ),
    "v1 confirm": (lambda: v1.second_factors.confirm_totp(ADA, ENROLLMENT, C), tuple, []),
    "v1 disable": (lambda: v1.second_factors.disable_totp(ADA, password=P, code=C), nothing, [V1_FACTORS]),
    "v1 codes": (lambda: v1.second_factors.new_recovery_codes(ADA, password=P, code=C), tuple, []),
    "v1 link": (lambda: v1.links.verify_magic_link(L, duration=None, device=None), TokenResponse, []),
    "v1 reset": (lambda: v1.links.confirm_password_reset(L, P), nothing, []),
    "v1 oauth": (
        lambda: v1.oauth.exchange_code(replace(CODE, provider="google"), duration=None, device=None),
        TokenResponse,
        [],
    ),
    "v1 list": (
        lambda: v1.admin.list_sessions(user_id=None, status=None, limit=1, cursor=None),
        SessionPage,
        [],
    ),
    "v1 session": (lambda: v1.admin.get_session("s"), SessionInfo, []),
    "v1 check": (lambda: v1.admin.check_token(Secret("at")), RemoteCheck, []),
    "v1 config": (v1.admin.get_config, dict, []),
    "v2 sign up": (sign_up, TokenResponse, []),
    "v2 sign in after": (sign_up, TokenResponse, [reply(200, {"user_id": "u"})]),
    "v2 send": (lambda: v2.second_factors.send_code(MfaChallenge("c", ("sms",)), factor=None), nothing, []),
    "v2 factors": (lambda: v2.second_factors.list_factors(ADA_ON_V2), tuple, []),
    "v2 enroll": (
        lambda: v2.second_factors.enroll_totp(ADA_ON_V2, account="a", replace=True),
        TotpEnrollment,
        [V2_FACTORS],
    ),
    "v2 confirm": (lambda: v2.second_factors.confirm_totp(ADA_ON_V2, ENROLLMENT, C), tuple, []),
    "v2 codes": (lambda: v2.second_factors.new_recovery_codes(ADA_ON_V2, password=P, code=C), tuple, []),
    "v2 policy": (v2.links.password_policy, PasswordPolicy, []),
    "v2 verify": (lambda: v2.links.verify_email(L), nothing, []),
    "v2 oauth": (lambda: v2.oauth.exchange_code(CODE, duration=None, device=None), TokenResponse, []),
    "v2 service": (lambda: v2.oauth.service_token(P, scopes=["a"]), Outcome, []),
    "v2 config": (v2.admin.get_config, dict, []),
    "v2 write": (lambda: v2.admin.update_config({"access_token_ttl": "5m"}), dict, [WEB]),
    "v2 read back": (
        lambda: v2.admin.update_config({"access_token_ttl": "5m"}),
        dict,
        [WEB, reply(200, {})],
    ),
}


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 500, 503])
@pytest.mark.parametrize("content", [{}, {"data": 1}, {"totp": 7}, {"refresh_token": 1}])
def test_error_of_a_way_in_shows_nothing_of_the_answer(name, status, content):
    """An answer that cannot be read may hold a token, a recovery code or the secret of an app."""
    marked = dict.fromkeys(SECRET_FIELDS, "MARKED-SECRET")
    begin, _, before = WAYS[name]
    conversation = begin()
    next(conversation)
    for good in before:
        conversation.send(good)
    answer = reply(status, {**marked, "codes": [], "recovery_codes": [], **content})
    error = _error(conversation, answer)
    assert error is None or "MARKED-SECRET" not in shown_by(error)


def _error(conversation: Any, answer: ApiResponse) -> HelloJohnError | None:
    try:
        while True:
            conversation.send(answer)
    except StopIteration as stop:
        return stop.value.error if isinstance(stop.value, Outcome) else None
    except (ApiError, ServiceUnavailable, ConfigurationError) as error:
        return error


@pytest.mark.parametrize("name", WAYS)
@settings(fuzz, max_examples=count(1_000, 100))
@given(answer=REPLIES)
def test_any_answer_to_a_way_in(name, answer):
    """A value of the declared type, another request, or an error of the tree."""
    begin, kind, before = WAYS[name]
    conversation = begin()
    next(conversation)
    for good in before:
        conversation.send(good)
    try:
        conversation.send(answer)
    except StopIteration as stop:
        value = stop.value
    except (ApiError, ServiceUnavailable, ConfigurationError) as error:
        assert_showable(error)
        return
    else:
        return
    assert isinstance(value, kind)
    assert_plain(value)


def assert_plain(value: object) -> None:
    """Assert that a value of a way in can be written down."""
    match value:
        case TokenResponse():
            assert_sound(value)
        case Outcome():
            assert value.reason is None
            assert_meaning(value)
        case TotpEnrollment():
            (value.secret + value.uri).encode()
        case SessionPage():
            assert all(isinstance(each, SessionInfo) for each in value.sessions)
            assert value.next_cursor is None or value.next_cursor.encode()
        case RemoteCheck():
            assert value.session is None or isinstance(value.session, SessionInfo)
        case tuple():
            assert all(isinstance(each, str | MfaFactor) for each in value)
        case _:
            repr(value)

"""Answers recorded from a running server, read by v2. They are not in this repository.

Set HELLOJOHN_RECORDINGS to a folder of JSON files. Each holds a list of exchanges with ``id``, ``request``
and ``response``.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    ExpiryReason,
    HelloJohnError,
    ServiceUnavailable,
)
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, OutcomeKind
from tests.wire.samples import talk
from tests.wire.v2_samples import ACCESS_TOKEN, v2

FOLDER = os.environ.get("HELLOJOHN_RECORDINGS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="only on machines with HELLOJOHN_RECORDINGS set")
READERS: dict[tuple[str, str], Callable[[ApiResponse], Any]] = {
    ("POST", "/v2/auth/login"): v2.read_tokens,
    ("POST", "/v2/auth/register"): v2.read_sign_up,
    ("POST", "/v2/auth/logout"): v2.read_done,
    ("POST", "/v2/auth/logout-all"): v2.read_done,
    ("GET", "/userinfo"): v2.read_user,
    ("GET", "/v2/me"): v2.read_user,
    ("POST", "/v2/mfa/totp/challenge"): v2.read_tokens,
    ("POST", "/v2/mfa/email/challenge"): v2.read_tokens,
    ("POST", "/v2/mfa/sms/challenge"): v2.read_tokens,
}
ENDED, DOUBTFUL = OutcomeKind.SESSION_ENDED, OutcomeKind.DOUBTFUL_END
LATER, WRONG = OutcomeKind.RETRY_LATER, OutcomeKind.MISCONFIGURED
OUTCOMES = {
    (401, "REFRESH_TOKEN_REUSE", None): (ENDED, ExpiryReason.REVOKED),
    (401, "UNAUTHORIZED", "refresh token is revoked"): (ENDED, ExpiryReason.REVOKED),
    (401, "UNAUTHORIZED", "client_id mismatch"): (WRONG, None),
    (401, "SESSION_EXPIRED", None): (DOUBTFUL, ExpiryReason.EXPIRED),
    (423, "user_disabled", None): (ENDED, ExpiryReason.USER_DISABLED),
    (503, "TENANT_NO_DATABASE", None): (LATER, None),
    (429, "RATE_LIMIT_EXCEEDED", None): (LATER, None),
}


def _exchanges() -> list[Any]:
    files = sorted(Path(FOLDER).glob("*.json")) if FOLDER else []
    found = [exchange for file in files for exchange in json.loads(file.read_text(encoding="utf-8"))]
    return [each for each in found if each.get("request") and (each.get("response") or {}).get("status")]


def _answer(response: dict[str, Any]) -> ApiResponse:
    """Return the answer; each placeholder becomes a value of its kind."""
    body = response.get("body")
    raw = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    for name in ("<access_token>", "<jwt access_token>"):
        raw = raw.replace(name, ACCESS_TOKEN)
    raw = raw.replace("<", "x").replace(">", "") if not isinstance(body, str) else raw
    return ApiResponse(response["status"], response.get("headers", {}), raw.encode())


def _error(read: Callable[[ApiResponse], Any], answer: ApiResponse) -> HelloJohnError | None:
    try:
        read(answer)
    except (ApiError, ServiceUnavailable) as error:
        return error
    return None


def _asks_for_a_factor(body: object) -> bool:
    return isinstance(body, dict) and body.get("mfa_required") is True


def _key(exchange: dict[str, Any]) -> tuple[str, str]:
    return exchange["request"]["method"], exchange["request"]["path"].partition("?")[0]


def test_every_recorded_refresh_has_its_outcome():
    """The refusals of the page on this server, and nothing ends a session beside them."""
    seen = 0
    for exchange in _exchanges():
        if _key(exchange) != ("POST", "/v2/auth/refresh"):
            continue
        answer = _answer(exchange["response"])
        outcome = v2.outcome(answer)
        body = exchange["response"].get("body")
        code = (body.get("code"), body.get("detail")) if isinstance(body, dict) else (None, None)
        usual = (OutcomeKind.SUCCESS if answer.is_success else WRONG, None)
        expected = OUTCOMES.get((answer.status, *code), usual)
        assert (outcome.kind, outcome.reason) == expected, exchange["id"]
        seen += 1
    assert seen > 0


def test_every_recorded_answer_is_understood():
    """A success is read, and a refusal in the server's own words is an ``ApiError`` with its code."""
    seen = 0
    for exchange in _exchanges():
        read = READERS.get(_key(exchange))
        if read is None:
            continue
        answer, seen = _answer(exchange["response"]), seen + 1
        error, body = _error(read, answer), exchange["response"].get("body")
        assert (error is None) == (answer.is_success and not _asks_for_a_factor(body)), exchange["id"]
        if isinstance(error, ApiError):
            assert error.code == ("mfa_required" if answer.is_success else body["code"]), exchange["id"]
        elif answer.status < 500 and isinstance(body, dict):
            assert error is None, exchange["id"]
    assert seen > 0


SERVICE = {
    "invalid_client": (WRONG, ConfigurationError),
    "invalid_scope": (WRONG, ConfigurationError),
    "unsupported_grant_type": (WRONG, ConfigurationError),
    "invalid_request": (WRONG, ApiError),
    "RATE_LIMIT_EXCEEDED": (LATER, ServiceUnavailable),
}


def test_every_recorded_service_token_has_its_outcome():
    """A token, or an error that says whether the settings or the service are to be mended."""
    seen = 0
    for exchange in _exchanges():
        asked = exchange["request"].get("body")
        if not isinstance(asked, dict) or asked.get("grant_type") != "client_credentials":
            continue
        answer = _answer(exchange["response"])
        _, outcome = talk(v2.oauth.service_token(Secret("s"), scopes=["a"]), answer)
        body = exchange["response"]["body"]
        expected = SERVICE.get(body.get("error") or body.get("code"), (OutcomeKind.SUCCESS, type(None)))
        assert (outcome.kind, type(outcome.error)) == expected, exchange["id"]
        seen += 1
    assert seen > 10

"""``verify_token_remote``: the request, and the result of each answer."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
import trio

from hellojohn._details import SessionInfo
from hellojohn._errors import (
    ApiError,
    ConfigurationError,
    NotSupported,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
)
from hellojohn._secret import Secret
from hellojohn._wire import ApiResponse, Delivery, TransportFailure
from hellojohn.verify import Verification
from tests.verify.conftest import NOW

SESSION = {
    "id": "ses_1",
    "user_id": "usr_1",
    "status": "active",
    "created_at": "2026-11-29T06:00:00Z",
    "x": 1,
}


class Service:
    """Answers every request alike, and keeps the requests."""

    def __init__(self):
        self.requests = []
        self.answer = ApiResponse(200, {}, b'{"valid": false}')

    def __call__(self, request, deadline):
        """Answer."""
        self.requests.append((request, deadline))
        return self.answer

    def says(self, document, status=200):
        """Answer with this document from now on."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answer = ApiResponse(status, {}, body)


@pytest.fixture
def service():
    """Return the service."""
    return Service()


@pytest.fixture
def verifier(make, service):
    """Return a verifier with a secret key."""
    return make(send=service, secret_key=Secret("sk_live_1"))


def test_the_request_carries_the_secret_key_and_the_token(verifier, service):
    """It goes to the documented path and shows neither."""
    verifier.verify_token_remote("a.b.c")
    ((request, deadline),) = service.requests
    assert (request.method, request.path, request.headers) == (
        "POST",
        "/v1/sessions/verify",
        {"X-Tenant-ID": "tnt_1"},
    )
    assert (request.bearer, request.encode()) == (Secret("sk_live_1"), b'{"token": "a.b.c"}')
    assert 0 < deadline <= 10
    assert "a.b.c" not in repr(request)


def test_a_valid_token_comes_with_session_and_claims(verifier, service, claims):
    """The service's words about both are read."""
    service.says({"valid": True, "session": SESSION, "claims": {**claims, "role": "admin"}})
    found = verifier.verify_token_remote("a.b.c")
    assert found.valid
    assert found.session == SessionInfo(
        id="ses_1", user_id="usr_1", status="active", created_at=datetime(2026, 11, 29, 6, tzinfo=UTC)
    )
    assert (found.claims.user_id, found.claims.roles) == ("usr_1", {"admin"})


def test_claims_that_the_answer_leaves_out_are_the_tokens(verifier, service, signer, claims):
    """The service has vouched for the token."""
    service.says({"valid": True})
    found = verifier.verify_token_remote(signer.sign(claims))
    assert (found.session, found.claims.user_id) == (None, "usr_1")


@pytest.mark.parametrize("code", ["token_expired", "invalid_token", "session_revoked", "session_expired"])
def test_a_token_that_is_not_valid_is_no_error(verifier, service, code):
    """Whether the service says so in an answer or by an error code."""
    assert verifier.verify_token_remote("a.b.c") == Verification(valid=False)
    service.says({"error": {"code": code, "message": "no"}}, status=401)
    assert verifier.verify_token_remote("a.b.c") == Verification(valid=False)


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "ü", "x" * 16_385], ids=range(5))
def test_text_that_cannot_be_a_token_is_not_sent(verifier, service, token):
    """The service need not see it."""
    assert verifier.verify_token_remote(token) == Verification(valid=False)
    assert service.requests == []


@pytest.mark.parametrize(
    ("document", "status", "kind"),
    [
        ({}, 200, ServiceUnavailable),
        ({"valid": "yes"}, 200, ServiceUnavailable),
        ({"valid": 1}, 200, ServiceUnavailable),
        ({"valid": True}, 200, ServiceUnavailable),
        ({"valid": True, "claims": {"sub": 1, "exp": 1}}, 200, ServiceUnavailable),
        (b"<html>", 200, ServiceUnavailable),
        (b"<html>", 502, ServiceUnavailable),
        (b"", 503, ServiceUnavailable),
        ({"error": {"code": "invalid_api_key", "message": "no"}}, 401, ApiError),
        ({"error": {"code": "insufficient_permissions", "message": "no"}}, 403, PermissionDenied),
        ({"error": {"code": "rate_limit_exceeded", "message": "no"}}, 429, RateLimited),
        ({"valid": False}, 500, ServiceUnavailable),
    ],
    ids=str,
)
def test_other_answers_are_typed_errors(verifier, service, document, status, kind):
    """An unreadable answer is never a yes, and never a no."""
    service.says(document, status)
    with pytest.raises(kind):
        verifier.verify_token_remote("a.b.c")


def test_no_answer_is_service_unavailable(verifier, service):
    """A guard answers 503, and the user stays signed in."""
    service.answer = TransportFailure(Delivery.NOT_SENT, "ConnectError")
    with pytest.raises(ServiceUnavailable):
        verifier.verify_token_remote("a.b.c")


def test_a_secret_key_is_asked_for_by_name(make):
    """An API that verifies locally has none."""
    with pytest.raises(ConfigurationError, match="HELLOJOHN_SECRET_KEY"):
        make().verify_token_remote("a.b.c")


def test_v2_refuses_by_name(make):
    """That server calls a revoked token good."""
    verifier = make(api="v2", client_id="web", secret_key=Secret("x"))
    with pytest.raises(NotSupported, match="verify_token"):
        verifier.verify_token_remote("a.b.c")


def test_a_token_that_is_not_text_is_a_type_error(verifier, service):
    """In both faces."""
    with pytest.raises(TypeError):
        verifier.verify_token_remote(b"a.b.c")
    with pytest.raises(TypeError):
        asyncio.run(verifier.verify_token_remote_async(None))
    assert service.requests == []


@pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)], ids=["asyncio", "trio"])
def test_the_async_face_answers_alike(verifier, service, claims, run):
    """Its request is sent on a worker thread, with results and errors handed back."""
    service.says({"valid": True, "session": SESSION, "claims": claims})
    assert run(verifier.verify_token_remote_async("a.b.c")).session.id == "ses_1"
    service.says(b"", 503)
    with pytest.raises(ServiceUnavailable):
        run(verifier.verify_token_remote_async("a.b.c"))
    assert claims["iat"] == int(NOW)

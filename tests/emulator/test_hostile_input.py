"""Every malformed request gets one of the documented errors, never a crash."""

import json
import socket

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.counts import count

POSTS = (
    "/v1/auth/sign-in",
    "/v1/auth/sign-up",
    "/v1/auth/token/refresh",
    "/v1/auth/sign-out",
    "/v1/auth/magic-link",
    "/v1/auth/magic-link/verify",
    "/v1/auth/password/forgot",
    "/v1/auth/password/reset",
    "/v1/auth/password/change",
    "/v1/auth/email/verify/send",
    "/v1/auth/email/verify",
    "/v1/auth/oauth/google/callback",
    "/v1/mfa/verify",
    "/v1/mfa/send",
    "/v1/sessions/verify",
    "/v1/users/{user_id}/mfa/factors",
    "/v1/users/{user_id}/mfa/factors/fac_1/confirm",
)
FIELDS = (
    "email",
    "password",
    "name",
    "username",
    "metadata",
    "session_options",
    "captcha_token",
    "refresh_token",
    "everywhere",
    "challenge_id",
    "factor_id",
    "code",
    "token",
    "device_token",
    "remember_device",
    "redirect_to",
    "new_password",
    "current_password",
    "code_verifier",
    "redirect_uri",
    "type",
    "phone_number",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def post(caller, emulator):
    """Post a body with the key or token that the call needs."""
    token = caller.sign_in()["access_token"]
    user_id = emulator.add_user("ada@example.com", "correct horse")
    keys = {"/v1/auth/sign-out": token, "/v1/auth/password/change": token}

    def run(path, content):
        secret = "users" in path or "sessions" in path
        usual = emulator.secret_key if secret else emulator.publishable_key
        path = path.format(user_id=user_id)
        return caller.call("POST", path, bearer=keys.get(path, usual), content=content)

    return run


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "invalid_request")),
        (b"{", (400, "invalid_request")),
        (b"[]", (400, "invalid_request")),
        (b"null", (400, "invalid_request")),
        (b"\xff\xfe\x00", (400, "invalid_request")),
        (b'{"email": NaN}', (400, "invalid_request")),
        (b"[" * 200_000, (400, "invalid_request")),
        (b'{"n": ' + b"9" * 10_000 + b"}", (400, "invalid_request")),
        (b"{}", (422, "validation_failed")),
        (b'{"\\ud800": 1}', (422, "validation_failed")),
        (b" " * (1_048_576 + 1), (413, "payload_too_large")),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else "",
)
def test_a_malformed_body_is_refused(caller, post, path, body, expected):
    """Every call with a body answers junk with a documented error."""
    answer = post(path, body)
    assert caller.code(answer) == expected


def test_a_large_body_without_a_length(caller, post):
    """A chunked body has the same limit, and the connection stays usable."""
    answer = post("/v1/auth/sign-in", iter([b" " * 65_536] * 64))
    assert caller.code(answer) == (413, "payload_too_large")
    assert caller.sign_in()["id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/auth/sign-in", b'{"email": "\\ud800@example.com", "password": "x"}'),
        ("/v1/auth/sign-in", b'{"email": "a@example.com", "password": "\\udfff"}'),
        ("/v1/auth/token/refresh", b'{"refresh_token": "\\ud800"}'),
        ("/v1/sessions/verify", b'{"token": "\\ud800"}'),
    ],
)
def test_half_a_surrogate_pair_is_refused(caller, post, path, body):
    """JSON can spell half of a surrogate pair, which UTF-8 cannot encode. The field is named."""
    answer = post(path, body)
    assert caller.code(answer) == (422, "validation_failed")
    assert "must be text" in answer.json()["error"]["message"]


def test_metadata_is_echoed_as_it_was_spelt(caller):
    """Half of a surrogate pair in metadata comes back in the same spelling."""
    body = '{"email": "a@example.com", "password": "12345678", "metadata": {"x": "\\ud800"}}'
    answer = caller.call(
        "POST", "/v1/auth/sign-up", bearer=caller.emulator.publishable_key, content=body.encode()
    )
    assert answer.status_code == 201
    assert "\\ud800" in answer.text


@settings(
    max_examples=count(1_000, 20),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(POSTS), body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_wrong_types_are_never_a_crash(post, path, body):
    """Any JSON in any field gets a success or a documented error."""
    content = json.dumps(body).encode()
    answer = post(path, content)
    assert answer.status_code < 500
    assert answer.is_success or answer.json()["error"]["status"] == answer.status_code


def test_unknown_addresses_and_methods(caller):
    """A wrong address or method gets a documented error."""
    assert caller.code(caller.call("GET", "/v1/nothing")) == (404, "not_found")
    assert caller.code(caller.call("GET", "/v1/auth/sign-in/")) == (404, "not_found")
    assert caller.code(caller.call("DELETE", "/v1/auth/sign-in")) == (405, "method_not_allowed")


def test_a_request_id_is_echoed(caller):
    """Errors and successes carry the caller's id, also for an unknown address."""
    headers = {"X-Request-ID": "test-1"}
    for path in ("/v1/auth/me", "/v1/nothing"):
        answer = caller.call("GET", path, headers=headers)
        assert answer.json()["error"]["request_id"] == "test-1"
        assert answer.headers["x-request-id"] == "test-1"
    assert caller.call("GET", "/.well-known/jwks.json", headers=headers).headers["x-request-id"] == "test-1"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a\tb"])
def test_a_missing_request_id_is_made(caller, given):
    """A request without a usable id gets one, the same in header and body."""
    answer = caller.call("GET", "/v1/auth/me", headers={} if given is None else {"X-Request-ID": given})
    request_id = answer.json()["error"]["request_id"]
    assert request_id.startswith("req_")
    assert answer.headers["x-request-id"] == request_id


def test_noise_on_the_socket_is_refused(emulator):
    """Bytes that are not HTTP get a 400."""
    host, port = emulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 noise\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 400")


def test_a_client_that_hangs_up_is_not_an_error(emulator, caplog):
    """A request whose client hangs up midway is counted, and no error is logged."""
    host, port = emulator.url.removeprefix("http://").split(":")
    lines = [
        "POST /v1/auth/token/refresh HTTP/1.1",
        "Host: x",
        "Content-Length: 99",
        "Expect: 100-continue",
    ]
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", "{"]).encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 100")
    emulator.stop()
    assert emulator.calls("token/refresh") == 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []

"""The values of the wire: the requests that they make, and the secrets that they hide."""

import json
from types import MappingProxyType
from urllib.parse import parse_qs

import pytest

from hellojohn._secret import Secret
from hellojohn._wire import (
    ApiRequest,
    ApiResponse,
    Delivery,
    OAuthCode,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)

MARK = "MARKED-SECRET"


def test_request_reveals_secrets_only_when_encoded():
    """A secret becomes text in the expression that sends it, and nowhere else."""
    request = ApiRequest(
        "POST",
        "/x",
        MappingProxyType({"password": Secret(MARK), "n": 1}),
        Secret(MARK),
        {"A": Secret(MARK), "B": "b"},
        {"token": Secret(MARK)},
    )
    assert json.loads(request.encode() or b"") == {"password": MARK, "n": 1}
    assert MARK not in f"{request} {request!r} {request.body} {request.headers} {request.secret_query}"


def test_request_without_body_sends_none():
    """A GET carries nothing, not an empty object."""
    assert ApiRequest("GET", "/x").encode() is None
    assert ApiRequest("GET", "/x").header_values() == {}


def test_header_values_have_the_credentials_and_the_type():
    """The sender takes all headers from one call."""
    request = ApiRequest("POST", "/x", {}, Secret("t"), {"X-API-Key": Secret("k"), "X-Tenant-ID": "a"})
    assert request.header_values() == {
        "X-API-Key": "k",
        "X-Tenant-ID": "a",
        "Authorization": "Bearer t",
        "Content-Type": "application/json",
    }


def test_form_is_encoded_as_a_form():
    """OAuth takes forms only."""
    request = ApiRequest("POST", "/x", {"code": Secret("a b&c=d"), "n": 1}, form=True)
    assert parse_qs((request.encode() or b"").decode()) == {"code": ["a b&c=d"], "n": ["1"]}
    assert request.header_values() == {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("path", "target"), [("/x", "/x?token=a%26b"), ("/x?tenant_id=acme", "/x?tenant_id=acme&token=a%26b")]
)
def test_target_adds_the_secret_query(path, target):
    """The path can be logged, the target cannot."""
    assert ApiRequest("GET", path, secret_query={"token": Secret("a&b")}).target() == target
    assert ApiRequest("GET", path).target() == path


def test_request_names_all_its_secrets():
    """No message may repeat one that the server echoes, wherever it was sent."""
    request = ApiRequest(
        "POST",
        "/x",
        {"a": Secret("one"), "b": "plain"},
        Secret("two"),
        {"c": Secret("three"), "d": "plain"},
        {"e": Secret("four")},
    )
    assert set(request.secrets()) == {Secret("one"), Secret("two"), Secret("three"), Secret("four")}


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes"])
def test_request_refuses_values_that_json_cannot_express(value):
    """The value is refused, and not sent as another one."""
    with pytest.raises((TypeError, ValueError)):
        ApiRequest("POST", "/x", {"value": value}).encode()


@pytest.mark.parametrize(
    ("status", "success"), [(200, True), (204, True), (299, True), (199, False), (301, False)]
)
def test_success_is_2xx(status, success):
    """Redirects and informational answers are not successes."""
    assert ApiResponse(status).is_success is success


def test_values_show_no_secret():
    """A log line or a debugger that prints a value shows no token."""
    response = ApiResponse(200, {"x-token": MARK}, MARK.encode(), (Secret(MARK),))
    tokens = TokenResponse(Secret(MARK), Secret(MARK), 3_600.0, device_token=Secret(MARK))
    code = OAuthCode(
        code=Secret(MARK), code_verifier=Secret(MARK), redirect_uri="http://127.0.0.1/cb", nonce=MARK
    )
    outcome = Outcome(OutcomeKind.SUCCESS, tokens)
    failure = TransportFailure(Delivery.UNKNOWN, "cut off")
    assert MARK not in f"{response} {tokens} {code} {outcome} {failure}"
    assert "200" in repr(response)

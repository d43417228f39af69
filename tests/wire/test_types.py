"""The values of the wire: what they send, and what they do not show."""

import json
from types import MappingProxyType

import pytest

from hellojohn._secret import Secret
from hellojohn._wire import (
    ApiRequest,
    ApiResponse,
    Delivery,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)

MARK = "MARKED-SECRET"


def test_a_call_reveals_its_secrets_only_when_encoded():
    """The one place where a secret becomes text is the expression that sends it."""
    call = ApiRequest(
        "POST", "/x", MappingProxyType({"password": Secret(MARK), "n": 1}), Secret(MARK), {"A": MARK}
    )
    assert json.loads(call.encode() or b"") == {"password": MARK, "n": 1}
    assert MARK not in f"{call} {call!r} {call.body}"


def test_a_call_without_a_body_sends_none():
    """A GET carries nothing, not an empty object."""
    assert ApiRequest("GET", "/x").encode() is None


def test_a_call_names_all_its_secrets():
    """The bearer and the body's secrets, so that no message repeats what the server echoes."""
    call = ApiRequest("POST", "/x", {"a": Secret("one"), "b": "plain"}, Secret("two"))
    assert set(call.secrets()) == {Secret("one"), Secret("two")}


@pytest.mark.parametrize("value", [object(), float("nan"), b"bytes"])
def test_a_call_sends_json_or_nothing(value):
    """A value that JSON has no word for is refused, not sent as something else."""
    with pytest.raises((TypeError, ValueError)):
        ApiRequest("POST", "/x", {"value": value}).encode()


def test_no_value_shows_a_secret():
    """A log line or a debugger that prints what came shows no token."""
    reply = ApiResponse(200, {"x-token": MARK}, MARK.encode(), (Secret(MARK),))
    grant = TokenResponse(Secret(MARK), Secret(MARK), 3_600.0)
    outcome = Outcome(OutcomeKind.SUCCESS, grant=grant)
    assert MARK not in f"{reply} {grant} {outcome} {TransportFailure(Delivery.UNKNOWN, 'cut off')}"
    assert "200" in repr(reply)

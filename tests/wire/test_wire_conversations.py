"""Conversations, and what both dialects have in common."""

import inspect
import subprocess
import sys

import pytest

from hellojohn._errors import ServiceUnavailable
from hellojohn._secret import Secret
from hellojohn._wire import ApiRequest, Dialect, converse, make_dialect, prepare, single
from hellojohn._wire.topics import Admin, Links, OAuth, SecondFactors
from tests.wire.samples import reply, v1
from tests.wire.v2_samples import v2

SETTINGS = {
    "base_url": "https://auth.example.com",
    "tenant_id": "acme",
    "client_id": "web",
    "publishable_key": Secret("pk"),
    "secret_key": Secret("sk"),
}
TOPICS = {"second_factors": SecondFactors, "links": Links, "oauth": OAuth, "admin": Admin}


def counting(*requests):
    """Return a conversation that sends these requests and returns the statuses of the answers."""
    statuses = []
    for request in requests:
        answer = yield request
        statuses.append(answer.status)
    return statuses


def test_conversation_is_run_to_its_end():
    """Each request is sent once, in order, and the result comes back."""
    first, second = ApiRequest("GET", "/1"), ApiRequest("GET", "/2")
    sent = []

    def send(request):
        sent.append(request)
        return reply(200 + len(sent))

    assert converse(counting(first, second), send) == [201, 202]
    assert sent == [first, second]
    assert converse(counting(), send) == []


def test_single_request_is_a_conversation():
    """The reader makes the result."""
    request = ApiRequest("GET", "/1")
    assert converse(single(request, lambda answer: answer.status), lambda _: reply(204)) == 204


def test_error_of_a_reader_ends_the_conversation():
    """No further request is sent."""

    def refuse(_answer):
        raise ServiceUnavailable("No.")

    with pytest.raises(ServiceUnavailable):
        converse(single(ApiRequest("GET", "/1"), refuse), lambda _: reply(204))


@pytest.mark.parametrize(("api", "name"), [("v1", "v1"), ("v2", "v2")])
def test_dialect_is_made_by_its_name(api, name):
    """The engine holds it by the protocol. Its repr shows no key."""
    dialect: Dialect = make_dialect(api, **SETTINGS)
    assert dialect.name == name
    assert "sk" not in repr(dialect)


def test_dialects_without_keys_can_be_made():
    """An API that only verifies tokens has none."""
    for api in ("v1", "v2"):
        make_dialect(api, **{**SETTINGS, "publishable_key": None, "secret_key": None})


def _signatures(thing: object, protocol: type) -> dict[str, inspect.Signature]:
    names = [name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")]
    return {name: inspect.signature(getattr(type(thing), name)) for name in names}


@pytest.mark.parametrize("dialect", [v1, v2])
def test_dialect_has_the_signatures_of_the_protocol(dialect):
    """A call that one dialect takes is a call that the other takes."""
    assert _signatures(dialect, Dialect) == {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(Dialect, inspect.isfunction)
        if not name.startswith("_")
    }
    for topic, protocol in TOPICS.items():
        expected = {
            name: inspect.signature(method)
            for name, method in inspect.getmembers(protocol, inspect.isfunction)
            if not name.startswith("_")
        }
        assert _signatures(getattr(dialect, topic), protocol) == expected, topic


def run(code: str) -> list[str]:
    """Run a program and return the words that it prints."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_prepare_loads_all_that_reading_an_answer_needs(api):
    """An import that fails after the service has rotated the token would lose the session."""
    code = f"""
import json, sys
from hellojohn._wire import ApiResponse, make_dialect, prepare
dialect = make_dialect({api!r}, base_url="https://a", tenant_id="t", client_id="c", publishable_key=None,
                       secret_key=None)
prepare()
loaded = set(sys.modules)
tokens = {{"access_token": "eyJzdWIiOiJ1In0.eyJzdWIiOiJ1In0.c2ln", "refresh_token": "r", "expires_in": 1}}
dates = {{"date": "Sun, 15 Jun 2025 15:06:40 GMT", "retry-after": "Sun, 15 Jun 2025 15:07:40 +0200"}}
for status in (200, 204, 302, 401, 404, 423, 429, 500, 503, 504):
    for body in (json.dumps(tokens).encode(), b"<", b"\\xff", b'{{"error": {{"code": "session_revoked"}}}}'):
        dialect.outcome(ApiResponse(status, dates, body))
print(*(set(sys.modules) - loaded))
"""
    assert run(code) == []


def test_prepare_can_be_called_again():
    """Every refresh calls it."""
    prepare()
    prepare()


@pytest.mark.parametrize(("api", "other"), [("v1", "v2"), ("v2", "v1")])
def test_only_the_dialect_in_use_is_loaded(api, other):
    """The other one would cost time at every start of a program."""
    code = f"""
import sys
from hellojohn._wire import make_dialect
print(*(name for name in sys.modules if "_wire.v" in name and "values" not in name))
make_dialect({api!r}, base_url="https://a", tenant_id="t", client_id="c", publishable_key=None,
             secret_key=None)
print("made", *(name for name in sys.modules if "_wire.{other}" in name))
"""
    assert run(code) == ["made"]

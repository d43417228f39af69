"""The public values: what they say, how they travel, and that they hold no secret."""

import copy
import dataclasses
import json
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hellojohn import AuthEvent, AuthEventType, ConfigurationError, Session, SessionOptions, User
from tests.behaviour.scripted import EMAIL, PASSWORD, START, ScriptedService

USER = User(
    "usr_1", email="ada@example.com", created_at=datetime(2024, 5, 1, tzinfo=UTC), extra={"plan": ["pro"]}
)


def session_at(now: float, *, lasts: float = 100.0) -> Session:
    """Return the session of a client whose clock shows so many seconds after the sign-in."""
    service = ScriptedService()
    service.lasts = lasts
    session = service.client().auth.sign_in(EMAIL, PASSWORD)
    service.now = START + now
    return session


SESSION = session_at(0)
EVENT = AuthEvent(AuthEventType.SIGNED_IN, SESSION)
VALUES = [USER, SESSION, EVENT, SessionOptions(duration="8h"), SessionOptions(duration=timedelta(hours=8))]
EACH = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


@EACH
@pytest.mark.parametrize("pass_on", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_values_copy_and_pickle(value, pass_on):
    """A web back end keeps them in its own session, and a worker passes them on."""
    assert pass_on(value) == value


@EACH
def test_values_are_frozen(value):
    """What one caller was given cannot be changed by another."""
    name = dataclasses.fields(value)[0].name
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(value, name, None)


# ---------------------------------------------------------------- sessions serialise


def test_session_as_a_dict():
    """dataclasses.asdict gives the fields of the documents, as plain values without a clock or a token."""
    found = dataclasses.asdict(SESSION)
    assert set(found) == {
        *("id", "user", "tenant_id", "created_at", "access_token_expires_at", "expires_at"),
        *("duration", "remember_me", "idle_expires_at"),
    }
    assert found["user"]["email"] == EMAIL
    assert "at_1" not in json.dumps(found, default=str)


def test_session_in_pydantic():
    """Pydantic writes a session as JSON and reads it back, as FastAPI does for a response model."""
    adapter = TypeAdapter(Session)
    text = adapter.dump_json(SESSION)
    assert json.loads(text)["user"]["id"] == "usr_1"
    assert adapter.validate_json(text) == SESSION


def test_session_from_fastapi():
    """A FastAPI endpoint can return a session."""
    from fastapi import FastAPI  # noqa: PLC0415 - it takes long to load
    from fastapi.testclient import TestClient  # noqa: PLC0415

    app = FastAPI()

    @app.get("/session")
    def show() -> Session:
        return SESSION

    with TestClient(app) as client:
        assert client.get("/session").json()["id"] == "ses_1"


# ---------------------------------------------------------------- what they say


def test_user_keeps_every_other_field():
    """An app reads its own claims in extra; the repr, which ends up in logs, does not show them."""
    assert USER.extra == {"plan": ["pro"]}
    assert "pro" not in repr(USER)
    assert User("usr_1", extra={"a": 1}) == User("usr_1", extra={"b": 2})
    assert pickle.loads(pickle.dumps(USER)).extra == {"plan": ["pro"]}


def test_pickled_session_counts_by_the_systems_clock():
    """The injected clock of a test is no fact about the session, and does not travel."""
    again = pickle.loads(pickle.dumps(SESSION))
    assert again.time_left() == timedelta(0)
    assert SESSION.time_left() == timedelta(seconds=100)


@pytest.mark.parametrize(
    ("now", "left"), [(0.0, 100.0), (99.0, 1.0), (100.0, 0.0), (5e9, 0.0), (-50.0, 150.0)]
)
def test_time_left_is_never_negative(now, left):
    """A session that has ended has no time left."""
    assert session_at(now).time_left() == timedelta(seconds=left)


@given(st.floats())
def test_any_clock_gives_a_time_left(now):
    """Whatever a clock returns, time_left() is a timedelta that is not negative."""
    service = ScriptedService()
    service.lasts = 100.0
    session = service.client().auth.sign_in(EMAIL, PASSWORD)
    service.now = now
    left = session.time_left()
    assert timedelta(0) <= left <= session.expires_at - datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "given", [{}, {"duration": "8"}, {"Duration": "8h"}, {"duration": "8h", "x": 1}, None, "8h", 5]
)
def test_session_options_are_checked_where_they_are_written(given):
    """The message shows the accepted form."""
    with pytest.raises(ConfigurationError, match=r"8h|30d"):
        SessionOptions.read(given)
    options = SessionOptions(duration="8h")
    assert SessionOptions.read(options) is options
    assert SessionOptions.read({"duration": "8h"}) == options


def test_event_types_are_the_documented_texts():
    """Events are compared, logged and sent on by their values."""
    assert {kind.value for kind in AuthEventType} == {
        *("SIGNED_IN", "TOKEN_REFRESHED", "SESSION_EXPIRED", "SIGNED_OUT"),
        *("MFA_REQUIRED", "SESSION_EXPIRING", "SESSION_REPLACED"),
    }

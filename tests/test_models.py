"""The public values: what they say, how they travel, and what they never hold."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._errors import ConfigurationError
from hellojohn._models import AuthEvent, AuthEventType, SessionOptions, User
from tests.engine.rig import START, a_record

USER = User(
    "usr_1", email="ada@example.com", created_at=datetime(2024, 5, 1, tzinfo=UTC), extra={"plan": ["pro"]}
)
SESSION = a_record(user=USER, ends_at=START + 100).session(idle_timeout=None, clock=lambda: START)
EVENT = AuthEvent(AuthEventType.SIGNED_IN, SESSION)
VALUES = [USER, SESSION, EVENT, SessionOptions(duration="8h"), SessionOptions(duration=timedelta(hours=8))]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("pass_on", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_values_copy_and_pickle(value, pass_on):
    """A web back end keeps them in its own session, a worker hands them on."""
    assert pass_on(value) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen(value):
    """What one caller was given cannot be changed by another."""
    name = next(iter(value.__slots__))
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(value, name, None)


def test_a_user_keeps_every_other_field_of_the_answer():
    """Apps read their own claims; the repr, which ends in logs, does not show them."""
    assert USER.extra == {"plan": ["pro"]}
    assert "pro" not in repr(USER)
    assert User("usr_1", extra={"a": 1}) == User("usr_1", extra={"b": 2})
    assert pickle.loads(pickle.dumps(USER)).extra == {"plan": ["pro"]}


def test_a_pickled_session_goes_on_with_the_real_clock():
    """An injected clock is a test's, and is not a fact about the session."""
    again = pickle.loads(pickle.dumps(SESSION))
    assert again.clock is not SESSION.clock
    assert again.time_left() == timedelta(0)
    assert SESSION.time_left() == timedelta(seconds=100)


@pytest.mark.parametrize(
    ("now", "left"), [(0.0, 100.0), (99.0, 1.0), (100.0, 0.0), (5e9, 0.0), (-50.0, 150.0)]
)
def test_the_time_that_is_left_is_never_negative(now, left):
    """A session that is over has none."""
    session = replace(SESSION, clock=lambda: START + now)
    assert session.time_left() == timedelta(seconds=left)


@given(st.floats())
def test_no_clock_crashes_the_time_that_is_left(now):
    """It may be wrong, and it is a ``timedelta``."""
    left = replace(SESSION, clock=lambda: now).time_left()
    assert left is not None
    assert timedelta(0) <= left <= SESSION.expires_at - datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("duration", ["8h", "480m", timedelta(hours=8)])
def test_session_options_write_the_duration_as_the_api_takes_it(duration):
    """Text or ``timedelta``: the same on the wire."""
    assert SessionOptions(duration=duration).as_text() == "8h"
    assert SessionOptions.read({"duration": duration}).as_text() == "8h"
    options = SessionOptions(duration=duration)
    assert SessionOptions.read(options) is options


@pytest.mark.parametrize(
    "given", [{}, {"duration": "8"}, {"Duration": "8h"}, {"duration": "8h", "x": 1}, None, "8h", 5]
)
def test_session_options_are_checked_where_they_are_written(given):
    """The message shows how it is done."""
    with pytest.raises(ConfigurationError, match=r"8h|30d"):
        SessionOptions.read(given)


def test_event_types_are_the_documented_texts():
    """They are compared, logged and sent on by their values."""
    assert {kind.value for kind in AuthEventType} == {
        *("SIGNED_IN", "TOKEN_REFRESHED", "SESSION_EXPIRED", "SIGNED_OUT", "MFA_REQUIRED", "SESSION_EXPIRING")
    }

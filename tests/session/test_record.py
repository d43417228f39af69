"""The stored record: it is read as it was written, malformed ones are refused, and generations follow."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._clock import LAST_MOMENT
from hellojohn._errors import ExpiryReason, StoreCorrupt
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._session.record import SessionRecord, ended, next_generation, signed_in, to_session
from hellojohn._session.record_format import dump, parse
from hellojohn._wire import TokenResponse
from tests.session.bench import API, START, TENANT, TTL, a_record

FULL = a_record(
    server_ends_at=START + 10,
    client_ends_at=START + 20,
    duration=86_400.0,
    remember_me=True,
    user=User(
        id="usr_1",
        email="ada@example.com",
        name="Ada",
        username="ada",
        email_verified=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        extra={"plan": {"name": "pro", "seats": [1, 2]}},
    ),
    refresh_started_at=START + 1,
    refresh_not_before=START + 2,
    cooldown_until=START + 3,
    end_announced=True,
    after_refusal=True,
)


def answer(**changes: Any) -> TokenResponse:
    """Return the tokens of a sign-in or a refresh."""
    fields: dict[str, Any] = {
        "access_token": Secret("at_2"),
        "refresh_token": Secret("rt_2"),
        "ttl": TTL,
        "session_id": "ses_1",
        "user": None,
        "session_ttl": None,
    }
    return TokenResponse(**{**fields, **changes})


def new(tokens: TokenResponse, **changes: Any) -> SessionRecord:
    """Return the record of a sign-in."""
    facts: dict[str, Any] = {
        "api_url": API,
        "tenant_id": TENANT,
        "now": START,
        "duration": None,
        "remember_me": None,
        "server_ends_sessions": True,
    }
    return signed_in(tokens, **{**facts, **changes})


@pytest.mark.parametrize(
    "record", [a_record(), FULL, ended(FULL, ExpiryReason.IDLE, "session_expired")], ids=str
)
def test_round_trip(record: Any) -> None:
    """A record that was stored is read back equal."""
    text = dump(record).reveal()
    assert parse(text) == record
    assert json.loads(text)["v"] == 1


def test_record_shows_no_secret() -> None:
    """A record is masked in its repr and does not pickle."""
    assert "at_1" not in repr(a_record())
    assert "rt_1" not in repr(a_record())
    with pytest.raises(TypeError):
        pickle.dumps(a_record())


def test_unknown_fields_are_ignored() -> None:
    """A field that this version does not know does not make a record unreadable."""
    fields = json.loads(dump(a_record()).reveal())
    assert parse(json.dumps({**fields, "colour": "blue"})) == a_record()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "[" * 5_000, '{"v":"1"}', None, b"{}"])
def test_not_a_record(text: Any) -> None:
    """A text that is not a record is refused as damaged."""
    with pytest.raises(StoreCorrupt) as caught:
        parse(text)
    assert not caught.value.readable_elsewhere


def test_later_version_is_good_for_another_reader() -> None:
    """A record of a later version is refused as readable elsewhere, so that it is left alone."""
    with pytest.raises(StoreCorrupt, match="later version") as caught:
        parse('{"v": 2, "anything": true}')
    assert caught.value.readable_elsewhere


@pytest.mark.parametrize("name", sorted(FULL.__slots__))
@pytest.mark.parametrize("value", [[], {}, "\x00 two words", -1, 1e300, float("nan"), "x" * 3], ids=repr)
def test_malformed_fields(name: str, value: Any) -> None:
    """A field of the wrong kind is refused, without its value in the message, or is a plain text."""
    fields = json.loads(dump(FULL).reveal())
    text = json.dumps({**fields, name: value})
    try:
        record = parse(text)
    except StoreCorrupt as error:
        assert name in str(error) or "user" in str(error) or "id" in str(error)  # noqa: PT017
        assert "two words" not in str(error)  # noqa: PT017
    else:
        assert isinstance(value, str | dict | int)
        assert parse(dump(record).reveal()) == record


@pytest.mark.parametrize("name", ["api_url", "access_token", "generation", "refreshed_at", "end_announced"])
def test_missing_fields(name: str) -> None:
    """A record without one of its necessary fields is refused."""
    fields = json.loads(dump(FULL).reveal())
    del fields[name]
    with pytest.raises(StoreCorrupt, match=name):
        parse(json.dumps(fields))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda it: st.lists(it) | st.dictionaries(st.text(), it),
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Any JSON is read as a record or refused as damaged, and nothing else happens."""
    with pytest.raises(StoreCorrupt):
        parse(json.dumps(value))


def test_reason_of_a_later_version() -> None:
    """An end with a reason that this version does not know is read as rejected."""
    text = dump(ended(FULL, ExpiryReason.IDLE, None)).reveal().replace('"idle"', '"eclipsed"')
    record = parse(text)
    assert not isinstance(record, SessionRecord)
    assert record.reason is ExpiryReason.REJECTED


# ------------------------------------------------------------------ generations


def test_sign_in_makes_the_first_generation() -> None:
    """A sign-in gives a session a new id, its first generation and its times."""
    record = new(answer(user=User(id="usr_1")), duration=timedelta(days=30), remember_me=True)
    assert (record.generation, record.created_at, record.refreshed_at) == (1, START, START)
    assert (record.duration, record.remember_me) == (30 * 86_400.0, True)
    assert record.client_ends_at is None
    assert record.sign_in_id != new(answer()).sign_in_id


def test_client_keeps_the_end_where_the_service_does_not() -> None:
    """Where the service limits no session, the client ends it after the duration asked for."""
    record = new(answer(), duration=timedelta(hours=24), server_ends_sessions=False)
    assert record.client_ends_at == START + 86_400


@pytest.mark.parametrize(
    ("session_ttl", "limit"),
    [(86_400.0, None), (86_459.0, None), (86_461.0, START + 86_400), (1e9, START + 86_400)],
)
def test_longer_session_than_asked_is_limited(session_ttl: float, limit: float | None) -> None:
    """A service that gives a longer session than was asked for does not get its way."""
    record = new(answer(session_ttl=session_ttl), duration=timedelta(hours=24))
    assert record.client_ends_at == limit
    assert record.server_ends_at == START + session_ttl


def test_clock_set_between_two_answers_ends_nothing() -> None:
    """Lengths are compared, not moments, so a clock that jumps between two answers limits nothing."""
    record = new(answer(session_ttl=86_400.0), duration=timedelta(hours=24))
    later = next_generation(
        record, answer(session_ttl=80_000.0), now=START + 10 * 86_400, after_refusal=False
    )
    assert later.client_ends_at is None


def test_next_generation() -> None:
    """A refresh replaces the pair, clears the notes of attempts and failures, and keeps the rest."""
    record = next_generation(FULL, answer(), now=START + 50, after_refusal=False)
    assert (record.generation, record.refreshed_at) == (2, START + 50)
    assert (record.refresh_started_at, record.refresh_not_before, record.cooldown_until) == (None, None, None)
    assert (record.end_announced, record.after_refusal) == (True, False)
    assert (record.user, record.created_at, record.sign_in_id) == (FULL.user, START, FULL.sign_in_id)
    assert record.is_newer_than(FULL)
    assert not FULL.is_newer_than(record)


def test_clock_without_time_makes_no_broken_record() -> None:
    """A clock that returns nonsense leaves a record that can be stored and read."""
    for now in (float("nan"), float("inf"), -5.0):
        record = new(answer(session_ttl=5.0), now=now, duration=timedelta(hours=1))
        assert parse(dump(record).reveal()) == record
        assert 0 <= record.refreshed_at <= LAST_MOMENT


def test_public_session() -> None:
    """The public session has the record's facts as dates, and no token."""
    session = to_session(FULL, idle_timeout=60.0, clock=lambda: START + 4)
    assert session.expires_at == datetime.fromtimestamp(START + 10, UTC)
    assert session.idle_expires_at == datetime.fromtimestamp(START + 60, UTC)
    assert session.time_left() == timedelta(seconds=6)
    assert "at_1" not in repr(session)


def test_session_where_the_service_names_nobody() -> None:
    """A session always has an id and a user, which are empty where the service gives none."""
    session = to_session(a_record(session_id=None), idle_timeout=None, clock=lambda: START)
    assert (session.id, session.user.id) == ("", "")
    assert session.time_left() is None


def test_copied_session_uses_the_systems_clock() -> None:
    """A session that was pickled or copied is equal, and counts by the system's clock."""
    session = to_session(FULL, idle_timeout=None, clock=lambda: START)
    for other in (pickle.loads(pickle.dumps(session)), copy.deepcopy(session)):
        assert other == session
        assert other.time_left() == timedelta(0)

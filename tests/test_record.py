"""The stored record: what is written, what is read, and what is refused."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._errors import StoreCorrupt
from hellojohn._models import User
from hellojohn._record import NewerRecord, Record
from hellojohn._secret import Secret
from hellojohn._clock import LAST_MOMENT
from tests.engine.rig import START, TTL, a_record

USER = User(
    "usr_1",
    email="ada@example.com",
    name="Ada",
    username="ada",
    email_verified=True,
    created_at=datetime(2024, 5, 1, tzinfo=UTC),
    extra={"plan": ["pro", 1, None, {"é": 1.5}]},
)
FULL = a_record(
    ends_at=START + 100,
    deadline=START + 90,
    duration=90.0,
    remember_me=False,
    user=USER,
    refresh_started_at=START + 1,
    refresh_not_before=START + 2,
)

moments = st.floats(0, LAST_MOMENT)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(Secret)
users = st.builds(
    User,
    texts,
    email=st.none() | texts,
    name=st.none() | texts,
    username=st.none() | texts,
    email_verified=st.none() | st.booleans(),
    created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    extra=st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts | st.lists(texts)),
)
records = st.builds(
    Record,
    api_url=texts.filter(bool),
    tenant_id=texts.filter(bool),
    generation=st.integers(1),
    access_token=tokens,
    refresh_token=tokens,
    refreshed_at=moments,
    ttl=moments,
    created_at=moments,
    ends_at=st.none() | moments,
    deadline=st.none() | moments,
    duration=st.none() | moments,
    remember_me=st.none() | st.booleans(),
    session_id=st.none() | texts,
    user=st.none() | users,
    refresh_started_at=st.none() | moments,
    refresh_not_before=st.none() | moments,
)


def _text(**changes: Any) -> str:
    return json.dumps({**json.loads(FULL.dumps()), **changes})


@given(records)
def test_what_is_written_reads_back_the_same(record):
    """A restart finds the session as it was left."""
    again = Record.loads(record.dumps())
    assert again == record
    assert (again.user.extra if again.user else None) == (record.user.extra if record.user else None)


def test_the_minimal_record_reads_back_the_same():
    """A server that tells next to nothing is served as well."""
    assert Record.loads(a_record(session_id=None).dumps()) == a_record(session_id=None)


def test_fields_of_tomorrow_are_ignored():
    """A patch release may add a field without locking the older one out."""
    assert Record.loads(_text(later="field")) == FULL


REQUIRED = [
    *("v", "api_url", "tenant_id", "generation", "access_token", "refresh_token"),
    *("refreshed_at", "ttl", "created_at"),
]
OPTIONAL = [
    *("ends_at", "deadline", "duration", "remember_me", "session_id", "user", "refresh_started_at", "refresh_not_before"),
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_record_without_what_it_needs_is_corrupt(name):
    """A half record must not become a half session."""
    fields = json.loads(FULL.dumps())
    del fields[name]
    with pytest.raises(StoreCorrupt, match=f"it has no {name}"):
        Record.loads(json.dumps(fields))


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_record_without_the_rest_is_good(name):
    """What an older version did not write is unknown, and no harm."""
    fields = json.loads(FULL.dumps())
    del fields[name]
    assert getattr(Record.loads(json.dumps(fields)), name) is None


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
@pytest.mark.parametrize("value", [[], "\x00 2", -1, True, 1e400, 10**30, {"id": 5}], ids=repr)
def test_no_value_of_a_wrong_kind_gets_in(name, value):
    """Anybody may have written into the store: everything is checked on the way in."""
    text = _text(**{name: value})
    fits = {"api_url": str, "tenant_id": str, "session_id": str, "generation": int, "remember_me": bool}
    if name == "v" and value == 10**30:
        with pytest.raises(NewerRecord):
            Record.loads(text)
    elif name in (*fits, "v") and type(value) is fits.get(name, int):
        Record.loads(text)
    else:
        with pytest.raises(StoreCorrupt, match="not a session of hellojohn"):
            Record.loads(text)


@pytest.mark.parametrize(
    "user", [{}, {"id": None}, {"id": "u", "email": 5}, {"id": "u", "created_at": "soon"}]
)
def test_no_user_of_a_wrong_kind_gets_in(user):
    """The user is checked as the rest is."""
    with pytest.raises(StoreCorrupt):
        Record.loads(_text(user=user))


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "[]", "5", '"x"', "{", '{"v":1', "\x00", b"\xff"),
        *("[" * 100_000, '{"v":' + "1" * 5_000 + "}"),
    ],
    ids=lambda text: repr(text)[:12],
)
def test_what_is_no_json_object_is_corrupt(text):
    """A torn or foreign file is told apart from a session."""
    with pytest.raises(StoreCorrupt, match="not a JSON object"):
        Record.loads(text)


def test_a_store_that_returns_no_text_holds_nothing_of_ours():
    """Somebody's own store with a mistake in it gets a sentence, not a ``TypeError`` from inside."""
    with pytest.raises(StoreCorrupt):
        Record.loads(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [2, 99])
def test_a_record_of_a_newer_version_says_so(version):
    """It is left alone: the newer version beside this one still wants it."""
    with pytest.raises(NewerRecord, match="upgrade"):
        Record.loads(_text(v=version, generation="meant otherwise"))


def test_no_error_and_no_repr_shows_a_token():
    """Nor does a record in a traceback's locals."""
    with pytest.raises(StoreCorrupt) as caught:
        Record.loads(a_record(access_token=Secret("marker token")).dumps())
    shown = f"{caught.value!r} {vars(caught.value)} {a_record(access_token=Secret('marker'))!r}"
    assert "marker" not in shown


@pytest.mark.parametrize(
    ("ends_at", "deadline", "over_at"),
    [(None, None, None), (5.0, None, 5.0), (None, 6.0, 6.0), (5.0, 6.0, 5.0), (7.0, 6.0, 6.0)],
)
def test_the_session_is_over_at_the_earlier_of_the_two_ends(ends_at, deadline, over_at):
    """The server's end and the client's own promise both count."""
    assert a_record(ends_at=ends_at, deadline=deadline).over_at == over_at


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"generation": 9}, True),
        ({"session_id": None}, True),
        ({"session_id": "ses_2"}, False),
        ({"created_at": START + 1}, False),
    ],
)
def test_generations_of_one_session_know_each_other(changes, same):
    """A session whose id the server told late is no other session."""
    one, other = a_record(), a_record(**changes)
    assert one.is_of_same_session(other) is same
    assert other.is_of_same_session(one) is same


@pytest.mark.parametrize(("generation", "earlier"), [(0, False), (1, False), (2, True)])
def test_only_a_later_generation_of_the_same_session_replaces_an_earlier_one(generation, earlier):
    """What could not be saved in time must not overwrite what came after it."""
    later = a_record(generation=generation)
    assert a_record().is_before(later) is earlier
    assert not a_record().is_before(later.changed(session_id="ses_2"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [(None, None, True), (None, 5.0, False), (500.0, 501.0, True), (500.0, 561.0, False)],
)
def test_an_end_that_is_told_again_to_the_second_is_the_same_end(one, other, same):
    """Servers tell whole seconds: an event that is due once must not come with every refresh."""
    assert a_record(ends_at=one).ends_with(a_record(ends_at=other, generation=2)) is same
    assert not a_record(ends_at=one).ends_with(a_record(ends_at=other, session_id="ses_2"))


def test_the_public_face_tells_everything_but_the_tokens():
    """What an app may show to its user."""
    session = FULL.session(idle_timeout=60.0, clock=lambda: START)
    at = datetime.fromtimestamp(START, UTC)
    assert (session.id, session.user, session.tenant_id) == ("ses_1", USER, "tnt_1")
    assert session.created_at == at
    assert session.access_token_expires_at == at + timedelta(seconds=TTL)
    assert session.expires_at == at + timedelta(seconds=90)
    assert session.duration == timedelta(seconds=90)
    assert session.remember_me is False
    assert session.idle_expires_at == at + timedelta(seconds=60)
    assert session.time_left() == timedelta(seconds=90)
    assert "_1'" not in repr(session).replace("usr_1", "").replace("ses_1", "").replace("tnt_1", "")


def test_what_is_unknown_stays_unknown_in_the_public_face():
    """``None`` says so; no moment is made up."""
    session = a_record().session(idle_timeout=None, clock=lambda: START)
    assert (session.expires_at, session.duration, session.idle_expires_at) == (None, None, None)
    assert session.time_left() is None


@given(records, st.floats(), st.none() | st.floats(1, 3e9))
def test_every_record_has_a_public_face_whatever_the_clock_says(record, now, idle_timeout):
    """A wrong clock may tell a wrong time left, but never raises, and never a negative one."""
    left = record.session(idle_timeout=idle_timeout, clock=lambda: now).time_left()
    assert left is None or left >= timedelta(0)
    assert not math.isnan(record.session(idle_timeout=idle_timeout, clock=lambda: now).created_at.timestamp())

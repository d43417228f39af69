"""What a grant makes of a record: at sign-in a new one, at a refresh the next generation."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._grants import refreshed, signed_in
from hellojohn._models import User
from hellojohn._session.record import SessionRecord
from hellojohn._secret import Secret
from hellojohn._clock import LAST_MOMENT
from hellojohn._wire import TokenResponse
from tests.engine.rig import START, a_record

DAY = 86_400.0
ADA, GRACE = User("usr_1", email="ada@example.com"), User("usr_2")


def _grant(**changes: Any) -> TokenResponse:
    fields = {"access_token": Secret("at_2"), "refresh_token": Secret("rt_2"), "ttl": 600.0}
    return TokenResponse(**{**fields, **changes})


def _signed_in(
    grant: TokenResponse, *, asked: timedelta | None = None, limited: bool = True, now: float = START
) -> Record:
    return signed_in(
        grant, api_url="u", tenant_id="t", now=now, asked=asked, remember_me=None, limited=limited
    )


def test_a_sign_in_makes_the_first_generation():
    """All times count from the arrival of the answer."""
    record = _signed_in(_grant(session_id="ses_1", user=ADA, session_ttl=DAY), asked=timedelta(days=1))
    assert record == Record(
        api_url="u",
        tenant_id="t",
        generation=1,
        access_token=Secret("at_2"),
        refresh_token=Secret("rt_2"),
        refreshed_at=START,
        ttl=600.0,
        created_at=START,
        ends_at=START + DAY,
        duration=DAY,
        session_id="ses_1",
        user=ADA,
    )


@pytest.mark.parametrize(
    ("asked", "session_ttl", "limited", "deadline"),
    [
        (None, None, True, None),
        (None, 30 * DAY, True, None),
        (DAY, None, True, None),
        (DAY, DAY, True, None),
        (DAY, DAY + 60, True, None),
        (DAY, DAY + 61, True, DAY),
        (DAY, 30 * DAY, True, DAY),
        (30 * DAY, DAY, True, None),
        (DAY, None, False, DAY),
        (DAY, 3_600.0, False, DAY),
        (None, None, False, None),
    ],
)
def test_the_client_keeps_the_promise_where_the_service_does_not(asked, session_ttl, limited, deadline):
    """It does so when the answer shows a longer session, and always for a service that knows no durations."""
    wish = None if asked is None else timedelta(seconds=asked)
    record = _signed_in(_grant(session_ttl=session_ttl), asked=wish, limited=limited)
    assert record.deadline == (None if deadline is None else START + deadline)
    assert record.ends_at == (None if session_ttl is None else START + session_ttl)


def test_a_refresh_makes_the_next_generation_and_closes_what_was_open():
    """The session stays the same: who, since when, for how long."""
    record = a_record(user=ADA, refresh_started_at=START, refresh_not_before=START, duration=DAY, remember_me=True)
    later = refreshed(record, _grant(), now=START + 500)
    assert later == record.changed(
        generation=2,
        access_token=Secret("at_2"),
        refresh_token=Secret("rt_2"),
        refreshed_at=START + 500,
        ttl=600.0,
        refresh_started_at=None,
        refresh_not_before=None,
    )


def test_a_refresh_keeps_what_the_answer_does_not_carry():
    """A short answer takes nothing away: neither the refresh token nor the user."""
    record = a_record(user=ADA, ends_at=START + DAY)
    later = refreshed(record, _grant(refresh_token=None), now=START + 500)
    assert later.refresh_token == record.refresh_token
    assert (later.user, later.session_id, later.ends_at) == (ADA, "ses_1", START + DAY)


def test_a_refresh_takes_what_the_answer_does_carry():
    """A new name, an id that was not known before, a later end."""
    record = a_record(user=ADA, session_id=None, ends_at=START + DAY)
    later = refreshed(record, _grant(user=GRACE, session_id="ses_1", session_ttl=2 * DAY), now=START + 500)
    assert (later.user, later.session_id, later.ends_at) == (GRACE, "ses_1", START + 500 + 2 * DAY)


def test_a_service_that_gives_more_at_a_refresh_is_held_to_the_promise_from_then_on():
    """A session must not outlive what was asked for."""
    record = a_record(duration=DAY, ends_at=START + DAY)
    same = refreshed(record, _grant(session_ttl=DAY - 500), now=START + 500)
    assert same.deadline is None
    longer = refreshed(same, _grant(session_ttl=2 * DAY), now=START + 5_000)
    assert longer.deadline == START + DAY
    assert refreshed(longer, _grant(), now=START + 6_000).deadline == START + DAY


def test_a_clock_that_was_set_since_the_sign_in_is_no_longer_session():
    """A machine without a clock of its own starts years back: the service gave no more than was asked."""
    record = _signed_in(_grant(session_ttl=DAY), asked=timedelta(days=1), limited=True, now=0.0)
    later = refreshed(record, _grant(session_ttl=DAY - 60), now=START)
    assert (later.deadline, later.ends_at) == (None, START + DAY - 60)


spans = st.none() | st.floats(1, 3e9)


@given(spans, spans, st.floats(), st.floats(), st.booleans())
def test_whatever_the_clock_says_the_record_can_be_written_and_read(asked, session_ttl, now, later, limited):
    """A session that a broken clock saw must not be corrupt when it is found again."""
    wish = None if asked is None else timedelta(seconds=int(asked))
    record = _signed_in(_grant(session_ttl=session_ttl), asked=wish, limited=limited, now=now)
    assert Record.loads(record.dumps()) == record
    record = refreshed(record, _grant(session_ttl=session_ttl), now=later)
    assert Record.loads(record.dumps()) == record
    assert 0 <= record.refreshed_at <= LAST_MOMENT

"""The freshness table, row by row and at each boundary, and what holds for any record and any clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._session.freshness import Freshness, Schedule
from hellojohn._session.record import SessionRecord
from hellojohn._secret import Secret
from hellojohn._clock import LAST_MOMENT, within_time
from tests.engine.rig import START, a_record

HOUR = 3_600.0
DAY = 86_400.0
FRESH, STALE, EXPIRING, OVER = Freshness.FRESH, Freshness.STALE, Freshness.EXPIRING, Freshness.OVER


def _schedule(*, idle_timeout: float | None = None, **changes: object) -> Schedule:
    return Schedule.of(a_record(**changes), idle_timeout=idle_timeout)


def _state(after: float, *, idle_timeout: float | None = None, **changes: object) -> Freshness:
    return _schedule(idle_timeout=idle_timeout, **changes).state(START + after)


@pytest.mark.parametrize(
    ("ttl", "expiring", "dead"),
    [(HOUR, HOUR - 30, HOUR), (300.0, 270.0, 300.0), (100.0, 90.0, 100.0), (1.0, 0.9, 1.0)],
)
def test_expiring_from_a_tenth_of_the_life_at_most_30_seconds_before_the_end(ttl, expiring, dead):
    """A caller waits for a refresh only when the token could end on the way."""
    schedule = _schedule(ttl=ttl)
    assert schedule.expiring_at - START == pytest.approx(expiring, abs=1e-6)
    assert schedule.dead_at - START == dead
    assert schedule.state(math.nextafter(schedule.expiring_at, 0)) is STALE
    assert schedule.state(schedule.expiring_at) is EXPIRING
    assert schedule.state(schedule.dead_at + DAY) is EXPIRING


@pytest.mark.parametrize("after", [-DAY, 0, DAY])
def test_a_token_without_a_life_is_dead_however_the_clock_was_set(after):
    """It was saved in the place of something corrupt: nobody uses it before the service was asked."""
    schedule = _schedule(ttl=0.0)
    assert schedule.state(START + after) is EXPIRING
    assert schedule.dead_at < START + after


@pytest.mark.parametrize(("ttl", "window"), [(HOUR, 300.0), (1_500.0, 300.0), (1_000.0, 200.0), (10.0, 2.0)])
def test_stale_from_a_fifth_of_the_life_at_most_5_minutes_before_the_end(ttl, window):
    """The refresh that nobody waits for has time to fail and be tried again."""
    schedule = _schedule(ttl=ttl)
    assert window * 0.8 <= schedule.dead_at - schedule.stale_at <= window
    assert schedule.state(math.nextafter(schedule.stale_at, 0)) is FRESH
    assert schedule.state(schedule.stale_at) is STALE


def test_the_stale_window_differs_from_token_to_token_and_not_from_process_to_process():
    """Sessions signed in together do not refresh together; processes that share one agree."""
    starts = [_schedule(access_token=Secret(f"at_{n}")).stale_at for n in range(100)]
    assert starts == [_schedule(access_token=Secret(f"at_{n}")).stale_at for n in range(100)]
    assert len(set(starts)) > 90
    assert max(starts) - min(starts) > 0.9 * 0.2 * 200


@pytest.mark.parametrize(
    ("idle", "after", "state"),
    [
        (600.0, 299.0, FRESH),
        (600.0, 300.0, STALE),
        (600.0, 1_000.0, STALE),
        (60.0, 30.0, STALE),
        (10 * HOUR, 1_000.0, FRESH),
        (None, 1_000.0, FRESH),
    ],
)
def test_half_of_a_known_idle_timeout_makes_a_token_stale(idle, after, state):
    """Activity is counted by refreshes: an access token that outlives the idle timeout must not hide it."""
    assert _state(after, idle_timeout=idle, ttl=HOUR) is state


@pytest.mark.parametrize(("after", "state"), [(299.0, FRESH), (300.0, EXPIRING), (1_000.0, EXPIRING)])
def test_half_of_a_known_idle_timeout_makes_a_caller_wait_where_nobody_else_refreshes(after, state):
    """Without background refresh, a session in use must not idle out either."""
    schedule = Schedule.of(a_record(ttl=HOUR), idle_timeout=600.0, background_refresh=False)
    assert schedule.state(START + after) is state


@pytest.mark.parametrize(("after", "state"), [(-59.0, FRESH), (-60.0, FRESH), (-60.1, STALE), (-DAY, STALE)])
def test_a_clock_that_was_set_back_makes_a_token_stale(after, state):
    """Its end can no longer be told, and one refresh puts that right; a small correction is no reason."""
    assert _state(after) is state


@pytest.mark.parametrize(("after", "state"), [(499.0, FRESH), (500.0, OVER), (5 * DAY, OVER)])
def test_over_when_the_clients_own_deadline_has_passed(after, state):
    """The promise of remember-me is kept where the server would not keep it."""
    assert _state(after, deadline=START + 500, ttl=HOUR) is state


def test_the_servers_end_is_the_servers_word_alone():
    """A clock that runs ahead must not end a session that the server still honours."""
    assert _state(DAY, server_ends_at=START + 500) is EXPIRING


@pytest.mark.parametrize(
    ("life", "notice"), [(30 * DAY, 29 * DAY), (10 * DAY, 9 * DAY), (HOUR, 0.9 * HOUR), (10.0, 9.0)]
)
def test_notice_is_due_a_tenth_of_the_session_before_its_end_at_most_a_day(life, notice):
    """The user is told in time, and not at once."""
    schedule = _schedule(server_ends_at=START + life)
    assert schedule.notice_at - START == pytest.approx(notice, abs=1e-3)
    assert not schedule.ends_soon(math.nextafter(schedule.notice_at, 0))
    assert schedule.ends_soon(schedule.notice_at)


def test_no_notice_is_due_of_an_end_that_nobody_knows():
    """No end, no warning."""
    assert not any(_schedule().ends_soon(now) for now in (0.0, START, LAST_MOMENT, 1e300, math.inf, math.nan))


NO_MOMENTS = [math.nan, math.inf, -math.inf]
ODD_MOMENTS = [-1.0, -1e300, 0.0, LAST_MOMENT, 4e11, 1e300]


@pytest.mark.parametrize("now", NO_MOMENTS)
@pytest.mark.parametrize("deadline", [None, START + 500])
def test_a_clock_that_names_no_moment_ends_nothing(now, deadline):
    """A broken clock tells nothing: the token is used until the API refuses it."""
    assert _schedule(deadline=deadline).state(now) is FRESH


@pytest.mark.parametrize("now", ODD_MOMENTS)
def test_an_absurd_moment_ends_nothing_without_a_deadline(now):
    """A clock in the year 9999, or before 1970, costs refreshes and no session."""
    assert _schedule().state(now) is not OVER


@pytest.mark.parametrize("now", [-1.0, -1e300, 0.0, LAST_MOMENT, 4e11])
def test_a_token_that_came_at_an_absurd_moment_is_fresh_at_that_moment(now):
    """A wrong clock that stays wrong must not refresh with every request."""
    arrived = min(max(now, 0.0), LAST_MOMENT)
    assert _schedule(refreshed_at=arrived, created_at=arrived).state(now) is FRESH


def test_a_deadline_at_the_end_of_time_is_none():
    """A sign-in under a broken clock must not be over at once."""
    assert _schedule(deadline=LAST_MOMENT).state(LAST_MOMENT) is not OVER


moments = st.floats(0, LAST_MOMENT)
lives = st.floats(0, 3e9)
records = st.builds(
    Record,
    api_url=st.just("u"),
    tenant_id=st.just("t"),
    generation=st.just(1),
    access_token=st.integers().map(lambda n: Secret(f"at_{n}")),
    refresh_token=st.just(Secret("rt")),
    refreshed_at=moments,
    ttl=lives,
    created_at=moments,
    server_ends_at=st.none() | moments,
    deadline=st.none() | moments,
)


@given(records, st.none() | st.floats(1, 3e9), st.floats())
def test_every_clock_finds_every_record_in_the_table(record, idle_timeout, now):
    """No moment crashes the table, and only a deadline that has passed says over."""
    schedule = Schedule.of(record, idle_timeout=idle_timeout)
    state = schedule.state(now)
    assert not schedule.ends_soon(math.nan)
    if state is OVER:
        assert record.deadline is not None
        assert math.isfinite(now)
        assert within_time(now) >= record.deadline


@given(records, st.none() | st.floats(1, 3e9))
def test_the_states_follow_each_other(record, idle_timeout):
    """Stale comes before expiring, expiring before dead, the notice before the end."""
    schedule = Schedule.of(record, idle_timeout=idle_timeout)
    assert schedule.stale_at <= schedule.expiring_at <= schedule.dead_at
    if record.over_at is not None and record.over_at >= record.created_at:
        assert record.created_at <= schedule.notice_at <= record.over_at


@given(records, st.none() | st.floats(1, 3e9), moments, moments)
def test_time_only_makes_a_token_older(record, idle_timeout, one, other):
    """After its arrival, a token's state never goes back."""
    order = [FRESH, STALE, EXPIRING, OVER]
    schedule = Schedule.of(record, idle_timeout=idle_timeout)
    earlier, later = sorted((max(one, schedule.arrived_at), max(other, schedule.arrived_at)))
    assert order.index(schedule.state(earlier)) <= order.index(schedule.state(later))

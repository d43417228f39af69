"""The freshness table: each row, each boundary, and properties for any record and any clock."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._clock import LAST_MOMENT
from hellojohn._secret import Secret
from hellojohn._session.freshness import Freshness, TokenSnapshot
from tests.session.bench import START, a_record

HOUR = 3_600.0
DAY = 86_400.0
FRESH, STALE, EXPIRING, OVER = Freshness.FRESH, Freshness.STALE, Freshness.EXPIRING, Freshness.OVER


def snapshot(*, idle: float | None = None, background: bool = True, **changes: object) -> TokenSnapshot:
    """Return the snapshot of a record."""
    return TokenSnapshot(a_record(**changes), idle_timeout=idle, background=background)


@pytest.mark.parametrize(("ttl", "expiring"), [(HOUR, HOUR - 30), (300.0, 270.0), (100.0, 90.0), (10.0, 9.0)])
def test_expiring_window(ttl: float, expiring: float) -> None:
    """A token expires in its last tenth, at most 30 seconds."""
    it = snapshot(ttl=ttl)
    assert it.expiring_at - START == pytest.approx(expiring, abs=1e-6)
    assert it.freshness(math.nextafter(it.expiring_at, 0)) is STALE
    assert it.freshness(it.expiring_at) is EXPIRING
    assert it.freshness(it.token_expires_at + DAY) is EXPIRING


@pytest.mark.parametrize(("ttl", "window"), [(HOUR, 300.0), (1_500.0, 300.0), (1_000.0, 200.0), (10.0, 2.0)])
def test_stale_window(ttl: float, window: float) -> None:
    """A token is stale in its last fifth, at most 5 minutes, less a jitter of up to a fifth of that."""
    it = snapshot(ttl=ttl)
    assert window * 0.8 <= it.token_expires_at - it.stale_at <= window
    assert it.freshness(math.nextafter(it.stale_at, 0)) is FRESH
    assert it.freshness(it.stale_at) is STALE


def test_jitter_differs_between_tokens_only() -> None:
    """Sessions signed in together do not refresh together, and processes agree about each token."""
    starts = [snapshot(access_token=Secret(f"at_{number}")).stale_at for number in range(100)]
    assert starts == [snapshot(access_token=Secret(f"at_{number}")).stale_at for number in range(100)]
    assert len(set(starts)) > 90


@pytest.mark.parametrize(
    ("idle", "after", "state"),
    [(600.0, 299.0, FRESH), (600.0, 300.0, STALE), (60.0, 30.0, STALE), (10 * HOUR, 1_000.0, FRESH)],
)
def test_idle_timeout_makes_a_token_stale(idle: float, after: float, state: Freshness) -> None:
    """Half of the idle timeout is a reason to refresh: the service counts refreshes as activity."""
    assert snapshot(idle=idle, ttl=HOUR).freshness(START + after) is state


@pytest.mark.parametrize(("after", "state"), [(299.0, FRESH), (300.0, EXPIRING)])
def test_idle_timeout_without_background_refresh(after: float, state: Freshness) -> None:
    """Without background refresh a caller waits for the refresh that keeps the session from idling out."""
    assert snapshot(idle=600.0, background=False, ttl=HOUR).freshness(START + after) is state


@pytest.mark.parametrize(("after", "state"), [(-59.0, FRESH), (-60.0, FRESH), (-60.1, STALE), (-DAY, STALE)])
def test_clock_that_was_set_back(after: float, state: Freshness) -> None:
    """A clock set back by more than a minute makes a token stale: its age is unknown."""
    assert snapshot().freshness(START + after) is state


@pytest.mark.parametrize(("after", "state"), [(499.0, FRESH), (500.0, OVER), (5 * DAY, OVER)])
def test_over_at_the_clients_end(after: float, state: Freshness) -> None:
    """A session is over when the end that the client keeps has passed."""
    assert snapshot(client_ends_at=START + 500, ttl=HOUR).freshness(START + after) is state


def test_the_services_end_is_the_services_word() -> None:
    """A clock that runs ahead does not end a session that the service still honours."""
    assert snapshot(server_ends_at=START + 500).freshness(START + DAY) is EXPIRING


def test_end_of_a_clock_without_time_is_none() -> None:
    """An end at the last moment was computed by a clock that returned no time, and ends nothing."""
    assert snapshot(client_ends_at=LAST_MOMENT).over_at == math.inf


@pytest.mark.parametrize(("life", "notice"), [(30 * DAY, 29 * DAY), (10 * DAY, 9 * DAY), (HOUR, 0.9 * HOUR)])
def test_notice_of_the_end(life: float, notice: float) -> None:
    """The end is near in the last tenth of a session, at most a day."""
    it = snapshot(server_ends_at=START + life)
    assert it.notice_at - START == pytest.approx(notice, abs=1e-3)
    assert not it.ends_soon(math.nextafter(it.notice_at, 0))
    assert it.ends_soon(it.notice_at)


def test_no_notice_of_an_unknown_or_announced_end() -> None:
    """An end that is unknown, or was announced, is not announced."""
    assert not snapshot().ends_soon(START + DAY)
    assert not snapshot(server_ends_at=START + HOUR, end_announced=True).ends_soon(START + HOUR)


@pytest.mark.parametrize(("age", "recent"), [(0.0, True), (59.9, True), (60.0, False), (-1.0, False)])
def test_recent_refusal_of_a_long_token(age: float, recent: bool) -> None:
    """A token that a refusal has brought is protected from another refresh for a minute."""
    it = snapshot(ttl=HOUR, after_refusal=True)
    assert it.came_from_recent_refusal(START + age) is recent


@pytest.mark.parametrize(("age", "recent"), [(9.9, True), (10.0, False)])
def test_recent_refusal_of_a_short_token(age: float, recent: bool) -> None:
    """For a short token the protection lasts a tenth of its life."""
    assert snapshot(ttl=100.0, after_refusal=True).came_from_recent_refusal(START + age) is recent


def test_ordinary_token_has_no_recent_refusal() -> None:
    """A token of a sign-in or an ordinary refresh may be refused at any age."""
    assert not snapshot().came_from_recent_refusal(START)


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_clock_without_a_time_says_nothing(now: float) -> None:
    """A clock that returns no time makes nothing stale and ends nothing."""
    assert snapshot(client_ends_at=START + 1).freshness(now) is FRESH


@pytest.mark.parametrize("now", [-1e9, 0.0, START, math.nan, math.inf])
def test_account_of_a_service_begins_without_a_token(now: float) -> None:
    """The generation before the first token is never sent, at any time of the clock."""
    it = snapshot(generation=0, refreshed_at=-math.inf, ttl=0.0)
    assert it.freshness(now) is EXPIRING
    assert not it.fresh_from <= now < it.fresh_until


def test_unsaved_snapshot_is_never_used_unseen() -> None:
    """A session that is not saved yet takes every request through the engine."""
    it = TokenSnapshot(a_record(), idle_timeout=None, background=True, unsaved=True)
    assert not it.fresh_from <= START < it.fresh_until


@given(
    ttl=st.floats(0, 1e10),
    refreshed=st.floats(0, LAST_MOMENT),
    now=st.floats(min_value=0, allow_nan=False) | st.sampled_from([math.nan, -math.inf]),
    idle=st.none() | st.floats(1, 1e9),
    end=st.none() | st.floats(0, LAST_MOMENT),
    background=st.booleans(),
)
def test_hot_path_agrees_with_the_table(  # noqa: PLR0917
    ttl: float, refreshed: float, now: float, idle: float | None, end: float | None, background: bool
) -> None:
    """The hot path sends a fresh token, or a stale one where nothing refreshes in the background."""
    it = TokenSnapshot(
        a_record(ttl=ttl, refreshed_at=refreshed, client_ends_at=end),
        idle_timeout=idle,
        background=background,
    )
    allowed = (FRESH,) if background else (FRESH, STALE)
    if it.fresh_from <= now < it.fresh_until:
        assert it.freshness(now) in allowed
        assert not it.ends_soon(now)


def test_snapshot_shows_no_token() -> None:
    """A snapshot is masked in its repr and does not pickle."""
    it = snapshot()
    assert "at_1" not in repr(it)
    with pytest.raises(TypeError):
        pickle.dumps(it)

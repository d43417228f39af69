"""Moments, held to what a record and a ``datetime`` can hold."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._clock import LAST_MOMENT, as_moment, within_time


@given(st.floats())
def test_any_number_becomes_a_moment(seconds):
    """A broken clock must not break the answer that it was read for."""
    assert 0 <= within_time(seconds) <= LAST_MOMENT
    assert datetime(1970, 1, 1, tzinfo=UTC) <= as_moment(seconds) <= datetime.max.replace(tzinfo=UTC)


@given(st.floats(0, LAST_MOMENT))
def test_a_moment_stays_what_it_is(seconds):
    """A working clock is taken at its word."""
    assert within_time(seconds) == seconds


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
def test_what_names_no_moment_is_the_end_of_time(seconds):
    """Nothing that is kept for later shall seem to be over because of it."""
    assert within_time(seconds) == LAST_MOMENT

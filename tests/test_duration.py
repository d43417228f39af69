"""Durations: what is read, what is refused, and what is written."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError

CENTURY = timedelta(days=36_500)
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}

seconds = st.integers(1, int(CENTURY.total_seconds()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("1y", timedelta(days=365)),
        ("1s", timedelta(seconds=1)),
        ("100y", CENTURY),
        ("007d", timedelta(days=7)),
    ],
)
def test_each_unit_is_read(text, expected):
    """The units of the documentation mean what they say."""
    assert parse_duration(text, name="it") == expected


@given(seconds)
def test_a_timedelta_of_whole_seconds_is_taken_as_it_is(count):
    """Who has a ``timedelta`` need not make a text of it."""
    assert parse_duration(timedelta(seconds=count), name="it") == timedelta(seconds=count)


@given(seconds)
def test_what_is_written_reads_back_the_same(count):
    """No second is lost on the way to the API and back."""
    written = format_duration(timedelta(seconds=count))
    assert parse_duration(written, name="it") == timedelta(seconds=count)


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(days=30), "30d"),
        (timedelta(days=365), "365d"),
        (timedelta(hours=25), "25h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
    ],
)
def test_it_is_written_in_the_largest_unit_up_to_days(duration, written):
    """Every server of the field knows seconds to days; weeks and years are ours."""
    assert format_duration(duration) == written


@pytest.mark.parametrize(
    "value",
    [
        *("", "0s", "-1d", "+1d", "1", "d", "1 d", " 1d", "1d ", "1d\n", "1.5h", "1D", "1ms", "1h30m", "P1D"),
        *("1e3s", "\u0661d", "\uff11d", "101y", "36501d", "999999999y", "9999999999s", "forever"),
        *(30, 1.5, True, None, b"30d", ["30d"], object(), float("nan"), 10**5_000, "9" * 100_000 + "d"),
        *(timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=1_500), CENTURY + timedelta(seconds=1)),
        *(timedelta.max, timedelta.min),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_with_the_accepted_form(value):
    """A typing mistake is found where the client is made, and the message shows how to write it."""
    with pytest.raises(ConfigurationError, match=r"^the_name is not a duration: write .* 30d") as caught:
        parse_duration(value, name="the_name")
    assert len(str(caught.value)) < 250


@given(st.text(max_size=12))
def test_no_text_crashes_the_reader(text):
    """Junk is a ``ConfigurationError`` or a duration, never anything else."""
    try:
        duration = parse_duration(text, name="it")
    except ConfigurationError:
        return
    assert timedelta(seconds=1) <= duration <= CENTURY
    assert int(text[:-1]) * UNITS[text[-1]] == duration.total_seconds()

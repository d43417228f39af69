"""Durations: accepted forms, refused forms and the form on the wire."""

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
    """Each documented unit has its usual length."""
    assert parse_duration(text, name="it") == expected


@given(seconds)
def test_timedelta_of_whole_seconds_is_accepted(count):
    """A timedelta of whole seconds is accepted in place of a text."""
    assert parse_duration(timedelta(seconds=count), name="it") == timedelta(seconds=count)


@given(seconds)
def test_written_duration_reads_back_equal(count):
    """No second is lost on the way to the API and back."""
    written = format_duration(timedelta(seconds=count))
    assert parse_duration(written, name="it") == timedelta(seconds=count)


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(days=30), "30d"),
        (timedelta(days=365), "365d"),
        (timedelta(days=2), "2d"),
        (timedelta(days=1), "24h"),
        (timedelta(hours=25), "25h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=90), "90m"),
    ],
)
def test_timedelta_is_written_in_the_largest_unit(duration, written):
    """A timedelta is written in seconds, minutes, hours or days, which every server knows; a day is 24h."""
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
def test_malformed_duration_is_refused(value):
    """The message about a malformed duration shows the accepted form."""
    with pytest.raises(ConfigurationError, match=r"^the_name is not a duration: write .* 30d") as caught:
        parse_duration(value, name="the_name")
    assert len(str(caught.value)) < 250


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_clear_error(text):
    """Any text is a duration or a ConfigurationError."""
    try:
        duration = parse_duration(text, name="it")
    except ConfigurationError:
        return
    assert timedelta(seconds=1) <= duration <= CENTURY
    assert int(text[:-1]) * UNITS[text[-1]] == duration.total_seconds()

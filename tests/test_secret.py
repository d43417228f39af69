"""Secrets: a text that does not show itself."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._secret import Secret

MARKER = "marker-secret-1234"


@pytest.mark.parametrize(
    "show", [repr, str, format, "{}".format, "{!r:>30}".format, "%s".__mod__, lambda it: [it].__repr__()]
)
def test_no_way_of_showing_it_shows_the_text(show):
    """A log line or an f-string may hold a secret and shows three stars."""
    shown = show(Secret(MARKER))
    assert MARKER not in shown
    assert "***" in shown


def test_formatting_pads_the_stars_as_it_would_any_text():
    """A table of settings stays a table."""
    assert f"{Secret(MARKER):>6}" == "   ***"


def test_reveal_is_the_way_to_the_text():
    """The sender needs the plain text."""
    assert Secret(MARKER).reveal() == MARKER


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_neither_pickles_nor_copies(take):
    """A pickle on a queue or in a cache would carry the plain text."""
    with pytest.raises(TypeError, match="does not pickle") as caught:
        take(Secret(MARKER))
    assert MARKER not in str(caught.value)


def test_it_has_no_dict_to_look_into():
    """``vars`` and debuggers that print it find nothing."""
    with pytest.raises(TypeError):
        vars(Secret(MARKER))
    with pytest.raises(AttributeError):
        Secret(MARKER).note = "x"  # type: ignore[attr-defined]


def test_it_is_no_json_value():
    """A body that forgets to reveal it fails, and does not send stars."""
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(MARKER)})


@given(st.text(), st.text())
def test_it_equals_a_secret_of_the_same_text_only(one, other):
    """Tokens are compared as secrets, whatever characters they hold."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    assert len({Secret(one), Secret(one)}) == 1


@given(st.text(alphabet=st.characters(categories=["Cs"]), min_size=1))
def test_half_characters_compare_without_showing_up_in_an_error(text):
    """An encoding error would carry the whole text in its ``object``."""
    assert Secret(text) == Secret(text)
    assert Secret(text) != Secret(MARKER)


@pytest.mark.parametrize("text", ["a", "~", "eyJ.x-_", "a" * 10_000])
def test_visible_ascii_can_go_into_a_header(text):
    """Every token of the field is of this kind."""
    assert Secret(text).is_sendable()


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "a\n", "\ta", "a\x00", "\x7f", "é", "\u200b", None, 5, b"a"]
)
def test_anything_else_cannot_go_into_a_header(text):
    """A line break in a token would be a header of the attacker's."""
    assert not Secret(text).is_sendable()

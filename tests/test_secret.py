"""Secrets: a string that is masked in repr, logs and pickles."""

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
def test_secret_is_masked(show):
    """A log line or an f-string with a secret shows three stars."""
    shown = show(Secret(MARKER))
    assert MARKER not in shown
    assert "***" in shown


def test_formatting_pads_the_stars():
    """A format with a width pads the stars, so that a table stays a table."""
    assert f"{Secret(MARKER):>6}" == "   ***"


def test_reveal_returns_the_text():
    """reveal() returns the plain text, for the sender."""
    assert Secret(MARKER).reveal() == MARKER


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secret_neither_pickles_nor_copies(take):
    """A pickle in a queue or a cache would carry the plain text."""
    with pytest.raises(TypeError, match="does not pickle") as caught:
        take(Secret(MARKER))
    assert MARKER not in str(caught.value)


def test_secret_has_no_dict():
    """vars() and debuggers that print it find nothing."""
    with pytest.raises(TypeError):
        vars(Secret(MARKER))
    with pytest.raises(AttributeError):
        Secret(MARKER).note = "x"  # type: ignore[attr-defined]


def test_secret_is_not_a_json_value():
    """A body whose secret is not revealed fails, and does not send stars."""
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(MARKER)})


@given(st.text(), st.text())
def test_secrets_are_equal_by_their_text(one, other):
    """A secret equals another one with the same text, and nothing else."""
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    assert len({Secret(one), Secret(one)}) == 1


@given(st.text(alphabet=st.characters(categories=["Cs"]), min_size=1))
def test_lone_surrogates_compare_without_an_error(text):
    """An encoding error would carry the whole text."""
    assert Secret(text) == Secret(text)
    assert Secret(text) != Secret(MARKER)


@pytest.mark.parametrize("text", ["a", "~", "eyJ.x-_", "a" * 10_000])
def test_visible_ascii_can_go_into_a_header(text):
    """A text of visible ASCII can be sent as a token."""
    assert Secret(text).is_sendable()


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "a\n", "\ta", "a\x00", "\x7f", "é", "\u200b", None, 5, b"a"]
)
def test_other_texts_cannot_go_into_a_header(text):
    """A line break in a token would add a header."""
    assert not Secret(text).is_sendable()

"""A view: what the hot path reads of a token, and shows to nobody."""

import math
import pickle

import pytest

from hellojohn._secret import Secret
from hellojohn._view import View
from tests.engine.rig import EXPIRING, START, TTL, a_record


def _view(
    *, background_refresh: bool = True, noticed: bool = False, watched: bool = False, **changes
) -> View:
    idle_timeout = changes.pop("idle_timeout", None)
    return View(
        a_record(**changes),
        idle_timeout=idle_timeout,
        background_refresh=background_refresh,
        noticed=noticed,
        watched=watched,
    )


def test_nothing_has_to_be_done_until_the_token_is_stale():
    """One comparison, and the header goes out."""
    view = _view()
    assert view.header == "Bearer at_1"
    assert view.fresh_from == START - 60
    assert view.fresh_until == view.schedule.stale_at < START + EXPIRING


def test_without_background_refresh_nothing_has_to_be_done_until_the_token_is_expiring():
    """A stale token is no reason to act, and neither is a clock that was set back."""
    view = _view(background_refresh=False)
    assert (view.fresh_from, view.fresh_until) == (-math.inf, view.schedule.expiring_at)


@pytest.mark.parametrize(
    ("changes", "until"),
    [
        ({"deadline": START + 10}, START + 10 - 1),
        ({"deadline": START + 10, "noticed": True}, START + 10),
        ({"ends_at": START + 100}, START + 90),
        ({"ends_at": START + 100, "noticed": True}, None),
        ({"idle_timeout": 100.0}, START + 50),
        ({"idle_timeout": 100.0, "background_refresh": False}, START + 50),
        ({"watched": True}, -math.inf),
    ],
)
def test_whatever_comes_first_is_a_reason_to_look(changes, until):
    """The deadline, the warning ahead of it, half of an idle timeout, a session that is not saved yet."""
    view = _view(**changes)
    assert view.fresh_until == (view.schedule.stale_at if until is None else until)


def test_it_shows_its_generation_and_not_its_token():
    """It lies in requests' extensions and in tracebacks."""
    view = _view(access_token=Secret("marker"), generation=7)
    assert (repr(view), str(view)) == ("<View of generation 7>",) * 2
    assert view.header == "Bearer marker"
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(view)
    with pytest.raises(TypeError):
        vars(view)


def test_a_token_without_life_has_no_fresh_moment():
    """A service that grants tokens of no length gets a refresh with every request, and no crash."""
    view = _view(ttl=0.0)
    assert view.fresh_until <= START < START + TTL

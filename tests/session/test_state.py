"""The state of an account: every transition of the table, and nothing besides."""

import itertools

import pytest

from hellojohn._session.state import TRANSITIONS, AccountState, Change, Phase

E, A, U, S, C = Phase.EMPTY, Phase.ACTIVE, Phase.UNSAVED, Phase.SIGNING_OUT, Phase.CLOSED
TABLE = {
    #                       EMPTY ACTIVE UNSAVED SIGNING_OUT CLOSED
    Change.LOADED: (A, None, None, None, None),
    Change.SIGNED_IN: (A, A, A, A, None),
    Change.UPDATED: (None, A, A, None, None),
    Change.NOT_SAVED: (None, U, U, None, None),
    Change.ENDED: (E, E, E, None, None),
    Change.SIGN_OUT_ASKED: (S, S, S, S, None),
    Change.SIGNED_OUT: (None, None, None, E, None),
    Change.CLOSED: (C, C, C, C, C),
}


@pytest.mark.parametrize(("change", "phase"), list(itertools.product(Change, Phase)), ids=str)
def test_every_row_of_the_table(change: Change, phase: Phase) -> None:
    """A change leads where the table says, or changes nothing when it comes too late."""
    before = AccountState(phase, order=3)
    expected = TABLE[change][list(Phase).index(phase)]
    after = before.after(change, order=4)
    if expected is None:
        assert after is before
    else:
        assert (after.phase, after.order) == (expected, 4)


def test_table_and_code_list_the_same_changes() -> None:
    """Every change has a row, here and in the module."""
    assert set(TRANSITIONS) == set(TABLE) == set(Change)

"""Which session replaces which: every row of the table of saves."""

import pytest

from hellojohn._errors import ExpiryReason
from hellojohn._secret import Secret
from hellojohn._session.conflicts import RULES, Bringing, Held, Rule, compare
from hellojohn._session.record import Stored, ended
from tests.session.bench import a_record, another_session

NEW = a_record(generation=2, access_token=Secret("at_2"), refresh_token=Secret("rt_2"))
SAVE, DROP = Rule(save=True), Rule(save=False)
DROP_AND_REVOKE = Rule(save=False, revoke_new=True)
SAVE_AND_REVOKE = Rule(save=True, revoke_old=True)


@pytest.mark.parametrize(
    ("stored", "held"),
    [
        (a_record(), Held.EARLIER),
        (NEW, Held.SAVED),
        (NEW.changed(refresh_started_at=1.0), Held.SAVED),
        (a_record(generation=3, refresh_token=Secret("rt_2")), Held.NEWER),
        (a_record(generation=2, refresh_token=Secret("rt_x")), Held.NEWER),
        (a_record(generation=3, refresh_token=Secret("rt_3")), Held.NEWER),
        (another_session(), Held.OTHER),
        (None, Held.NOTHING),
        (ended(a_record(), ExpiryReason.REVOKED, None), Held.NOTHING),
    ],
    ids=range(9),
)
def test_compare(stored: Stored | None, held: Held) -> None:
    """Records are compared by the sign-in, the generation and the refresh token."""
    assert compare(stored, NEW, damaged=False) is held


def test_compare_after_a_quarantine() -> None:
    """An empty place counts as damaged when its text was quarantined, and an end record does not."""
    assert compare(None, NEW, damaged=True) is Held.DAMAGED
    assert compare(ended(a_record(), ExpiryReason.REVOKED, None), NEW, damaged=True) is Held.NOTHING


@pytest.mark.parametrize(
    ("bringing", "rules"),
    [
        (Bringing.REFRESH, (SAVE, SAVE, DROP, DROP_AND_REVOKE, DROP_AND_REVOKE, SAVE)),
        (Bringing.UNSAVED_COPY, (SAVE, DROP, DROP, DROP_AND_REVOKE, DROP_AND_REVOKE, SAVE)),
        (Bringing.SIGN_IN, (SAVE, SAVE, DROP, SAVE_AND_REVOKE, SAVE, SAVE)),
    ],
)
def test_every_row_of_the_table(bringing: Bringing, rules: tuple[Rule, ...]) -> None:
    """A save follows the table."""
    assert tuple(RULES[bringing, held] for held in Held) == rules

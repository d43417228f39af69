"""The state of one account in a client, as one frozen value, and the table of its transitions. Pure.

    event           EMPTY        ACTIVE       UNSAVED      SIGNING_OUT  CLOSED
    --------------  -----------  -----------  -----------  -----------  ------
    LOADED          ACTIVE       -            -            -            -
    SIGNED_IN       ACTIVE       ACTIVE       ACTIVE       ACTIVE       -
    UPDATED         -            ACTIVE       ACTIVE       -            -
    NOT_SAVED       -            UNSAVED      UNSAVED      -            -
    ENDED           EMPTY        EMPTY        EMPTY        -            -
    SIGN_OUT_ASKED  SIGNING_OUT  SIGNING_OUT  SIGNING_OUT  SIGNING_OUT  -
    SIGNED_OUT      -            -            -            EMPTY        -
    CLOSED          CLOSED       CLOSED       CLOSED       CLOSED       CLOSED

A dash means that the event came too late and changes nothing. ``order`` is the number of the sign-in or
sign-out that made the state: an operation that remembers an earlier number has been overtaken.
"""

from enum import Enum, auto
from typing import NamedTuple

from hellojohn._errors import SessionExpired
from hellojohn._session.freshness import TokenSnapshot


class Phase(Enum):
    """Where an account is."""

    EMPTY = auto()
    """No session is known. The next use reads the store."""
    ACTIVE = auto()
    """There is a session, and the store has it."""
    UNSAVED = auto()
    """There is a session, and the store does not have its latest generation."""
    SIGNING_OUT = auto()
    """A sign-out was asked for. There is no session, whatever the store still holds."""
    CLOSED = auto()
    """The client was closed."""


class Change(Enum):
    """What happened to an account."""

    LOADED = auto()
    SIGNED_IN = auto()
    UPDATED = auto()
    NOT_SAVED = auto()
    ENDED = auto()
    SIGN_OUT_ASKED = auto()
    SIGNED_OUT = auto()
    CLOSED = auto()


_EMPTY, _ACTIVE, _UNSAVED = Phase.EMPTY, Phase.ACTIVE, Phase.UNSAVED
_SIGNING_OUT, _CLOSED = Phase.SIGNING_OUT, Phase.CLOSED
TRANSITIONS: dict[Change, dict[Phase, Phase]] = {
    Change.LOADED: {_EMPTY: _ACTIVE},
    Change.SIGNED_IN: {_EMPTY: _ACTIVE, _ACTIVE: _ACTIVE, _UNSAVED: _ACTIVE, _SIGNING_OUT: _ACTIVE},
    Change.UPDATED: {_ACTIVE: _ACTIVE, _UNSAVED: _ACTIVE},
    Change.NOT_SAVED: {_ACTIVE: _UNSAVED, _UNSAVED: _UNSAVED},
    Change.ENDED: {_EMPTY: _EMPTY, _ACTIVE: _EMPTY, _UNSAVED: _EMPTY},
    Change.SIGN_OUT_ASKED: dict.fromkeys((_EMPTY, _ACTIVE, _UNSAVED, _SIGNING_OUT), _SIGNING_OUT),
    Change.SIGNED_OUT: {_SIGNING_OUT: _EMPTY},
    Change.CLOSED: dict.fromkeys(Phase, _CLOSED),
}


class AccountState(NamedTuple):
    """One account at one moment.

    Attributes:
        phase: Where it is.
        order: The number of the sign-in or sign-out that made it.
        snapshot: The session, for ACTIVE and UNSAVED.
        ended: Why the last session ended, for EMPTY.
        shown: The id of the sign-in that was last used here, also after its end.
        damaged: For UNSAVED: the store holds nothing because its text was damaged and quarantined.
        announced: For SIGNING_OUT: whether ``SIGNED_OUT`` was emitted, by this sign-out or an earlier one.
    """

    phase: Phase = Phase.EMPTY
    order: int = 0
    snapshot: TokenSnapshot | None = None
    ended: SessionExpired | None = None
    shown: str | None = None
    damaged: bool = False
    announced: bool = False

    def after(
        self,
        change: Change,
        *,
        order: int | None = None,
        snapshot: TokenSnapshot | None = None,
        ended: SessionExpired | None = None,
        damaged: bool = False,
        announced: bool = False,
    ) -> "AccountState":
        """Return the next state, or this one if the change came too late."""
        phase = TRANSITIONS[change].get(self.phase)
        if phase is None:
            return self
        order = self.order if order is None else order
        shown = self.shown if snapshot is None else snapshot.record.sign_in_id
        return AccountState(phase, order, snapshot, ended, shown, damaged, announced)

    def is_sign_out_due(self, order: int, shown: str | None) -> bool:
        """Return whether the sign-out with a number may still remove the session, which was shown before it.

        A later sign-out does not end its turn: it may come to the store only after this one has told the
        service, and in between another process would use the session.
        """
        return self.order == order or (self.phase is Phase.SIGNING_OUT and self.shown == shown)

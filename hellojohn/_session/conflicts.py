"""The table of conflicts between a session to save and the content of the store. Pure.

    the store holds                     a refresh's pair      an unsaved copy  a sign-in's session
    ----------------------------------  --------------------  ---------------  ----------------------------
    EARLIER  an earlier generation      save                  save             save
    SAVED    this very pair             save (again)          use the store's  save (again)
    NEWER    a later generation         use the store's       use the store's  use the store's
    OTHER    another session            use the store's,      the same         save, sign the other one out
                                        sign ours out
    NOTHING  nothing                    drop, sign ours out   the same         save
    DAMAGED  a text that was            save                  save             save
             quarantined under the lock

A save that failed may have been carried out: SAVED is what it left. Another process may have noted a refresh
in it since, so an unsaved copy does not replace it. A sign-in finds SAVED or NEWER in this way only.
A refresh finds NOTHING when another process has signed the session out. After a quarantine it is unknown what
the damaged text was, so the copy at hand is kept: the service decides at the next refresh.
"""

from enum import Enum, auto
from typing import NamedTuple

from hellojohn._session.record import SessionRecord, Stored


class Bringing(Enum):
    """Where the session that is to be saved comes from."""

    REFRESH = auto()
    UNSAVED_COPY = auto()
    SIGN_IN = auto()


class Held(Enum):
    """How the content of the store compares with the session to save."""

    EARLIER = auto()
    SAVED = auto()
    NEWER = auto()
    OTHER = auto()
    NOTHING = auto()
    DAMAGED = auto()


class Rule(NamedTuple):
    """What to do.

    Attributes:
        save: Whether to save the session.
        revoke_new: Whether to sign it out at the service instead.
        revoke_old: Whether to sign out the session that the store held.
    """

    save: bool
    revoke_new: bool = False
    revoke_old: bool = False


_SAVE = Rule(save=True)
_DROP = Rule(save=False)
RULES: dict[tuple[Bringing, Held], Rule] = {
    (Bringing.REFRESH, Held.EARLIER): _SAVE,
    (Bringing.REFRESH, Held.SAVED): _SAVE,
    (Bringing.REFRESH, Held.NEWER): _DROP,
    (Bringing.REFRESH, Held.OTHER): Rule(save=False, revoke_new=True),
    (Bringing.REFRESH, Held.NOTHING): Rule(save=False, revoke_new=True),
    (Bringing.REFRESH, Held.DAMAGED): _SAVE,
    (Bringing.UNSAVED_COPY, Held.EARLIER): _SAVE,
    (Bringing.UNSAVED_COPY, Held.SAVED): _DROP,
    (Bringing.UNSAVED_COPY, Held.NEWER): _DROP,
    (Bringing.UNSAVED_COPY, Held.OTHER): Rule(save=False, revoke_new=True),
    (Bringing.UNSAVED_COPY, Held.NOTHING): Rule(save=False, revoke_new=True),
    (Bringing.UNSAVED_COPY, Held.DAMAGED): _SAVE,
    (Bringing.SIGN_IN, Held.EARLIER): _SAVE,
    (Bringing.SIGN_IN, Held.SAVED): _SAVE,
    (Bringing.SIGN_IN, Held.NEWER): _DROP,
    (Bringing.SIGN_IN, Held.OTHER): Rule(save=True, revoke_old=True),
    (Bringing.SIGN_IN, Held.NOTHING): _SAVE,
    (Bringing.SIGN_IN, Held.DAMAGED): _SAVE,
}


def compare(stored: Stored | None, new: SessionRecord, *, damaged: bool) -> Held:
    """Compare the content of the store with a session to save."""
    if not isinstance(stored, SessionRecord):
        return Held.DAMAGED if damaged and stored is None else Held.NOTHING
    if not stored.is_same_session(new):
        return Held.OTHER
    if stored.generation < new.generation:
        return Held.EARLIER
    same = stored.generation == new.generation and stored.refresh_token == new.refresh_token
    return Held.SAVED if same else Held.NEWER

"""Bugs against invariant 6: damaged records are quarantined."""

from typing import Any

from hellojohn._session.conflicts import RULES, Bringing, Held, Rule
from hellojohn._session.refresh import Refresher
from hellojohn._session.storage import LockedSession, SessionStorage
from tests.simulation.planting import breaks


@breaks("6:")
def _junk_is_dropped() -> None:
    """Delete a corrupt record."""

    def dropping(self: SessionStorage, key: str, problem: Any) -> Any:
        self.delete(key)
        return problem

    SessionStorage.quarantine = dropping


@breaks("6:")
def _junk_is_overwritten() -> None:
    """Say that it was quarantined, and leave it for the next save to replace."""
    SessionStorage.quarantine = lambda _self, _key, problem: problem


@breaks("14: .* signed_out", "refresh-over-junk")
def _junk_takes_the_copy_in_memory() -> None:
    """Give the session in memory up because its record was damaged."""
    for bringing in Bringing:
        RULES[bringing, Held.DAMAGED] = Rule(save=False)
    original = Refresher.refresh

    def giving_up(self: Refresher, locked: LockedSession, *rest: Any, **more: Any) -> Any:
        locked.load()
        locked.damaged = False
        return original(self, locked, *rest, **more)

    Refresher.refresh = giving_up


def _unreadable_stays() -> None:
    original = LockedSession.load
    LockedSession.load = lambda self, **_: original(self)


@breaks("11: sign_in", "sign-in-over-a-later-version")
def _no_sign_in_over_what_cannot_be_read() -> None:
    """Refuse to sign in over a record of a later version."""
    _unreadable_stays()


@breaks("11: sign_out", "sign-out-with-a-lost-key")
def _no_sign_out_of_what_cannot_be_read() -> None:
    """Refuse to sign out of a record whose key was lost."""
    _unreadable_stays()

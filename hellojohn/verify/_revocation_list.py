"""The revocations that a process knows, in memory. Readers take no lock.

A revoked session is refused until its access tokens have expired. A revoked user's tokens are refused if they
were issued before the revocation, so that a webhook that comes late, or twice, does not throw out a user who
has signed in again.
"""

import threading
from collections.abc import Iterable
from typing import Literal, NamedTuple

from hellojohn._clock import Clock
from hellojohn._limits import MOST_REVOCATIONS
from hellojohn._logs import logger_of
from hellojohn.verify._forks import watch_forks

_log = logger_of("hellojohn.verify")
_DROPPED_AT_ONCE = 1_000


class Revocation(NamedTuple):
    """One revocation.

    Attributes:
        kind: Whether a session or a user is revoked.
        id: Its id.
        at: When, in seconds since the epoch. Tokens issued later are not concerned.
    """

    kind: Literal["session", "user"]
    id: str
    at: float


class RevocationList:
    """At most 100,000 revocations; the oldest are dropped first."""

    def __init__(self, *, lifetime: float, clock: Clock) -> None:
        """Start empty. ``lifetime`` is the longest life of an access token in seconds."""
        self.lifetime = lifetime
        self._clock = clock
        self._sessions: dict[str, float] = {}
        self._users: dict[str, float] = {}
        self._restart()
        watch_forks(self, RevocationList._restart)

    def __len__(self) -> int:
        """Return how many revocations are kept."""
        return len(self._sessions) + len(self._users)

    def add(self, revocations: Iterable[Revocation]) -> list[Revocation]:
        """Remember revocations, and return those that were new."""
        oldest = self._clock() - self.lifetime
        new: list[Revocation] = []
        with self._lock:
            for one in revocations:
                kept = self._sessions if one.kind == "session" else self._users
                if one.at > oldest and one.at > kept.get(one.id, oldest):
                    kept.pop(one.id, None)  # the dictionaries are in the order of their additions
                    kept[one.id] = one.at
                    new.append(one)
            for kept in (self._sessions, self._users):
                while kept and kept[first := next(iter(kept))] <= oldest:
                    del kept[first]
            if len(self) > MOST_REVOCATIONS:
                self._drop_oldest()
        return new

    def is_revoked(self, session_id: str | None, user_id: str, issued_at: float | None, now: float) -> bool:
        """Return whether a token's session or user was revoked after the token was issued."""
        until = now - self.lifetime
        if session_id is not None and self._sessions.get(session_id, until) > until:
            return True
        at = self._users.get(user_id)
        # Tokens carry whole seconds: one of the very second of the revocation counts as issued before it.
        return at is not None and at > until and (issued_at is None or issued_at <= at)

    def _drop_oldest(self) -> None:
        for _ in range(_DROPPED_AT_ONCE):
            firsts = [
                (kept[first := next(iter(kept))], first, kept)
                for kept in (self._sessions, self._users)
                if kept
            ]
            _, first, kept = min(firsts, key=lambda entry: entry[0])
            del kept[first]
        _log.warning(
            "There are more than %d revocations: the %d oldest were dropped, and their tokens verify again.",
            MOST_REVOCATIONS,
            _DROPPED_AT_ONCE,
        )

    def _restart(self) -> None:
        self._lock = threading.Lock()

"""The sign-ins that browsers have begun: those that wait for a second factor, or for a provider.

They wait in the client's store, so that the browser holds a cookie only, and any worker can go on with them.
"""

import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from hellojohn import MfaChallenge, OAuthRequest, StoreError
from hellojohn._secret import Secret
from hellojohn._session.failures import guarded
from hellojohn.stores import TokenStore
from hellojohn.stores._capabilities import loaded, saver

_LIFE = 600.0
_ANSWERED_LIFE = 60.0
_SWEPT = 2
"""How many expired entries of each life a save deletes: more than it adds, so that they become fewer."""


class Pending:
    """One entry at most for each account."""

    def __init__(self, store: TokenStore, place: str, now: Callable[[], float]) -> None:
        """Keep the entries beside the sessions of this service and tenant. ``now`` is the clock."""
        self._store = store
        self._save = saver(store)
        self._place = place
        self._now = now
        # Threads share them without a lock, which a fork could leave locked: each method used is atomic.
        self._expiring = {life: deque[tuple[float, str]]() for life in (_LIFE, _ANSWERED_LIFE)}

    def save_challenge(self, account: str, challenge: MfaChallenge) -> None:
        """Keep a second factor that was asked for."""
        self._write(account, {"challenge": asdict(challenge)})

    def load_challenge(self, account: str) -> MfaChallenge | None:
        """Return the second factor that was asked for, if there is one."""
        members: dict[str, Any] | None = self._read(account).get("challenge")
        if members is None:
            return None
        members["factors"] = tuple(members["factors"])
        return MfaChallenge(**_with_times(members))

    def save_answered(self, account: str, seed: str) -> None:
        """Note for a moment that the second factor was answered, and from what the new cookie was derived."""
        until = self._now() + _ANSWERED_LIFE
        self._write(account, {"answered": seed, "until": until}, life=_ANSWERED_LIFE)

    def load_answered(self, account: str) -> str | None:
        """Return from what the new cookie was derived, if the second factor was answered just now."""
        entry = self._read(account)
        seed: str | None = entry.get("answered")
        return seed if seed is not None and self._now() < entry["until"] else None

    def give_up_challenge(self, account: str) -> str | None:
        """Delete a second factor that the service has ended, or return what ``load_answered`` does."""
        seed = self.load_answered(account)
        if seed is None:
            self.delete(account)
        return seed

    def save_oauth(self, account: str, request: OAuthRequest, following: str) -> None:
        """Keep a sign-in with a provider, and the page to go to afterwards."""
        self._write(account, {"oauth": asdict(request), "next": following})

    def load_oauth(self, account: str) -> tuple[OAuthRequest, str] | None:
        """Return the sign-in with a provider that was begun, if there is one, and the page."""
        entry = self._read(account)
        members: dict[str, Any] | None = entry.get("oauth")
        if members is None:
            return None
        return OAuthRequest(**_with_times(members)), entry["next"]

    def delete(self, account: str) -> None:
        """Delete the entry of an account."""
        guarded("delete", partial(self._store.delete, self._key(account)))

    def _write(self, account: str, entry: dict[str, Any], *, life: float = _LIFE) -> None:
        key, text = self._key(account), Secret(json.dumps(entry, default=_plain))
        self._sweep()
        guarded("save", partial(self._save, key, text, life))
        self._expiring[life].append((self._now() + life, key))

    def _sweep(self) -> None:
        """Delete what this process has saved and has expired since. Not every store does so by itself."""
        for expiring in self._expiring.values():
            for _ in range(_SWEPT):
                try:
                    ends_at, key = expiring.popleft()
                except IndexError:
                    break
                if ends_at > self._now():
                    expiring.appendleft((ends_at, key))
                    break
                with suppress(StoreError):  # it must not keep a user from signing in
                    guarded("delete", partial(self._store.delete, key))

    def _read(self, account: str) -> dict[str, Any]:
        text = guarded("load", partial(loaded, self._store, self._key(account)))
        return {} if text is None else cast("dict[str, Any]", json.loads(text.reveal()))

    def _key(self, account: str) -> str:
        return f"{account}{self._place}#pending"


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return cast("datetime", value).isoformat()


def _with_times(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a value with the times that ``_plain`` has written."""
    duration, expires_at = members["duration"], members["expires_at"]
    if isinstance(duration, float):  # a duration that was given as text stays text
        duration = timedelta(seconds=duration)
    if expires_at is not None:
        expires_at = datetime.fromisoformat(expires_at)
    return {**members, "duration": duration, "expires_at": expires_at}

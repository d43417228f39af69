"""What a browser has begun and has yet to complete: a second factor, or a sign-in with a provider.

It waits in the client's store, so that the browser holds a cookie only, and any worker can go on with it.
"""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, cast

from hellojohn import MfaChallenge, OAuthRequest
from hellojohn._secret import Secret
from hellojohn.stores import TokenStore
from hellojohn.stores._capabilities import loaded, saver

_LIFE = 600.0


class Pending:
    """One entry at most for each account."""

    def __init__(self, store: TokenStore, place: str) -> None:
        """Keep the entries beside the sessions of this service and tenant."""
        self._store = store
        self._save = saver(store)
        self._place = place

    def save_challenge(self, account: str, challenge: MfaChallenge) -> None:
        """Keep a second factor that was asked for."""
        self._write(account, {"challenge": asdict(challenge)})

    def load_challenge(self, account: str) -> MfaChallenge | None:
        """Return the second factor that was asked for, if there is one."""
        members = self._read(account).get("challenge")
        if members is None:
            return None
        return MfaChallenge(
            **{
                **members,
                "factors": tuple(members["factors"]),
                "duration": _duration(members["duration"]),
                "expires_at": _moment(members["expires_at"]),
            }
        )

    def save_oauth(self, account: str, request: OAuthRequest, following: str) -> None:
        """Keep a sign-in with a provider, and the page to go to afterwards."""
        self._write(account, {"oauth": asdict(request), "next": following})

    def load_oauth(self, account: str) -> tuple[OAuthRequest, str] | None:
        """Return the sign-in with a provider that was begun, if there is one, and the page."""
        entry = self._read(account)
        members = entry.get("oauth")
        if members is None:
            return None
        expires_at = datetime.fromisoformat(members["expires_at"])
        request = OAuthRequest(
            **{**members, "duration": _duration(members["duration"]), "expires_at": expires_at}
        )
        return request, entry["next"]

    def delete(self, account: str) -> None:
        """Forget what the account has begun."""
        self._store.delete(self._key(account))

    def _write(self, account: str, entry: dict[str, Any]) -> None:
        self._save(self._key(account), Secret(json.dumps(entry, default=_plain)), _LIFE)

    def _read(self, account: str) -> dict[str, Any]:
        text = loaded(self._store, self._key(account))
        return {} if text is None else cast("dict[str, Any]", json.loads(text.reveal()))

    def _key(self, account: str) -> str:
        return f"{account}{self._place}#pending"


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return cast("datetime", value).isoformat()


def _duration(value: str | float | None) -> Any:  # noqa: ANN401 - text stays text
    return timedelta(seconds=value) if isinstance(value, float) else value


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)

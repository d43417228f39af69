"""The JSON text of a record. Pure.

Other programs may have changed the content of a store, so every field is checked when it is read. No error
message shows a value, because it may be a token.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast

from hellojohn._clock import LAST_MOMENT
from hellojohn._errors import ExpiryReason, StoreCorrupt
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._session.record import EndedRecord, SessionRecord, Stored

VERSION = 1


class _Kind(NamedTuple):
    """The type of a field. ``json`` returns values of exactly these types."""

    name: str
    types: frozenset[type]
    is_moment: bool = False


_NONE = type(None)
_SECONDS = _Kind("number of seconds", frozenset({int, float}), is_moment=True)
_MAYBE_SECONDS = _Kind("number of seconds", frozenset({int, float, _NONE}), is_moment=True)
_TEXT = _Kind("text", frozenset({str}))
_MAYBE_TEXT = _Kind("text", frozenset({str, _NONE}))
_FLAG = _Kind("flag", frozenset({bool}))
_MAYBE_FLAG = _Kind("flag", frozenset({bool, _NONE}))
_OBJECT = _Kind("object", frozenset({dict}))
_MAYBE_OBJECT = _Kind("object", frozenset({dict, _NONE}))
_SESSION = {
    "api_url": _TEXT,
    "tenant_id": _TEXT,
    "sign_in_id": _TEXT,
    "generation": _Kind("whole number", frozenset({int})),
    "access_token": _TEXT,
    "refresh_token": _TEXT,
    "refreshed_at": _SECONDS,
    "ttl": _SECONDS,
    "created_at": _SECONDS,
    "server_ends_at": _MAYBE_SECONDS,
    "client_ends_at": _MAYBE_SECONDS,
    "duration": _MAYBE_SECONDS,
    "remember_me": _MAYBE_FLAG,
    "session_id": _MAYBE_TEXT,
    "user": _MAYBE_OBJECT,
    "last_used_at": _MAYBE_SECONDS,
    "refresh_started_at": _MAYBE_SECONDS,
    "refresh_not_before": _MAYBE_SECONDS,
    "cooldown_until": _MAYBE_SECONDS,
    "end_announced": _FLAG,
    "after_refusal": _FLAG,
}
_ENDED = {
    "api_url": _TEXT,
    "tenant_id": _TEXT,
    "sign_in_id": _TEXT,
    "session_id": _MAYBE_TEXT,
    "reason": _TEXT,
    "code": _MAYBE_TEXT,
}
_USER = {
    "id": _TEXT,
    "email": _MAYBE_TEXT,
    "name": _MAYBE_TEXT,
    "username": _MAYBE_TEXT,
    "email_verified": _MAYBE_FLAG,
    "created_at": _MAYBE_TEXT,
    "extra": _OBJECT,
}


def dump(record: Stored) -> Secret:
    """Return the text for the store."""
    fields = {name: getattr(record, name) for name in record.__slots__}
    if isinstance(record, EndedRecord):
        fields = {"ended": fields}
    elif record.user is not None:
        fields["user"] = _user_fields(record.user)
    return Secret(_encode({"v": VERSION, **fields}))


def parse(text: object) -> Stored:
    """Read the text of a store.

    Raises:
        StoreCorrupt: It is not a record, or a later version wrote it (``readable_elsewhere``).
    """
    parsed = _json_object(text)
    version = parsed.get("v")
    if not isinstance(version, int):
        raise _corrupt("it has no version")
    if version > VERSION:
        msg = "A later version of hellojohn wrote the stored session. Upgrade this one, or sign in again."
        raise StoreCorrupt(msg, readable_elsewhere=True)
    ending = parsed.get("ended")
    if isinstance(ending, dict):
        found = _checked(cast("dict[str, Any]", ending), _ENDED)
        return EndedRecord(**{**found, "reason": _reason(found["reason"])})
    found = _checked(parsed, _SESSION)
    for name in ("access_token", "refresh_token"):
        found[name] = token = Secret(found[name])
        if not token.is_sendable():
            raise _corrupt(f"its {name} is empty or cannot be sent in a header")
    if found["user"] is not None:
        found["user"] = _user(found["user"])
    return SessionRecord(**found)


def _json_object(text: object) -> dict[str, Any]:
    parsed: Any = None
    if isinstance(text, str):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
    if not isinstance(parsed, dict):
        raise _corrupt("it is not a JSON object")
    return cast("dict[str, Any]", parsed)


def _checked(parsed: Mapping[str, Any], kinds: Mapping[str, _Kind]) -> dict[str, Any]:
    """Return the known fields; ignore the others."""
    found: dict[str, Any] = {}
    for name, (kind, types, is_moment) in kinds.items():
        value = parsed.get(name)
        if type(value) not in types:
            raise _corrupt(f"it has no {name}" if value is None else f"its {name} is not a {kind}")
        if is_moment and value is not None and not 0 <= value <= LAST_MOMENT:
            raise _corrupt(f"its {name} is out of range")
        found[name] = value
    return found


def _user_fields(user: User) -> dict[str, object]:
    fields = {name: getattr(user, name) for name in user.__slots__}
    if user.created_at is not None:
        fields["created_at"] = user.created_at.isoformat()
    return fields


def _plain(value: object) -> object:
    """Return what JSON can hold in place of a value. The encoder calls it: tokens stay masked until then."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    raise TypeError(f"A {type(value).__name__} cannot be stored.")


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def _user(parsed: Mapping[str, Any]) -> User:
    found = _checked(parsed, _USER)
    if found["created_at"] is not None:
        found["created_at"] = _moment(found["created_at"])
    return User(**found)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise _corrupt("its user's created_at is not a date")


def _reason(text: str) -> ExpiryReason:
    try:
        return ExpiryReason(text)
    except ValueError:
        return ExpiryReason.REJECTED  # of a later version, which knows more reasons


def _corrupt(problem: str) -> StoreCorrupt:
    return StoreCorrupt(f"The store holds something that is not a session of hellojohn: {problem}.")

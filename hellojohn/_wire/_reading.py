"""Reads single values out of an answer nobody vouches for: each function returns the value or ``None``.

None of them raises, whatever it is given, and none is told which answer it reads. Pure; imports nothing of
the package but ``Secret``.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeGuard, cast

from hellojohn._secret import Secret

Fields = Mapping[str, object]

_LARGEST = 1e12
_LONGEST_LIFE = 100 * 365 * 86_400.0
_DEEPEST = 16
_DIGITS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_TOKEN = re.compile(r"[!-~]+")
_JUNK = (ValueError, RecursionError)


def json_object(text: bytes) -> Fields | None:
    """Read a JSON object: UTF-8, with or without a byte order mark; of a key given twice, the last counts."""
    try:
        value: object = json.loads(text.decode("utf-8-sig"))
    except _JUNK:
        return None
    return value if _is_object(value) else None


def fields(value: object) -> Fields:
    """Read a part that may be an object; anything else has no fields."""
    return value if _is_object(value) else {}


def text(value: object) -> str | None:
    """Read a text that is not empty and can be written down."""
    return value if isinstance(value, str) and value and _is_plain_text(value) else None


def token(value: object) -> Secret | None:
    """Read a token: visible ASCII only, so that it can never break a header."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def number(value: object) -> float | None:
    """Read a number that is not negative, given as one or as its digits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, _LARGEST)) if value >= 0 else None


def life(seconds: float | None) -> float | None:
    """Take a span for a life: longer than nothing, and at most 100 years."""
    return min(seconds, _LONGEST_LIFE) if seconds is not None and seconds > 0 else None


def moment(value: object) -> datetime | None:
    """Read an ISO 8601 time, which without an offset is UTC."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if time is None else _utc(time)
    except (ValueError, OverflowError):
        return None


def http_date(value: str | None) -> datetime | None:
    """Read the date of an HTTP header."""
    try:
        return None if value is None else _utc(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def claims(access_token: Secret) -> Fields:
    """Read what an access token says of itself; an opaque one says nothing.

    The signature is not checked, and need not be: the token came a moment ago, over TLS, from the service
    that signs it, and its claims only tell when to refresh it. Nobody is let in by them.
    """
    import jwt  # noqa: PLC0415 - loaded when the first token arrives

    try:
        return cast("Fields", jwt.decode(access_token.reveal(), options={"verify_signature": False}))
    except (jwt.PyJWTError, *_JUNK):
        return {}


def is_plain(value: object) -> bool:
    """Say whether a JSON value can be stored and read again: not deep, no lone surrogates, no infinity."""
    level = [value]
    for _ in range(_DEEPEST):
        if not all(map(_is_plain_node, level)):
            return False
        level = [child for node in level for child in _children(node)]
        if not level:
            return True
    return False


def _is_object(value: object) -> TypeGuard[Fields]:
    return isinstance(value, dict)


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, list):
        return cast("list[object]", node)
    return [*fields(node), *fields(node).values()]


def _is_plain_node(node: object) -> bool:
    if isinstance(node, str):
        return _is_plain_text(node)
    return not isinstance(node, float) or math.isfinite(node)


def _is_plain_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Read single values of an untrusted answer: each function returns the value, or ``None``.

No function raises for any argument. Pure: no function knows which answer it reads.
"""

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeGuard, cast

from hellojohn._limits import DEEPEST_JSON, LONGEST_LIFE
from hellojohn._secret import Secret

Fields = Mapping[str, object]

_LARGEST = 1e12  # seconds: a date can still be computed from it
_DIGITS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_TOKEN = re.compile(r"[!-~]+")
_JUNK = (ValueError, RecursionError)
_decode = json.JSONDecoder().decode


def json_value(content: bytes) -> object:
    """Read JSON in UTF-8, with or without a byte order mark. Of a repeated key, the last counts."""
    try:
        value: object = _decode(content.decode().removeprefix("\ufeff"))
    except _JUNK:
        return None
    return value


def json_object(content: bytes) -> Fields | None:
    """Read a JSON object."""
    value = json_value(content)
    return value if _is_object(value) else None


def fields(value: object) -> Fields:
    """Read a value that may be an object; any other value has no fields."""
    return value if _is_object(value) else {}


def listed(value: object) -> list[object]:
    """Read a value that may be a list; any other value has no items."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Read a text that is not empty and that UTF-8 can encode."""
    return value if isinstance(value, str) and value and _is_plain_text(value) else None


def token(value: object) -> Secret | None:
    """Read a token: visible ASCII only, so that it cannot break a header."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def number(value: object) -> float | None:
    """Read a number that is not negative, written as a number or as text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, _LARGEST)) if value >= 0 else None


def life(seconds: float | None) -> float | None:
    """Accept a number of seconds as a life: longer than nothing, and at most LONGEST_LIFE."""
    return min(seconds, LONGEST_LIFE) if seconds is not None and seconds > 0 else None


def moment(value: object) -> datetime | None:
    """Read an ISO 8601 time. Without an offset it is UTC."""
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


def claims(token: Secret) -> Fields:
    """Read the claims of a JWT; an opaque token has none.

    The signature is not checked: the token has just arrived over TLS from the service that signs it, and the
    claims only say when to refresh it and who signed in. They grant nothing.
    """
    try:
        _, content, _ = token.reveal().split(".")
        return json_object(base64.b64decode(content + "=" * (-len(content) % 4), b"-_", validate=True)) or {}
    except ValueError:
        return {}


def is_plain(value: object) -> bool:
    """Return whether a JSON value can be stored: not too deep, no lone surrogates, no infinities."""
    level = [value]
    for _ in range(DEEPEST_JSON):
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

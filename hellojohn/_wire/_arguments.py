"""Checks what a caller passes in before it is sent. Pure; no message repeats a value."""

import json
from collections.abc import Mapping
from typing import cast

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret

LONGEST_EMAIL = 320
LONGEST_PASSWORD = 4_096
LONGEST_NAME = 1_024
LONGEST_CAPTCHA = 65_536
LONGEST_CHALLENGE = 65_536
LONGEST_METADATA = 65_536


def checked(value: object, *, name: str, longest: int) -> str:
    """Return ``value`` if it is a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It is anything else.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")
    _check_length(len(value), name=name, longest=longest)
    return value


def checked_secret(value: Secret, *, name: str, longest: int) -> Secret:
    """Return ``value`` if it wraps a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It is anything else.
    """
    kind: type[object] = type(cast("object", value.reveal()))
    if not issubclass(kind, str):
        raise ConfigurationError(f"{name} must be text, not {kind.__name__}.")
    _check_length(len(value.reveal()), name=name, longest=longest)
    return value


def checked_metadata(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return a copy of ``value`` if it can be sent as a JSON object.

    Raises:
        ConfigurationError: It is not a mapping, holds what JSON has no word for, or is too large.
    """
    text = _as_json(value)
    if text is None or len(text) > LONGEST_METADATA:
        raise ConfigurationError(
            f"metadata must be a JSON object of at most {LONGEST_METADATA} characters: texts, numbers, lists."
        )
    return cast("Mapping[str, object]", json.loads(text))


def _check_length(length: int, *, name: str, longest: int) -> None:
    if not length:
        raise ConfigurationError(f"{name} is empty.")
    if length > longest:
        raise ConfigurationError(f"{name} is too long: {length} characters, at most {longest} are allowed.")


def _as_json(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return json.dumps(dict(cast("Mapping[object, object]", value)), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None

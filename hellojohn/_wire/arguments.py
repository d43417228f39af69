"""Check the arguments of a request before it is sent. No message repeats a value.

A value of the wrong type is the developer's mistake: ``ConfigurationError``. A value that is empty or too
long may have been typed by a person: ``ValidationFailed``, as if the service had refused it.
"""

import ipaddress
import json
from collections.abc import Mapping
from typing import cast

from hellojohn._errors import ConfigurationError, ValidationFailed
from hellojohn._limits import (
    LONGEST_CODE,
    LONGEST_EMAIL,
    LONGEST_METADATA,
    LONGEST_PASSWORD,
    LONGEST_USER_AGENT,
)
from hellojohn._models import Device
from hellojohn._secret import Secret


def checked(value: object, *, name: str, longest: int) -> str:
    """Return ``value`` if it is a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It is not a text.
        ValidationFailed: It is empty or too long.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")
    _check_length(len(value), name=name, longest=longest)
    return value


def checked_secret(value: Secret, *, name: str, longest: int) -> Secret:
    """Return ``value`` if it wraps a text of 1 to ``longest`` characters.

    Raises:
        ConfigurationError: It does not wrap a text.
        ValidationFailed: The text is empty or too long.
    """
    kind: type[object] = type(cast("object", value.reveal()))
    if not issubclass(kind, str):
        raise ConfigurationError(f"{name} must be text, not {kind.__name__}.")
    _check_length(len(value.reveal()), name=name, longest=longest)
    return value


def checked_email(value: object) -> str:
    """Return an email address; the service decides whether it is one."""
    return checked(value, name="email", longest=LONGEST_EMAIL)


def checked_password(value: Secret, *, name: str = "password") -> Secret:
    """Return a password."""
    return checked_secret(value, name=name, longest=LONGEST_PASSWORD)


def checked_code(value: Secret) -> Secret:
    """Return a second factor's code without the white space that people type between its groups."""
    checked_secret(value, name="code", longest=LONGEST_CODE)
    return checked_secret(Secret("".join(value.reveal().split())), name="code", longest=LONGEST_CODE)


def checked_metadata(value: Mapping[str, object]) -> Mapping[str, object]:
    """Return a copy of ``value`` if it can be sent as a JSON object.

    Raises:
        ConfigurationError: It is not a mapping, or it holds something that JSON cannot express.
        ValidationFailed: It is too large.
    """
    text = _as_json(value)
    if text is None:
        raise ConfigurationError(
            "metadata must be a mapping of texts to texts, numbers, flags, lists and mappings."
        )
    if len(text) > LONGEST_METADATA:
        raise ValidationFailed(f"metadata is too long: at most {LONGEST_METADATA} characters as JSON.")
    return cast("Mapping[str, object]", json.loads(text))


def required_key(key: Secret | None, *, name: str, call: str) -> Secret:
    """Return a key that ``call`` needs.

    Raises:
        ConfigurationError: The client was made without it.
    """
    if key is None:
        variable = f"HELLOJOHN_{name.upper()}"
        raise ConfigurationError(f"{call} needs {name}: pass {name}=... to the client or set {variable}.")
    return key


def device_headers(device: Device | None) -> dict[str, str | Secret]:
    """Return the headers that describe a browser to the service.

    Values that do not fit into a header are left out: they come from the browser, or from a test client.
    """
    if device is None:
        return {}
    headers: dict[str, str | Secret] = {}
    if device.user_agent:
        printable = (char if " " <= char <= "~" else "?" for char in device.user_agent[:LONGEST_USER_AGENT])
        headers["User-Agent"] = "".join(printable).strip()
    if device.ip_address and _is_address(device.ip_address):
        headers["X-Forwarded-For"] = device.ip_address
    return {name: value for name, value in headers.items() if value}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _check_length(length: int, *, name: str, longest: int) -> None:
    if not length:
        raise ValidationFailed(f"{name} is empty.")
    if length > longest:
        raise ValidationFailed(f"{name} is too long: {length} characters, at most {longest} are allowed.")


def _as_json(value: object) -> str | None:
    if not isinstance(value, Mapping):
        return None
    try:
        return json.dumps(dict(cast("Mapping[object, object]", value)), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None

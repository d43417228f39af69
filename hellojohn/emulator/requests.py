"""Reads requests: bodies within bounds, fields of the right type, who calls. Everything else is refused.

It is strict where the real service may be lenient, with an unknown field for one, so that a misspelt field is
noticed on the developer's machine. It knows no session rule.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn, cast

from starlette.requests import Request

from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Device

LARGEST_BODY: Final = 1_048_576
_LARGEST_PAGE = 100
_USUAL_PAGE = 20


class Fields:
    """The fields of a JSON object, each read as the type it must have."""

    def __init__(self, values: Mapping[str, object], *, allowed: tuple[str, ...]) -> None:
        """Refuse the fields that are not ``allowed``."""
        self._values = values
        for name in values:
            if name not in allowed:
                refuse(f"There is no field {name[:40]!a} here; the fields are {', '.join(allowed)}.")

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.optional_text(name)
        if value is None:
            refuse(f"{name} is missing.")
        return value

    def secret(self, name: str) -> Secret:
        """Return a text that must be there, masked."""
        return Secret(self.text(name))

    def optional_text(self, name: str) -> str | None:
        """Return a text, or ``None`` when it is absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value or not _is_unicode(value):
            refuse(f"{name} must be text, and not empty.")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; absent is false."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            refuse(f"{name} must be true or false.")
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object; absent or null is an empty one."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            refuse(f"{name} must be an object.")
        return cast("dict[str, object]", value)

    def session_duration(self) -> str | None:
        """Return the duration that ``session_options`` asks for."""
        duration = Fields(self.mapping("session_options"), allowed=("duration",)).optional_text("duration")
        if duration is None:
            return None
        try:
            parse_duration(duration, name="session_options.duration")
        except ConfigurationError as error:
            refuse(str(error))
        return duration


def refuse(message: str) -> NoReturn:
    """Refuse a value, with a sentence that names it."""
    raise ApiProblem("validation_failed", message)


async def receive_body(request: Request, *, largest: float) -> None:
    """Take the whole body in, for ``body`` to return, and stop where it gets too large."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > largest:
            raise ApiProblem("payload_too_large")
    request.state.body = bytes(received)


def body(request: Request) -> bytes:
    """Return the body that ``receive_body`` took in."""
    received: bytes = request.state.body
    return received


def read_object(request: Request) -> dict[str, object]:
    """Return the body as a JSON object."""
    try:
        value: object = json.loads(body(request), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ApiProblem("invalid_request")
    return cast("dict[str, object]", value)


def read_fields(request: Request, *allowed: str) -> Fields:
    """Return the body's fields, of which only these may occur."""
    return Fields(read_object(request), allowed=allowed)


def bearer(request: Request) -> Secret:
    """Return the key or token the caller sent."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise ApiProblem("missing_token")
    return Secret(credential.strip())


def device(request: Request) -> Device:
    """Return where the request came from."""
    address = request.client.host if request.client else None
    return Device(request.headers.get("user-agent"), address)


def page(request: Request) -> tuple[int, int | None]:
    """Return how many items the caller wants, and the serial that the page starts below."""
    query = request.query_params
    limit = _number(query.get("limit", str(_USUAL_PAGE)))
    if limit is None or not 1 <= limit <= _LARGEST_PAGE:
        refuse(f"limit is a number from 1 to {_LARGEST_PAGE}.")
    cursor = _number(query.get("cursor", "0"))
    if cursor is None:
        refuse("cursor is the next_cursor of the page before, unchanged.")
    return limit, cursor if "cursor" in query else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else None  # noqa: PLR2004


def _is_unicode(text: str) -> bool:
    """JSON can spell half a surrogate pair, which no UTF-8 can carry on."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    """``NaN`` and the infinities are no JSON, whatever ``json`` says."""
    raise ValueError(name)

"""Reads requests: a body within bounds, fields of the right type, the caller's key or token.

It is strict where the real service may be lenient. An unknown field is refused, so that a misspelt field is
noticed on the developer's machine. It knows no session rule.

Its refusals are ``invalid_request``, ``payload_too_large``, ``validation_failed`` and ``missing_token``. An
API with other codes translates them in its ``Errors``.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn, cast
from urllib.parse import parse_qsl

from starlette.requests import Request

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import is_web_address
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Device

LARGEST_BODY: Final = 1_048_576


class Fields:
    """The fields of a JSON object or a form, each read as the type that it must have."""

    def __init__(self, values: Mapping[str, object], *, allowed: tuple[str, ...]) -> None:
        """Refuse every field that is not ``allowed``."""
        self._values = values
        for name in values:
            if name not in allowed:
                refuse(f"There is no field {name[:40]!a} here; the fields are {', '.join(allowed)}.")

    def text(self, name: str) -> str:
        """Return a required text."""
        value = self.optional_text(name)
        if value is None:
            refuse(f"{name} is missing.")
        return value

    def secret(self, name: str) -> Secret:
        """Return a required text, masked."""
        return Secret(self.text(name))

    def optional_secret(self, name: str) -> Secret | None:
        """Return a text, masked, or ``None`` when it is absent or null."""
        value = self.optional_text(name)
        return None if value is None else Secret(value)

    def optional_text(self, name: str) -> str | None:
        """Return a text, or ``None`` when it is absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value or not _is_unicode(value):
            refuse(f"{name} must be text, and not empty.")
        return value

    def flag(self, name: str) -> bool:
        """Return true or false; an absent field is false."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            refuse(f"{name} must be true or false.")
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """Return an object; an absent or null field is an empty object."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            refuse(f"{name} must be an object.")
        return cast("dict[str, object]", value)

    def optional_url(self, name: str) -> str | None:
        """Return an address that a browser can be sent to, or ``None`` when it is absent or null."""
        value = self.optional_text(name)
        if value is not None and not is_web_address(value):
            refuse(f"{name} must be an http or https address without a user, a password or a fragment.")
        return value


def refuse(message: str) -> NoReturn:
    """Refuse a value, with a sentence that names it."""
    raise ApiProblem("validation_failed", message, status=422)


async def receive_body(request: Request, *, largest: float) -> None:
    """Receive the whole body for ``body`` to return, and stop when it gets larger than ``largest`` bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > largest:
            raise ApiProblem("payload_too_large", "The body is larger than 1 MiB.", status=413)
    request.state.body = bytes(received)


def body(request: Request) -> bytes:
    """Return the body that ``receive_body`` received."""
    received: bytes = request.state.body
    return received


def read_object(request: Request) -> dict[str, object]:
    """Return the body as a JSON object."""
    try:
        value: object = json.loads(body(request), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ApiProblem("invalid_request", "The body is not a JSON object.", status=400)
    return cast("dict[str, object]", value)


def read_fields(request: Request, *allowed: str) -> Fields:
    """Return the body's fields. Any field that is not ``allowed`` is refused."""
    return Fields(read_object(request), allowed=allowed)


def read_form(request: Request, *allowed: str) -> Fields:
    """Return the fields of a form that a browser posts. An empty field counts as absent."""
    try:
        pairs = parse_qsl(body(request).decode(), max_num_fields=20, errors="strict")
    except ValueError:
        raise ApiProblem("invalid_request", "The body is not a form.", status=400) from None
    return Fields(dict(pairs), allowed=allowed)


def read_query(request: Request, *allowed: str) -> Fields:
    """Return the fields of the query. An empty field counts as absent."""
    values = {name: value for name, value in request.query_params.items() if value}
    return Fields(values, allowed=allowed)


def bearer(request: Request) -> Secret:
    """Return the key or token that the caller sent."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        message = "Send an Authorization header: Bearer and the key or token."
        raise ApiProblem("missing_token", message, status=401)
    return Secret(credential.strip())


def device(request: Request) -> Device:
    """Return where the request came from. A back end names its browser's address in ``X-Forwarded-For``."""
    connected = request.client.host if request.client else None
    forwarded = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    return Device(request.headers.get("user-agent"), forwarded or connected)


def _is_unicode(text: str) -> bool:
    """Return whether the text can be encoded: JSON can spell half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    """Refuse ``NaN`` and the infinities, which ``json`` accepts although JSON has none."""
    raise ValueError(name)

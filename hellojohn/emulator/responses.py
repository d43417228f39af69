"""Writes JSON answers and timestamps. Knows no API."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.responses import Response

_CLIENT_ERROR = 400


def json_response(
    value: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return Response(encode(value), status, headers, media_type="application/json")


def raw_response(body: bytes, *, status: int) -> Response:
    """Return a body as it is, as JSON where it looks like JSON and as HTML otherwise."""
    media_type = "application/json" if body[:1] in (b"{", b"[") else "text/html"
    return Response(b"" if status in (204, 205, 304) else body, status, media_type=media_type)


def is_error(status: int) -> bool:
    """Return whether a status means an error."""
    return status >= _CLIENT_ERROR


def encode(value: Mapping[str, object]) -> bytes:
    """Return JSON that is ASCII, so that any text of a client can be sent back."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def timestamp(when: float) -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    text = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

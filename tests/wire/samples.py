"""Answers as v1 gives them, and worse ones, for the tests of the wire."""

import base64
import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hellojohn
from hellojohn._secret import Secret
from hellojohn._wire import V1, ApiResponse

PACKAGE = str(Path(hellojohn.__file__).parent)
ISSUED = 1_750_000_000
DATE = "Sun, 15 Jun 2025 15:06:40 GMT"
"""``ISSUED`` as an HTTP header says it."""

dialect = V1("tnt_1", Secret("pk_test_key"))


def reply(
    status: int = 200,
    body: object = None,
    *,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> ApiResponse:
    """Make an answer of a JSON value, or of raw bytes."""
    text = json.dumps(body).encode() if raw is None else raw
    return ApiResponse(status, headers or {}, text, tuple(map(Secret, secrets)))


def problem(status: int, code: str, **more: Any) -> ApiResponse:
    """Make an error in the documented shape."""
    told = {"code": code, "message": "Words.", "status": status, "request_id": "req_1", **more}
    return reply(status, {"error": told})


def token(**claims: object) -> str:
    """Make an access token whose signature nobody checks."""
    parts = (b'{"alg":"EdDSA","kid":"k1","typ":"JWT"}', json.dumps(claims).encode(), b"signature")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def told_by(error: BaseException) -> str:
    """Return all that could show of an error: words, fields, causes, our frames with their locals."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename.startswith(PACKAGE)]
    told = f"{error} {error!r} {vars(error)} {[(frame, frame.locals) for frame in frames]}"
    causes = [cause for cause in (error.__cause__, error.__context__) if cause is not None]
    return " ".join([told, *map(told_by, causes)])

"""Answers of v1 and other builders for the tests of the wire."""

import base64
import json
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import hellojohn
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire import Answer, ApiRequest, ApiResponse, SignedIn
from hellojohn._wire.v1 import V1

PACKAGE = str(Path(hellojohn.__file__).parent)
ISSUED = 1_750_000_000
DATE = "Sun, 15 Jun 2025 15:06:40 GMT"
"""``ISSUED`` in the form of an HTTP header."""

KEY = Secret("pk_test_key")
SECRET_KEY = Secret("sk_test_key")
ACCESS_TOKEN = Secret("at_1")
ADA = SignedIn(ACCESS_TOKEN, User("usr_1"))

v1 = V1("tnt_1", KEY, SECRET_KEY, base_url="https://api.example.com")
FLAT = {"access_token": "at_1", "refresh_token": "rt_1", "expires_in": 3600, "session_id": "ses_1"}


def reply(
    status: int = 200,
    body: object = None,
    *,
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> ApiResponse:
    """Return an answer with a JSON value, or with raw bytes."""
    text = json.dumps(body).encode() if raw is None else raw
    return ApiResponse(status, headers or {}, text, tuple(map(Secret, secrets)))


def problem(status: int, code: str, **more: Any) -> ApiResponse:
    """Return an error in the documented shape of v1."""
    error = {"code": code, "message": "Words.", "status": status, "request_id": "req_1", **more}
    return reply(status, {"error": error})


def token(**claims: object) -> str:
    """Return a JWT with these claims and without a valid signature."""
    parts = (b'{"alg":"EdDSA","kid":"k1","typ":"JWT"}', json.dumps(claims).encode(), b"signature")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def sent(request: ApiRequest) -> Any:
    """Return the JSON body as the server sees it."""
    return json.loads(request.encode() or b"null")


def talk(conversation: Generator[ApiRequest, Answer, Any], *answers: Answer) -> tuple[list[ApiRequest], Any]:
    """Run a conversation with these answers; return its requests and its result."""
    requests = [next(conversation)]
    for answer in answers:
        try:
            requests.append(conversation.send(answer))
        except StopIteration as stop:
            assert len(requests) == len(answers), "an answer was not asked for"
            return requests, stop.value
    raise AssertionError(f"no answer to {requests[-1]}")


def shown_by(error: BaseException) -> str:
    """Return all that an error shows: its text, its fields, its causes, and the locals of our frames."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in captured.stack if frame.filename.startswith(PACKAGE)]
    shown = f"{error} {error!r} {vars(error)} {[(frame, frame.locals) for frame in frames]}"
    causes = [cause for cause in (error.__cause__, error.__context__) if cause is not None]
    return " ".join([shown, *map(shown_by, causes)])

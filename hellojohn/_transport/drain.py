"""Reads the body of a 401, so that its connection is free, and leaves the response as if it were unread.

The app may get this response after all. Reading has a bound in bytes and time: a body that never ends, or
that breaks off, must not keep the request from being repeated.
"""

import time
from contextlib import aclosing, closing, suppress
from typing import Any

from hellojohn._limits import LONGEST_REFUSAL, REFUSAL_READ_TIME

Response = Any


def drain(response: Response, plain_body: type) -> None:
    """Read ``response``; ``plain_body`` is its library's stream of bytes."""
    if response.is_stream_consumed:  # by a hook of the app
        response.close()
        return
    body = _Body(response)
    # Closed here: a generator that is closed later by the garbage collector would close the response again.
    with suppress(Exception), closing(response.iter_raw()) as parts:  # it broke off, or took too long
        for part in parts:
            if body.is_full(part):
                break
    with suppress(Exception):
        response.close()
    body.put_back(plain_body)


async def drain_async(response: Response, plain_body: type) -> None:
    """Do the same, awaiting."""
    if response.is_stream_consumed:
        await response.aclose()
        return
    body = _Body(response)
    with suppress(Exception):
        async with aclosing(response.aiter_raw()) as parts:
            async for part in parts:
                if body.is_full(part):
                    break
    with suppress(Exception):
        await response.aclose()
    body.put_back(plain_body)


class _Body:
    """The part of a response that was read."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._parts = bytearray()
        self._ends_at = time.monotonic() + REFUSAL_READ_TIME
        # The connection looks the timeout up when the body is read. Without it, a wait could last for ever.
        limits = dict(response.request.extensions.get("timeout") or {})
        read = limits.get("read")
        limits["read"] = REFUSAL_READ_TIME if read is None else min(read, REFUSAL_READ_TIME)
        self._timeout = response.request.extensions.get("timeout")
        response.request.extensions["timeout"] = limits

    def is_full(self, part: bytes) -> bool:
        """Add a part; return whether reading must stop."""
        self._parts += part
        return len(self._parts) >= LONGEST_REFUSAL or time.monotonic() >= self._ends_at

    def put_back(self, plain_body: type) -> None:
        """Let the app read the body as if it came from the network."""
        response = self._response
        if self._timeout is None:
            response.request.extensions.pop("timeout", None)
        else:
            response.request.extensions["timeout"] = self._timeout
        with suppress(RuntimeError):  # it was not measured
            response.elapsed = response.elapsed
        content = bytes(self._parts)
        if not _can_be_decoded(response, content):  # the library reads the response before it is repeated
            del response.headers["Content-Encoding"]
        response.stream = plain_body(content)
        response.is_closed = response.is_stream_consumed = False


def _can_be_decoded(response: Response, content: bytes) -> bool:
    if "Content-Encoding" not in response.headers:
        return True
    try:
        type(response)(response.status_code, headers=response.headers, content=content)
    except Exception:  # noqa: BLE001 - each coding raises a different error
        return False
    return True

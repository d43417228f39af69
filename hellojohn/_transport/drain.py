"""Reads a refused answer to its end, so that its connection is free, and leaves it as if nobody had read it.

The app may get this answer after all, and may want it in any way the library offers, undecoded too.
"""

from contextlib import suppress
from typing import Any

Response = Any


def drain(response: Response, plain_body: type) -> None:
    """Read ``response``; ``plain_body`` is its library's stream of bytes that are at hand."""
    if response.is_stream_consumed:  # by a hook of the app's
        response.close()
    else:
        _refill(response, plain_body(b"".join(response.iter_raw())))


async def drain_async(response: Response, plain_body: type) -> None:
    """Do the same, awaiting."""
    if response.is_stream_consumed:
        await response.aclose()
    else:
        _refill(response, plain_body(b"".join([part async for part in response.aiter_raw()])))


def _refill(response: Response, stream: object) -> None:
    with suppress(RuntimeError):  # nobody measured it
        response.elapsed = response.elapsed
    response.stream = stream
    response.is_closed = response.is_stream_consumed = False

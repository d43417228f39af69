"""Reads the body of an answer and keeps everything in it that is whole.

The answer to a refresh is the only copy of the session. A JSON object that has arrived counts, even when
its framing, its coding or its connection is damaged.
"""

import contextlib
from typing import cast

import httpx

from hellojohn._http._codings import BodyTooLargeError, decode, is_json_object
from hellojohn._http._exchange import Exchange
from hellojohn._http._frames import forget
from hellojohn._limits import LARGEST_BODY, SETTLING

_LOOKS = 8
"""How often a growing body is parsed at most, so that a body in tiny pieces costs no quadratic time."""


def read_body(response: httpx.Response, exchange: Exchange) -> bytes:
    """Return the decoded body; an empty one in place of one above 1 MiB.

    Raises:
        Exception: The body broke off before it held a whole JSON object.
    """
    coding = response.headers.get("content-encoding", "")
    if response.is_stream_consumed:
        return _bounded(response.content, coding)
    raw = bytearray()
    try:
        _collect(response, raw, coding, exchange)
    except Exception as error:
        body = _whole(bytes(raw), coding) or _whole(exchange.after_head(), coding)
        if not body:
            raise
        forget(error)
        return body
    body = _bounded(bytes(raw), coding)
    return body if is_json_object(body) else _misframed(response, len(raw), coding, exchange) or body


def _collect(response: httpx.Response, raw: bytearray, coding: str, exchange: Exchange) -> None:
    length = response.headers.get("content-length")
    looks = 0
    for piece in cast("httpx.SyncByteStream", response.stream):
        raw += piece
        if len(raw) > LARGEST_BODY:
            return
        if exchange.is_over():
            raise httpx.ReadTimeout("The answer did not end in time.")
        if looks < _LOOKS and length != str(len(raw)) and (coding or raw[-8:].rstrip().endswith(b"}")):
            looks += 1
            if _whole(bytes(raw), coding):
                exchange.end_within(SETTLING)
                looks = _LOOKS


def _bounded(raw: bytes, coding: str) -> bytes:
    """Decode a body; of one above the bound, return only a JSON object that padding follows."""
    if len(raw) > LARGEST_BODY:
        return _whole(raw[:LARGEST_BODY], coding)
    with contextlib.suppress(BodyTooLargeError):
        return decode(raw, coding)
    return b""


def _whole(raw: bytes, coding: str) -> bytes:
    """Decode a body; return nothing of it unless it is a whole JSON object."""
    with contextlib.suppress(BodyTooLargeError):
        body = decode(raw, coding)
        return body if is_json_object(body) else b""
    return b""


def _misframed(response: httpx.Response, length: int, coding: str, exchange: Exchange) -> bytes:
    """Return the JSON object that goes on after the end of the message, if there is one.

    A server that counts characters where it ought to count bytes announces too short a body.
    """
    following = exchange.after_head()
    body = _whole(following, coding) if len(following) > length else b""
    if body:
        # The rest would be taken for the beginning of the next answer on this connection.
        with contextlib.suppress(Exception):
            response.extensions["network_stream"].close()
    return body

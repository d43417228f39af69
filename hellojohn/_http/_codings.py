"""Undoes the content codings of a body, within bounds. Pure.

The sender asks for no coding, but some proxies apply one anyway. Codings that have been named wrongly or
that are unknown are skipped: the reader of the body finds out whether it makes sense.
"""

import contextlib
import importlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from hellojohn._limits import LARGEST_BODY

_SLICE = 64
"""Bytes that are unpacked at a time. Brotli makes 16 MiB out of a few; more cannot be held back."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BodyTooLargeError(Exception):
    """A body is larger than the sender reads."""


def is_json_object(body: bytes) -> bool:
    """Whether the bytes are one JSON object and nothing else."""
    try:
        # Decoded here: ``json`` would look for a codec by name, which may have to be imported.
        document: object = json.loads(body.removeprefix(_BYTE_ORDER_MARK).decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict)


def decode(body: bytes, header: str) -> bytes:
    """Undo the codings of a ``Content-Encoding`` header, the last one applied first.

    Raises:
        BodyTooLargeError: Unpacked, the body is larger than ``LARGEST_BODY``.
    """
    codings = [coding.strip().lower() for coding in header.split(",")]
    for coding in reversed([coding for coding in codings if coding in _DECODERS]):
        if is_json_object(body):
            break
        body = _undo(_DECODERS[coding], body)
    return body


def _undo(decoders: Sequence[Callable[[], Any]], body: bytes) -> bytes:
    for start in decoders:
        if unpacked := _unpack(start, body):
            return unpacked
    return body


def _unpack(start: Callable[[], Any], data: bytes) -> bytes:
    """Unpack as much as possible: a stream may break off or be damaged."""
    unpacked = bytearray()
    decoder, position = start(), 0
    while position < len(data):
        piece = data[position : position + _SLICE]
        position += len(piece)
        try:
            unpacked += decoder.decompress(piece)
        except Exception:  # noqa: BLE001 - each library has its own error class
            break
        if len(unpacked) > LARGEST_BODY:
            raise BodyTooLargeError
        if getattr(decoder, "eof", False):  # gzip and zstd allow several streams in a row
            position -= len(decoder.unused_data)
            decoder = start()
    return bytes(unpacked)


def _optional(*names: str) -> Any:  # noqa: ANN401 - a module without types
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None


def _zlib() -> object:
    """Read zlib and gzip, whichever it is: the two are mixed up often."""
    return zlib.decompressobj(wbits=47)


def _raw_deflate() -> object:
    return zlib.decompressobj(wbits=-15)


def _brotli() -> object:
    decoder = _BROTLI.Decompressor()
    return decoder if hasattr(decoder, "decompress") else SimpleNamespace(decompress=decoder.process)


def _zstd() -> object:
    return _ZSTANDARD.ZstdDecompressor().decompressobj()


# httpx imports the same libraries as soon as it is imported itself, where they are installed.
_BROTLI = _optional("brotli", "brotlicffi")
_ZSTANDARD = _optional("zstandard")
_DECODERS: Mapping[str, Sequence[Callable[[], Any]]] = {
    "gzip": (_zlib,),
    "x-gzip": (_zlib,),
    "deflate": (_zlib, _raw_deflate),
    **({"br": (_brotli,)} if _BROTLI else {}),
    **({"zstd": (_zstd,)} if _ZSTANDARD else {}),
}

"""Which request bodies can be sent a second time, and from where. Sends nothing.

body                                         replayed
-------------------------------------------  ---------------------------------------------------
none, bytes, text, form, JSON                yes
multipart of values and seekable files       yes: httpx rewinds its files to 0 before each attempt
``content=`` a seekable file                 yes, from where it stood at the first attempt
``content=`` a list or tuple of bytes        yes
generators, iterators, pipes, own streams    no: what was read is gone
"""

from collections.abc import Callable
from typing import Any


class Body:
    """A request's body before its first attempt."""

    __slots__ = ("_rewind",)

    def __init__(self, stream: object) -> None:
        """Look at ``stream``, which is not plain bytes, before anything is read from it."""
        self._rewind = _rewinder(stream)

    def rewind(self) -> bool:
        """Make the body ready for a second attempt; return whether that is possible."""
        return self._rewind is not None and self._rewind()


def _nothing_to_do() -> bool:
    return True


def _rewinder(stream: object) -> Callable[[], bool] | None:
    match type(stream).__name__:  # httpx and httpx2 name them alike, and export neither
        case "MultipartStream":
            fields: list[object] = getattr(stream, "fields", [None])
            return _nothing_to_do if all(_is_repeatable(field) for field in fields) else None
        case "IteratorByteStream":
            source: object = getattr(stream, "_stream", None)
            return _nothing_to_do if isinstance(source, list | tuple) else _file_rewinder(source)
        case _:
            return None


def _is_repeatable(field: object) -> bool:
    file = getattr(field, "file", b"")
    return isinstance(file, str | bytes) or _is_seekable(file)


def _is_seekable(file: Any) -> bool:  # noqa: ANN401 - whatever the app passed as a file
    try:
        return bool(file.seekable())
    except (AttributeError, ValueError, OSError):
        return False


def _file_rewinder(file: Any) -> Callable[[], bool] | None:  # noqa: ANN401 - whatever the app passed
    if not _is_seekable(file):
        return None
    try:
        start = file.tell()
    except OSError:
        return None

    def rewind() -> bool:
        try:
            file.seek(start)
        except (OSError, ValueError):
            return False
        return True

    return rewind

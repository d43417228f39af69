"""Which request bodies can be sent a second time, and from where. Sends nothing.

body                                         replayed
-------------------------------------------  ---------------------------------------------------
none, bytes, text, form, JSON                yes
multipart of values and seekable files       yes: httpx rewinds its files to 0 before each attempt
``content=`` a seekable file                 yes, from where it stood at the first attempt
``content=`` a list or tuple of bytes        yes
generators, iterators, pipes, own streams    no: the data read is gone
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


def _rewinder(stream: object) -> Callable[[], bool] | None:
    match type(stream).__module__.partition(".")[0], type(stream).__name__:  # neither library exports them
        case "httpx" | "httpx2", "MultipartStream":
            fields: list[object] | None = getattr(stream, "fields", None)
            return None if fields is None else lambda: all(map(_is_repeatable, fields))
        case "httpx" | "httpx2", "IteratorByteStream":
            return _source_rewinder(getattr(stream, "_stream", None))
        case _:
            return None


def _source_rewinder(source: object) -> Callable[[], bool] | None:
    if isinstance(source, list | tuple):
        return lambda: True
    start = _position(source)
    return None if start is None else lambda: _goes_to(source, start)


def _is_repeatable(field: object) -> bool:
    file = getattr(field, "file", b"")
    return isinstance(file, str | bytes) or _goes_to(file, 0)


def _position(file: Any) -> int | None:  # noqa: ANN401 - any object that the app passed as a file
    try:
        position = file.tell()
    except Exception:  # noqa: BLE001 - a look at an app's file must not break the request
        return None
    return position if isinstance(position, int) else None


def _goes_to(file: Any, position: int) -> bool:  # noqa: ANN401 - any object that the app passed as a file
    try:
        file.seek(position)
    except Exception:  # noqa: BLE001 - it was closed since, or cannot go back after all
        return False
    return _position(file) == position

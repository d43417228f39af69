"""Texts longer than an entry: in pieces, under a head that is written last. Knows no keyring.

The pieces of a new text go beside those of the old one, which the head names until it is replaced: whoever is
killed in between leaves the old text readable.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import count, takewhile
from typing import Protocol

from hellojohn._errors import StoreCorrupt
from hellojohn._secret import Secret

_HEAD = re.compile(r"#([ab]):([0-9]{1,4}):([0-9a-f]{32})")
_SIDES = {"a": "b", "b": "a"}
_ATTEMPTS = 10


class Entries(Protocol):
    """Small texts by name."""

    limit: int | None

    def get(self, name: str) -> str | None:
        """Return a text, or ``None``."""
        ...

    def put(self, name: str, text: Secret) -> None:
        """Write a text in one step."""
        ...

    def drop(self, name: str) -> None:
        """Remove a text; nothing there is no error."""
        ...


def read(entries: Entries, name: str) -> str | None:
    """Return the text under ``name``, or ``None``.

    Raises:
        StoreCorrupt: The head is not one of ours, or pieces are missing or changed.
    """
    for _ in range(_ATTEMPTS):  # a writer may take the pieces away between two reads
        head = entries.get(name)
        if head is None or head.startswith("="):
            return head and head[1:]
        match = _HEAD.fullmatch(head)
        del head
        if match and (text := _joined(entries, name, match)) is not None:
            return text
    msg = f"The keyring entry {name!r} is no session of ours, or lacks a piece. Nothing was changed."
    raise StoreCorrupt(msg)


def write(entries: Entries, name: str, text: Secret) -> None:
    """Put ``text`` under ``name``, and clean up behind the one before it."""
    if entries.limit is None:
        entries.put(name, Secret(f"={text.reveal()}"))
        return
    side = _other_side(entries.get(name))
    pieces = [] if _fits(text, entries.limit) else _split(text, entries.limit)
    for number, piece in enumerate(pieces):
        entries.put(_piece(name, side, number), piece)
    entries.put(name, Secret(f"#{side}:{len(pieces)}:{_digest(text)}" if pieces else f"={text.reveal()}"))
    _sweep(entries, name, side, keep=len(pieces))
    _sweep(entries, name, _SIDES[side])


def erase(entries: Entries, name: str) -> None:
    """Remove what is under ``name``, and pieces that a killed writer left."""
    entries.drop(name)
    if entries.limit is not None:
        for side in _SIDES:
            _sweep(entries, name, side)


def raw(entries: Entries, name: str) -> Secret | None:
    """Return all there is under ``name``, whole or not."""
    head = entries.get(name)
    if head is None:
        return None
    match = _HEAD.fullmatch(head)
    return Secret("\n".join([head, *(_pieces(entries, name, match) if match else ())]))


def _joined(entries: Entries, name: str, match: re.Match[str]) -> str | None:
    text = Secret("".join(_pieces(entries, name, match)))
    return text.reveal() if _digest(text) == match[3] else None


def _pieces(entries: Entries, name: str, match: re.Match[str]) -> Iterator[str]:
    names = (_piece(name, match[1], number) for number in range(int(match[2])))
    return filter(None, takewhile(bool, map(entries.get, names)))


def _sweep(entries: Entries, name: str, side: str, keep: int = 0) -> None:
    """Remove the pieces from number ``keep`` on, the last first: what is left has no gaps to hide behind."""
    first_free = next(n for n in count(keep) if entries.get(_piece(name, side, n)) is None)
    for number in range(first_free - 1, keep - 1, -1):
        entries.drop(_piece(name, side, number))


def _other_side(head: str | None) -> str:
    match = _HEAD.fullmatch(head or "")
    return _SIDES[match[1]] if match else "a"


def _fits(text: Secret, limit: int) -> bool:
    return len(text.reveal().encode("utf-16-le")) // 2 < limit


def _split(text: Secret, limit: int) -> list[Secret]:
    step = limit if text.reveal().isascii() else limit // 2
    return [Secret(text.reveal()[start : start + step]) for start in range(0, len(text.reveal()), step)]


def _piece(name: str, side: str, number: int) -> str:
    return f"{name}.{side}{number}"


def _digest(text: Secret) -> str:
    return sha256(text.reveal().encode("utf-8", "surrogatepass")).hexdigest()[:32]

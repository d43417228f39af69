"""Texts that are longer than an entry: pieces, under a head that is written last. Knows no keyring.

The pieces of a new text go beside the pieces of the old one, which the head names until it is replaced. So a
writer that is killed in between leaves the old text readable.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import count, takewhile
from typing import Protocol

from hellojohn._errors import StoreCorrupt, StoreUnavailable
from hellojohn._secret import Secret

_HEAD = re.compile(r"#([ab]):([0-9]{1,4}):([0-9a-f]{32})")
_SIDES = {"a": "b", "b": "a"}
_ATTEMPTS = 10


class Entries(Protocol):
    """Small texts by name.

    Attributes:
        limit: UTF-16 units that an entry takes, or ``None`` if no limit is known.
        may_split: Whether texts may have to be split.
    """

    limit: int | None
    may_split: bool

    def get(self, name: str) -> str | None:
        """Return a text, or ``None``."""
        ...

    def put(self, name: str, text: Secret) -> None:
        """Write a text in one step."""
        ...

    def drop(self, name: str) -> None:
        """Remove a text; a missing one is not an error."""
        ...

    def lower_limit(self, units: int) -> bool:
        """Lower the limit after a text of so many UTF-16 units was refused; return whether that may help."""
        ...


def read(entries: Entries, name: str) -> str | None:
    """Return the text under ``name``, or ``None``.

    Raises:
        StoreCorrupt: The head is not valid, or pieces are missing or changed.
    """
    for _ in range(_ATTEMPTS):  # a writer may remove the pieces between two reads
        head = entries.get(name)
        if head is None or head.startswith("="):
            return head and head[1:]
        match = _HEAD.fullmatch(head)
        del head
        if match and (text := _joined(entries, name, match)) is not None:
            return text
    msg = f"The keyring entry {name!r} is not a session, or lacks a piece."
    raise StoreCorrupt(msg)


def write(entries: Entries, name: str, text: Secret) -> None:
    """Put ``text`` under ``name``, in pieces where an entry does not take it.

    Raises:
        StoreError: The entries cannot be written. The text that was there before can still be read.
    """
    while True:
        try:
            _write(entries, name, text)
        except StoreUnavailable:
            if not entries.lower_limit(_units(text)):
                raise
        else:
            return


def erase(entries: Entries, name: str) -> None:
    """Remove the text under ``name``, and pieces that a killed writer left."""
    entries.drop(name)
    if entries.may_split:
        for side in _SIDES:
            _sweep(entries, name, side)


def raw(entries: Entries, name: str) -> Secret | None:
    """Return the head and the pieces under ``name``, complete or not."""
    head = entries.get(name)
    if head is None:
        return None
    match = _HEAD.fullmatch(head)
    return Secret("\n".join([head, *(_pieces(entries, name, match) if match else ())]))


def _write(entries: Entries, name: str, text: Secret) -> None:
    if not entries.may_split:
        entries.put(name, Secret(f"={text.reveal()}"))
        return
    side = _other_side(entries.get(name))
    pieces = _split(text, entries.limit)
    for number, piece in enumerate(pieces):
        entries.put(_piece(name, side, number), piece)
    entries.put(name, Secret(f"#{side}:{len(pieces)}:{_digest(text)}" if pieces else f"={text.reveal()}"))
    _sweep(entries, name, side, keep=len(pieces))
    _sweep(entries, name, _SIDES[side])


def _joined(entries: Entries, name: str, match: re.Match[str]) -> str | None:
    text = Secret("".join(_pieces(entries, name, match)))
    return text.reveal() if _digest(text) == match[3] else None


def _pieces(entries: Entries, name: str, match: re.Match[str]) -> Iterator[str]:
    names = (_piece(name, match[1], number) for number in range(int(match[2])))
    return filter(None, takewhile(bool, map(entries.get, names)))


def _sweep(entries: Entries, name: str, side: str, keep: int = 0) -> None:
    """Remove the pieces from number ``keep`` on.

    The last one goes first: if this is interrupted, the next sweep finds the rest without a gap.
    """
    first_free = next(n for n in count(keep) if entries.get(_piece(name, side, n)) is None)
    for number in range(first_free - 1, keep - 1, -1):
        entries.drop(_piece(name, side, number))


def _other_side(head: str | None) -> str:
    match = _HEAD.fullmatch(head or "")
    return _SIDES[match[1]] if match else "a"


def _split(text: Secret, limit: int | None) -> list[Secret]:
    """Return the pieces of a text; none if it fits into one entry, with a character to spare for its mark."""
    if limit is None or _units(text) < limit:
        return []
    step = limit if text.reveal().isascii() else limit // 2
    return [Secret(text.reveal()[start : start + step]) for start in range(0, len(text.reveal()), step)]


def _units(text: Secret) -> int:
    return len(text.reveal().encode("utf-16-le")) // 2


def _piece(name: str, side: str, number: int) -> str:
    return f"{name}.{side}{number}"


def _digest(text: Secret) -> str:
    return sha256(text.reveal().encode("utf-8", "surrogatepass")).hexdigest()[:32]

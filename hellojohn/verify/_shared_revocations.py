"""Revocations in a store that several processes share: a log in parts, and an index of the parts.

The index is small, and all that a process reads when nothing is new. A part holds up to 500 revocations and
is written again until it is full. A part whose revocations have all run out leaves the index, and the store
forgets it where it can. Everything here blocks.
"""

import json
import secrets
from typing import NamedTuple, cast

from hellojohn._limits import MOST_REVOCATIONS, REVOCATION_LOCK_WAIT, REVOCATIONS_A_PART
from hellojohn._secret import Secret
from hellojohn._wire.reading import fields, json_object
from hellojohn.stores._capabilities import saver
from hellojohn.stores._protocol import TokenStore
from hellojohn.verify._revocation_list import Revocation

_VERSION = 1
_MOST_PARTS = MOST_REVOCATIONS // REVOCATIONS_A_PART


class _Part(NamedTuple):
    """One part as the index names it: its number, how many revocations it holds, and when the newest was."""

    number: int
    size: int
    newest: float


class _Index(NamedTuple):
    """The parts, the oldest first. Another epoch means that the index was lost and begun again."""

    epoch: str
    parts: tuple[_Part, ...]


class SharedRevocations:
    """The revocations under one name of a store."""

    def __init__(self, store: TokenStore, name: str, *, lifetime: float) -> None:
        """Keep where they are. ``lifetime`` is the longest life of an access token in seconds."""
        self._store = store
        self._save = saver(store)
        self._name = f"revocations{name}"
        self._lifetime = lifetime
        self._seen = _Index("", ())

    def append(self, new: list[Revocation], *, now: float) -> None:
        """Add revocations for all processes.

        Raises:
            StoreError: They cannot be saved.
        """
        with self._store.lock(self._name, REVOCATION_LOCK_WAIT):
            index = self._index() or _Index(secrets.token_hex(8), ())
            parts = [part for part in index.parts if part.newest > now - self._lifetime]
            for start in range(0, len(new), REVOCATIONS_A_PART):
                self._append_part(index, parts, new[start : start + REVOCATIONS_A_PART])
            kept = index._replace(parts=tuple(parts[-_MOST_PARTS:]))
            self._write(self._name, {"epoch": kept.epoch, "parts": kept.parts})

    def read_new(self) -> list[Revocation]:
        """Return the revocations that others have added since the last call.

        Raises:
            StoreError: The store cannot be read.
        """
        index = self._index()
        if index is None:
            return []
        seen = (
            {part.number: part.size for part in self._seen.parts} if index.epoch == self._seen.epoch else {}
        )
        changed = [part for part in index.parts if seen.get(part.number) != part.size]
        found = [one for part in changed for one in self._load_part(index, part.number)]
        self._seen = index
        return found

    def _append_part(self, index: _Index, parts: list[_Part], new: list[Revocation]) -> None:
        last = parts[-1] if parts else _Part(max((part.number for part in index.parts), default=0), 0, 0.0)
        kept = self._load_part(index, last.number) if parts else []
        number = last.number
        if not parts or len(kept) + len(new) > REVOCATIONS_A_PART:
            kept, number = [], last.number + 1
        whole = kept + new
        self._write(self._part(index, number), {"revocations": whole})
        if parts and parts[-1].number == number:
            parts.pop()
        parts.append(_Part(number, len(whole), max(one.at for one in whole)))

    def _index(self) -> _Index | None:
        members = self._read(self._name)
        epoch, listed = members.get("epoch"), members.get("parts")
        if not isinstance(epoch, str) or not isinstance(listed, list):
            return None
        parts = (_read_part(item) for item in cast("list[object]", listed))
        return _Index(epoch, tuple(part for part in parts if part is not None))

    def _load_part(self, index: _Index, number: int) -> list[Revocation]:
        listed = self._read(self._part(index, number)).get("revocations")
        items = cast("list[object]", listed) if isinstance(listed, list) else []
        return [one for one in map(_read_revocation, items) if one is not None]

    def _part(self, index: _Index, number: int) -> str:
        return f"{self._name}#{index.epoch}.{number}"

    def _read(self, key: str) -> dict[str, object]:
        text = self._store.load(key)
        members = fields(None if text is None else json_object(text.encode("utf-8", "replace")))
        return dict(members) if members.get("v") == _VERSION else {}

    def _write(self, key: str, members: dict[str, object]) -> None:
        self._save(key, Secret(json.dumps({"v": _VERSION, **members})), self._lifetime)


def _read_part(item: object) -> _Part | None:
    match item:
        case [int(number), int(size), int(newest) | float(newest)]:
            return _Part(number, size, newest)
        case _:
            return None


def _read_revocation(item: object) -> Revocation | None:
    match item:
        case ["session", str(identity), int(at) | float(at)]:
            return Revocation("session", identity, at)
        case ["user", str(identity), int(at) | float(at)]:
            return Revocation("user", identity, at)
        case _:
            return None

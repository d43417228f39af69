"""Finds every object of the package that can be reached from an object, and all ways it shows itself in.

It knows no class but the two holders of plain secrets, so that a new class of the package is covered.
"""

import copy
import dataclasses
import functools
import pickle
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from enum import Enum
from typing import Any

from hellojohn._secret import Secret
from hellojohn._session.freshness import TokenSnapshot
from tests.secrecy.markers import leaks

HOLDERS = {Secret: "_text", TokenSnapshot: "header"}
"""The only attributes that may hold a plain secret."""

_LEAVES = (str, bytes, bytearray)


def reachable(root: object) -> Iterator[tuple[str, object]]:
    """Yield every object of the package, and every text, below ``root``, each with the way to it."""
    waiting: deque[tuple[str, object]] = deque([(type(root).__name__, root)])
    seen: dict[int, object] = {}
    while waiting:
        path, thing = waiting.popleft()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if is_ours(thing) or isinstance(thing, _LEAVES):
            yield path, thing
        waiting.extend((f"{path}{way}", child) for way, child in _children(thing))


def is_ours(thing: object) -> bool:
    """Return whether the class of an object is the package's, and it is not one of a fixed set of values."""
    return type(thing).__module__.partition(".")[0] == "hellojohn" and not isinstance(thing, Enum)


def attributes(thing: object) -> dict[str, object]:
    """Return the attributes of an object, from its ``__dict__`` and its slots."""
    slots = [name for kind in type(thing).__mro__ for name in _names(getattr(kind, "__slots__", ()))]
    held = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    return {**held, **getattr(thing, "__dict__", {})}


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return [slots] if isinstance(slots, str) else slots


def _children(thing: object) -> Iterator[tuple[str, object]]:
    for kinds, unfold in _UNFOLDED.items():
        if isinstance(thing, kinds):
            return unfold(thing)
    return _attributes(thing) if is_ours(thing) or isinstance(thing, Future) else iter(())


def _pairs(mapping: Mapping[object, object]) -> Iterator[tuple[str, object]]:
    for key, value in list(mapping.items()):
        yield f"[a {type(key).__name__}]", key
        yield f"[{key!r}]", value


def _items(items: Iterable[object]) -> Iterator[tuple[str, object]]:
    return ((f"[{number}]", item) for number, item in enumerate(list(items)))


def _kept_by(function: types.FunctionType) -> Iterator[tuple[str, object]]:
    yield from ((" closure", cell.cell_contents) for cell in function.__closure__ or () if cell != _EMPTY)
    yield " defaults", (function.__defaults__, function.__kwdefaults__)


def _of_error(error: BaseException) -> Iterator[tuple[str, object]]:
    yield from {".args": error.args, ".cause": error.__cause__, ".context": error.__context__}.items()
    yield from _attributes(error)


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    hidden = HOLDERS.get(type(thing))
    return ((f".{name}", value) for name, value in attributes(thing).items() if name != hidden)


_EMPTY = types.CellType()
_UNFOLDED: dict[Any, Callable[[Any], Iterator[tuple[str, object]]]] = {
    Mapping: _pairs,
    (list, tuple, set, frozenset, deque, weakref.WeakSet): _items,
    types.FunctionType: _kept_by,
    types.MethodType: lambda method: _items((method.__self__, method.__func__)),
    functools.partial: lambda partial: _items((partial.func, partial.args, partial.keywords)),
    weakref.ref: lambda reference: _items((reference(),)),
    BaseException: _of_error,
}


def shown(thing: Any) -> Iterator[tuple[str, object]]:
    """Yield each way in which an object shows itself, with the text or the bytes."""
    yield "repr", repr(thing)
    yield "str", str(thing)
    yield "format", f"{thing}"
    yield "format with !r", f"{thing!r:>200}"
    yield "percent", "%s %r" % (thing, thing)  # noqa: UP031 - what logging does
    for way, make in {"copy": copy.copy, "deepcopy": copy.deepcopy, **_PICKLES, **_DICTS}.items():
        try:
            made = make(thing)
        except Exception as error:  # noqa: BLE001 - a refusal is fine, as long as it shows nothing
            yield f"refused {way}", repr(error)
        else:
            yield way, made if isinstance(made, bytes) else repr(made)


_PICKLES = {
    f"pickle {protocol}": functools.partial(pickle.dumps, protocol=protocol)
    for protocol in (0, pickle.HIGHEST_PROTOCOL)
}
_DICTS = {
    "asdict": dataclasses.asdict,
    "vars": vars,
}  # a holder has neither, because it has slots and is not a dataclass


def exposed(root: object) -> list[str]:
    """Return every place below ``root`` at which a secret shows."""
    found = []
    for path, thing in reachable(root):
        if isinstance(thing, _LEAVES):
            found += [f"{path} holds {leak}" for leak in leaks(thing)]
        else:
            found += [f"{way} of {path} shows {leak}" for way, text in shown(thing) for leak in leaks(text)]
    return found

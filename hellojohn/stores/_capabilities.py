"""What a store may do beyond the protocol, and what is done where it does not. Knows no store of ours.

Everybody who is given a ``TokenStore`` uses the optional parts through here.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count

from hellojohn._secret import Secret
from hellojohn.stores._protocol import TokenStore

Save = Callable[[str, Secret, float | None], None]
"""Puts a text under a key, to be worthless after so many seconds."""


def saver(store: TokenStore) -> Save:
    """Return what saves a text in ``store``, with its expiry where ``save`` takes ``expires_in``."""
    plain: Callable[..., None] = store.save
    with suppress(TypeError, ValueError):  # a callable without a signature, such as one written in C
        if "expires_in" in inspect.signature(plain).parameters:
            return lambda key, text, expires_in: plain(key, text.reveal(), expires_in=expires_in)
    return lambda key, text, _: plain(key, text.reveal())


def loaded(store: TokenStore, key: str) -> Secret | None:
    """Return what is under ``key``, wrapped at once."""
    text = store.load(key)
    return None if text is None else Secret(text)


def lease_of(store: TokenStore) -> float | None:
    """Return for how many seconds a killed holder keeps a lock; ``None`` where it loses it at once."""
    lease: float | None = getattr(store, "lease", None)
    return lease


def quarantine(store: TokenStore, key: str) -> str | None:
    """Move what is under ``key`` out of the way, and say where to; ``None`` when nothing was there.

    Without a way of the store's own, the text goes under the next free of the keys ``key.corrupt-N``.
    """
    move: Callable[[str], str | None] | None = getattr(store, "quarantine", None)
    if move is not None:
        return move(key)
    found = loaded(store, key)
    if found is None:
        return None
    names = (f"{key}.corrupt-{number}" for number in count(1))
    aside = next(name for name in names if loaded(store, name) is None)
    store.save(aside, found.reveal())
    store.delete(key)
    return aside


def describe(store: TokenStore) -> Mapping[str, str]:
    """Return the facts that the store tells about itself."""
    tell: Callable[[], Mapping[str, str]] | None = getattr(store, "describe", None)
    return {} if tell is None else tell()


class _Plain:
    def __init__(self, store, key):
        self._store, self._key, self._saver = store, key, saver(store)

    def load(self):
        return self._store.load(self._key)

    def save(self, text, *, expires_in=None, release=False):
        self._saver(self._key, Secret(text), expires_in)


def without_lock(store, key):
    return _Plain(store, key)


def enter_lock(store, key, timeout):
    lock = store.lock(key, timeout)
    value = lock.__enter__()
    return (lambda: lock.__exit__(None, None, None)), value or _Plain(store, key)

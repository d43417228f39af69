"""The optional parts of a ``TokenStore``, and what replaces each part in a store without it.

Code that is given a ``TokenStore`` uses the optional parts through this module. It knows no particular store.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import cast

from hellojohn._errors import StoreUnavailable
from hellojohn._secret import Secret
from hellojohn.stores._protocol import LockedValue, TokenStore

_QUARANTINED = 1_000

Save = Callable[[str, Secret, float | None], None]
"""Puts a text under a key; the last argument is the number of seconds after which the text is worthless."""


def saver(store: TokenStore) -> Save:
    """Return a function that saves in ``store``, with the expiry where ``save`` takes ``expires_in``."""
    save: Callable[..., None] = store.save
    if _takes_expiry(getattr(save, "__func__", save)):
        return lambda key, text, expires_in: save(key, text.reveal(), expires_in=expires_in)
    return lambda key, text, _: save(key, text.reveal())


def loaded(store: TokenStore, key: str) -> Secret | None:
    """Return the text under ``key`` as a ``Secret``, or ``None``."""
    return wrapped(store.load(key))


def wrapped(text: str | None) -> Secret | None:
    """Return ``text`` as a ``Secret``."""
    return None if text is None else Secret(text)


def lease_of(store: TokenStore) -> float | None:
    """Return the seconds for which a killed holder keeps a lock; ``None`` if it loses the lock at once."""
    lease: float | None = getattr(store, "lease", None)
    return lease


def enter_lock(store: TokenStore, key: str, timeout: float) -> tuple[Callable[[], object], LockedValue]:
    """Take the lock of ``key``.

    Returns:
        The function that releases the lock, to be called once, and the value under the key. In a store whose
        lock returns no ``LockedValue``, the value uses ``load`` and ``save``, and ``release=True`` leaves the
        release to that function.

    Raises:
        StoreLocked: Another thread or process held the lock for the whole wait.
        StoreError: The store failed.
    """
    lock = store.lock(key, timeout)
    value = locked_value(lock.__enter__()) or StoreValue(store, key)
    return partial(lock.__exit__, None, None, None), value


def without_lock(store: TokenStore, key: str) -> LockedValue:
    """Return the value under ``key`` for a caller that works without the lock, or holds it already."""
    return StoreValue(store, key)


def locked_value(entered: object) -> LockedValue | None:
    """Return the object that a lock returned on entering, if it is a ``LockedValue``.

    A lock may also return the store or a lock object.
    """
    if hasattr(entered, "load") and hasattr(entered, "save") and not hasattr(entered, "lock"):
        return cast("LockedValue", entered)
    return None


def quarantine(store: TokenStore, key: str) -> str | None:
    """Move the data under ``key`` to another place and describe that place; ``None`` if the key is unused.

    In a store without ``quarantine``, the text goes to the next free one of the keys ``key.corrupt-N``.

    Raises:
        StoreUnavailable: None of them is free.
    """
    move: Callable[[str], str | None] | None = getattr(store, "quarantine", None)
    if move is not None:
        return move(key)
    found = loaded(store, key)
    if found is None:
        return None
    names = (f"{key}.corrupt-{number}" for number in range(1, _QUARANTINED + 1))
    place = next((name for name in names if loaded(store, name) is None), None)
    if place is None:
        raise StoreUnavailable(
            f"The token store returns a text for all {_QUARANTINED} keys such as {key}.corrupt-1. load() must"
            " return None for a key that was never saved; or delete the texts under these keys."
        )
    store.save(place, found.reveal())
    store.delete(key)
    return place


def describe(store: TokenStore) -> Mapping[str, str]:
    """Return the facts that the store reports about itself."""
    report: Callable[[], Mapping[str, str]] | None = getattr(store, "describe", None)
    return {} if report is None else report()


class StoreValue:
    """The text under a locked key of a store whose lock returns no ``LockedValue``."""

    def __init__(self, store: TokenStore, key: str) -> None:
        """Use ``load`` and ``save`` of ``store``."""
        self._store = store
        self._key = key
        self._save = saver(store)

    def load(self) -> str | None:
        """Return the text under the key, or ``None``."""
        return self._store.load(self._key)

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Put ``text`` under the key; the lock is released when it is left, even with ``release``."""
        del release
        secret = Secret(text)
        del text  # the store may raise, and a traceback shows the locals
        self._save(self._key, secret, expires_in)


def _takes_expiry(save: Callable[..., object]) -> bool:
    with suppress(TypeError):  # of an unhashable callable
        return _has_expires_in(save)
    return False


@lru_cache(maxsize=64)
def _has_expires_in(save: Callable[..., object]) -> bool:
    # A callable written in C may have no signature. An expiry that it does not take would break each save.
    with suppress(TypeError, ValueError):
        return "expires_in" in inspect.signature(save).parameters
    return False

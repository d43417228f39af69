"""The interface of a token store. Imports nothing of the package."""

from contextlib import AbstractContextManager
from typing import Protocol


class LockedValue(Protocol):
    """The text under one key while its lock is held; a store's ``lock`` may return one on entering.

    It saves round trips where the store is a server: the text comes with the lock, and the lock is released
    with the last save. Only the holder of the lock uses it, on any thread.
    """

    def load(self) -> str | None:
        """Return the text under the key, or ``None``.

        The first call returns the text as it was when the lock was taken. Every later call reads it again.

        Raises:
            StoreCorrupt: As ``TokenStore.load`` raises it.
            StoreUnavailable: The store cannot be read now.
        """
        ...

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Put ``text`` under the key, unless the lock has been lost.

        Args:
            text: The text to save.
            expires_in: Seconds after which the text is worthless.
            release: Release the lock in the same step. Leaving the lock does nothing after that. A save that
                fails releases nothing.

        Raises:
            StoreLocked: The lock was lost or has been released. Nothing was written.
            StoreUnavailable: The store cannot be written now. The text that was there before is untouched.
        """
        ...


class TokenStore(Protocol):
    """Keeps one opaque text per key, and provides one lock per key.

    A store is synchronous and may block: the SDK calls it on worker threads, never on an event loop. Any
    number of threads and processes may use it at once. Its methods raise ``StoreError`` or a subclass, and no
    other error. The texts hold tokens: errors, ``repr`` and log lines must not show them.
    ``hellojohn.testing.TokenStoreContract`` is the test class that every store must pass.

    A store needs the four methods below. The SDK also uses these optional parts where a store has them:

    - ``save(key, text, *, expires_in=None)``: the seconds after which the text is worthless. A store that
      can expire texts does so then. Without it, texts stay until they are replaced or deleted.
    - ``quarantine(key) -> str | None``: move the data under ``key`` to another place, and return a
      description of that place; ``None`` if the key is unused. The SDK calls it with the lock held, for data
      that it cannot use. Without it, the SDK loads the text and saves it under the next free key
      ``key.corrupt-N``. A store whose ``load`` raises ``StoreCorrupt`` therefore needs this method.
    - ``lease``: the seconds for which a killed holder keeps a lock. Without it, a lock ends with its holder.
    - ``describe() -> Mapping[str, str]``: facts for ``doctor``, in words and without secrets: ``where`` the
      texts are, how its ``lock`` works, and ``advice`` if there is any.
    - A ``lock`` that returns a ``LockedValue`` on entering. Without it, the SDK calls ``load`` and ``save``.
    """

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, complete, or ``None``.

        Raises:
            StoreCorrupt: The data there is not a text that this store saved; nothing was changed. Pass
                ``readable_elsewhere=True`` if another key or a later version can read it.
            StoreUnavailable: The store cannot be read now.
        """
        ...

    def save(self, key: str, text: str) -> None:
        """Put ``text`` under ``key``: durable on return, and never visible half-written.

        Raises:
            StoreLocked: The caller held the lock of ``key`` and has lost it. Nothing was written.
            StoreUnavailable: The store cannot be written now. The text that was there before is untouched.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the text under ``key``. A missing text is not an error.

        Raises:
            StoreLocked: The caller held the lock of ``key`` and has lost it. Nothing was removed.
            StoreUnavailable: The store cannot be written now.
        """
        ...

    def lock(self, key: str, timeout: float) -> AbstractContextManager[LockedValue | None]:
        """Lock ``key`` against every other thread and process that shares the store.

        The lock belongs to the thread that took it and is not re-entrant. It is advisory: ``load``, ``save``
        and ``delete`` work without it. A killed holder delays the others for a limited time at most.

        Args:
            key: The key to lock. Locks of different keys do not wait for each other.
            timeout: Seconds to wait for the lock.

        Raises:
            StoreLocked: Another thread or process held the lock for the whole wait.
            StoreUnavailable: The store cannot provide the lock.
        """
        ...

"""What a token store must do. Imports nothing of the package."""

from contextlib import AbstractContextManager
from typing import Protocol


class TokenStore(Protocol):
    """Keeps one opaque text per key, and lends one lock per key.

    A store is synchronous and may block: the SDK calls it on threads of its own, never on an event loop. Any
    number of threads and processes may use it at once. Every method raises ``StoreError`` or a subclass, and
    nothing else. The text holds tokens: no error, ``repr`` or log line may show it.
    ``hellojohn.testing.TokenStoreContract`` is the test that a store must pass.
    """

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, whole, or ``None``.

        Raises:
            StoreCorrupt: What is there cannot be a text that was saved here, or was saved with another key.
                Nothing was changed: ``set_aside`` moves it out of the way.
            StoreUnavailable: The store cannot be read now.
        """
        ...

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``: durable on return, and never seen half-written.

        Args:
            key: Where to put it.
            text: What to put there.
            expires_in: Seconds after which the text is worthless, or ``None``. A store that can expire what
                it keeps does so; any other ignores this.

        Raises:
            StoreLocked: It was called inside a lock that was lost meanwhile. Nothing was written.
            StoreUnavailable: The store cannot be written now. What was there before is untouched.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove what is under ``key``; nothing there is no error.

        Raises:
            StoreUnavailable: The store cannot be written now.
        """
        ...

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Lock ``key`` against every other thread and process that shares the store.

        The lock belongs to the thread that took it, and is not re-entrant. It is advisory: ``load``, ``save``
        and ``delete`` work without it. A holder that was killed delays the others for a bounded time at most:
        a store whose locks outlive their holders tells for how long, in seconds, in its attribute ``lease``.

        Args:
            key: What to lock. Locks of different keys do not wait for each other.
            timeout: Seconds to wait for it.

        Raises:
            StoreLocked: Somebody else held it for the whole wait.
            StoreUnavailable: The lock cannot be had at all.
        """
        ...

    def set_aside(self, key: str) -> str | None:
        """Move what is under ``key`` out of the way without losing it, because it is no record of ours.

        Call it with the lock held, after a second look there. ``key`` is empty afterwards.

        Returns:
            Where it is now, in words for an error message, or ``None`` when nothing was there.

        Raises:
            StoreCorrupt: It is a record that another encryption key can read. It was left as it is.
            StoreUnavailable: The store cannot be written now.
        """
        ...

"""What a token store must do. Imports nothing of the package."""

from contextlib import AbstractContextManager
from typing import Protocol


class TokenStore(Protocol):
    """Keeps one opaque text per key, and lends one lock per key.

    A store is synchronous and may block: the SDK calls it on threads of its own, never on an event loop. Any
    number of threads and processes may use it at once. Every method raises ``StoreError`` or a subclass, and
    nothing else. ``hellojohn.testing.TokenStoreContract`` is the test that a store must pass.
    """

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, whole, or ``None``."""
        ...

    def save(self, key: str, text: str) -> None:
        """Put ``text`` under ``key``: durable on return, and never seen half-written."""
        ...

    def delete(self, key: str) -> None:
        """Remove what is under ``key``; nothing there is no error."""
        ...

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Lock ``key`` against every other thread and process that shares the store.

        Args:
            key: What to lock. Locks of different keys do not wait for each other.
            timeout: Seconds to wait for it.

        Raises:
            StoreLocked: Somebody else held it for the whole wait.
            StoreUnavailable: The lock cannot be had at all.
        """
        ...

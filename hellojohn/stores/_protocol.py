"""What a token store must do. Imports nothing of the package."""

from contextlib import AbstractContextManager
from typing import Protocol


class TokenStore(Protocol):
    """Keeps one opaque text per key, and lends one lock per key.

    A store is synchronous and may block: the SDK calls it on threads of its own, never on an event loop. Any
    number of threads and processes may use it at once. Every method raises ``StoreError`` or a subclass, and
    nothing else. The text holds tokens: no error, ``repr`` or log line may show it.
    ``hellojohn.testing.TokenStoreContract`` is the test that a store must pass.

    These four methods are all that a store needs. It may have more, which the SDK uses where it finds it:

    - ``save(key, text, *, expires_in=None)``: the seconds after which the text is worthless. A store that
      can forget what it keeps does so then. Without it, texts stay until they are replaced or deleted.
    - ``set_aside(key) -> str | None``: move what is under ``key`` out of the way, because it is no record of
      the SDK's, and say in words where it is now; ``None`` when nothing was there. The SDK calls it with the
      lock held. Without it, the SDK loads the text and saves it under the next free key ``key.corrupt-N``:
      so a store whose ``load`` raises ``StoreCorrupt`` needs a way of its own.
    - ``lease``: for how many seconds a killed holder keeps a lock. Without it, a lock dies with its holder.
    - ``describe() -> Mapping[str, str]``: facts for ``doctor``, in words and without a secret: ``where`` the
      texts are, its ``lock``, and ``advice`` if there is any.
    """

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, whole, or ``None``.

        Raises:
            StoreCorrupt: What is there cannot be a text that was saved here, or was saved with another key.
                Nothing was changed.
            StoreUnavailable: The store cannot be read now.
        """
        ...

    def save(self, key: str, text: str) -> None:
        """Put ``text`` under ``key``: durable on return, and never seen half-written.

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
        and ``delete`` work without it. A holder that was killed delays the others for a bounded time at most.

        Args:
            key: What to lock. Locks of different keys do not wait for each other.
            timeout: Seconds to wait for it.

        Raises:
            StoreLocked: Somebody else held it for the whole wait.
            StoreUnavailable: The lock cannot be had at all.
        """
        ...


class LockedValue(Protocol):
    def load(self) -> str | None: ...
    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None: ...

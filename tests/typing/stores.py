"""Never run: type checkers must accept every line of it. Four methods make a store, and more do no harm."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from hellojohn import AsyncHelloJohn, EncryptedStore, HelloJohn, TokenStore
from hellojohn.testing import TokenStoreContract


class Mine:
    """What the protocol asks for."""

    def load(self, key: str) -> str | None:
        """Load."""
        return key or None

    def save(self, key: str, text: str) -> None:
        """Save."""

    def delete(self, key: str) -> None:
        """Delete."""

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock."""
        yield


class More(Mine):
    """The optional parts."""

    lease = 30.0

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Save for a while."""

    def quarantine(self, key: str) -> str | None:
        """Set aside."""
        return key

    def describe(self) -> Mapping[str, str]:
        """Describe."""
        return {"where": "here"}


class Less:
    """A store without a lock is none."""

    def load(self, key: str) -> str | None:
        """Load."""
        return key or None

    def save(self, key: str, text: str) -> None:
        """Save."""

    def delete(self, key: str) -> None:
        """Delete."""


class TestMine(TokenStoreContract):
    """A test of a user's."""

    def make_store(self) -> Mine:
        """Make one."""
        return Mine()


def use() -> list[TokenStore]:
    """Use them wherever a store is taken."""
    HelloJohn(store=Mine())
    AsyncHelloJohn(store=More())
    HelloJohn(store=Less())  # type: ignore[arg-type]
    return [Mine(), More(), EncryptedStore(Mine()), EncryptedStore(More())]

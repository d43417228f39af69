"""Never run: type checkers must accept every line. Four methods make a store; other parts are optional."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from hellojohn import AsyncHelloJohn, EncryptedStore, HelloJohn, TokenStore
from hellojohn.stores import LockedValue
from hellojohn.testing import TokenStoreContract


class Mine:
    """The four methods of the protocol."""

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
        """Quarantine."""
        return key

    def describe(self) -> Mapping[str, str]:
        """Describe."""
        return {"where": "here"}


class Value:
    """A value under a lock."""

    def load(self) -> str | None:
        """Load."""

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Save, and release the lock."""


class WithValue:
    """A store whose lock returns a value."""

    def load(self, key: str) -> str | None:
        """Load."""

    def save(self, key: str, text: str) -> None:
        """Save."""

    def delete(self, key: str) -> None:
        """Delete."""

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[Value]:
        """Lock, and return the value."""
        yield Value()


class Less:
    """A store needs a lock."""

    def load(self, key: str) -> str | None:
        """Load."""
        return key or None

    def save(self, key: str, text: str) -> None:
        """Save."""

    def delete(self, key: str) -> None:
        """Delete."""


class TestMine(TokenStoreContract):
    """A test class of a user."""

    def make_store(self) -> Mine:
        """Make one."""
        return Mine()


def use() -> list[TokenStore]:
    """Use them where a store is taken."""
    HelloJohn(store=Mine())
    AsyncHelloJohn(store=More())
    HelloJohn(store=WithValue())
    HelloJohn(store=Less())  # type: ignore[arg-type]
    return [Mine(), More(), WithValue(), EncryptedStore(Mine()), EncryptedStore(More())]


def value() -> LockedValue:
    """Use the value as the SDK does."""
    return Value()

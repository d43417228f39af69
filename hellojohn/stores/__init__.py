"""Where sessions are kept: the ``TokenStore`` protocol and the stores that come with the SDK."""

from importlib import import_module
from typing import TYPE_CHECKING

from hellojohn.stores._protocol import LockedValue, TokenStore
from hellojohn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from hellojohn.stores._default import default_store
    from hellojohn.stores.encrypted import EncryptedStore
    from hellojohn.stores.file import FileStore
    from hellojohn.stores.keyring import KeyringStore
    from hellojohn.stores.redis import RedisStore

__all__ = [
    "EncryptedStore",
    "FileStore",
    "KeyringStore",
    "LockedValue",
    "MemoryStore",
    "RedisStore",
    "TokenStore",
    "default_store",
]

_LAZY = {
    "EncryptedStore": "encrypted",
    "FileStore": "file",
    "KeyringStore": "keyring",
    "RedisStore": "redis",
    "default_store": "_default",
}


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Load the store ``name`` and its dependencies at the first access."""
    if name not in _LAZY:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)

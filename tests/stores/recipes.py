"""Functions that make a store in a child process. Few imports, because each child loads this module."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from hellojohn.stores import EncryptedStore, FileStore, KeyringStore, RedisStore

LEASE = 2.0


class FourMethods:
    """The four methods of the protocol and nothing else, as a user may write a store."""

    def __init__(self, path: Path) -> None:
        self._files = FileStore(path)

    def load(self, key: str) -> str | None:
        """Load."""
        return self._files.load(key)

    def save(self, key: str, text: str) -> None:
        """Save."""
        self._files.save(key, text)

    def delete(self, key: str) -> None:
        """Delete."""
        self._files.delete(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[None]:
        """Lock."""
        with self._files.lock(key, timeout):
            yield


def encrypted_file(path: Path, key: bytes | str) -> EncryptedStore:
    """Return an encrypted store of ``path``."""
    return EncryptedStore(FileStore(path), key)


def with_keyring(app: str, home: str) -> KeyringStore:
    """Return a keyring store with its locks in ``home``, on the backend that the library chooses."""
    import pwd  # noqa: PLC0415 - not on Windows

    pwd.getpwuid = lambda uid: SimpleNamespace(pw_dir=home)
    return KeyringStore(app)


def with_redis(socket: str, prefix: str) -> RedisStore:
    """Return a store on a client of redis-py."""
    import redis  # noqa: PLC0415 - one of the two is enough

    return RedisStore(redis.Redis(unix_socket_path=socket), prefix=prefix, lease=LEASE)


def with_valkey(socket: str, prefix: str) -> RedisStore:
    """Return a store on a client of valkey-py."""
    import valkey  # noqa: PLC0415

    return RedisStore(valkey.Valkey(unix_socket_path=socket), prefix=prefix, lease=LEASE)

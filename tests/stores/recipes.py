"""What makes a store in a child process: apart from the tests, whose imports a child can do without."""

from contextlib import AbstractContextManager
from pathlib import Path

from hellojohn.stores import EncryptedStore, FileStore, RedisStore

LEASE = 2.0


class FourMethods:
    """What the protocol asks for and no more, as a user may write it."""

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

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Lock."""
        return self._files.lock(key, timeout)


def encrypted_file(path: Path, key: bytes) -> EncryptedStore:
    """Return an encrypted store of ``path``."""
    return EncryptedStore(FileStore(path), key)


def with_redis(socket: str, prefix: str) -> RedisStore:
    """Return a store on a client of redis-py."""
    import redis  # noqa: PLC0415 - one of the two is enough

    return RedisStore(redis.Redis(unix_socket_path=socket), prefix=prefix, lease=LEASE)


def with_valkey(socket: str, prefix: str) -> RedisStore:
    """Return a store on a client of valkey-py."""
    import valkey  # noqa: PLC0415

    return RedisStore(valkey.Valkey(unix_socket_path=socket), prefix=prefix, lease=LEASE)

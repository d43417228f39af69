"""What makes a store in a child process: apart from the tests, whose imports a child can do without."""

from pathlib import Path

from hellojohn.stores import EncryptedStore, FileStore, RedisStore

LEASE = 2.0


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

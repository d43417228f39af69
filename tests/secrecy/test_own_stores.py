"""The stores of the package when the layer below fails: errors, frames and logs show no record."""

import os

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hellojohn import EncryptedStore, FileStore, KeyringStore, MemoryStore, RedisStore, StoreError
from tests.secrecy.markers import ACCESS, REFRESH
from tests.secrecy.tracebacks import exposed_by, judged
from tests.secrecy.walk import exposed

RECORD = f'{{"access_token": "{ACCESS}", "refresh_token": "{REFRESH}"}}'


class Echo:
    """A Redis client whose errors repeat what was sent."""

    def __init__(self, error):
        self._error = error

    def execute_command(self, *parts, **options):
        """Fail."""
        raise self._error(repr(parts))


class Keyring:
    """A keyring whose errors repeat what it was given."""

    __module__ = "keyring.backends.SecretService"
    priority = 5

    def __getattr__(self, name):
        """Fail at any call."""

        def fail(*parts):
            raise RuntimeError(repr(parts))

        return fail


def file_as_folder(folder, monkeypatch):
    """Return a store whose folder is a file."""
    (folder / "file").write_text(RECORD)
    return FileStore(folder / "file")


def full_disk(folder, monkeypatch):
    """Return a store whose disk is full once a record is written."""
    store = FileStore(folder / "sessions")
    store.save("key", RECORD)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    return store


def no_server(folder, monkeypatch):
    """Return a store whose server is not there."""
    return RedisStore(redis.Redis(unix_socket_path=str(folder / "none"), retry=Retry(NoBackoff(), 0)))


def odd_server(error):
    """Return a function that creates a store whose server repeats in its errors what was sent."""
    return lambda folder, monkeypatch: RedisStore(Echo(error))


def odd_keyring(folder, monkeypatch):
    """Return a store whose keyring's errors repeat what they were given."""
    monkeypatch.setattr("keyring.get_keyring", Keyring)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return KeyringStore("service")


def encrypted(inner):
    """Return a function that creates an encrypted store of another."""
    return lambda folder, monkeypatch: EncryptedStore(inner(folder, monkeypatch), b"0" * 32)


def other_key(folder, monkeypatch):
    """Return an encrypted store that holds what another key wrote."""
    inner = MemoryStore()
    EncryptedStore(inner, b"1" * 32).save("key", RECORD)
    return EncryptedStore(inner, b"0" * 32)


def in_the_clear(folder, monkeypatch):
    """Return an encrypted store that holds a record in the clear."""
    inner = MemoryStore()
    inner.save("key", RECORD)
    return EncryptedStore(inner, b"0" * 32)


FAILING = {
    "a file as a folder": file_as_folder,
    "a full disk": full_disk,
    "no server": no_server,
    "an odd server": odd_server(redis.ResponseError),
    "a server out of reach": odd_server(redis.ConnectionError),
    "a foreign error": odd_server(ValueError),
    "an odd keyring": odd_keyring,
    "a full disk below an encrypted store": encrypted(full_disk),
    "an odd server below an encrypted store": encrypted(odd_server(redis.ResponseError)),
    "another key": other_key,
    "a record in the clear": in_the_clear,
}


def calls(store):
    """Return every call that a store takes."""

    def lock():
        with store.lock("key", 0.0):
            pass

    return {
        "load": lambda: store.load("key"),
        "save": lambda: store.save("key", RECORD),
        "save with an expiry": lambda: store.save("key", RECORD, expires_in=60.0),
        "save what is too large": lambda: store.save("key", RECORD * 20_000),
        "save what is no Unicode": lambda: store.save("key", f"{RECORD}\ud800"),
        "delete": lambda: store.delete("key"),
        "quarantine": lambda: store.quarantine("key"),
        "lock": lock,
        "describe": getattr(store, "describe", dict),
    }


def failure(call):
    """Return the error of a call, if it has one."""
    try:
        call()
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize("name", FAILING)
def test_failing_store_shows_no_record(name, tmp_path, monkeypatch):
    """No call of a store shows a record, also when an app calls the store itself."""
    store = FAILING[name](tmp_path, monkeypatch)
    failed = [error for error in map(failure, calls(store).values()) if error]
    assert [error for error in failed if "could not be read back" not in str(error)], "it must fail, too"
    for error in failed:
        assert judged(error)
        assert exposed_by(error) == []
    if name != "a record in the clear":
        assert exposed(store) == []

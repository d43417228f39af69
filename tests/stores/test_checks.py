"""Stores and their arguments are checked where they are handed over."""

import copy
import math
import pickle
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest

from hellojohn import HelloJohn
from hellojohn._errors import ConfigurationError
from hellojohn.stores import EncryptedStore, FileStore, KeyringStore, MemoryStore, RedisStore, default_store
from hellojohn.stores._checks import check_store


def leasing(lease: object) -> SimpleNamespace:
    """Return a store with a lease."""
    kept = MemoryStore()
    return SimpleNamespace(load=kept.load, save=kept.save, delete=kept.delete, lock=kept.lock, lease=lease)


@pytest.mark.parametrize(
    "lease",
    [timedelta(seconds=30), "30", math.nan, math.inf, 10**5000, -1, 0, True, [], print],
    ids=lambda it: type(it).__name__,
)
def test_a_lease_that_is_not_a_time_is_refused(lease):
    """Otherwise the first refresh fails, or relies on a lock that never ends."""
    message = r"store must be a TokenStore.*its lease is a number of seconds above 0 and below 1e9"
    with pytest.raises(ConfigurationError, match=message):
        check_store(leasing(lease))
    with pytest.raises(ConfigurationError, match="its lease is a number of seconds"):
        EncryptedStore(leasing(lease), b"k" * 32)
    with pytest.raises(ConfigurationError, match="its lease is a number of seconds"):
        HelloJohn(store=leasing(lease), tenant_id="tnt_1", publishable_key="pk_1")


@pytest.mark.parametrize("lease", [None, 30, 0.5])
def test_a_lease_shows_through_encryption(lease):
    """The lease belongs to the inner store, which locks."""
    store = leasing(lease)
    assert check_store(store) is store
    assert check_store(EncryptedStore(store, b"k" * 32)).lease == lease


def test_a_store_with_asynchronous_methods_is_refused():
    """The SDK calls its methods on worker threads."""
    store = leasing(None)

    async def load(key):
        return key

    store.load = load
    with pytest.raises(ConfigurationError, match=r"load\(\) is asynchronous"):
        check_store(store)


def test_a_store_with_an_asynchronous_lock_is_refused():
    """A lock made with ``asynccontextmanager`` is no coroutine function, and no lock for threads either."""
    store = leasing(None)

    @asynccontextmanager
    async def lock(key, wait):
        yield

    store.lock = lock
    with pytest.raises(ConfigurationError, match=r"lock\(\) is asynchronous"):
        check_store(store)


def test_a_store_without_a_lease_is_accepted(tmp_path):
    """The lease is an optional part."""
    for store in (MemoryStore(), FileStore(tmp_path)):
        assert check_store(store) is store


_APPS = {
    "FileStore": lambda app: FileStore(app=app),
    "KeyringStore": KeyringStore,
    "default_store": default_store,
}


@pytest.mark.parametrize("make", _APPS.values(), ids=_APPS)
@pytest.mark.parametrize(
    "app", ["", " ", ".", "..", "../other", "a/b", "a\\b", "a\0b", "a\nb", "\u200d", "\u202ea", None, 5]
)
def test_an_app_that_is_not_a_name_is_refused(make, app):
    """Apps without a name would share their sessions, and a path may lead anywhere."""
    with pytest.raises(ConfigurationError, match="app is the app's name"):
        make(app)


@pytest.mark.parametrize("make", _APPS.values(), ids=_APPS)
@pytest.mark.parametrize(
    "app",
    ["my-app", "com.example.app", "\u0645\u06cc\u200c\u062e", "a\u00a0b", "\u65e5\u3000\u672c", "\U00033500"],
)
def test_an_app_may_have_a_name_in_any_script(make, app):
    """Persian and Hindi names need invisible joiners."""
    assert make(app)


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
@pytest.mark.parametrize("kind", ["memory", "file", "keyring", "redis", "encrypted"])
def test_a_store_says_why_it_is_not_copied(copying, kind, tmp_path):
    """The sentence names the store and what to do instead."""
    store = {
        "memory": MemoryStore,
        "file": lambda: FileStore(tmp_path),
        "keyring": lambda: KeyringStore("app"),
        "redis": lambda: RedisStore(SimpleNamespace(execute_command=print)),
        "encrypted": lambda: EncryptedStore(MemoryStore(), b"k" * 32),
    }[kind]()
    message = rf"^{type(store).__name__} cannot be pickled or copied: .*(make another|use a FileStore)"
    with pytest.raises(TypeError, match=message):
        copying(store)

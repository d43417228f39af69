"""What looks like a token store, and what does not: said where it is handed over."""

import math
from datetime import timedelta
from types import SimpleNamespace

import pytest

from hellojohn import HelloJohn
from hellojohn._errors import ConfigurationError
from hellojohn.stores import EncryptedStore, FileStore, MemoryStore
from hellojohn.stores._checks import check_store


def leasing(lease: object) -> SimpleNamespace:
    """Return a store with a lease."""
    kept = MemoryStore()
    return SimpleNamespace(load=kept.load, save=kept.save, delete=kept.delete, lock=kept.lock, lease=lease)


@pytest.mark.parametrize(
    "lease", [timedelta(seconds=30), "30", math.nan, math.inf, -1, 0, True, [], print], ids=repr
)
def test_a_lease_that_is_no_time_is_a_configuration_error(lease):
    """Otherwise the first refresh fails, or counts with a lock that never ends."""
    message = r"store must be a TokenStore.*its lease is a number of seconds, such as 30\.0, or None, not"
    with pytest.raises(ConfigurationError, match=message):
        check_store(leasing(lease))
    with pytest.raises(ConfigurationError, match="its lease is a number of seconds"):
        EncryptedStore(leasing(lease), b"k" * 32)
    with pytest.raises(ConfigurationError, match="its lease is a number of seconds"):
        HelloJohn(store=leasing(lease), tenant_id="tnt_1", publishable_key="pk_1")


@pytest.mark.parametrize("lease", [None, 30, 0.5])
def test_a_lease_or_none_is_accepted_and_seen_through_encryption(lease):
    """It belongs to the store that locks."""
    store = leasing(lease)
    assert check_store(store) is store
    assert check_store(EncryptedStore(store, b"k" * 32)).lease == lease


def test_a_store_without_a_lease_is_accepted(tmp_path):
    """It is one of the optional parts."""
    for store in (MemoryStore(), FileStore(tmp_path)):
        assert check_store(store) is store

"""What ``hellojohn.testing`` offers."""

import pytest

import hellojohn.testing


def test_the_store_contract_can_be_imported():
    """A user's store is tested with one import."""
    from hellojohn.testing import TokenStoreContract  # noqa: PLC0415 - the test is about the import

    with pytest.raises(NotImplementedError):
        TokenStoreContract().make_store()


def test_other_names_do_not_exist():
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="Nonesuch"):
        hellojohn.testing.Nonesuch  # noqa: B018 - the test is about the look-up

"""default_store: a secure keyring where there is one, else private files, and a log line that says why."""

import logging

import keyring.errors
import pytest
from keyring.backends import fail

from hellojohn._errors import StoreLocked
from hellojohn.stores import FileStore, KeyringStore, default_store
from tests.stores.backends import PLAIN, failing, vault


@pytest.fixture(autouse=True)
def log(caplog):
    """Return the log."""
    caplog.set_level(logging.INFO, "hellojohn")
    return caplog


def test_a_secure_keyring_is_used_and_only_read(use, log):
    """Choosing a store must not leave anything in the user's keyring."""
    backend = use(vault())
    store = default_store("app")
    assert isinstance(store, KeyringStore)
    assert backend.calls == ["get"]
    assert "system keyring (keyring.backends.SecretService.Keyring): it is secure" in log.text


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        (fail.Keyring(), "No system keyring keeps secrets here"),
        (vault(PLAIN), "found: keyrings.alt.file"),
        (failing(RuntimeError("no")), "keyring failed (RuntimeError)"),
    ],
    ids=["none", "plain", "broken"],
)
def test_without_a_keyring_private_files_are_used(use, log, backend, why):
    """A server without a desktop gets files, and the log has the reason."""
    use(backend)
    store = default_store("app")
    assert isinstance(store, FileStore)
    assert store.path == FileStore(app="app").path
    assert not store.path.exists()
    assert f"private files in {store.path}" in log.text
    assert why in log.text


def test_a_locked_keyring_is_not_replaced_by_files(use, log):
    """Once it is unlocked, the sessions that went to files would be out of sight."""
    use(failing(keyring.errors.KeyringLocked("no")))
    with pytest.raises(StoreLocked, match=r"locked\. Unlock it.*or keep sessions in a FileStore"):
        default_store("app")
    assert "are kept" not in log.text


def test_without_the_keyring_package_private_files_are_used(monkeypatch, log):
    """The extra is optional."""
    monkeypatch.setattr("hellojohn.stores.keyring.find_spec", lambda name: None)
    assert isinstance(default_store("app"), FileStore)
    assert "hellojohn[keyring]" in log.text

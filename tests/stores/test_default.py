"""default_store: a secure keyring where there is one, else private files, and a log line that says why."""

import logging

import keyring.core
import keyring.errors
import pytest
from keyring.backends import fail

from hellojohn._errors import ConfigurationError, StoreLocked
from hellojohn.stores import FileStore, KeyringStore, default_store
from tests.stores import backends


@pytest.fixture(autouse=True)
def log(monkeypatch, tmp_path, caplog):
    """Return what is logged; keep files in the test's folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    caplog.set_level(logging.INFO, "hellojohn")
    return caplog


def test_a_secure_keyring_is_used_and_only_read(monkeypatch, log):
    """Asking for a store must not leave anything in the user's keyring."""
    backend = backends.SecretService()
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    store = default_store("app")
    assert isinstance(store, KeyringStore)
    assert backend.calls == ["get"]
    assert "system keyring (keyring.backends.SecretService.SecretService): it is secure" in log.text


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        (fail.Keyring(), "No system keyring keeps secrets here"),
        (backends.PlaintextKeyring(), "found: keyrings.alt.file"),
        (backends.Failing(RuntimeError("no")), "keyring failed (RuntimeError)"),
    ],
    ids=["none", "plain", "broken"],
)
def test_without_one_private_files_are_used_and_the_log_says_why(monkeypatch, log, backend, why):
    """A server without a desktop gets files, and its owner learns the reason."""
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    store = default_store("app")
    assert isinstance(store, FileStore)
    assert store.path == FileStore(app="app").path
    assert not store.path.exists()
    assert f"private files in {store.path}" in log.text
    assert why in log.text


def test_a_keyring_that_is_locked_now_is_not_replaced_by_files(monkeypatch, log):
    """Once it is unlocked, the sessions that went to files meanwhile would be out of sight."""
    monkeypatch.setattr(
        keyring.core, "_keyring_backend", backends.Failing(keyring.errors.KeyringLocked("no"))
    )
    with pytest.raises(StoreLocked, match=r"locked\. Unlock it.*or keep sessions in a FileStore"):
        default_store("app")
    assert "are kept" not in log.text


def test_without_the_keyring_package_private_files_are_used(monkeypatch, log):
    """The extra is optional."""
    monkeypatch.setattr("hellojohn.stores.keyring.find_spec", lambda name: None)
    assert isinstance(default_store("app"), FileStore)
    assert "hellojohn[keyring]" in log.text


@pytest.mark.parametrize("app", ["", None, 7, "../other"])
def test_an_app_without_a_name_is_refused(app):
    """All such apps would share their sessions."""
    with pytest.raises(ConfigurationError, match="app's name"):
        default_store(app)

"""Fixtures for the tests of stores: a home folder for each test, and the keyring to use."""

import pwd
from types import SimpleNamespace

import keyring.core
import pytest


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """Return the home folder of the test's user, in the environment and in the password database."""
    folder = tmp_path / "home"
    folder.mkdir(0o700)
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_dir=str(folder)))
    return folder


@pytest.fixture
def use(monkeypatch):
    """Return a function that makes a backend the one that the keyring library has chosen."""

    def chosen(backend):
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        return backend

    return chosen

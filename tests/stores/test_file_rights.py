"""FileStore: the rights that its owner needs, tested as an ordinary user: root may do anything."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from hellojohn._errors import StoreUnavailable
from hellojohn.stores import FileStore

NOBODY = 65534


@pytest.fixture
def folder():
    """Return a folder of an ordinary user, who runs the test."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        if user == 0:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)


@pytest.fixture
def umask():
    """Return a function that sets the umask for the rest of the test."""
    before = os.umask(0o077)
    yield os.umask
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _acts(store: FileStore) -> dict:
    return {
        "save": lambda: store.save("k", "new"),
        "lock": lambda: store.lock("k", 1).__enter__(),
        "delete": lambda: store.delete("k"),
        "quarantine": lambda: store.quarantine("k"),
    }


@pytest.mark.parametrize("mask", [0o177, 0o277, 0o377, 0o777], ids=oct)
def test_a_strict_umask_takes_nothing_from_the_owner(folder, umask, mask):
    """The folders, the lock and the record stay usable, also for a later program with another umask."""
    umask(mask)
    store = FileStore(folder / "a" / "b")
    for text in ("first", "second"):
        with store.lock("k", 1) as value:
            value.save(text)
        assert store.load("k") == text
    umask(0o022)
    with store.lock("k", 1) as value:
        value.save("third")
    store.save("other", "text")
    assert {_mode(path) for path in (store.path, store.path.parent)} == {0o700}
    assert {_mode(file) for file in store.path.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o300, 0o500, 0o600, 0o100, 0], ids=oct)
@pytest.mark.parametrize("act", ["save", "lock", "delete", "quarantine"])
def test_a_folder_without_the_owners_rights_is_not_changed(folder, mode, act):
    """The call fails before anything is written, and the message has the command that helps."""
    store = FileStore(folder / "sessions")
    store.save("k", "old")
    store.path.chmod(mode)
    with pytest.raises(StoreUnavailable, match="chmod 700"):
        _acts(store)[act]()
    assert "chmod 700" in store.describe()["advice"]
    store.path.chmod(0o700)
    assert store.load("k") == "old"
    assert "advice" not in store.describe()


def test_a_folder_that_can_only_be_read_is_read(folder):
    """Reading needs no right to write."""
    store = FileStore(folder / "sessions")
    store.save("k", "text")
    store.path.chmod(0o500)
    assert store.load("k") == "text"


def test_the_command_for_the_owner_names_the_folder(folder):
    """The reader can paste it, from the error as well as from the doctor's advice."""
    store = FileStore(folder / "sessions")
    store.save("k", "old")
    store.path.chmod(0o300)
    with pytest.raises(StoreUnavailable, match=f"Run: chmod 700 {store.path}$"):
        store.save("k", "new")
    assert store.describe()["advice"].endswith(f"Run: chmod 700 {store.path}")


def test_rights_that_are_lost_under_the_lock_cost_no_record(folder):
    """The folder was in order when the lock was taken."""
    store = FileStore(folder / "sessions")
    store.save("k", "old")
    with store.lock("k", 1) as value:
        store.path.chmod(0o300)
        with pytest.raises(StoreUnavailable, match="chmod 700"):
            value.save("new")
    store.path.chmod(0o700)
    assert store.load("k") == "old"


def test_an_accepted_folder_must_be_readable_too(folder):
    """With ``allow_insecure``, modes are not judged, and the failure still comes before the change."""
    store = FileStore(folder / "sessions", allow_insecure=True)
    store.save("k", "old")
    store.path.chmod(0o300)
    with pytest.raises(StoreUnavailable, match="chmod 700"):
        store.save("k", "new")
    assert "chmod 700" in store.describe()["advice"]
    store.path.chmod(0o700)
    assert store.load("k") == "old"

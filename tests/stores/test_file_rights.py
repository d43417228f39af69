"""FileStore: the rights that its owner needs, tested as an ordinary user: root may do anything."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

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

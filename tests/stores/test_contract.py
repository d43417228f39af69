"""The contract finds the faults it is there to find."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from hellojohn._errors import StoreError
from hellojohn.stores import FileStore, TokenStore
from hellojohn.testing import TokenStoreContract


class _Torn(FileStore):
    """Writes in place, and without syncing."""

    def save(self, key, text, *, expires_in=None):
        self.path.mkdir(mode=0o700, exist_ok=True)
        self._file(key).touch(0o600)
        with self._file(key).open("w", encoding="utf-8", newline="") as file:
            for start in range(0, len(text), 100):
                file.write(text[start : start + 100])
                file.flush()


class _Unlocked(FileStore):
    """Locks nothing."""

    def lock(self, key, timeout):
        return nullcontext()


class _ThreadLocked(FileStore):
    """Locks the threads of one process only."""

    _guard = threading.Lock()

    def lock(self, key, timeout):
        return self._guard


class _Dropping(FileStore):
    """Throws away what it should set aside."""

    def quarantine(self, key):
        self.delete(key)


class _Sharing(FileStore):
    """Confuses keys that differ in case."""

    def _file(self, key):
        return super()._file(key.lower())


class _Showing(FileStore):
    """Shows what it keeps."""

    def save(self, key, text, *, expires_in=None):
        super().save(key, text)
        self.last = text


class _Broken(TokenStoreContract):
    def __init__(self, kind: type[FileStore], path: Path) -> None:
        self.kind, self.path = kind, path

    def make_store(self) -> TokenStore:
        return self.kind(self.path)


def _one_handle(contract: _Broken) -> None:
    contract.test_a_lock_excludes_threads(share=True)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (_Torn, _Broken.test_threads_never_read_a_torn_text),
        (_Torn, _Broken.test_a_killed_writer_leaves_a_whole_text),
        (_Unlocked, _one_handle),
        (_Unlocked, _Broken.test_a_lock_in_use_raises_after_the_timeout),
        (_ThreadLocked, _Broken.test_a_lock_excludes_processes),
        (_ThreadLocked, _Broken.test_a_killed_holder_frees_its_lock),
        (_Dropping, _Broken.test_quarantine_frees_the_key),
        (_Sharing, _Broken.test_keys_do_not_share_texts),
        (_Showing, _Broken.test_the_store_shows_no_text),
    ],
)
def test_a_faulty_store_fails(kind: type[FileStore], test: Callable[[_Broken], None], tmp_path: Path):
    """Each fault is caught by the test that names it, in a handful of runs at most."""

    def run_often() -> None:
        for run in range(20):
            test(_Broken(kind, tmp_path / str(run)))

    with pytest.raises((AssertionError, StoreError, pytest.fail.Exception)):
        run_often()

"""The contract finds the faults that it is there to find."""

import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from hellojohn._errors import StoreError
from hellojohn.stores import FileStore, TokenStore
from hellojohn.testing import TokenStoreContract


class _Faulty(FileStore):
    """A file store with one fault, which is named by the method that has it."""

    guard = threading.Lock()

    def __init__(self, fault: str, path: Path) -> None:
        super().__init__(path)
        self.fault = fault
        self.lease = 5.0 if fault == "lease of a file" else None

    def save(self, key, text, *, expires_in=None):
        if self.fault == "save in place":
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._file(key).touch(0o600)
            with self._file(key).open("w", encoding="utf-8", newline="") as file:
                for start in range(0, len(text), 100):
                    file.write(text[start : start + 100])
                    file.flush()
            return
        if self.fault == "save shows the text":
            self.last = text
        super().save(key, text)

    def lock(self, key, timeout):
        match self.fault:
            case "lock nothing":
                return nullcontext()
            case "lock threads only":
                return self.guard
            case "lock all keys as one":
                return super().lock("all", timeout)
            case "save in place" | "save shows the text":
                return _plain(super().lock(key, timeout))
            case "value is stale" | "value is not saved" | "value keeps the lock":
                return self._with_value(super().lock(key, timeout))
        return super().lock(key, timeout)

    @contextmanager
    def _with_value(self, lock):
        with lock as value:
            yield _FaultyValue(self.fault, value)

    def quarantine(self, key):
        if self.fault == "quarantine drops":
            self.delete(key)
            return None
        return super().quarantine(key)

    def _file(self, key):
        return super()._file(key.lower() if self.fault == "keys in lower case" else key)


class _FaultyValue:
    """A locked value with one fault."""

    def __init__(self, fault: str, value) -> None:
        self.fault, self.value, self.first = fault, value, value.load()

    def load(self):
        return self.first if self.fault == "value is stale" else self.value.load()

    def save(self, text, *, expires_in=None, release=False):
        if self.fault != "value is not saved":
            self.value.save(
                text, expires_in=expires_in, release=release and self.fault != "value keeps the lock"
            )


@contextmanager
def _plain(lock):
    with lock:
        yield


class _Broken(TokenStoreContract):
    def __init__(self, fault: str, path: Path) -> None:
        self.fault, self.path = fault, path

    def make_store(self) -> TokenStore:
        return _Faulty(self.fault, self.path)


def _with_one_handle(contract: _Broken) -> None:
    contract.test_a_lock_excludes_threads(share=True)


FAULTS = [
    ("save in place", _Broken.test_threads_never_read_a_torn_text),
    ("save in place", _Broken.test_a_killed_writer_leaves_a_whole_text),
    ("save shows the text", _Broken.test_the_store_shows_no_text),
    ("lock nothing", _with_one_handle),
    ("lock nothing", _Broken.test_a_lock_in_use_raises_after_the_timeout),
    ("lock nothing", _Broken.test_a_holder_saves_only_while_it_has_the_lock),
    ("lock threads only", _Broken.test_a_lock_excludes_processes),
    ("lock threads only", _Broken.test_a_killed_holder_frees_its_lock),
    ("lock all keys as one", _Broken.test_locks_of_different_keys_do_not_wait),
    ("lease of a file", _Broken.test_the_store_states_its_lease),
    ("quarantine drops", _Broken.test_quarantine_frees_the_key),
    ("keys in lower case", _Broken.test_keys_do_not_share_texts),
    ("value is stale", _Broken.test_a_locked_value_is_the_text_under_its_key),
    ("value is not saved", _Broken.test_a_locked_value_is_the_text_under_its_key),
    ("value keeps the lock", _Broken.test_a_save_can_release_the_lock),
]


@pytest.mark.parametrize(
    ("fault", "test"), FAULTS, ids=[f"{fault}-{test.__name__[5:]}" for fault, test in FAULTS]
)
def test_a_faulty_store_fails(fault, test, tmp_path):
    """Each fault is caught by the test that names it, in a handful of runs at most."""

    def run_often() -> None:
        for run in range(20):
            test(_Broken(fault, tmp_path / str(run)))

    with pytest.raises((AssertionError, StoreError, pytest.fail.Exception)):
        run_often()


@pytest.mark.parametrize("test", sorted({test.__name__ for _, test in FAULTS} - {"_with_one_handle"}))
def test_a_store_without_a_fault_passes(test, tmp_path):
    """The tests that find a fault accept the same store without it."""
    getattr(_Broken("", tmp_path / "sessions"), test)()

"""The part of the store contract that needs one process only. Needs pytest."""

# ruff: noqa: S101 - a test class asserts

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import pytest

from hellojohn._errors import StoreCorrupt, StoreLocked
from hellojohn._secret import Secret
from hellojohn.stores import LockedValue, TokenStore
from hellojohn.stores._capabilities import StoreValue, describe, enter_lock, quarantine, saver
from hellojohn.testing._store_child import count_up, is_whole, stamped

_PATIENCE = 60.0
_TIMEOUT = 0.1
_KEYS = (
    "default",
    "Default",
    "tnt_1/ada@example.com",
    "..",
    " spaces and\ttabs ",
    "new\nline",
    "\u00e9 composed",
    "e\u0301 composed",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 with ZWNJ",
    "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645 with ZWNJ",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "no\u00a0break",
    "no break",
    "\u65e5\u672c\u8a9e/\U0001f511",
    "*?[a]:<>|\\\"'%s{}",
    "long" * 100,
)
_TEXTS = {
    "empty": "",
    "json": "{}",
    "padded": " \r\n padded \n",
    "scripts": '{"name": "\u0141ukasz", "rtl": "\u05e9\u05dc", "key": "\U0001f511", "quote": "\\""}',
    "edges": "\ufeff\x01\x1f\x7f\u2028\uffff\U0010ffff",
    "64 KB": "x" * 65_536,
    "64 KB wide": "\U0001f511" * 16_384,
}


class InProcessStoreContract:
    """The part of the contract that a store in one process's memory can keep."""

    def make_store(self) -> TokenStore:
        """Return a handle on the storage under test: the same storage at every call within a test."""
        raise NotImplementedError

    def corrupt(self, key: str) -> None:
        """Put data under ``key`` that is not a session, bypassing the store where possible."""
        self.make_store().save(key, "not a session")

    def test_an_unknown_key_is_empty(self) -> None:
        """Loading, deleting and quarantining a missing text is not an error."""
        store = self.make_store()
        store.delete("unknown")
        assert quarantine(store, "unknown") is None
        assert store.load("unknown") is None

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
    def test_a_text_comes_back_unchanged(self, text: str) -> None:
        """Texts of every length and script come back, from every handle."""
        self.make_store().save("key", text)
        assert self.make_store().load("key") == text

    def test_keys_do_not_share_texts(self) -> None:
        """Keys that differ only in case, accents or invisible characters have separate texts."""
        store = self.make_store()
        for key in _KEYS:
            store.save(key, f"of {key}")
        store.delete(_KEYS[-1])
        assert [store.load(key) for key in _KEYS] == [*(f"of {key}" for key in _KEYS[:-1]), None]

    def test_a_save_replaces_the_text(self) -> None:
        """A shorter text leaves nothing of a longer one behind, and a longer one is complete."""
        store = self.make_store()
        for text in ("x" * 9_000, "short", "y" * 20_000):
            store.save("key", text)
            assert self.make_store().load("key") == text

    def test_a_text_stays_until_it_expires(self) -> None:
        """A text saved with ``expires_in`` can be loaded before that time."""
        store = self.make_store()
        saver(store)("key", Secret("text"), 3600.0)
        assert store.load("key") == "text"

    def test_a_deleted_text_is_gone(self) -> None:
        """A delete counts for every handle, and a second delete is not an error."""
        store = self.make_store()
        store.save("key", "text")
        store.delete("key")
        store.delete("key")
        assert self.make_store().load("key") is None

    def test_quarantine_frees_the_key(self) -> None:
        """The store names the new place without showing the text, and the key can be used again."""
        store = self.make_store()
        for text in ("first-marker", "second-marker"):
            store.save("key", text)
            with store.lock("key", 5):
                place = quarantine(store, "key")
            assert place, "quarantine must say where it put the text"
            assert "marker" not in place, "quarantine must not show the text"
            assert store.load("key") is None
        store.save("key", "fresh")
        assert self.make_store().load("key") == "fresh"

    def test_corrupt_data_stays_until_it_is_quarantined(self) -> None:
        """``load`` raises ``StoreCorrupt`` or returns the text as it is; it removes nothing."""
        store = self.make_store()
        store.save("key", "text")
        self.corrupt("key")
        for _ in range(2):
            with suppress(StoreCorrupt):
                assert store.load("key") is not None, "corrupt data must not be dropped silently"
        with store.lock("key", 5):
            assert quarantine(store, "key"), "quarantine must say where it put the data"
        assert store.load("key") is None
        store.save("key", "fresh")
        assert store.load("key") == "fresh"

    def test_the_store_shows_no_text(self) -> None:
        """``repr``, ``str`` and the attributes of a store and of its locks go into debuggers and logs."""
        store = self.make_store()
        store.save("key", "marker-text")
        leave, value = enter_lock(store, "key", 5)
        shown = [f"{it!r} {it} {getattr(it, '__dict__', '')}" for it in (store, value)]
        leave()
        assert "marker-text" not in str(shown)

    def test_the_description_is_words_without_a_text(self) -> None:
        """The facts of ``describe`` go into reports that users send around."""
        store = self.make_store()
        store.save("key", "marker-text")
        facts = describe(store)
        assert {type(part) for fact in facts.items() for part in fact} <= {str}, "facts must be texts"
        assert "marker-text" not in str(facts), "facts must not show the saved text"

    def test_a_lock_in_use_raises_after_the_timeout(self) -> None:
        """The wait lasts as long as the timeout, also for the handle that holds the lock."""
        store = self.make_store()
        for other in (store, self.make_store()):
            with store.lock("key", 5):
                began = time.monotonic()
                with pytest.raises(StoreLocked), other.lock("key", _TIMEOUT):
                    pytest.fail("two holders at once")
                assert _TIMEOUT * 0.9 < time.monotonic() - began < _PATIENCE / 2

    def test_the_holder_reads_and_writes_under_its_lock(self) -> None:
        """The lock excludes other holders, not ``load``, ``save`` and ``delete``."""
        store = self.make_store()
        with store.lock("key", 5):
            store.save("key", "text")
            assert store.load("key") == "text"
            store.delete("key")
            assert store.load("key") is None

    def test_locks_of_different_keys_do_not_wait(self) -> None:
        """A slow refresh of one account does not delay another account."""
        store = self.make_store()
        with store.lock("one", 5), store.lock("other", 5), self.make_store().lock("third", 5):
            pass

    def test_an_error_inside_a_lock_passes_and_releases_it(self) -> None:
        """A failed refresh does not block the next one."""
        store = self.make_store()
        with pytest.raises(KeyError, match="mine"), store.lock("key", 5):
            raise KeyError("mine")
        with store.lock("key", 5):
            pass

    def test_a_locked_value_is_the_text_under_its_key(self) -> None:
        """The first load is current, later loads see every save, and other handles see its saves."""
        store, other = self.make_store(), self.make_store()
        with locked(store, "key") as value:
            assert value.load() is None
            value.save("first", expires_in=3600.0)
            assert (value.load(), other.load("key")) == ("first", "first")
        other.save("key", "second")
        with locked(store, "key") as value:
            assert value.load() == "second"
            store.save("key", "third")
            assert value.load() == "third"
            store.delete("key")
            assert value.load() is None

    def test_a_locked_value_reports_corrupt_data(self) -> None:
        """Its loads raise ``StoreCorrupt`` or return the data, as ``load`` does; taking the lock succeeds."""
        store = self.make_store()
        store.save("key", "text")
        self.corrupt("key")
        with locked(store, "key") as value:
            for _ in range(2):
                assert _loaded_by(value.load) == _loaded_by(lambda: store.load("key"))
            assert quarantine(store, "key")
            value.save("fresh")
        assert store.load("key") == "fresh"

    def test_a_save_can_release_the_lock(self) -> None:
        """Then the text is saved, the next holder gets the lock, and leaving does not release that one."""
        store, other, third = self.make_store(), self.make_store(), self.make_store()
        store.save("key", "old")
        leave, value = enter_lock(store, "key", 5)
        value.save("text", release=True)
        if isinstance(value, StoreValue):  # the lock is released when it is left
            leave()
            leave = _nothing
        with other.lock("key", 5):
            assert other.load("key") == "text"
            leave()
            with pytest.raises(StoreLocked), third.lock("key", _TIMEOUT):
                pytest.fail("two holders at once")

    @pytest.mark.parametrize("share", [True, False], ids=["one handle", "a handle each"])
    def test_a_lock_excludes_threads(self, share: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """Threads that add one under the lock lose no addition."""
        store = self.make_store()
        _in_threads(8, lambda _: count_up(store if share else self.make_store(), "key", 5))
        assert store.load("key") == "40"

    def test_many_threads_may_use_a_new_store_at_once(self) -> None:
        """Setting up the storage does not race."""
        _in_threads(8, lambda n: self.make_store().save(f"key {n}", str(n)))
        store = self.make_store()
        assert [store.load(f"key {n}") for n in range(8)] == [str(n) for n in range(8)]

    def test_threads_never_read_a_torn_text(self) -> None:
        """Every field of a text carries its number, so a mixture of two texts shows."""
        store, stop = self.make_store(), threading.Event()
        store.save("key", stamped(0))

        def write(_: int) -> None:
            for number in range(20):
                self.make_store().save("key", stamped(number))
            stop.set()

        def read(_: int) -> None:
            while not stop.is_set():
                assert_whole(store.load("key"))

        _in_threads(3, lambda n: (write if n == 0 else read)(n))


@contextmanager
def locked(store: TokenStore, key: str) -> Generator[LockedValue]:
    """Hold the lock of ``key`` and return the value under it."""
    leave, value = enter_lock(store, key, 5)
    try:
        yield value
    finally:
        leave()


def _loaded_by(load: Callable[[], str | None]) -> str | None:
    try:
        return load()
    except StoreCorrupt:
        return "StoreCorrupt"


def _nothing() -> None:
    """Do nothing."""


def assert_whole(text: str | None) -> None:
    """Fail unless ``text`` is all of one stamped text."""
    assert text is not None, "the text was gone for a moment"
    assert is_whole(text), "the text was torn"


def _in_threads(number: int, task: Callable[[int], None]) -> None:
    """Run ``task(n)`` on ``number`` threads at once, and raise the first error of a thread."""
    barrier, errors = threading.Barrier(number), list[BaseException]()

    def run(index: int) -> None:
        try:
            barrier.wait()
            task(index)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]

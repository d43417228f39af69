"""The contract of a token store, as a test class for our stores and for yours. Needs pytest."""

# ruff: noqa: S101 - asserting is what a test class does

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import ClassVar, Self

import pytest

from hellojohn._errors import StoreCorrupt, StoreLocked
from hellojohn._secret import Secret
from hellojohn.stores import TokenStore
from hellojohn.stores._capabilities import describe, saver, quarantine
from hellojohn.testing._store_child import (
    count_up,
    count_up_when_told,
    hold,
    is_whole,
    stamped,
    write_stamped,
)

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
        """Put something under ``key`` that is no session, behind the store's back where that is possible."""
        self.make_store().save(key, "no session of ours")

    def test_an_unknown_key_is_empty(self) -> None:
        """Nothing there is an answer, not an error."""
        store = self.make_store()
        store.delete("nobody")
        assert quarantine(store, "nobody") is None
        assert store.load("nobody") is None

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS.keys())
    def test_a_text_comes_back_as_it_was(self, text: str) -> None:
        """Whatever its length and script, and from every handle."""
        self.make_store().save("key", text)
        assert self.make_store().load("key") == text

    def test_keys_do_not_share_texts(self) -> None:
        """Not even keys that differ in case, accents or punctuation only."""
        store = self.make_store()
        for key in _KEYS:
            store.save(key, f"of {key}")
        store.delete(_KEYS[-1])
        assert [store.load(key) for key in _KEYS] == [*(f"of {key}" for key in _KEYS[:-1]), None]

    def test_a_save_replaces_the_text(self) -> None:
        """A shorter text leaves nothing of a longer one, and a longer one loses nothing."""
        store = self.make_store()
        for text in ("x" * 9_000, "short", "y" * 20_000):
            store.save("key", text)
            assert self.make_store().load("key") == text

    def test_an_expiry_far_away_changes_nothing(self) -> None:
        """``expires_in``, where a store takes it, is a hint; the text is there until then."""
        store = self.make_store()
        saver(store)("key", Secret("text"), 3600.0)
        assert store.load("key") == "text"

    def test_a_deleted_text_is_gone(self) -> None:
        """For every handle, and a second delete is no error."""
        store = self.make_store()
        store.save("key", "text")
        store.delete("key")
        store.delete("key")
        assert self.make_store().load("key") is None

    def test_what_is_quarantine_frees_the_key(self) -> None:
        """The store says where it went, without showing it, and the key can be used again."""
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

    def test_corrupt_data_stays_until_it_is_quarantine(self) -> None:
        """``load`` raises ``StoreCorrupt``, or returns the text for its caller to judge; it drops nothing."""
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

    def test_no_text_shows_in_the_store(self) -> None:
        """A store ends up in debuggers and logs."""
        store = self.make_store()
        store.save("key", "marker-text")
        assert "marker-text" not in f"{store!r} {store} {getattr(store, '__dict__', '')}"

    def test_what_it_tells_about_itself_is_words(self) -> None:
        """``describe``, where a store has it, goes into reports that people send around."""
        store = self.make_store()
        store.save("key", "marker-text")
        facts = describe(store)
        assert {type(part) for fact in facts.items() for part in fact} <= {str}, "facts must be texts"
        assert "marker-text" not in str(facts), "facts must not show what the store keeps"

    def test_a_lock_that_stays_taken_raises_after_the_timeout(self) -> None:
        """Neither at once nor for ever, and not for its own handle either."""
        store = self.make_store()
        for other in (store, self.make_store()):
            with store.lock("key", 5):
                began = time.monotonic()
                with pytest.raises(StoreLocked), other.lock("key", _TIMEOUT):
                    pytest.fail("two holders at once")
                assert _TIMEOUT * 0.9 < time.monotonic() - began < _PATIENCE / 2

    def test_the_texts_of_a_locked_key_are_open_to_its_holder(self) -> None:
        """The lock keeps other lockers out, not its holder's reading and writing."""
        store = self.make_store()
        with store.lock("key", 5):
            store.save("key", "text")
            assert store.load("key") == "text"
            store.delete("key")
            assert store.load("key") is None

    def test_locks_of_different_keys_do_not_wait_for_each_other(self) -> None:
        """One account's slow refresh must not hold up another's."""
        store = self.make_store()
        with store.lock("one", 5), store.lock("other", 5), self.make_store().lock("third", 5):
            pass

    def test_an_error_inside_a_lock_passes_and_releases_it(self) -> None:
        """A failed refresh must not block the next one."""
        store = self.make_store()
        with pytest.raises(KeyError, match="mine"), store.lock("key", 5):
            raise KeyError("mine")
        with store.lock("key", 5):
            pass

    @pytest.mark.parametrize("share", [True, False], ids=["one handle", "a handle each"])
    def test_a_lock_excludes_threads(self, share: bool) -> None:  # noqa: FBT001
        """Threads that add one under the lock lose none."""
        store = self.make_store()
        _in_threads(8, lambda _: count_up(store if share else self.make_store(), "key", 5))
        assert store.load("key") == "40"

    def test_the_first_use_may_come_from_many_threads_at_once(self) -> None:
        """Setting up the storage is no race."""
        _in_threads(8, lambda n: self.make_store().save(f"key {n}", str(n)))
        store = self.make_store()
        assert [store.load(f"key {n}") for n in range(8)] == [str(n) for n in range(8)]

    def test_threads_never_read_a_torn_text(self) -> None:
        """Every field of a text carries its number: a mixture of two shows."""
        store, stop = self.make_store(), threading.Event()
        store.save("key", stamped(0))

        def write(_: int) -> None:
            for number in range(20):
                self.make_store().save("key", stamped(number))
            stop.set()

        def read(_: int) -> None:
            while not stop.is_set():
                _assert_whole(store.load("key"))

        _in_threads(3, lambda n: (write if n == 0 else read)(n))


class TokenStoreContract(InProcessStoreContract):
    """What every token store must keep: subclass it in a test module, give ``make_store``, run pytest.

    Child processes get the pickled ``recipe()``, by default the bound ``make_store``: whatever the test keeps
    on ``self`` must pickle, and its module must be importable. Where it is not, override ``recipe``.

    Attributes:
        lease: Seconds for which a killed process may keep a lock. Zero where the system frees it.
    """

    lease: ClassVar[float] = 0.0

    def recipe(self) -> Callable[[], TokenStore]:
        """Return what makes a store in a child process; it must pickle, such as a ``functools.partial``."""
        return self.make_store

    def test_a_lock_excludes_processes(self) -> None:
        """Processes that add one under the lock lose none, and none meets a half-made storage."""
        with ExitStack() as stack:
            children = [
                stack.enter_context(_Child(count_up_when_told, self.recipe(), "key", 10)) for _ in range(3)
            ]
            for child in children:
                child.hear()
            for child in children:
                child.tell()
            for child in children:
                child.finish()
        assert self.make_store().load("key") == "30"

    def test_a_killed_holder_frees_its_lock(self) -> None:
        """After its lease at the latest, and not before it was killed."""
        store = self.make_store()
        with _Child(hold, self.recipe(), "key") as child:
            child.hear()
            with pytest.raises(StoreLocked), store.lock("key", 0.05):
                pytest.fail("two holders at once")
        with store.lock("key", self.lease + _PATIENCE / 4):
            store.save("key", "text")
        assert store.load("key") == "text"

    def test_a_killed_writer_leaves_a_whole_text(self) -> None:
        """The old one or the new one, at every moment; and the key can be written again."""
        store = self.make_store()
        for moment in (0.0, 0.005, 0.02):
            with _Child(write_stamped, self.recipe(), "key", 1_000_000) as child:
                child.hear()
                child.tell()
                until = time.monotonic() + moment
                while time.monotonic() < until:
                    _assert_whole(store.load("key"))
            _assert_whole(store.load("key"))
        with store.lock("key", self.lease + _PATIENCE / 4):
            store.save("key", "text")
        assert store.load("key") == "text"


class _Child:
    """A process of its own, doing ``task`` to the store that ``recipe`` makes there; killed at the end."""

    def __init__(
        self, task: Callable[..., None], recipe: Callable[[], TokenStore], *arguments: object
    ) -> None:
        start = "from hellojohn.testing._store_child import main; main()"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", start],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        pickle.dump((task, recipe, arguments), self._input)
        self._input.flush()

    def hear(self) -> None:
        """Wait until the child says that it has come to the point."""
        assert self._output.readline() == b"here\n", "the child failed: see its error output"

    def tell(self) -> None:
        """Let it go on."""
        self._input.write(b"\n")
        self._input.flush()

    def finish(self) -> None:
        """Wait until it has done its task."""
        assert self._process.wait(_PATIENCE) == 0, "the child failed: see its error output"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()


def _assert_whole(text: str | None) -> None:
    assert text is not None, "the text was gone for a moment"
    assert is_whole(text), "the text was torn"


def _in_threads(number: int, task: Callable[[int], None]) -> None:
    """Run ``task(n)`` on ``number`` threads at once, and raise what the first to fail raised."""
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

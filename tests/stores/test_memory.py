"""MemoryStore: threads exclude each other, and a forked child cannot use a session that it inherited."""

import threading

import pytest

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn.stores import MemoryStore, TokenStore
from hellojohn.testing._in_process_contract import InProcessStoreContract
from tests.stores.forking import in_forked_child


@pytest.fixture
def store() -> TokenStore:
    """Return a new store."""
    return MemoryStore()


class TestMemoryStore(InProcessStoreContract):
    """It keeps the contract among threads."""

    @pytest.fixture(autouse=True)
    def _one_store(self) -> None:
        self.store = MemoryStore()

    def make_store(self) -> TokenStore:
        """Return the same store each time: its storage is in it."""
        return self.store


def _saved_in_child(store: TokenStore, key: str) -> str:
    with store.lock(key, 1):
        store.save(key, "the child's")
    return store.load(key) or ""


def test_a_child_reads_inherited_texts(store):
    """Reading a copy does no harm."""
    store.save("k", "text")
    assert in_forked_child(lambda: store.load("k") or "nothing") == "text"


def test_a_child_cannot_lock_inherited_keys(store):
    """Two processes would refresh one session from two copies, and the server would end it as stolen."""
    store.save("k", "text")
    outcome = in_forked_child(lambda: _saved_in_child(store, "k"))
    assert outcome.startswith("StoreUnavailable: ")
    assert "FileStore" in outcome
    assert "new client in the child" in outcome


def test_a_child_forked_inside_a_lock_cannot_save(store):
    """A fork in the middle of a refresh does not make the child's copy usable."""
    store.save("k", "text")
    with store.lock("k", 1):
        outcome = in_forked_child(lambda: str(store.save("k", "the child's")))
    assert outcome.startswith("StoreUnavailable: ")


def test_a_child_cannot_quarantine_inherited_texts(store):
    """Quarantine frees the key, which would make the copy usable."""
    store.save("k", "text")
    assert in_forked_child(lambda: str(store.quarantine("k"))).startswith("StoreUnavailable: ")


def test_a_child_uses_keys_without_inherited_texts(store):
    """Only the inherited sessions are refused, however often the child uses the store."""
    store.save("k", "text")

    def use() -> str:
        _saved_in_child(store, "mine")
        return _saved_in_child(store, "mine")

    assert in_forked_child(use) == "the child's"


def test_a_child_may_delete_its_copy_and_start_again(store):
    """A deleted copy cannot be refreshed twice."""
    store.save("k", "text")

    def start_again() -> str:
        store.delete("k")
        return _saved_in_child(store, "k")

    assert in_forked_child(start_again) == "the child's"
    assert store.load("k") == "text"


def test_a_grandchild_cannot_use_the_texts_of_a_child(store):
    """Each fork makes copies again."""

    def fork_again() -> str:
        store.save("k", "the child's")
        return in_forked_child(lambda: _saved_in_child(store, "k"))

    assert in_forked_child(fork_again).startswith("StoreUnavailable: ")


def test_a_lock_held_at_the_fork_does_not_hang_the_child(store):
    """Its holder, another thread, does not exist in the child and cannot release it."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock("k", 1):
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        assert in_forked_child(lambda: _saved_in_child(store, "k")) == "the child's"
    finally:
        done.set()
        holder.join()


def test_the_threads_of_a_child_share_its_locks(store):
    """Threads that use the store for the first time at once get the same locks."""

    def count_in_threads() -> str:
        barrier, counted = threading.Barrier(8), []

        def count() -> None:
            barrier.wait()
            for _ in range(50):
                with store.lock("k", 10):
                    store.save("k", str(int(store.load("k") or "0") + 1))
            counted.append(1)

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return f"{len(counted)} {store.load('k')}"

    assert in_forked_child(count_in_threads) == "8 400"


def test_a_child_changes_nothing_in_its_parent(store):
    """The parent keeps its lock and its sessions after a fork."""
    store.save("k", "text")
    in_forked_child(lambda: str(store.delete("k")))
    with store.lock("k", 1):
        store.save("k", "newer")
    assert store.load("k") == "newer"


def test_unused_locks_are_not_kept():
    """A service with many accounts must not keep a lock for each account that was ever used."""
    store = MemoryStore()
    for n in range(100):
        with store.lock(str(n), 1):
            pass
    assert len(store._current()._locks) == 0


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.01])
def test_a_lock_in_use_is_reported_with_its_key(store, timeout):
    """A negative timeout means no wait, not an endless one."""
    with store.lock("k", 0), pytest.raises(StoreLocked, match="'k'"), store.lock("k", timeout):
        pytest.fail("locked twice")


def test_an_endless_timeout_is_accepted(store):
    """``float('inf')`` must not overflow the platform's wait."""
    with store.lock("k", float("inf")):
        pass


def test_its_representation_shows_a_number():
    """The texts do not show."""
    store = MemoryStore()
    store.save("k", "marker-secret")
    assert repr(store) == "MemoryStore(<1 kept>)"


def test_quarantined_texts_are_all_kept(store):
    """Each goes to the next free number."""
    for text in ("first", "second"):
        store.save("k", text)
        store.quarantine("k")
    assert [store.load(f"k.corrupt-{n}") for n in (1, 2)] == ["first", "second"]


def test_a_refused_save_shows_no_text(store):
    """The locals of a traceback must not show a token."""
    store.save("k", "text")
    store._current().inherited.add("k")
    with pytest.raises(StoreUnavailable) as caught:
        store.save("k", "marker-secret")
    assert not any("marker-secret" in repr(entry.frame.f_locals) for entry in caught.traceback[1:])

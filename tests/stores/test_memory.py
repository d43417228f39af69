"""MemoryStore: threads exclude each other, and a forked child cannot spend what it inherited."""

import threading

import pytest

from hellojohn._errors import StoreLocked, StoreUnavailable
from hellojohn.stores import MemoryStore, TokenStore
from hellojohn.testing._in_process_contract import InProcessStoreContract
from tests.stores.forking import in_forked_child


@pytest.fixture
def store() -> TokenStore:
    """Return a fresh store."""
    return MemoryStore()


class TestMemoryStore(InProcessStoreContract):
    """It keeps the contract among threads."""

    @pytest.fixture(autouse=True)
    def _one_store(self) -> None:
        self.store = MemoryStore()

    def make_store(self) -> TokenStore:
        """Return the one store: its storage is itself."""
        return self.store


def _saved_in_child(store: TokenStore, key: str) -> str:
    with store.lock(key, 1):
        store.save(key, "the child's")
    return store.load(key) or ""


def test_a_forked_child_reads_what_it_inherited(store):
    """Reading a copy harms nobody."""
    store.save("k", "text")
    assert in_forked_child(lambda: store.load("k") or "nothing") == "text"


def test_a_forked_child_cannot_lock_what_it_inherited(store):
    """Two processes would refresh one session from two copies, and the server would close it as stolen."""
    store.save("k", "text")
    outcome = in_forked_child(lambda: _saved_in_child(store, "k"))
    assert outcome.startswith("StoreUnavailable: ")
    assert "FileStore" in outcome
    assert "new client in the child" in outcome


def test_a_forked_child_cannot_save_over_what_it_inherited_even_inside_an_inherited_lock(store):
    """A fork in the middle of a refresh must not give the child's copy a life of its own."""
    store.save("k", "text")
    with store.lock("k", 1):
        outcome = in_forked_child(lambda: str(store.save("k", "the child's")))
    assert outcome.startswith("StoreUnavailable: ")


def test_a_forked_child_cannot_quarantine_what_it_inherited(store):
    """Setting aside frees the key, which would make the copy usable."""
    store.save("k", "text")
    assert in_forked_child(lambda: str(store.quarantine("k"))).startswith("StoreUnavailable: ")


def test_a_forked_child_uses_keys_of_its_own(store):
    """Only the inherited sessions are refused."""
    store.save("k", "text")
    assert in_forked_child(lambda: _saved_in_child(store, "mine")) == "the child's"


def test_a_forked_child_may_delete_its_copy_and_start_afresh(store):
    """A deleted copy cannot be refreshed twice."""
    store.save("k", "text")

    def afresh() -> str:
        store.delete("k")
        return _saved_in_child(store, "k")

    assert in_forked_child(afresh) == "the child's"
    assert store.load("k") == "text"


def test_a_lock_held_by_another_thread_at_the_fork_does_not_hang_the_child(store):
    """The holder does not exist in the child, so nobody would ever release it."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock("k", 1), store._guard:
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


def test_the_parent_keeps_its_lock_and_its_sessions_after_a_fork(store):
    """What the child does stays in the child."""
    store.save("k", "text")
    in_forked_child(lambda: str(store.delete("k")))
    with store.lock("k", 1):
        store.save("k", "newer")
    assert store.load("k") == "newer"


def test_locks_do_not_pile_up():
    """A service with many accounts must not keep a lock for each that ever was."""
    store = MemoryStore()
    for n in range(100):
        with store.lock(str(n), 1):
            pass
    assert len(store._locks) == 0


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.01])
def test_a_lock_that_stays_taken_is_reported_with_its_key(store, timeout):
    """A negative timeout means not at all, never forever."""
    with store.lock("k", 0), pytest.raises(StoreLocked, match="'k'"), store.lock("k", timeout):
        pytest.fail("locked twice")


def test_an_endless_timeout_is_accepted(store):
    """``float('inf')`` must not overflow the platform's wait."""
    with store.lock("k", float("inf")):
        pass


def test_no_text_shows(store):
    """A store ends up in debuggers and logs."""
    store.save("k", "marker-secret")
    assert "marker-secret" not in f"{store!r} {vars(store)}"
    assert repr(store) == "MemoryStore(<1 kept>)"


def test_texts_quarantine_never_overwrite_each_other(store):
    """Each is kept under the next free number."""
    for text in ("first", "second"):
        store.save("k", text)
        store.quarantine("k")
    assert [store.load(f"k.corrupt-{n}") for n in (1, 2)] == ["first", "second"]


def test_an_error_of_save_holds_no_text(store):
    """A traceback's locals must not show a token."""
    store.save("k", "text")
    store._disinherit()
    with pytest.raises(StoreUnavailable) as caught:
        store.save("k", "marker-secret")
    frame = caught.traceback[-2].frame
    assert "marker-secret" not in repr(frame.f_locals)

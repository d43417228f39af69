"""The place of an account in a store whose lock brings the text along, as a server's does."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from hellojohn import StoreLocked
from hellojohn._session.conflicts import Bringing
from hellojohn._session.tasks import locked
from hellojohn.stores import MemoryStore
from tests.fake_stores import LeasedStore
from tests.session.bench import KEY, Bench, a_record, another_session


class Value:
    """The text as it was when the lock was taken; after that, as it is."""

    def __init__(self, store: "FusedStore", key: str) -> None:
        self._store = store
        self._key = key
        self._first = [store.load(key)]

    def load(self) -> str | None:
        """Return the text."""
        return self._first.pop() if self._first else self._store.load(self._key)

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Save it."""
        self._store.releases.append(release)
        self._store.save(self._key, text, expires_in=expires_in)


class FusedStore(MemoryStore):
    """A store whose lock returns the locked value.

    Attributes:
        releases: For each save under the lock, whether it was to give the lock back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.releases: list[bool] = []

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[Value]:  # type: ignore[override]
        """Lock."""
        with super().lock(key, timeout):
            yield Value(self, key)


def test_text_that_came_with_the_lock_is_used() -> None:
    """The first read under a lock costs no call of the store."""
    bench = Bench(store=FusedStore())
    bench.put(a_record())
    with locked(bench.account, 1.0) as place:
        bench.put(another_session())
        assert place.load() == a_record()
        assert place.load() == another_session()


def test_text_from_before_a_shared_write_is_not_used() -> None:
    """A sign-in saves under a lock that it shares: the holder neither uses nor quarantines the older text."""
    bench = Bench(store=FusedStore())
    bench.put_text("{")
    with locked(bench.account, 1.0) as place:
        turn = bench.account.ask_to_sign_in()
        with locked(bench.account, 0.0, shared=True) as shared, turn.writing():
            shared.replace(another_session(), Bringing.SIGN_IN)
        assert place.load() == another_session()
    assert bench.stored() == another_session()
    assert bench.store.load(f"{KEY}.corrupt-1") == "{"


def test_lock_is_kept_for_those_who_share_it() -> None:
    """A refresh gives its lock back only when the sign-in that shares it has written."""
    bench, holding, shared, may_write = Bench(), Event(), Event(), Event()
    bench.put(a_record())

    def refresh() -> None:
        with locked(bench.account, 1.0):
            holding.set()
            shared.wait()

    def sign_in() -> None:
        turn = bench.account.ask_to_sign_in()
        with locked(bench.account, 0.0, shared=True) as place, turn.writing():
            shared.set()
            may_write.wait()
            place.replace(another_session(), Bringing.SIGN_IN)

    refreshing, signing_in = Thread(target=refresh), Thread(target=sign_in)
    refreshing.start()
    holding.wait()
    signing_in.start()
    refreshing.join(0.2)
    assert refreshing.is_alive()
    with pytest.raises(StoreLocked), bench.engine.context.storage.locked(KEY, 0.0):
        pass
    may_write.set()
    refreshing.join()
    signing_in.join()
    assert bench.stored() == another_session()


def test_shared_lock_is_not_released_by_a_save() -> None:
    """The last save of a refresh leaves the lock to the operation that shares it; alone, it gives it back."""
    store = FusedStore()
    bench = Bench(store=store)
    bench.put(a_record())
    with locked(bench.account, 1.0) as place:
        with locked(bench.account, 0.0, shared=True):
            place.save(a_record(), last=True)
        place.save(a_record(), last=True)
        with pytest.raises(StoreLocked), locked(bench.account, 0.0, shared=True):
            pass
    assert store.releases == [False, True]


@pytest.mark.parametrize("clock", ["wall", "elapsed"])
def test_lease_that_may_be_over_is_not_shared(clock: str) -> None:
    """After a suspension, whichever clock went on, another process may have the lock: nobody shares it.

    The answer to a lock may come a sixth of the lease late, so the last sixth counts as over.
    """
    bench = Bench(store=LeasedStore(lease=30.0))
    with locked(bench.account, 1.0):
        setattr(bench.time, clock, getattr(bench.time, clock) + 24)
        with locked(bench.account, 0.0, shared=True):
            pass
        setattr(bench.time, clock, getattr(bench.time, clock) + 1)
        with pytest.raises(StoreLocked), locked(bench.account, 0.0, shared=True):
            pass


def test_nothing_is_written_under_a_shared_lease_that_is_over() -> None:
    """A process that is suspended between the sharing and the write neither saves nor removes a session."""
    bench = Bench(store=LeasedStore(lease=30.0))
    bench.put(a_record())
    with locked(bench.account, 1.0), locked(bench.account, 0.0, shared=True) as place:
        place.load()
        bench.time.wall += 25
        with pytest.raises(StoreLocked):
            place.save(another_session())
        with pytest.raises(StoreLocked):
            place.delete()
    assert bench.stored() == a_record()

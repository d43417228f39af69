"""Records in a store: errors of a store, quarantine, and how long a lock is trusted."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Self, cast

import pytest

from hellojohn._clock import Timing
from hellojohn._errors import StoreCorrupt, StoreError, StoreLocked, StoreUnavailable
from hellojohn._session.conflicts import Bringing
from hellojohn._session.failures import fresh_copy, guarded
from hellojohn._session.record_format import dump
from hellojohn._session.storage import SessionStorage
from hellojohn.stores import MemoryStore
from tests.fake_stores import LeasedStore
from tests.session.bench import API, KEY, START, TENANT, VirtualTime, a_record


class OwnError(StoreError):
    """An app's own error with a required argument, which copying cannot call."""

    def __init__(self, shelf: int) -> None:
        super().__init__(f"Shelf {shelf} is locked.")
        self.shelf = shelf


def storage(store: Any, time: VirtualTime | None = None) -> SessionStorage:
    """Return the sessions of one tenant in a store."""
    time = time or VirtualTime()
    timing = Timing(lambda: time.wall, lambda: time.elapsed, time.sleep)
    return SessionStorage(store, api_url=API, tenant_id=TENANT, timing=timing)


class SlottedError(StoreError):
    """An app's own error that keeps a value outside of its dictionary."""

    __slots__ = ("shelf",)

    def __init__(self, shelf: int) -> None:
        super().__init__("It is locked.")
        self.shelf = shelf


class DiskError(StoreError):
    """An app's own error that is made as one of the system."""

    def __init__(self, number: int, what: str) -> None:
        OSError.__init__(self, number, what, "/data/sessions")


class NamedError(StoreError):
    """An app's own error whose ``__new__`` takes an argument by its name only."""

    def __new__(cls, *, name: str) -> Self:
        """Make one."""
        return super().__new__(cls, name)

    def __init__(self, *, name: str) -> None:
        super().__init__(name)


class UnreadableError(StoreLocked):
    """An app's own error that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


class Unreadable:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError


def raised(error: StoreError) -> Any:
    """Return the error that comes out when a store raises one."""
    with pytest.raises(StoreError) as caught:
        guarded("load", lambda: (_ for _ in ()).throw(error))
    return caught.value


def test_a_stores_own_error_arrives_as_it_was_raised() -> None:
    """Each caller gets a copy of an app's own StoreError, without the frames of the other callers."""
    error = raised(OwnError(7))
    copies = [fresh_copy(error) for _ in range(2)]
    assert len({id(one) for one in (error, *copies)}) == 3
    assert {(type(one), one.shelf, str(one)) for one in copies} == {(OwnError, 7, "Shelf 7 is locked.")}


def test_notes_of_one_caller_are_not_anothers() -> None:
    """A note of the store reaches all callers, and what a caller adds to its copy stays there."""
    error = StoreError("It is away.")
    error.add_note("shard 7")
    one, other = (fresh_copy(error) for _ in range(2))
    one.add_note("while saving")
    assert (one.__notes__, other.__notes__) == (["shard 7", "while saving"], ["shard 7"])


@pytest.mark.parametrize(
    "make",
    [lambda: NamedError(name="disk"), lambda: SlottedError(7), lambda: DiskError(28, "full"), KeyError],
)
def test_error_that_cannot_be_copied_arrives_nevertheless(make: Callable[[], Exception]) -> None:
    """The class of an app's own error may not allow a copy, and a copy must lose nothing."""
    error = make()
    assert fresh_copy(error) is error


@pytest.mark.parametrize(
    "error", [UnreadableError(), StoreLocked(cast("str", Unreadable()))], ids=["itself", "argument"]
)
def test_error_that_cannot_be_shown_is_replaced(error: StoreError) -> None:
    """Nobody can tell whether it holds a token. One of its kind takes its place."""
    assert type(raised(error)) is StoreLocked
    assert str(raised(error)).endswith("that cannot be shown. Its __str__ must not raise.")


def test_record_of_another_key_stays_where_it_is() -> None:
    """An error that is replaced still says that the text is not damaged."""
    error = StoreCorrupt("access_token", readable_elsewhere=True)
    assert raised(error).readable_elsewhere
    assert "access_token" not in str(raised(error))


def test_other_exceptions_become_store_errors() -> None:
    """An exception other than a StoreError is reported with its class and place, without its words."""

    def broken() -> None:
        raise ValueError("rt_secret")

    with pytest.raises(
        StoreUnavailable, match=r"load\(\) raised ValueError \(test_storage.py:\d+\)"
    ) as caught:
        guarded("load", broken)
    assert "rt_secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_store_error_with_a_token_is_replaced() -> None:
    """A store error that repeats a record is replaced by one of its kind without it."""
    with pytest.raises(StoreLocked) as caught:
        guarded("save", lambda: (_ for _ in ()).throw(StoreLocked(dump(a_record()).reveal())))
    assert "rt_1" not in str(caught.value)


@pytest.mark.parametrize(
    ("lease", "refresh", "wait"), [(30.0, 20.0, 35.0), (15.0, 10.0, 20.0), (3.0, 2.0, 8.0)]
)
def test_times_of_a_lease(lease: float, refresh: float, wait: float) -> None:
    """A refresh ends well before the lease, and waiting for the lock outlasts a dead holder's lease."""
    it = storage(LeasedStore(lease=lease))
    assert (it.leased, it.refresh_time, it.lock_wait) == (True, refresh, wait)


def test_times_of_an_ordinary_lock() -> None:
    """Without a lease a refresh has 20 seconds, and waiting for the lock outlasts it."""
    it = storage(MemoryStore())
    assert (it.leased, it.refresh_time, it.lock_wait) == (False, 20.0, 25.0)
    with it.locked(KEY) as locked:
        assert locked.time_left() == math.inf


@pytest.mark.parametrize("clock", ["wall", "elapsed"])
def test_lease_counts_by_both_clocks(clock: str) -> None:
    """A lease goes on while the process is suspended, and one of the clocks may have stopped."""
    time = VirtualTime()
    with storage(LeasedStore(lease=30), time).locked(KEY) as locked:
        setattr(time, clock, getattr(time, clock) + 15)
        assert locked.time_left() == 5


def test_lock_that_was_lost_does_not_undo_a_save(caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails to release its lock is logged, and the work under it counts."""

    class Losing(MemoryStore):
        def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
            class Lock:
                def __enter__(self) -> None:
                    """Lock."""

                def __exit__(self, *_: object) -> None:
                    raise StoreLocked("lost")

            return Lock()

    it = storage(store := Losing())
    with it.locked(KEY) as locked:
        locked.save(a_record())
    assert store.load(KEY) is not None
    assert "did not release" in caplog.text


def test_records_expire_with_their_sessions() -> None:
    """A store that forgets keeps a record for a day after the session's end, or after its latest end."""
    it = storage(MemoryStore())
    assert it.life(a_record()) == 401 * 86_400
    assert it.life(a_record(duration=100.0)) == 86_500
    assert it.life(a_record(server_ends_at=START + 100)) == 86_500
    assert it.life(a_record(server_ends_at=START - 100)) == 86_400


def test_quarantine_keeps_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """A damaged text is moved, not dropped, and the log says where to, once."""
    store = MemoryStore()
    store.save(KEY, "{")
    with storage(store).locked(KEY) as locked:
        assert locked.load() is None
        assert "corrupt-1. Sign in again." in str(locked.report)
        assert locked.load() is None
    assert store.load(f"{KEY}.corrupt-1") == "{"
    assert len(caplog.records) == 1


def test_replace_over_a_damaged_text() -> None:
    """A session is saved in the place of a text that was damaged under the same lock."""
    store = MemoryStore()
    store.save(KEY, "{")
    it = storage(store)
    with it.locked(KEY) as locked:
        assert locked.replace(a_record(generation=2), Bringing.UNSAVED_COPY).saved
    assert it.peek(KEY) == a_record(generation=2)


def test_peek_changes_nothing() -> None:
    """The doctor reads a damaged text without moving it."""
    store = MemoryStore()
    store.save(KEY, "{")
    with pytest.raises(StoreCorrupt):
        storage(store).peek(KEY)
    assert store.load(KEY) == "{"


def test_four_methods_are_enough() -> None:
    """A store that has only the four methods of the protocol works, with its own quarantine missing."""

    class Minimal:
        def __init__(self) -> None:
            self.texts: dict[str, str] = {}
            self._memory = MemoryStore()

        def load(self, key: str) -> str | None:
            return self.texts.get(key)

        def save(self, key: str, text: str) -> None:
            self.texts[key] = text

        def delete(self, key: str) -> None:
            self.texts.pop(key, None)

        def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
            return self._memory.lock(key, timeout)

    store = Minimal()
    it = storage(store)
    store.texts[KEY] = "junk"
    with it.locked(KEY) as locked:
        assert locked.load() is None
        locked.save(a_record())
    assert it.peek(KEY) == a_record()
    assert store.texts[f"{KEY}.corrupt-1"] == "junk"

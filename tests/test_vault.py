"""The vault: the only caller of a store, and the only one who lets its errors out."""

import logging
import math
import threading
from contextlib import contextmanager

import pytest

from hellojohn._errors import StoreCorrupt, StoreError, StoreLocked, StoreUnavailable
from hellojohn._record import SetAside
from hellojohn._secret import Secret
from hellojohn._clock import Timing
from hellojohn._vault import Vault
from hellojohn.stores import MemoryStore
from tests.engine.rig import API, KEY, START, TENANT, FlakyStore, VirtualTime, a_record

MARKER = "marker-secret"


def _timing(time: VirtualTime) -> Timing:
    return Timing(clock=time, monotonic=time, sleep=time.sleep)


def _vault(store: object, time: VirtualTime | None = None) -> Vault:
    return Vault(store, api_url=API, tenant_id=TENANT, timing=_timing(time or VirtualTime()))


class Noting(MemoryStore):
    """A store that notes for how long it was asked to keep what."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[float | None] = []

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Note and save."""
        self.kept.append(expires_in)
        super().save(key, text)


def test_a_record_is_written_under_the_lock_and_read_without():
    """A first look costs no lock."""
    vault = _vault(MemoryStore())
    assert vault.load(KEY) is None
    with vault.locked(KEY) as held:
        assert held.load() is None
        held.save(a_record())
        assert held.load() == vault.load(KEY) == a_record()
        held.delete()
    assert vault.load(KEY) is None


@pytest.mark.parametrize(
    ("ends", "now", "kept"),
    [
        ({}, START, None),
        ({"ends_at": START + 100}, START, 100 + 86_400),
        ({"ends_at": START + 100, "deadline": START + 50.5}, START, 51 + 86_400),
        ({"ends_at": START + 100}, START + 500, 86_400),
        ({"ends_at": START + 100}, math.nan, 86_400),
        ({"ends_at": START + 100}, math.inf, 86_400),
        ({"ends_at": START + 100}, -1e300, START + 100 + 86_400),
    ],
)
def test_a_store_is_told_for_how_long_to_keep_a_session(ends, now, kept):
    """Until a day after its end, so that a store can forget it; whatever the clock says."""
    store = Noting()
    with _vault(store, VirtualTime(now)).locked(KEY) as held:
        held.save(a_record(**ends))
    assert store.kept == [kept]


@pytest.mark.parametrize(
    ("lease", "refresh_time", "lock_wait"), [(None, 20.0, 25.0), (30.0, 20.0, 35.0), (15.0, 10.0, 20.0)]
)
def test_a_refresh_is_shorter_than_the_lease_of_the_lock_and_a_wait_is_longer(lease, refresh_time, lock_wait):
    """A lock that runs out during a refresh would let a second one begin."""
    store = MemoryStore()
    if lease is not None:
        store.lease = lease
    time = VirtualTime()
    vault = _vault(store, time)
    assert (vault.refresh_time, vault.lock_wait) == (refresh_time, lock_wait)
    with vault.locked(KEY) as held:
        assert held.time_left() == refresh_time
        time.sleep(7.0)
        assert held.time_left() == (refresh_time if lease is None else refresh_time - 7.0)


def test_the_lock_excludes_others_and_is_given_back_after_an_error():
    """What happens inside does not leave the session locked."""
    store = MemoryStore()

    def fail() -> None:
        with _vault(store).locked(KEY):
            with pytest.raises(StoreLocked), store.lock(KEY, 0):
                pass
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.lock(KEY, 0):
        pass


def test_a_lock_that_cannot_be_given_back_undoes_nothing(caplog):
    """It was lost in the meantime; what was saved under it is saved."""

    class Losing(MemoryStore):
        """Loses every lock."""

        @contextmanager
        def lock(self, key: str, timeout: float):
            """Lend a lock and lose it."""
            yield
            raise StoreLocked(f"lost {MARKER}")

    store = Losing()
    with caplog.at_level(logging.WARNING, "hellojohn"), _vault(store).locked(KEY) as held:
        held.save(a_record())
    assert _vault(store).load(KEY) == a_record()
    assert "StoreLocked" in caplog.text
    assert MARKER not in caplog.text


@pytest.mark.parametrize("method", ["load", "save", "delete", "lock"])
@pytest.mark.parametrize(
    "error", [RuntimeError(MARKER), OSError(28, MARKER), KeyError(MARKER), StopIteration()]
)
def test_whatever_a_store_raises_comes_out_as_a_store_error(method, error):
    """And without what it may carry: words, cause, context or frames."""
    store = FlakyStore()
    vault = _vault(store)
    store.fail(method, error)
    calls = {
        "load": lambda: vault.load(KEY),
        "save": lambda: vault.save(KEY, a_record()),
        "delete": lambda: vault.delete(KEY),
        "lock": lambda: vault.locked(KEY).__enter__(),
    }
    with pytest.raises(StoreUnavailable, match=rf"{method}\(\) raised {type(error).__name__}") as caught:
        calls[method]()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert MARKER not in str(caught.value)


def test_a_mistake_in_a_store_of_ones_own_can_be_found():
    """The file and the line hold no values, and say more than the kind of error."""

    class Mistaken(MemoryStore):
        def load(self, key):
            return {}[key]

    line = Mistaken.load.__code__.co_firstlineno + 1
    with pytest.raises(StoreUnavailable, match=rf"load\(\) raised KeyError \(test_vault.py:{line}\)"):
        _vault(Mistaken()).load(KEY)


def test_a_store_error_comes_out_as_it_is_and_without_its_past():
    """Its words are the store's advice; the frames it came through may hold a record."""
    store = FlakyStore()
    problem = StoreUnavailable("The disk is full: make room.")
    problem.__cause__ = RuntimeError(MARKER)
    store.fail("load", problem)
    with pytest.raises(StoreUnavailable, match="make room") as caught:
        _vault(store).load(KEY)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_what_is_not_ours_is_looked_at_again_under_the_lock_before_it_is_moved():
    """It may have been half written when it was read first."""
    store = MemoryStore()
    store.save(KEY, "{")
    vault = _vault(store)

    class Healing(MemoryStore):
        """Shows junk once, and a record from then on."""

        looks = 0

        def load(self, key: str) -> str | None:
            """Look."""
            self.looks += 1
            return "{" if self.looks == 1 else a_record().dumps()

    assert _vault(Healing()).load(KEY) == a_record()
    with pytest.raises(StoreCorrupt, match="set aside"):
        vault.load(KEY)
    assert store.load(KEY) is None


def test_threads_that_find_the_same_junk_set_it_aside_once():
    """The others find nothing any more."""
    store = MemoryStore()
    store.save(KEY, "{")
    vault, barrier, outcomes = _vault(store), threading.Barrier(8), []

    def look() -> None:
        barrier.wait(10)
        try:
            outcomes.append(vault.load(KEY))
        except StoreError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, outcomes)).count(str(SetAside)) == 1
    assert store.load(f"{KEY}.corrupt-1") == "{"
    assert store.load(f"{KEY}.corrupt-2") is None


def test_records_of_another_service_or_tenant_are_nobodys_here():
    """A refresh token goes to the service that issued it, and nowhere else."""
    store = MemoryStore()
    for foreign in (a_record(api_url="https://evil.example.com/v1"), a_record(tenant_id="tnt_2")):
        store.save(KEY, foreign.changed(refresh_token=Secret("rt_secret")).dumps())
        with pytest.raises(StoreCorrupt, match="another service or tenant") as caught:
            _vault(store).load(KEY)
        assert "rt_secret" not in str(caught.value)

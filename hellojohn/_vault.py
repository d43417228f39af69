"""Records in a store: encodes, decodes, checks whose they are, and sets aside what is not a record.

The only caller of a ``TokenStore``. Whatever a store raises leaves here as a ``StoreError``.
"""

import logging
import math
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePath
from typing import TypeVar

from hellojohn._errors import StoreCorrupt, StoreError, StoreLocked, StoreUnavailable
from hellojohn._record import NewerRecord, Record, SetAside
from hellojohn._secret import Secret
from hellojohn._timing import Timing, within_time
from hellojohn.stores._capabilities import describe, lease_of, quarantine, saver
from hellojohn.stores._protocol import TokenStore

T = TypeVar("T")
logger = logging.getLogger("hellojohn")

_KINDS = (StoreLocked, StoreCorrupt, StoreUnavailable, StoreError)
_KEPT_AFTER_END = 86_400.0
_LONGEST_REFRESH = 20.0
_SPARE = 5.0


class Vault:
    """The records of one service and tenant in one store.

    Attributes:
        refresh_time: Seconds that a refresh may take under the lock: less than the lease of the lock, if it
            is one.
        lock_wait: Seconds to wait for the lock: longer than a live holder needs, or a dead one's lease lasts.
        leased: Whether the lock is a lease, which its holder may lose.
    """

    def __init__(self, store: TokenStore, *, api_url: str, tenant_id: str, timing: Timing) -> None:
        """Look into ``store`` for sessions that ``api_url`` issued for ``tenant_id``."""
        self._store = store
        self._api_url = api_url
        self._tenant_id = tenant_id
        self.timing = timing
        self._save = saver(store)
        lease = lease_of(store) or math.inf
        self.refresh_time: float = min(_LONGEST_REFRESH, lease * 2 / 3)
        self.lock_wait: float = _SPARE + (_LONGEST_REFRESH if math.isinf(lease) else lease)
        self.leased: bool = math.isfinite(lease)

    def load(self, key: str) -> Record | None:
        """Read a record without a lock.

        Raises:
            StoreError: The store failed, or held something else, which was then set aside.
        """
        try:
            return self.read(key)
        except NewerRecord:
            raise
        except StoreCorrupt as error:
            if error.readable_elsewhere:
                raise
        with self.locked(key) as held:
            return held.load()

    @contextmanager
    def locked(self, key: str, patience: float = math.inf) -> "Generator[Held]":
        """Hold the store's lock for ``key``.

        Raises:
            StoreLocked: Somebody else held it for ``lock_wait`` seconds, or for ``patience`` if that is less.
            StoreError: The store failed.
        """
        wait = min(self.lock_wait, patience)
        lock = _guard("lock", lambda: _entered(self._store.lock(key, wait)))
        try:
            yield Held(self, key)
        finally:
            _release(lock)

    def delete(self, key: str) -> None:
        """Remove a record without a lock: for sign-out, when the lock cannot be had."""
        _guard("delete", lambda: self._store.delete(key))

    def save(self, key: str, record: Record) -> None:
        """Write a record. Call it through ``Held``."""
        over_at, left = record.over_at, None
        if over_at is not None:
            left = math.ceil(max(over_at - within_time(self.timing.clock()), 0.0) + _KEPT_AFTER_END)
        _guard("save", lambda: self._save(key, Secret(record.dumps()), left))

    def set_aside(self, key: str, problem: StoreCorrupt) -> SetAside:
        """Move what is under ``key`` out of the way, and say where to. Call it under the lock.

        Raises:
            StoreError: It was not moved: the store failed, or keeps it for whoever has the right key.
        """
        where = _guard("quarantine", lambda: quarantine(self._store, key))
        done = f"It was set aside as {where}" if where else "It is gone by now"
        logger.error("%s %s.", problem, done)
        return SetAside(f"{problem} {done}; sign in again.")

    def describe(self) -> Mapping[str, str]:
        """Return facts about the store, in words: its kind, and what it tells about itself."""
        kind = {"store": type(self._store).__name__}
        try:
            return _guard("describe", lambda: {**kind, **describe(self._store)})
        except StoreError as error:
            return {**kind, "advice": str(error)}

    def read(self, key: str) -> Record | None:
        """Read a record; raise ``StoreCorrupt`` at what is not one, and leave it there."""
        text = _guard("load", lambda: self._store.load(key))
        if text is None:
            return None
        record = Record.loads(text)
        if (record.api_url, record.tenant_id) != (self._api_url, self._tenant_id):
            raise StoreCorrupt("The stored session belongs to another service or tenant.")
        return record


class Held:
    """One key while its lock is held: the only way to write.

    Attributes:
        emptied: Whether what was there was set aside, and nothing has been saved since.
    """

    def __init__(self, vault: Vault, key: str) -> None:
        """Made by ``Vault.locked``, when the lock was had."""
        self._vault = vault
        self._key = key
        self._since = vault.timing.monotonic()
        self.emptied: bool = False

    def load(self) -> Record | None:
        """Read the record.

        Raises:
            SetAside: What was there is no record, and was set aside.
            StoreError: The store failed, or has a record that this side cannot read and leaves alone.
        """
        try:
            return self._vault.read(self._key)
        except NewerRecord:
            raise
        except StoreCorrupt as error:
            if error.readable_elsewhere:
                raise
            problem = StoreCorrupt(str(error))
        self.emptied = True  # if that fails, it may have been carried out all the same
        raise self._vault.set_aside(self._key, problem)

    def find(self) -> Record | None:
        """Read the record; what is none is set aside, and there is nothing then.

        Raises:
            StoreError: The store failed, or has a record that this side cannot read and leaves alone.
        """
        try:
            return self.load()
        except SetAside:
            return None

    @property
    def refresh_time(self) -> float:
        """Seconds that a refresh may take under a fresh lock."""
        return self._vault.refresh_time

    def time_left(self) -> float:
        """Return the seconds that a refresh may take from now on: a lease has run since the lock was had."""
        held_for = self._vault.timing.monotonic() - self._since if self.leased else 0.0
        return self.refresh_time - held_for

    @property
    def leased(self) -> bool:
        """Whether this lock may be lost while it is held."""
        return self._vault.leased

    def save(self, record: Record) -> None:
        """Write the record."""
        self._vault.save(self._key, record)
        self.emptied = False

    def delete(self) -> None:
        """Remove the record."""
        self._vault.delete(self._key)


def _entered(lock: AbstractContextManager[object]) -> AbstractContextManager[object]:
    lock.__enter__()
    return lock


def _release(lock: AbstractContextManager[object]) -> None:
    """Leave the lock; that it was lost in the meantime undoes nothing that was saved under it."""
    try:
        lock.__exit__(None, None, None)
    except Exception as error:  # noqa: BLE001 - a store is somebody's plug-in
        logger.warning("The token store's lock was not released cleanly (%s).", type(error).__name__)


def _guard(method: str, call: Callable[[], T]) -> T:
    """Let only store errors out, without the frames and locals that may hold a record."""
    try:
        return call()
    except StoreError as error:
        failure = _discreet(error.with_traceback(None))
    except Exception as error:  # noqa: BLE001 - a store is somebody's plug-in
        failure = StoreUnavailable(
            f"The token store's {method}() raised {type(error).__name__} ({_place_of(error)}): let it raise a"
            " StoreError."
        )
    failure.__cause__ = failure.__context__ = None
    raise failure


def _place_of(error: Exception) -> str:
    """Return the file and line that raised, which hold no values."""
    code = list(traceback.walk_tb(error.__traceback__))[-1]
    return f"{PurePath(code[0].f_code.co_filename).name}:{code[1]}"


def _discreet(error: StoreError) -> StoreError:
    """Return the error, or no more than its kind if the store repeats a record in it."""
    if "_token" not in repr((error.args, vars(error))):
        return error
    kind = next(kind for kind in _KINDS if isinstance(error, kind))
    return kind(
        f"The token store raised {type(error).__name__} with a session in it: let it say what failed."
    )

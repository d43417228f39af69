"""The public keys of one URL, for all threads, tasks and event loops of the process.

Readers look at one immutable snapshot and take no lock. A fetch runs on a worker thread and swaps the
snapshot by one assignment. The action of a caller depends on the snapshot's age and on the ``kid`` of its
token:

    snapshot                         known kid                         unknown kid
    -------------------------------  --------------------------------  ----------------------------------
    none, or past its hard life      wait for a fetch, at most 5 s     the same
    fresh (soft life, 30 to 300 s)   use the key                       wait for a fetch, at most 5 s
    stale                            use the key, and start a fetch    the same
    stale, after a quiet time        wait for a fetch, at most 250 ms  the same

All callers share one fetch, and waits count from its start. At most one fetch starts in 30 seconds.

A quiet time is longer than twice the soft life: without that wait, a key that was withdrawn in the night
would verify the first tokens of the morning. A fetch that fails leaves the old keys in use until their hard
life ends. One that succeeds replaces them, so that a withdrawn key goes.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from hellojohn._clock import Timing
from hellojohn._errors import ConfigurationError, HelloJohnError, KeysUnavailable, UnknownKey
from hellojohn._limits import (
    KEPT_KEYS_RENEWALS,
    KEY_FETCH_ABANDONED,
    KEY_FETCH_PAUSE,
    KEY_SOFT_LIFE,
    KEY_WAIT,
    LONGEST_KEY_FETCH_PAUSE,
    MOST_KEY_SETS,
    QUIET_KEY_WAIT,
)
from hellojohn._waiting import Flow, WaitFor
from hellojohn.stores._protocol import TokenStore
from hellojohn.verify._fetching import Fetch, FetchFailed, fetch_keys
from hellojohn.verify._flight import Flight
from hellojohn.verify._forks import watch_forks
from hellojohn.verify._jwks import Jwk, KeyDocument, VerificationKey
from hellojohn.verify._kept_keys import load_keys, save_keys
from hellojohn.verify._workers import FETCHERS

_NEVER = float("-inf")
_NO_THREAD = "no thread can be started"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where keys come from. Clients whose sources are equal share one key set.

    Attributes:
        url: The key document.
        fetch: Gets a URL.
        tenant_url: On v2, the document that names the tenant's UUID.
        max_age: The keys' hard life in seconds.
        cache: The store that keeps the last good keys.
    """

    url: str
    fetch: Fetch
    tenant_url: str | None = None
    max_age: float = 86_400.0
    cache: TokenStore | None = None


class Snapshot(NamedTuple):
    """The keys as of one moment. Times are by the monotonic clock."""

    keys: Mapping[str, VerificationKey]
    jwks: tuple[Jwk, ...]
    tenant_uuid: str | None
    fetched_at: float
    fresh_until: float
    usable_until: float
    soft_life: float


_NOTHING = Snapshot(MappingProxyType({}), (), None, _NEVER, _NEVER, _NEVER, KEY_SOFT_LIFE)


class KeySet:
    """See the module. Get one by ``key_set_of``."""

    def __init__(self, source: KeySource, timing: Timing) -> None:
        """Start without keys."""
        self._source = source
        self._timing = timing
        self._now = timing.monotonic
        self._snapshot = _NOTHING
        self._flight: Flight | None = None
        self._quiet_flight: Flight | None = None  # the fetch that ended a quiet time
        self._failure: HelloJohnError | None = None  # of the last fetch; None if it succeeded
        self._next_fetch_at = _NEVER
        self._used_at = _NEVER  # when stale keys were last used
        self._cache_read: Flight | None = None
        self._kept: tuple[float, object] = (_NEVER, None)  # when which keys were kept
        self._lock = threading.Lock()
        watch_forks(self, KeySet._restart)

    @property
    def tenant_uuid(self) -> str | None:
        """The tenant's UUID as the server (v2) names it, once keys were fetched."""
        return self._snapshot.tenant_uuid

    def ready(self, kid: str) -> VerificationKey | None:
        """Return a key that can be used at once; ``None`` sends the caller to ``find``. Takes no lock."""
        snapshot = self._snapshot
        return snapshot.keys.get(kid) if self._now() < snapshot.fresh_until else None

    def find(self, kid: str) -> Flow[VerificationKey]:
        """Return the key, waiting as the module's table says.

        Raises:
            UnknownKey: The published keys do not hold it, as of the last fetch, less than 30 s ago.
            KeysUnavailable: The keys cannot be fetched now.
            ConfigurationError: The settings or the installation keep keys from being fetched at all.
        """
        if self._is_cold():
            yield from self._read_cache()
        if self._is_cold():
            yield from self._fetched()
            if self._is_cold():
                raise self._unavailable()
        elif self._now() >= self._snapshot.fresh_until:
            yield from self._refreshed()
        flight = None
        if kid not in self._snapshot.keys:
            flight = yield from self._fetched()
        key = self._snapshot.keys.get(kid)
        if key is not None:
            return key
        if self._failure is not None or (flight is not None and not flight.done):
            raise self._unavailable()
        raise UnknownKey("No published key has signed the token.")

    def _is_cold(self) -> bool:
        return self._now() >= self._snapshot.usable_until

    def _fetched(self) -> Flow[Flight | None]:
        """Wait for the fetch that runs, or for a new one if one may start."""
        now = self._now()
        flight = self._fly(now)
        if flight is not None:
            yield WaitFor(flight, flight.started_at + KEY_WAIT - now)
        return flight

    def _refreshed(self) -> Flow[None]:
        """Fetch stale keys again. Only after a quiet time, wait for them."""
        now, snapshot = self._now(), self._snapshot
        quiet = now - max(self._used_at, snapshot.fetched_at) > 2 * snapshot.soft_life
        flight = self._fly(now, quiet=quiet)
        self._used_at = now
        # Every caller of the fetch's first 250 ms waits, not only the one who ended the quiet time.
        if flight is not None and flight is self._quiet_flight:
            yield WaitFor(flight, flight.started_at + QUIET_KEY_WAIT - now)

    def _fly(self, now: float, *, quiet: bool = False) -> Flight | None:
        """Return the fetch that runs, or start one; ``None`` if the last one is too recent."""
        flight = self._flight
        if flight is None or flight.done or now - flight.started_at > KEY_FETCH_ABANDONED:
            with self._lock:
                if self._flight is flight:  # else another caller has just started one
                    if now < self._next_fetch_at:
                        return None
                    self._next_fetch_at = now + KEY_FETCH_PAUSE
                    self._flight = Flight(partial(self._fetch, now), FETCHERS, started_at=now)
                    self._quiet_flight = self._flight if quiet else None
                flight = self._flight
        if flight is not None and not flight.begin() and flight.abort():
            self._failure = KeysUnavailable(_NO_THREAD)
            self._next_fetch_at = now  # the service was not asked
        return flight

    def _fetch(self, started_at: float) -> None:
        """Fetch, and swap the snapshot. Runs on a worker thread."""
        source, uuid = self._source, self._snapshot.tenant_uuid
        try:
            found = fetch_keys(source.fetch, source.url, source.tenant_url if uuid is None else None)
        except FetchFailed as error:
            if started_at > self._snapshot.fetched_at:  # else a later fetch was faster
                self._failure = KeysUnavailable(str(error))
            pause = min(max(error.retry_after, KEY_FETCH_PAUSE), LONGEST_KEY_FETCH_PAUSE)
            self._next_fetch_at = max(self._next_fetch_at, started_at + pause)
        except ConfigurationError as error:
            self._failure = ConfigurationError(str(error))
        else:
            self._replace(found.document, found.tenant_uuid or uuid, started_at, found.soft_life)
            self._failure = None
            if source.cache is not None:
                FETCHERS.submit(
                    partial(self._keep, source.cache)
                )  # after this flight: its callers do not wait for a store

    def _replace(
        self, document: KeyDocument, tenant_uuid: str | None, fetched_at: float, soft_life: float
    ) -> None:
        """Swap the snapshot, unless a later fetch was faster. Stale from the start with a soft life of 0."""
        usable_until = fetched_at + self._source.max_age
        fresh_until = min(fetched_at + soft_life, usable_until) if soft_life else _NEVER
        new = Snapshot(
            document.keys,
            document.jwks,
            tenant_uuid,
            fetched_at,
            fresh_until,
            usable_until,
            soft_life or KEY_SOFT_LIFE,
        )
        with self._lock:
            if fetched_at > self._snapshot.fetched_at:
                self._snapshot = new

    def _read_cache(self) -> Flow[None]:
        """Once, read the keys that were kept in the store, without waiting long for it."""
        cache = self._source.cache
        if cache is None or (self._cache_read is not None and self._cache_read.done):
            return
        now = self._now()
        with self._lock:
            if self._cache_read is None:
                self._cache_read = Flight(partial(self._load, cache), FETCHERS, started_at=now)
            flight = self._cache_read
        if flight.begin() or not flight.abort():
            yield WaitFor(flight, flight.started_at + QUIET_KEY_WAIT - now)

    def _load(self, cache: TokenStore) -> None:
        source, wall = self._source, self._timing.clock()
        kept = load_keys(cache, source.url, now=wall, max_age=source.max_age)
        if kept is not None:
            self._replace(kept.document, kept.tenant_uuid, self._now() - kept.age, 0.0)

    def _keep(self, cache: TokenStore) -> None:
        source, snapshot, now = self._source, self._snapshot, self._now()
        content = (snapshot.jwks, snapshot.tenant_uuid)
        kept_at, kept = self._kept
        if content == kept and now - kept_at < source.max_age / KEPT_KEYS_RENEWALS:
            return
        wall = self._timing.clock() - (now - snapshot.fetched_at)
        if save_keys(cache, source.url, *content, now=wall, max_age=source.max_age):
            self._kept = (now, content)

    def _unavailable(self) -> HelloJohnError:
        failure = self._failure
        if isinstance(failure, ConfigurationError):
            return ConfigurationError(str(failure))
        detail = "no answer yet" if failure is None else str(failure)
        return KeysUnavailable(
            f"Tokens cannot be verified now: the keys at {self._source.url} cannot be fetched ({detail})."
            " Answer 503 and try again later.",
            retry_after=max(self._next_fetch_at - self._now(), 0.0),
        )

    def _restart(self) -> None:
        """In a forked child: the snapshot is good, the parent's threads stayed behind."""
        self._lock = threading.Lock()
        if self._flight is not None and not self._flight.done:
            self._flight, self._next_fetch_at = None, _NEVER
        if self._cache_read is not None and not self._cache_read.done:
            self._cache_read = None


class _Registry:
    """The key sets of this process, by source."""

    def __init__(self) -> None:
        self._sets: dict[object, KeySet] = {}
        self._restart()
        watch_forks(self, _Registry._restart)

    def get(self, source: KeySource, timing: Timing) -> KeySet:
        key = (source.url, source.fetch, source.tenant_url, source.max_age, id(source.cache), timing)
        with self._lock:
            # The last one used goes to the end, so that the first one is the one to drop.
            found = self._sets.pop(key) if key in self._sets else KeySet(source, timing)
            self._sets[key] = found
            if len(self._sets) > MOST_KEY_SETS:
                del self._sets[next(iter(self._sets))]
        return found

    def _restart(self) -> None:
        self._lock = threading.Lock()


_registry = _Registry()


def key_set_of(source: KeySource, timing: Timing) -> KeySet:
    """Return the process's key set for a source, so that a new client starts with the keys that are there."""
    return _registry.get(source, timing)

"""The engine: the accounts of one client, and what happens when it closes or its process forks."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hellojohn._clock import Timing, unfailing
from hellojohn._config import Settings, check_account
from hellojohn._errors import HelloJohnError
from hellojohn._session.account import Account
from hellojohn._session.context import EngineContext
from hellojohn._session.devices import RememberedDevices
from hellojohn._session.events import Events
from hellojohn._session.exchange import Service
from hellojohn._session.flight import Flight
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import Refresher, TokenSource
from hellojohn._session.retry import Retrier
from hellojohn._session.storage import SessionStorage
from hellojohn._session.tasks import save_unsaved
from hellojohn._session.workers import WORKERS, WorkerPool
from hellojohn._wire import Answer, ApiRequest, Dialect
from hellojohn.stores._protocol import TokenStore


class Engine:
    """The accounts of one client. An account lives in memory only while something uses it."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: TokenStore,
        dialect: Dialect,
        send: Callable[[ApiRequest, float], Answer],
        load: Callable[[], None],
        source: Callable[[Service, Timing], TokenSource] | None = None,
        timing: Timing | None = None,
        workers: WorkerPool = WORKERS,
    ) -> None:
        """Connect the parts. Nothing is read or sent yet.

        Args:
            settings: The client's settings.
            store: Where sessions are kept.
            dialect: How to speak to the service.
            send: Sends one request within so many seconds.
            load: Loads and opens what ``send`` and ``dialect`` need.
            source: Makes what brings the next token of an account; by default, its refresh token does.
            timing: The clocks; by default the client's wall clock and the real monotonic one.
            workers: The threads.
        """
        timing = timing or Timing(clock=unfailing(settings.clock))
        storage = SessionStorage(store, api_url=settings.api_url, tenant_id=settings.tenant_id, timing=timing)
        service = Service(dialect, send, load, Retrier(timing), self._time_left)
        idle = None if settings.idle_timeout is None else settings.idle_timeout.total_seconds()
        self._place = settings.place
        self._lock = threading.RLock()  # a signal handler or a __del__ may close the client while it is held
        self._accounts: weakref.WeakValueDictionary[str, Account] = weakref.WeakValueDictionary()
        self.events = Events(workers)
        self.context = EngineContext(
            api_url=settings.api_url,
            tenant_id=settings.tenant_id,
            storage=storage,
            devices=RememberedDevices(store),
            service=service,
            source=(
                Refresher(service, storage, self._snapshot, idle if dialect.ends_idle_sessions else None)
                if source is None
                else source(service, timing)
            ),
            events=self.events,
            workers=workers,
            clock=settings.clock,
            idle_timeout=idle,
            background_refresh=settings.background_refresh,
        )
        _ENGINES.add(self)

    def account(self, name: str) -> Account:
        """Return the account of that name: the same one for as long as anything holds it.

        Raises:
            ConfigurationError: The name is not usable, or the client was closed.
        """
        name = check_account(name)
        with self._lock:
            self.context.check_open()
            account = self._accounts.get(name)
            if account is None:
                account = Account(name, f"{name}{self._place}", self.context)
                self._accounts[name] = account
            return account

    def refuse_work(self) -> float:
        """Refuse new work from now on; return when ``close`` stops waiting, by the monotonic clock."""
        context = self.context
        context.closes_at = min(context.closes_at, time.monotonic() + context.storage.refresh_time)
        return context.closes_at

    def close(self) -> None:
        """Refuse new work, wait for what must be saved, for at most one refresh, and end the threads."""
        self.finish()
        self.context.workers.retire()

    def finish(self) -> None:
        """Do the same, but leave the threads, which all engines share."""
        context, ends_at = self.context, self.refuse_work()
        # One flight can begin another, such as a refresh that signs out the session it has replaced.
        while (flight := self._unfinished()) is not None and time.monotonic() < ends_at:
            flight.start(blocking=False)  # its caller may have been interrupted
            flight.wait(max(ends_at - time.monotonic(), 0.0))
        with self._lock:
            accounts = tuple(self._accounts.values())
        for account in accounts:
            if account in context.unsaved and (left := ends_at - time.monotonic()) > 0:
                self._save(account, left)
        for account in accounts:
            account.close()

    def _save(self, account: Account, left: float) -> None:
        """Save a session that only memory has, on a thread: a store may keep its caller longer than asked."""

        def save() -> None:
            with suppress(HelloJohnError):
                save_unsaved(account, left)

        flight = self.context.alone("save", save)
        flight.start(blocking=True)
        flight.wait(left)

    def _unfinished(self) -> Flight[Any] | None:
        return next(
            (it for it in tuple(self.context.flights) if it.must_finish and not (it.done or it.runs_here)),
            None,
        )

    def _time_left(self) -> float:
        return self.context.time_left()

    def _snapshot(self, record: SessionRecord) -> TokenSnapshot:
        return self.context.snapshot(record)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, what only the parent's threads can finish."""
        self._lock = threading.RLock()
        self.context.workers.reset()
        self.events.reset()
        self.context.flights.clear()
        for account in tuple(self._accounts.values()):
            account.reset()


def _reset_after_fork() -> None:
    for engine in tuple(_ENGINES):
        engine.reset_after_fork()


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)

"""The engine: the accounts of one client and what they share. Knows no httpx and no transport.

An account lives in memory while somebody uses it; an idle one costs nothing, its session is in the store.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

from hellojohn._account import Account
from hellojohn._config import Settings, check_account
from hellojohn._errors import StoreError
from hellojohn._events import Events
from hellojohn._owner import OWNER, Owner
from hellojohn._refresh import Refresher
from hellojohn._services import Services
from hellojohn._timing import Timing
from hellojohn._vault import Vault
from hellojohn._wire import Answer, ApiRequest, Dialect
from hellojohn.stores._protocol import TokenStore

Send = Callable[[ApiRequest, float], Answer]


class Engine:
    """The accounts of one client."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: TokenStore,
        dialect: Dialect,
        send: Send,
        after_fork: Callable[[], None],
        timing: Timing | None = None,
        owner: Owner = OWNER,
    ) -> None:
        """Put the parts together; nothing is read or sent yet.

        Args:
            settings: What the client was told.
            store: Where sessions are kept.
            dialect: How to speak to the service.
            send: Sends one call with so many seconds to spare; never raises for a network.
            after_fork: Makes ``send`` fit for a forked child.
            timing: How operations measure and spend time; the settings' clock and the real one if not given.
            owner: Whose threads carry operations out.
        """
        self._place = settings.place
        idle = settings.idle_timeout
        timing = timing or Timing(clock=settings.clock)
        self._after_fork = after_fork
        idle_timeout = None if idle is None else idle.total_seconds()
        vault = Vault(store, api_url=settings.api_url, tenant_id=settings.tenant_id, timing=timing)
        self.events = Events()
        self.services = Services(
            api_url=settings.api_url,
            tenant_id=settings.tenant_id,
            vault=vault,
            dialect=dialect,
            send=send,
            refresher=Refresher(dialect, send, timing, idle_timeout, self._time_left),
            events=self.events,
            clock=settings.clock,
            idle_timeout=idle_timeout,
            background_refresh=settings.background_refresh,
            owner=owner,
        )
        self._accounts: weakref.WeakValueDictionary[str, Account] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        _ENGINES.add(self)

    def account(self, name: str) -> Account:
        """Return the account of that name: the same one for as long as anybody holds it."""
        check_account(name)
        with self._lock:
            account = self._accounts.get(name)
            if account is None:
                key = f"{name}{self._place}"
                account = self._accounts[name] = Account(name, key, self.services)
            return account

    def close(self) -> None:
        """Take nothing new on, and let what is under way be stored; as long as one refresh at most."""
        services = self.services
        services.closes_at = ends_at = min(services.closes_at, time.monotonic() + services.vault.refresh_time)
        for flight in tuple(services.flights):
            with suppress(TimeoutError):
                flight.landed.result(max(ends_at - time.monotonic(), 0.0))
        for account in tuple(services.unsaved):
            if (left := ends_at - time.monotonic()) > 0:
                with suppress(StoreError):
                    account.save(left)

    def _time_left(self) -> float:
        return self.services.time_left()

    def reset_after_fork(self) -> None:
        """Forget what only the parent's threads can finish."""
        self._lock = threading.Lock()
        self._after_fork()
        self.events.reset()
        self.services.flights.clear()
        for account in tuple(self._accounts.values()):
            account.reset()


def _reset_engines() -> None:
    for engine in tuple(_ENGINES):
        engine.reset_after_fork()


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_engines)

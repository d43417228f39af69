"""What all accounts of one client share."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hellojohn._clock import Clock
from hellojohn._errors import ConfigurationError
from hellojohn._limits import REVOKE_DEADLINE
from hellojohn._session.devices import RememberedDevices
from hellojohn._session.endings import CLOSED
from hellojohn._session.events import Events
from hellojohn._session.exchange import Service
from hellojohn._session.flight import Flight, Kind, Result
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import TokenSource
from hellojohn._session.storage import SessionStorage
from hellojohn._session.workers import WorkerPool


@dataclass(slots=True, kw_only=True, eq=False)
class EngineContext:
    """What all accounts of one client share.

    Attributes:
        api_url: The service.
        tenant_id: The tenant.
        storage: The sessions.
        devices: The tokens of remembered devices.
        service: The auth service.
        source: Where the next token of an account comes from.
        events: The queue of events.
        workers: The threads.
        clock: The wall clock.
        idle_timeout: The tenant's idle timeout in seconds, if it is known.
        background_refresh: Whether to refresh before a caller has to wait.
        flights: The operations under way, in the order of their beginning.
        unsaved: The accounts whose session is in memory only, which must stay in memory.
        closes_at: When a closing client stops waiting, by the monotonic clock.
    """

    api_url: str
    tenant_id: str
    storage: SessionStorage
    devices: RememberedDevices
    service: Service
    source: TokenSource
    events: Events
    workers: WorkerPool
    clock: Clock
    idle_timeout: float | None
    background_refresh: bool
    flights: dict[Flight[Any], None] = field(default_factory=dict["Flight[Any]", None])
    unsaved: dict[object, None] = field(default_factory=dict[object, None])
    closes_at: float = math.inf

    @property
    def closing(self) -> bool:
        """Whether the client was closed or is being closed."""
        return self.closes_at < math.inf

    def check_open(self) -> None:
        """Refuse any use of a closed client.

        Raises:
            ConfigurationError: The client was closed.
        """
        if self.closes_at < math.inf:
            raise ConfigurationError(CLOSED)

    @property
    def ends_idle(self) -> bool:
        """Whether the client ends idle sessions, because the server does not."""
        return self.idle_timeout is not None and not self.service.dialect.ends_idle_sessions

    def time_left(self) -> float:
        """Return the seconds until the client or the program ends; infinity if neither is ending."""
        return min(self.closes_at, self.workers.exits_at) - time.monotonic()

    def snapshot(self, record: SessionRecord, *, unsaved: bool = False) -> TokenSnapshot:
        """Compute when the state of a record changes."""
        return TokenSnapshot(
            record,
            idle_timeout=self.idle_timeout,
            background=self.background_refresh,
            ends_idle=self.ends_idle,
            unsaved=unsaved,
        )

    def note_unsaved(self, account: object, *, unsaved: bool) -> None:
        """Note whether an account's session is in memory only."""
        if unsaved:
            self.unsaved[account] = None
        else:
            self.unsaved.pop(account, None)

    def not_signed_in(self, name: str) -> str:
        """Return the message for an account without a session: where it was looked for, and the fix."""
        return f"No user is signed in as {name!r} (tenant {self.tenant_id} at {self.api_url}). Call sign_in."

    def revoke(self, record: SessionRecord | None) -> None:
        """Sign a session out at the service that the client has dropped.

        Nothing waits for it but ``close``.
        """
        if record is None:
            return
        request = self.service.dialect.sign_out(record.refresh_token, record.access_token, everywhere=False)
        self.alone("revoke", lambda: self.service.send(request, REVOKE_DEADLINE)).start(blocking=False)

    def alone(self, kind: Kind, work: Callable[[], object]) -> Flight[None]:
        """Return a flight beside the single flight of an account, for work whose result nobody gets."""

        def run(flight: Flight[None]) -> None:
            try:
                work()
            finally:
                flight.land(Result())

        return Flight(run, kind, self.workers, self.flights)

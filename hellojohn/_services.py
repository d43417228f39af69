"""What all accounts of one client share."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hellojohn._events import Events
from hellojohn._flight import Flight
from hellojohn._models import Clock
from hellojohn._owner import Owner
from hellojohn._record import Record
from hellojohn._refresh import Refresher
from hellojohn._vault import Vault
from hellojohn.wire import Answer, Call, Dialect

_GOODBYE_DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Services:
    """What all accounts of one client share."""

    api_url: str
    tenant_id: str
    vault: Vault
    dialect: Dialect
    send: Callable[[Call, float], Answer]
    refresher: Refresher
    events: Events
    clock: Clock
    idle_timeout: float | None
    background_refresh: bool
    owner: Owner
    flights: set[Flight] = field(default_factory=set[Flight])
    unsaved: set[object] = field(default_factory=set[object])
    """The accounts whose session is in memory only: nobody else may hold them."""
    closed: threading.Event = field(default_factory=threading.Event)

    def say_goodbye(self, record: Record) -> None:
        """Sign a session out at the service, best effort: here it is gone already."""
        call = self.dialect.sign_out(record.refresh_token, record.access_token, everywhere=False)
        self.send(call, _GOODBYE_DEADLINE)

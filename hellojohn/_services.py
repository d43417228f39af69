"""What all accounts of one client share."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hellojohn._events import Events
from hellojohn._flight import Flight
from hellojohn._models import Clock
from hellojohn._owner import Owner
from hellojohn._record import Record
from hellojohn._refresh import Refresher
from hellojohn._vault import Vault
from hellojohn._wire import Answer, ApiRequest, Dialect

_GOODBYE_DEADLINE = 5.0


class _Unsaved(Protocol):
    """An account whose session is in memory only."""

    def save(self, patience: float) -> object: ...


@dataclass(slots=True)
class Services:
    """What all accounts of one client share."""

    api_url: str
    tenant_id: str
    vault: Vault
    dialect: Dialect
    send: Callable[[ApiRequest, float], Answer]
    refresher: Refresher
    events: Events
    clock: Clock
    idle_timeout: float | None
    background_refresh: bool
    owner: Owner
    flights: dict[Flight, None] = field(default_factory=dict[Flight, None])
    """Those under way, in the order in which they began."""
    unsaved: "dict[_Unsaved, None]" = field(default_factory=dict["_Unsaved", None])
    """The accounts whose session is in memory only: nobody else may hold them."""
    closes_at: float = math.inf
    """When a closed client closes its connections, by the monotonic clock."""

    def note(self, account: _Unsaved, *, unsaved: bool) -> None:
        """Note whether an account's session is in memory only."""
        if unsaved:
            self.unsaved[account] = None
        else:
            self.unsaved.pop(account, None)

    @property
    def closed(self) -> bool:
        """Whether the client was closed."""
        return self.closes_at < math.inf

    @property
    def ending(self) -> bool:
        """Whether the client was closed, or the interpreter ends: what can wait is not tried again."""
        return self.time_left() < math.inf

    def time_left(self) -> float:
        """Return the seconds until that end; infinity where none is near."""
        return min(self.closes_at, self.owner.exits_at) - time.monotonic()

    def nobody(self, name: str) -> str:
        """Say that nobody is signed in: where that was looked for, and the fix."""
        place = f"tenant {self.tenant_id} at {self.api_url}"
        return f"Nobody is signed in as {name!r}, {place}: call sign_in."

    def say_goodbye(self, record: Record) -> None:
        """Sign a session out at the service, best effort: here it is gone already."""
        call = self.dialect.sign_out(record.refresh_token, record.access_token, everywhere=False)
        self.send(call, _GOODBYE_DEADLINE)

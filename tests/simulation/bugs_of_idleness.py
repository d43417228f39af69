"""Bugs against invariant 20: a client ends a session as idle when nothing has used it, and only then."""

from typing import Any

from hellojohn._session.account import Account
from hellojohn._session.context import EngineContext
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.record import SessionRecord
from tests.simulation.planting import breaks


@breaks("20: .* does not note", api="v2")
def _use_is_not_noted() -> None:
    """Refresh without a note of the last request."""
    SessionRecord.used = lambda self, _at: self  # type: ignore[method-assign]


@breaks("3: .* nothing has ended it", "refreshed-now-and-then", api="v2")
def _idle_since_the_sign_in() -> None:
    """Count the idle time from the sign-in."""
    original = TokenSnapshot.__init__

    def counting(self: TokenSnapshot, record: Any, *, idle_timeout: float | None, **options: Any) -> None:
        original(self, record, idle_timeout=idle_timeout, **options)
        if idle_timeout is not None and options["ends_idle"]:
            self.idle_at = record.created_at + idle_timeout
            self.fresh_until = min(self.fresh_until, self.idle_at)

    TokenSnapshot.__init__ = counting  # type: ignore[method-assign]


@breaks("20: .* was idle for", api="v2")
def _idle_sessions_go_on() -> None:
    """Leave it to the server to end idle sessions, which it does not."""
    EngineContext.ends_idle = False  # type: ignore[assignment]


@breaks("3: session finds no session", "used-and-not-refreshed", api="v2")
def _only_refreshes_count() -> None:
    """Count no request as use."""
    Account.note_use = lambda _self, snapshot: snapshot

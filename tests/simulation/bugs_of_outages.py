"""Bugs in outages, storms and wrong clocks."""

import dataclasses
from typing import Any

from hellojohn import ExpiryReason
from hellojohn._session import acquire, refresh
from hellojohn._session.exchange import Exchange
from hellojohn._session.freshness import TokenSnapshot
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import Refresher
from hellojohn._session.storage import LockedSession
from hellojohn._transport import flow as transport
from hellojohn._wire import Outcome, OutcomeKind
from hellojohn._wire.outcome import Ending
from hellojohn._wire.v2 import V2
from hellojohn._wire.v2 import codes as codes_of_v2
from hellojohn._wire.v2 import dialect as dialect_of_v2
from tests.simulation.planting import breaks, change_records


@breaks("9: .* within the cooldown", "outage")
def _no_cooldown() -> None:
    """Forget with the account that a refresh has just failed."""
    change_records(cooldown_until=None)


@breaks("12:", "long-retry-after")
def _a_long_cooldown() -> None:
    """Believe a service that asks for an hour."""
    refresh.LONGEST_COOLDOWN = 3_600.0


@breaks("12: refresh", "long-retry-after")
def _an_explicit_refresh_waits() -> None:
    """Refuse an explicit refresh during a cooldown."""
    original = Refresher.refresh

    def waiting(self: Refresher, *arguments: Any, forced: bool, after_refusal: bool) -> Any:
        return original(self, *arguments, forced=False, after_refusal=after_refusal)

    Refresher.refresh = waiting


@breaks("12: use has to wait", "wrong-clock")
def _every_clock_is_believed() -> None:
    """Wait as long as another host's clock says."""

    def believing(record: SessionRecord, now: float) -> float | None:
        until = record.cooldown_until
        return until - now if until is not None and now < until else None

    acquire.cooldown_left = refresh.cooldown_left = believing


@breaks("10: .* because of another", "always-refused")
def _a_storm() -> None:
    """Refresh each time an API refuses a token."""
    TokenSnapshot.came_from_recent_refusal = lambda *_, **__: False


@breaks("10: a refused token", "adopted-and-refused")
def _an_adopted_token_is_the_last() -> None:
    """Hand the 401 back when a token that another process has brought is refused as well."""
    transport.REPEATS = 1


@breaks("6: P1 sends", "suspended-with-the-lock")
def _no_clock_is_checked() -> None:
    """Send a refresh however long ago the lock was taken."""
    Exchange.left = lambda self: self._storage.refresh_time


@breaks("6: P1 sends", "suspended-with-its-clock")
def _one_clock_is_checked() -> None:
    """Trust a monotonic clock that stands still while the process is suspended."""

    def by_one_clock(self: LockedSession) -> float:
        elapsed = self._storage.timing.monotonic() - self._monotonic_start
        return self._storage.refresh_time - elapsed

    LockedSession.time_left = by_one_clock


@breaks("3: .* nothing has ended it", "outage-that-looks-like-an-end", api="v2")
def _the_first_refusal_is_believed() -> None:
    """Believe the first SESSION_EXPIRED of a server whose database may be away."""
    Exchange._second_look = lambda _self, doubtful: dataclasses.replace(
        doubtful, kind=OutcomeKind.SESSION_ENDED
    )


@breaks("3: .* nothing has ended it", "outage-that-looks-like-an-end", api="v2")
def _every_look_finds_the_database() -> None:
    """Take any answer to the second look for a sign that the database is there."""
    V2.is_serving = lambda _self, _answer: True


@breaks("3: .* nothing has ended it", "outage-with-a-torn-second-look", api="v2")
def _a_torn_look_finds_the_database() -> None:
    """Take an answer to the second look that was cut off for a closed route."""
    dialect_of_v2.json_object = lambda _body: {}  # type: ignore[attr-defined]


@breaks("3: .* nothing has ended it", "outage-ends-during-the-second-look", api="v2")
def _the_refresh_is_not_asked_again() -> None:
    """Believe the first SESSION_EXPIRED when the second look finds the database, which may have come back."""
    ask = Exchange._ask

    def asking(self: Exchange) -> Outcome:
        outcome = ask(self)
        self._ask = lambda: outcome
        return outcome

    Exchange._ask = asking


@breaks("3: .* ended by revoked", "unknown-outcome-of-v2", api="v2")
def _a_used_token_of_v2_was_revoked() -> None:
    """Say that a session was revoked when an answer to its token was lost before."""
    used = "UNAUTHORIZED: refresh token is revoked"
    codes_of_v2.ENDINGS[used] = Ending(ExpiryReason.REVOKED)  # type: ignore[index]

"""Bugs in events, in the reasons of ends, and in the identity of the user."""

from typing import Any

from hellojohn import AuthEventType
from hellojohn._session import calls, operations, refresh
from hellojohn._session.account import Account
from hellojohn._session.order import Turn
from hellojohn._session.record import SessionRecord
from hellojohn._session.state import Change
from hellojohn._transport import flow as transport
from hellojohn._wire.v1 import codes
from tests.simulation.planting import breaks, change_records


@breaks("5:", "replaced-by-another-process")
def _replaced_in_silence() -> None:
    """Go on with another session without an event."""
    original = Account.emit

    def silent(self: Account, kind: Any, *arguments: Any) -> None:
        if kind.value != "SESSION_REPLACED":
            original(self, kind, *arguments)

    Account.emit = silent


@breaks("8: a request made as", "repeated-as-another")
def _repeated_as_another_user() -> None:
    """Repeat a refused request with the token of another user."""
    transport.may_repeat = lambda refused, newer: newer.record.is_newer_than(refused.record)


@breaks("2:|8: user asked as", "asked-as-another")
def _asked_as_another_user() -> None:
    """Ask the service about another user than before."""
    calls.may_repeat = lambda _refused, _newer: True


@breaks("14: .* after SIGNED_OUT", "sign-out-after-the-lock")
def _a_late_event() -> None:
    """Announce a sign-in after the store's lock was given back."""
    apply, keep = Account.apply, operations._keep

    def silent(self: Account, change: Change, *arguments: Any, event: Any = None, **options: Any) -> bool:
        shown = None if change is Change.SIGNED_IN else event
        return apply(self, change, *arguments, event=shown, **options)

    def keeping(account: Account, turn: Turn, record: SessionRecord, *more: Any) -> None:
        keep(account, turn, record, *more)
        account.emit(AuthEventType.SIGNED_IN, record)

    Account.apply, operations._keep = silent, keeping


@breaks("14:", "revoked-for-all")
def _no_reason_is_left() -> None:
    """Delete the record of a session that has ended, and leave no reason."""
    refresh.leave_reason = lambda locked, *_: locked.delete()


@breaks("14: .* user_disabled", "user-disabled")
def _a_disabled_user_is_an_error() -> None:
    """Take a disabled account for a wrong setting."""
    del codes.ENDINGS["account_disabled"]  # type: ignore[attr-defined]


@breaks("9: the near end", "near-end")
def _announced_by_each_account() -> None:
    """Forget with the account that the near end was announced."""
    change_records(end_announced=False)

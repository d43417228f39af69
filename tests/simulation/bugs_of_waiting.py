"""Bugs in waiting, closing and liveness."""

from typing import Any

from hellojohn._session import acquire, operations, storage, tasks
from hellojohn._session.account import Account
from hellojohn._session.account_storage import AccountStorage
from hellojohn._session.engine import Engine
from hellojohn._session.flight import Flight, Result
from hellojohn._transport import flow as transport
from tests.simulation.planting import breaks


@breaks("8: sign_out took", "sign-out-behind-a-refresh")
def _a_sign_out_waits_for_a_refresh() -> None:
    """Let a sign-out wait for a refresh of the same process."""
    AccountStorage.locked_or_shared = AccountStorage.locked


@breaks("8: sign_in took", "sign-in-behind-a-refresh")
def _a_sign_in_waits_for_a_refresh() -> None:
    """Let a sign-in wait for a refresh of the same process."""
    AccountStorage.locked_or_shared = AccountStorage.locked


@breaks("8: a request waited", "bounded-request")
def _timeouts_are_ignored() -> None:
    """Let a request wait for a token as long as a refresh may take."""
    transport._patience = lambda _request: None


@breaks("18:", "use-after-close")
def _close_is_forgotten() -> None:
    """Let a closed client go on with a fresh token."""
    Account.close = lambda _self: None


@breaks("19:", "sign-out-confirmed")
def _confirmed_whatever_happened() -> None:
    """Say that the service has confirmed every sign-out."""
    original = operations._tell
    operations._tell = lambda *arguments, **options: (True, original(*arguments, **options)[1])


@breaks("liveness:")
def _a_failure_never_lands() -> None:
    """Forget the waiting callers when an operation fails."""
    land = Flight.land

    def landing(self: Flight[Any], result: Result[Any]) -> None:
        if result.error is None:
            land(self, result)

    Flight.land = landing


@breaks("7:|[a-z_]+ raised StoreLocked")
def _the_lock_is_kept() -> None:
    """Leave the lock behind."""
    enter = storage.enter_lock
    storage.enter_lock = lambda *arguments: (lambda: None, enter(*arguments)[1])


@breaks("(1|2|3|16):|[a-z_]+ raised|use: a token")
def _the_caller_carries_it_out() -> None:
    """Refresh inside the caller, so that its end is the refresh's."""
    Flight.start = lambda self, *, blocking: self._run()


@breaks("7:")
def _a_timer_goes_on() -> None:
    """Refresh from a timer, wanted or not."""
    original = tasks.refresh_now

    def starting(account: Account, *arguments: Any, **options: Any) -> None:
        account.context.workers._home.start_worker(lambda: _tick(account))
        original(account, *arguments, **options)

    tasks.refresh_now = acquire.refresh_now = starting


def _tick(account: Account) -> None:
    while not account.context.closing:
        account.context.storage.timing.sleep(60.0)


@breaks("use: a refused")
def _a_refused_token_is_handed_out() -> None:
    """Hand out the token that was refused."""
    acquire._is_newer = lambda _snapshot, _refused: True
    transport.may_repeat = lambda _refused, _newer: True


@breaks("[a-z_]+ raised")
def _a_stores_own_error_comes_out() -> None:
    """Let any exception of a store out."""
    storage.guarded = lambda _method, call: call()


@breaks("7: close")
def _close_raises() -> None:
    """Let close() raise the error of a save."""
    original = Engine.close

    def raising(self: Engine) -> None:
        original(self)
        raise RuntimeError("not saved")

    Engine.close = raising

"""How a request gets a token: what can be sent at once, and what has to be waited for.

The table of ``freshness`` decides. The functions with an underscore at the end of this module are the work of
the single flight; they run on worker threads.
"""

import logging
import math
from collections.abc import Callable

from hellojohn._clock import within_time
from hellojohn._errors import (
    ConfigurationError,
    HelloJohnError,
    NotSignedIn,
    ServiceUnavailable,
    SessionExpired,
    SignInRequired,
    StoreError,
)
from hellojohn._limits import COOLDOWN, FALLBACK_WAIT
from hellojohn._models import AuthEventType
from hellojohn._session.account import CLOSED, Account
from hellojohn._session.conflicts import Bringing
from hellojohn._session.endings import ended_elsewhere, expired, try_later
from hellojohn._session.flight import Flight, Flow, WaitFor
from hellojohn._session.freshness import Freshness, TokenSnapshot
from hellojohn._session.order import Overtaken, Turn
from hellojohn._session.record import EndedRecord, SessionRecord, Stored
from hellojohn._session.refresh import Refreshed, cooldown_left
from hellojohn._session.state import Change, Phase
from hellojohn._session.storage import LockedSession

logger = logging.getLogger("hellojohn")

_ROUNDS = 4


class _Step:
    """What a caller has to wait for, and what it can use if that fails or takes too long."""

    __slots__ = ("fallback", "flight")

    def __init__(self, flight: Flight[None], fallback: TokenSnapshot | None = None) -> None:
        self.flight = flight
        self.fallback = fallback


def acquire(
    account: Account,
    refused: TokenSnapshot | None = None,
    *,
    forced: bool = False,
    timeout: float | None = None,
) -> Flow[TokenSnapshot]:
    """Get a token that can be sent.

    Args:
        account: Whose.
        refused: A token that the API has refused: a newer one is needed. The same one comes back when a
            refusal has brought it just now, because refreshing again would not help.
        forced: Whether the caller asked for a refresh itself: ``refused`` is then only to be replaced, and a
            failure of a moment ago does not prevent another attempt.
        timeout: Seconds to wait at most; ``None`` to wait as long as a refresh may take.

    Raises:
        SignInRequired: There is no session, or it has ended.
        ServiceUnavailable: There is no usable token now. The session is kept.
        StoreError: The same, because of the store.
        ApiError: The same, because of the settings.
    """
    monotonic = account.context.storage.timing.monotonic
    ends_at = math.inf if timeout is None else monotonic() + timeout
    for _ in range(_ROUNDS):
        step = _next_step(account, refused, forced=forced)
        if isinstance(step, TokenSnapshot):
            return step
        flight, fallback = step.flight, step.fallback
        left = min(ends_at - monotonic(), math.inf if fallback is None else FALLBACK_WAIT)
        yield WaitFor(flight, None if math.isinf(left) else max(left, 0.0))
        error = _why_no_token(flight)
        if fallback is not None and error is not None and not isinstance(error, SignInRequired):
            return fallback
        if error is not None:
            if forced and not flight.forced and isinstance(error, ServiceUnavailable):
                continue  # it joined a refresh that respects the cooldown: ask for one that does not
            yield from account.events_delivered()
            raise error
        snapshot = account.state.snapshot
        if flight.kind == "refresh" and snapshot is not None and _is_newer(snapshot, refused):
            return snapshot
    raise ServiceUnavailable("The session changes faster than it can be used. Try again.")


def load(account: Account) -> Flow[TokenSnapshot | None]:
    """Get the session without asking the service; ``None`` if there is none or it has ended.

    Raises:
        StoreError: The store failed.
    """
    for _ in range(_ROUNDS):
        with account.lock:
            state = account.state
            if state.phase is Phase.CLOSED:
                raise ConfigurationError(CLOSED)
            if state.snapshot is not None or state.phase is Phase.SIGNING_OUT:
                break
            flight = account.join("load", lambda: _load(account))
        yield WaitFor(flight)
        assert flight.result is not None  # noqa: S101 - the wait has no limit
        if isinstance(flight.result.error, SignInRequired):
            break
        flight.result.get()
    snapshot = account.state.snapshot
    if snapshot is None or snapshot.freshness(account.clock()) is Freshness.OVER:
        return None
    return snapshot


def save_unsaved(account: Account, wait: float = math.inf) -> None:
    """Save the session that the store did not take, waiting so many seconds for the lock.

    Raises:
        StoreError: The store failed again.
    """
    turn = account.turn()
    try:
        with account.locked(wait) as locked:
            _save_copy(account, locked, turn)
    except StoreError:
        snapshot = account.state.snapshot
        if account.state.phase is Phase.UNSAVED and snapshot is not None:
            until = within_time(account.clock() + COOLDOWN)
            copy, damaged = snapshot.record.changed(cooldown_until=until), account.state.damaged
            account.apply(Change.NOT_SAVED, turn, copy, damaged=damaged)
        raise


# -------------------------------------------------------------------- decisions


def _next_step(account: Account, refused: TokenSnapshot | None, *, forced: bool) -> TokenSnapshot | _Step:
    """Return a token that can be sent now, or what has to be waited for."""
    with account.lock:
        snapshot = account.state.snapshot
        if snapshot is None:
            return _without_session(account)
        now = account.clock()
        state = snapshot.freshness(now)
        if state is Freshness.OVER or not _is_newer(snapshot, refused):
            if state is not Freshness.OVER and not forced and snapshot.came_from_recent_refusal(now):
                return snapshot
            after_refusal = refused is not None and not forced
            return _Step(_join_refresh(account, snapshot, forced=forced, after_refusal=after_refusal))
        wait = cooldown_left(snapshot.record, now)
        if state is Freshness.EXPIRING:
            return _expiring(account, snapshot, now, wait)
        flight = None
        if account.flight is None and not account.context.closing:
            flight = _in_background(account, snapshot, state, now, wait)
    if flight is not None:
        flight.start(blocking=False)
    return snapshot


def _expiring(
    account: Account, snapshot: TokenSnapshot, now: float, wait: float | None
) -> TokenSnapshot | _Step:
    fallback = snapshot if now < snapshot.token_expires_at else None
    if wait is None:
        return _Step(_join_refresh(account, snapshot), fallback)
    if fallback is None:
        raise try_later(wait)
    return fallback


def _without_session(account: Account) -> _Step:
    match account.state.phase:
        case Phase.CLOSED:
            raise ConfigurationError(CLOSED)
        case Phase.SIGNING_OUT:
            raise NotSignedIn(account.context.not_signed_in(account.name))
        case _:
            return _Step(account.join("load", lambda: _load(account)))


def _in_background(
    account: Account, snapshot: TokenSnapshot, state: Freshness, now: float, wait: float | None
) -> Flight[None] | None:
    if snapshot.ends_soon(now):
        return account.join("announce", lambda: _announce(account))
    if wait is not None:
        return None
    if account.state.phase is Phase.UNSAVED:
        return account.join("save", lambda: save_unsaved(account))
    if state is Freshness.STALE and account.context.background_refresh:
        return _join_refresh(account, snapshot)
    return None


def _join_refresh(
    account: Account, snapshot: TokenSnapshot, *, forced: bool = False, after_refusal: bool = False
) -> Flight[None]:
    def operation() -> None:
        _refresh(account, snapshot.record, forced=forced, after_refusal=after_refusal)

    return account.join("refresh", operation, forced=forced)


def _is_newer(snapshot: TokenSnapshot, refused: TokenSnapshot | None) -> bool:
    """Return whether a token will do in place of the refused one. Texts are not compared: they can repeat."""
    return refused is None or snapshot.record.is_newer_than(refused.record)


def _why_no_token(flight: Flight[None]) -> Exception | None:
    """Return the error of a flight, or the one for a caller that cannot wait any longer."""
    if flight.result is None:
        return ServiceUnavailable(
            "No token came within the time that the request allows. The refresh goes on for the next request."
            " Try again."
        )
    try:
        flight.result.get()
    except Exception as error:  # noqa: BLE001 - it is returned
        return error.with_traceback(None)
    return None


# -------------------------------------------------------------------- the work of the flights


def _load(account: Account) -> None:
    turn = account.turn()
    stored = account.context.storage.load(account.key)
    if not isinstance(stored, SessionRecord):
        raise _no_session(account, stored)
    account.apply(Change.LOADED, turn, stored)


def _no_session(account: Account, stored: Stored | None) -> SignInRequired:
    if isinstance(stored, EndedRecord):
        return expired(stored, stored.reason, stored.code)
    return account.state.ended or NotSignedIn(account.context.not_signed_in(account.name))


def _refresh(account: Account, known: SessionRecord, *, forced: bool, after_refusal: bool) -> None:
    context, turn = account.context, account.turn()
    context.service.prepare()
    try:
        with account.locked(math.inf) as locked:
            copy = _save_copy(account, locked, turn)
            try:
                refreshed = context.refresher.refresh(
                    locked, copy or known, turn, forced=forced, after_refusal=after_refusal
                )
            except StoreError:
                if locked.damaged:  # memory has the only copy now
                    account.apply(Change.NOT_SAVED, turn, copy or known, damaged=True)
                raise
            _show(account, turn, refreshed)
    except Overtaken:
        return
    except HelloJohnError as error:
        account.last_error = error.with_traceback(None)
        raise
    context.revoke(refreshed.to_revoke)
    account.last_error = refreshed.error
    if refreshed.lock_lost:
        _try(lambda: save_unsaved(account))
    failure = refreshed.expired or refreshed.error
    if failure is not None:
        raise failure


def _show(account: Account, turn: Turn, refreshed: Refreshed) -> None:
    """Let requests use what a refresh has brought. Call it while the store's lock is held."""
    event: AuthEventType | None = AuthEventType.SESSION_EXPIRED
    if refreshed.expired is not None:
        account.apply(Change.ENDED, turn, expired=refreshed.expired, event=event)
    elif refreshed.record is not None:
        change = Change.UPDATED if refreshed.saved else Change.NOT_SAVED
        event = AuthEventType.TOKEN_REFRESHED if refreshed.rotated else None
        account.apply(change, turn, refreshed.record, event=event)


def _save_copy(account: Account, locked: LockedSession, turn: Turn) -> SessionRecord | None:
    """Save the session that the store did not take before; return what is known of the session then."""
    state = account.state
    if state.phase is not Phase.UNSAVED or state.snapshot is None:
        return None
    copy = state.snapshot.record
    locked.damaged = state.damaged
    with turn.writing():
        saved, stored, to_revoke = locked.replace(copy, Bringing.UNSAVED_COPY)
    account.context.revoke(to_revoke)
    if saved or isinstance(stored, SessionRecord):
        current = copy if saved or not isinstance(stored, SessionRecord) else stored
        account.apply(Change.UPDATED, turn, current)
        return current
    error: SessionExpired = ended_elsewhere(copy, stored)
    account.apply(Change.ENDED, turn, expired=error, event=AuthEventType.SESSION_EXPIRED)
    raise error


def _announce(account: Account) -> None:
    """Emit ``SESSION_EXPIRING``, once for all clients of the session, and note it in the store."""
    turn, snapshot = account.turn(), account.state.snapshot
    if snapshot is None:
        return
    known = snapshot.record
    record, first = known.changed(end_announced=True), True
    try:
        with account.locked(math.inf) as locked, turn.writing():
            stored = locked.load()
            if not isinstance(stored, SessionRecord) or not stored.is_same_session(known):
                first = False  # the next refresh finds out what has happened
            else:
                record, first = stored.changed(end_announced=True), not stored.end_announced
                if first:
                    locked.save(record, last=True)
    except Overtaken:
        return
    except StoreError as error:
        logger.warning("That the session ends soon was not noted in the store: %s", str(error))
    change = Change.NOT_SAVED if account.state.phase is Phase.UNSAVED else Change.UPDATED
    damaged = account.state.damaged
    event = AuthEventType.SESSION_EXPIRING if first else None
    account.apply(change, turn, record, damaged=damaged, event=event)


def _try(call: Callable[[], None]) -> None:
    try:
        call()
    except HelloJohnError as error:
        logger.warning("The refreshed session is still not saved: %s", str(error))

"""How a request gets a token: at once if one is valid, else by waiting for a load or a refresh.

The table of ``freshness`` decides. The work that callers wait for is in ``tasks``.
"""

import math

from hellojohn._errors import ConfigurationError, NotSignedIn, ServiceUnavailable, SignInRequired, StoreError
from hellojohn._limits import FALLBACK_WAIT
from hellojohn._session.account import Account, is_busy, refuse_nested
from hellojohn._session.endings import CLOSED, try_later
from hellojohn._session.flight import Flight, OperationInterrupted
from hellojohn._session.freshness import Freshness, TokenSnapshot
from hellojohn._session.record import SessionRecord
from hellojohn._session.refresh import cooldown_left
from hellojohn._session.state import Phase
from hellojohn._session.tasks import announce_end, read_again, read_store, refresh_now, save_unsaved
from hellojohn._waiting import Flow, WaitFor

_ROUNDS = 4


class _Step:
    """The flight that a caller waits for.

    Attributes:
        flight: The flight.
        fallback: The token to use if the flight fails or takes too long.
        before: The token that a refresh is to replace.
    """

    __slots__ = ("before", "fallback", "flight")

    def __init__(
        self,
        flight: Flight[None],
        fallback: TokenSnapshot | None = None,
        before: TokenSnapshot | None = None,
    ) -> None:
        self.flight = flight
        self.fallback = fallback
        self.before = before


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
        SignInRequired: No user is signed in, or the session has ended.
        ServiceUnavailable: A usable token cannot be had now. The session is kept.
        StoreError: The same, because of the store.
        ApiError: The same, because of the settings.
    """
    refuse_nested(account)
    monotonic = account.context.storage.timing.monotonic
    ends_at = math.inf if timeout is None else monotonic() + timeout
    rounds = 0
    while rounds < _ROUNDS:
        step = _next_step(account, refused, forced=forced)
        if isinstance(step, TokenSnapshot):
            return step
        flight, fallback = step.flight, step.fallback
        left = min(ends_at - monotonic(), math.inf if fallback is None else FALLBACK_WAIT)
        yield WaitFor(flight, None if math.isinf(left) else max(left, 0.0))
        if _another_was_interrupted(flight):
            continue
        rounds += 1
        error = _why_no_token(flight)
        if fallback is not None and error is not None and not isinstance(error, SignInRequired):
            return fallback
        if error is not None:
            if forced and not flight.forced and isinstance(error, ServiceUnavailable):
                continue  # it joined a refresh that respects the cooldown: ask for one that does not
            yield from account.events_delivered()
            raise error
        snapshot, now = account.state.snapshot, account.clock()
        if snapshot is step.before:
            continue  # a sign-in has overtaken the refresh
        if flight.kind == "refresh" and snapshot is not None and _is_newer(snapshot, refused):
            if snapshot.freshness(now) is Freshness.OVER:
                continue  # this process was suspended since the refresh
            _announce_near_end(account, snapshot, now)
            return snapshot
    raise ServiceUnavailable("The session changes faster than it can be used. Try again.")


def load(account: Account) -> Flow[TokenSnapshot | None]:
    """Get the session without asking the service, or ``None`` if no user is signed in.

    Its time may be over by the client's own count: the next request ends it.

    Raises:
        StoreError: The store failed.
    """
    refuse_nested(account)
    rounds = 0
    while rounds < _ROUNDS:
        with account.lock:
            state = account.state
            if state.phase is Phase.CLOSED:
                raise ConfigurationError(CLOSED)
            if state.snapshot is not None or state.phase is Phase.SIGNING_OUT:
                break
            flight = _join_load(account)
        yield WaitFor(flight)
        assert flight.result is not None  # noqa: S101 - the wait has no limit
        if _another_was_interrupted(flight):
            continue
        rounds += 1
        if isinstance(flight.result.error, SignInRequired):
            break
        flight.result.get()
    return account.state.snapshot


def load_unless_over(account: Account) -> Flow[TokenSnapshot | None]:
    """Get the session as ``load`` does, or ``None`` if its time is over by the client's own count.

    The store is read again first: another process may have used such a session, or signed in again.

    Raises:
        StoreError: The store failed.
    """
    known = yield from load(account)
    live = _live(account)
    if known is None or live is not None:
        return live
    flight = None
    while flight is None or _another_was_interrupted(flight):
        with account.lock:
            flight = _join_second_load(account, known.record)
        yield WaitFor(flight)
    if flight.result is not None and isinstance(flight.result.error, StoreError):
        flight.result.get()
    return _live(account)


def may_repeat(refused: TokenSnapshot, newer: TokenSnapshot) -> bool:
    """Return whether a request can be repeated with a token: it is newer, and of the same user."""
    before, after = refused.record, newer.record
    if not after.is_newer_than(before):
        return False
    if before.user is None or after.user is None:
        return before.is_same_session(after)
    return before.user.id == after.user.id


def _announce_near_end(account: Account, snapshot: TokenSnapshot, now: float) -> None:
    if snapshot.ends_soon(now):
        with account.lock:
            announcing = account.join("announce", lambda: announce_end(account))
        announcing.start(blocking=False)


# -------------------------------------------------------------------- decisions


def _live(account: Account) -> TokenSnapshot | None:
    """Return the session that is known, unless its time is over by the client's own count."""
    with account.lock:
        snapshot, now = account.state.snapshot, account.clock()
        if snapshot is not None and snapshot.idle_at <= now:
            snapshot = account.note_use(snapshot)
    return None if snapshot is None or snapshot.freshness(now) is Freshness.OVER else snapshot


def _next_step(account: Account, refused: TokenSnapshot | None, *, forced: bool) -> TokenSnapshot | _Step:
    """Return a token that can be sent now, or the step to wait for."""
    with account.lock:
        snapshot = account.state.snapshot
        if snapshot is None:
            return _without_session(account)
        now = account.clock()
        if snapshot.idle_at <= now:
            snapshot = account.note_use(snapshot)
        state = snapshot.freshness(now)
        if state is Freshness.OVER or not _is_newer(snapshot, refused):
            after_refusal = refused is not None and not forced
            if after_refusal and state is not Freshness.OVER and _note_refusal(account, snapshot, now):
                return snapshot
            refresh = _join_refresh(account, snapshot, forced=forced, after_refusal=after_refusal)
            return _Step(refresh, before=snapshot)
        wait = cooldown_left(snapshot.record, now)
        if state is Freshness.EXPIRING:
            return _expiring(account, snapshot, now, None if forced else wait, forced=forced)
        flight = None
        if not (is_busy(account) or account.context.closing):
            flight = _in_background(account, snapshot, state, now, wait)
    if flight is not None:
        flight.start(blocking=False)
    return snapshot


def _note_refusal(account: Account, snapshot: TokenSnapshot, now: float) -> bool:
    """Note a refusal that causes a refresh; return whether another one has just caused one instead."""
    monotonic = account.context.storage.timing.monotonic()
    since = math.inf if is_busy(account) else monotonic - account.refused_at
    if snapshot.came_from_recent_refusal(now, since_refusal=since):
        return True
    account.refused_at = monotonic
    return False


def _expiring(
    account: Account, snapshot: TokenSnapshot, now: float, wait: float | None, *, forced: bool
) -> TokenSnapshot | _Step:
    fallback = snapshot if now < snapshot.token_expires_at else None
    if wait is None:
        return _Step(_join_refresh(account, snapshot, forced=forced), fallback, snapshot)
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
            return _Step(_join_load(account))


def _in_background(
    account: Account, snapshot: TokenSnapshot, state: Freshness, now: float, wait: float | None
) -> Flight[None] | None:
    if snapshot.ends_soon(now):
        return account.join("announce", lambda: announce_end(account))
    if wait is not None:
        return None
    if account.state.phase is Phase.UNSAVED:
        return account.join("save", lambda: save_unsaved(account))
    if state is Freshness.STALE and account.context.background_refresh:
        return _join_refresh(account, snapshot)
    return None


def _join_load(account: Account) -> Flight[None]:
    turn = account.turn()  # now, because a sign-out may come before the store is read
    return account.join("load", lambda: read_store(account, turn))


def _join_second_load(account: Account, known: SessionRecord) -> Flight[None]:
    turn = account.turn()
    return account.join("load", lambda: read_again(account, turn, known))


def _join_refresh(
    account: Account, snapshot: TokenSnapshot, *, forced: bool = False, after_refusal: bool = False
) -> Flight[None]:
    turn = account.turn()  # now, because a sign-out may come before a worker is free

    def operation() -> None:
        refresh_now(account, turn, snapshot.record, forced=forced, after_refusal=after_refusal)

    return account.join("refresh", operation, forced=forced)


def _is_newer(snapshot: TokenSnapshot, refused: TokenSnapshot | None) -> bool:
    """Return whether a token will do in place of the refused one. Texts are not compared: they can repeat."""
    return refused is None or snapshot.record.is_newer_than(refused.record)


def _another_was_interrupted(flight: Flight[None]) -> bool:
    """Return whether the caller who read the store for all was interrupted. The others read it again."""
    return (
        flight.kind == "load"
        and flight.result is not None
        and isinstance(flight.result.error, OperationInterrupted)
    )


def _why_no_token(flight: Flight[None]) -> Exception | None:
    """Return the error of a flight, or the one for a caller that cannot wait any longer."""
    if flight.result is None:
        work = "read of the store" if flight.kind == "load" else "refresh"
        return ServiceUnavailable(
            f"No token came within the time that the request allows. The {work} goes on for the next request."
            " Try again."
        )
    try:
        flight.result.get()
    except Exception as error:  # noqa: BLE001 - it is returned
        return error.with_traceback(None)
    return None

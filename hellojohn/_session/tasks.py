"""The work of an account's single flight: reading the store, refreshing, saving, announcing the end.

These functions block. They run on worker threads, and on the thread of a caller that may block.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from hellojohn._clock import within_time
from hellojohn._errors import (
    HelloJohnError,
    NotSignedIn,
    SessionExpired,
    SignInRequired,
    StoreCorrupt,
    StoreError,
)
from hellojohn._limits import COOLDOWN
from hellojohn._logs import logger_of
from hellojohn._models import AuthEventType
from hellojohn._session.account import Account
from hellojohn._session.conflicts import Bringing
from hellojohn._session.endings import ended_elsewhere, expired
from hellojohn._session.failures import fresh_copy
from hellojohn._session.order import Overtaken, Turn
from hellojohn._session.record import EndedRecord, SessionRecord, Stored
from hellojohn._session.refresh import Refreshed
from hellojohn._session.state import AccountState, Change, Phase
from hellojohn._session.storage import LockedSession

logger = logger_of("hellojohn")


@contextmanager
def locked(account: Account, wait: float = math.inf, *, shared: bool = False) -> Generator[LockedSession]:
    """Hold the store's lock, or share it with a refresh of this process if that is allowed.

    Raises:
        StoreLocked: Another process held the lock for ``wait`` seconds.
        StoreError: The store failed.
    """
    take = account.storage.locked_or_shared if shared else account.storage.locked
    with take(wait) as place:
        before = account.state
        place.damaged = before.damaged
        try:
            yield place
        finally:
            if place.damaged or (before.damaged and account.state is before):
                _note_damage(account, before.order, damaged=place.damaged)


def _note_damage(account: Account, order: int, *, damaged: bool) -> None:
    """Note whether memory has the only copy of the session, unless a sign-in has saved another meanwhile.

    While it has, an operation that finds an empty store saves the copy. Else that means a sign-out elsewhere.
    """
    turn, snapshot = account.turn(), account.state.snapshot
    if turn.order == order and snapshot is not None:
        account.apply(Change.NOT_SAVED, turn, snapshot.record, damaged=damaged)


def save_unsaved(account: Account, wait: float = math.inf) -> None:
    """Save the session that the store did not take, waiting so many seconds for the lock.

    Raises:
        StoreError: The store failed again.
    """
    turn, state = account.turn(), account.state  # now: the client may be closed before the store has its lock
    try:
        with locked(account, wait) as place:
            _save_copy(account, place, turn, state)
    except Overtaken:
        return
    except StoreError:
        snapshot = account.state.snapshot
        if account.state.phase is Phase.UNSAVED and snapshot is not None:
            until = within_time(account.clock() + COOLDOWN)
            copy, damaged = snapshot.record.changed(cooldown_until=until), account.state.damaged
            account.apply(Change.NOT_SAVED, turn, copy, damaged=damaged)
        raise


def read_store(account: Account, turn: Turn) -> None:
    """Read the session from the store, for callers who wanted it when the turn was made.

    Raises:
        StoreCorrupt: The text was damaged and is quarantined now, or another key or version can read it.
        StoreError: The store failed.
        SignInRequired: No user is signed in.
    """
    try:
        stored = _read(account, turn)
    except Overtaken:
        return
    if not isinstance(stored, SessionRecord):
        raise _no_session(account, stored)
    _use(account, turn, Change.LOADED, stored)


def read_again(account: Account, turn: Turn, known: SessionRecord) -> None:
    """Read the store for a session whose time is over as far as memory knows, and use what is later there.

    Raises:
        StoreError: The store failed.
    """
    try:
        stored = _read(account, turn)
    except Overtaken:
        return
    if not isinstance(stored, SessionRecord) or account.state.phase is not Phase.ACTIVE:
        return
    used_later = (stored.last_used_at or 0.0) > (known.last_used_at or 0.0)
    if stored.is_newer_than(known) or (used_later and stored.generation == known.generation):
        _use(account, turn, Change.UPDATED, stored)


def _use(account: Account, turn: Turn, change: Change, stored: SessionRecord) -> None:
    """Use a session that was read without the lock, unless a sign-in of this client has just saved it."""
    with suppress(Overtaken), turn.reading():
        account.apply(change, turn, stored)


def _read(account: Account, turn: Turn) -> Stored | None:
    """Read the store without the lock. Under the lock, quarantine a damaged text and say so."""
    try:
        return account.context.storage.peek(account.key)
    except StoreCorrupt as error:
        if error.readable_elsewhere:
            raise
    with locked(account) as place, turn.reading():
        stored = place.load()
    if place.report is not None:
        raise place.report
    return stored


def _no_session(account: Account, stored: Stored | None) -> SignInRequired:
    if isinstance(stored, EndedRecord):
        return expired(stored, stored.reason, stored.code)
    return account.state.ended or NotSignedIn(account.context.not_signed_in(account.name))


def refresh_now(
    account: Account, turn: Turn, known: SessionRecord, *, forced: bool, after_refusal: bool
) -> None:
    """Refresh a session that was known when the turn was made."""
    context = account.context
    context.service.prepare()
    try:
        with locked(account) as place:
            copy = _save_copy(account, place, turn, account.state)
            if copy is not None and not copy.is_newer_than(known):  # else it is good enough
                known = copy
            if context.ends_idle:
                known = known.used(account.used_at)
            refreshed = context.source.refresh(place, known, turn, forced=forced, after_refusal=after_refusal)
            _show(account, turn, refreshed)
    except Overtaken:
        return
    except HelloJohnError as error:
        account.last_error = fresh_copy(error)
        raise
    context.revoke(refreshed.to_revoke)
    account.last_error = refreshed.error
    if refreshed.lock_lost:
        _try(lambda: save_unsaved(account))
    failure = refreshed.expired or refreshed.error
    if failure is not None:
        raise fresh_copy(failure)  # a traceback would keep the account in memory, and its tokens


def _show(account: Account, turn: Turn, refreshed: Refreshed) -> None:
    """Let requests use the result of a refresh. Call it while the store's lock is held."""
    event: AuthEventType | None = AuthEventType.SESSION_EXPIRED
    if refreshed.expired is not None:
        record = refreshed.record
        if record is not None and record.sign_in_id == account.state.shown:
            record = None  # the session that is shown says more of itself
        account.apply(Change.ENDED, turn, record, expired=refreshed.expired, event=event)
    elif refreshed.record is not None:
        change = Change.UPDATED if refreshed.saved else Change.NOT_SAVED
        event = AuthEventType.TOKEN_REFRESHED if refreshed.rotated else None
        account.apply(change, turn, refreshed.record, event=event)


def _save_copy(
    account: Account, place: LockedSession, turn: Turn, state: AccountState
) -> SessionRecord | None:
    """Save the session that the store refused before, and return the current record."""
    if state.phase is not Phase.UNSAVED or state.snapshot is None:
        return None
    copy = state.snapshot.record
    with turn.writing():
        saved, stored, to_revoke = place.replace(copy, Bringing.UNSAVED_COPY)
    account.context.revoke(to_revoke)
    if saved or isinstance(stored, SessionRecord):
        current = copy if saved or not isinstance(stored, SessionRecord) else stored
        account.apply(Change.UPDATED, turn, current)
        return current
    error: SessionExpired = ended_elsewhere(copy, stored)
    account.apply(Change.ENDED, turn, expired=error, event=AuthEventType.SESSION_EXPIRED)
    raise error


def announce_end(account: Account) -> None:
    """Emit ``SESSION_EXPIRING``, once for all clients of the session, and note it in the store."""
    turn, snapshot = account.turn(), account.state.snapshot
    if snapshot is None:
        return
    known = snapshot.record
    record, first = known.changed(end_announced=True), True
    try:
        with locked(account) as place, turn.writing():
            stored = place.load()
            if not isinstance(stored, SessionRecord) or not stored.is_same_session(known):
                first = False  # the next refresh finds out why
            else:
                first, noted = not stored.end_announced, stored.changed(end_announced=True)
                if not known.is_newer_than(stored):  # else the store has not taken the session in memory
                    record = noted
                if first:
                    place.save(noted, last=True)
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

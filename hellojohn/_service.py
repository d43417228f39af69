"""Service tokens: a client signs in with its own secret. ``_server_side`` has the public calls.

A service's account differs from a user's in one thing: the client's secret brings each token, and stays
good. Freshness, single flight and the auth hook are those of every account. It has no session: nothing is
stored, no event is emitted, and closing a client signs nothing out.

    token at hand   the server                  a request gets
    --------------  --------------------------  -----------------------------------
    unexpired       refuses or does not answer  the token
    none, expired   does not answer             ``ServiceUnavailable``
    none, expired   refuses the settings        ``ConfigurationError`` or ``ApiError``

After a failure, the server is not asked again for a while. Until then, every request gets the same error.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakValueDictionary

from hellojohn._clock import Timing, within_time
from hellojohn._errors import HelloJohnError, ServiceUnavailable
from hellojohn._limits import LONGEST_COOLDOWN, MOST_SERVICE_ACCOUNTS, REFRESH_DEADLINE
from hellojohn._secret import Secret
from hellojohn._session.account import Account
from hellojohn._session.engine import Engine
from hellojohn._session.exchange import Service
from hellojohn._session.failures import fresh_copy
from hellojohn._session.order import Turn
from hellojohn._session.record import SessionRecord, next_generation
from hellojohn._session.refresh import Refreshed, TokenSource, cooldown_left, random_cooldown
from hellojohn._session.retry import Attempts
from hellojohn._session.state import Change
from hellojohn._session.storage import LockedSession
from hellojohn._wire import Conversation, Dialect, Outcome, OutcomeKind, converse

MakeSource = Callable[[Service, Timing], TokenSource]

_EXITING = ServiceUnavailable("Not enough time is left to ask for a token: the program is exiting.")


class ServiceAccounts:
    """The accounts of one client's services: one for each secret with its scopes, so that callers share it.

    Of more than MOST_SERVICE_ACCOUNTS, the one that was not asked for in the longest time is forgotten.
    """

    def __init__(self, dialect: Dialect, begin: Callable[[MakeSource], Engine]) -> None:
        """Ask with ``dialect``. ``begin`` makes an engine whose tokens come from another source."""
        self._oauth = dialect.oauth
        self._begin = begin
        # Threads share both without a lock, which a fork could leave locked: each method used is atomic.
        self._accounts: OrderedDict[tuple[Secret, frozenset[str]], Account] = OrderedDict()
        self._engines: WeakValueDictionary[int, Engine] = WeakValueDictionary()

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines of the accounts that something still uses. Close them with the client."""
        engines = (reference() for reference in self._engines.valuerefs())
        return tuple(engine for engine in engines if engine is not None)

    def account(self, client_secret: Secret, scopes: Iterable[str]) -> Account:
        """Return the account of a secret with its scopes. It asks for a token when one is needed.

        Raises:
            NotSupported: The server issues no service tokens.
            ConfigurationError: An argument is malformed.
        """
        given: object = scopes
        is_list = isinstance(given, Iterable) and not isinstance(given, str)
        wanted = tuple(scopes) if is_list else scopes  # ask() refuses anything else

        def ask() -> Conversation[Outcome]:
            return self._oauth.service_token(client_secret, scopes=wanted)

        ask()  # sends nothing: it refuses wrong arguments before the first request
        key = client_secret, frozenset(wanted)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts.setdefault(key, self._open(client_secret, ask))
            for oldest in list(self._accounts)[:-MOST_SERVICE_ACCOUNTS]:
                self._accounts.pop(oldest, None)
        else:
            with suppress(KeyError):  # another thread has made it the oldest since
                self._accounts.move_to_end(key)
        return account

    def _open(self, client_secret: Secret, ask: Callable[[], Conversation[Outcome]]) -> Account:
        engine = self._begin(lambda service, timing: ClientCredentials(service, timing, ask))
        self._engines[id(engine)] = engine
        account = engine.account("service")
        account.apply(Change.LOADED, account.turn(), _before_the_first(client_secret, engine))
        return account


class _Failure(NamedTuple):
    """The last failure. ``record`` says until when the service is not asked again."""

    error: HelloJohnError
    record: SessionRecord


class ClientCredentials:
    """Brings the tokens of one service's account. It implements ``TokenSource``."""

    def __init__(self, service: Service, timing: Timing, ask: Callable[[], Conversation[Outcome]]) -> None:
        """Send what ``ask`` begins."""
        self._service = service
        self._timing = timing
        self._ask = ask
        self._failure: _Failure | None = None

    @property
    def saves(self) -> bool:
        """A token that a closing client has asked for is of no use: nothing waits for it."""
        return False

    def refresh(
        self, locked: LockedSession, known: SessionRecord, turn: Turn, *, forced: bool, after_refusal: bool
    ) -> Refreshed:
        """Ask for a token. The account's single flight makes one such call at a time."""
        repeated = self._repeated(known)
        if repeated is not None:
            return repeated
        outcome = self._send()
        now = self._timing.clock()
        if outcome.tokens is None:
            return self._failed(known, outcome, now)
        self._failure = None
        # An API that refuses a new token would refuse the next one as well. after_refusal says so.
        return Refreshed(next_generation(known, outcome.tokens, now=now, after_refusal=True))

    def _repeated(self, known: SessionRecord) -> Refreshed | None:
        """Return the last failure again, while the service is not asked because of it."""
        failure = self._failure
        wait = None if failure is None else cooldown_left(failure.record, self._timing.clock())
        if failure is None or wait is None:
            return None
        error = fresh_copy(failure.error)
        if isinstance(error, ServiceUnavailable):
            error = ServiceUnavailable(str(error), retry_after=wait, ambiguous=error.ambiguous)
        return Refreshed(known, error=error)

    def _send(self) -> Outcome:
        service, monotonic = self._service, self._timing.monotonic
        ends_at = monotonic() + REFRESH_DEADLINE

        def left() -> float:
            return min(ends_at - monotonic(), service.time_left())

        def attempt() -> Outcome:
            if left() <= 0:
                return Outcome(OutcomeKind.NOT_SENT, error=_EXITING)
            return converse(self._ask(), lambda request: service.send(request, left()))

        def wanted() -> bool:
            return service.time_left() == math.inf

        return service.retrier.run(Attempts(attempt, left=left, wanted=wanted))

    def _failed(self, known: SessionRecord, outcome: Outcome, now: float) -> Refreshed:
        error = outcome.error
        assert error is not None  # noqa: S101 - of all outcomes, only success has none
        wait = outcome.retry_after
        if wait is None:
            wait = random_cooldown() if isinstance(error, ServiceUnavailable) else LONGEST_COOLDOWN
        until = within_time(now + min(wait, LONGEST_COOLDOWN))
        self._failure = _Failure(fresh_copy(error), known.changed(cooldown_until=until))
        # The record's pause ends with the token: an expired token raises the error of ``_repeated``.
        return Refreshed(known.changed(cooldown_until=min(until, known.token_expires_at)), error=error)


def _before_the_first(client_secret: Secret, engine: Engine) -> SessionRecord:
    """Return the generation before the first token. By any clock, it has expired."""
    context = engine.context
    return SessionRecord(
        api_url=context.api_url,
        tenant_id=context.tenant_id,
        sign_in_id="service",
        generation=0,
        access_token=Secret(""),
        refresh_token=client_secret,
        refreshed_at=-math.inf,
        ttl=0.0,
        created_at=0.0,
    )

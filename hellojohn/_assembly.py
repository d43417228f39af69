"""Connects the rooms to one working client. ``_client`` loads it when a client is created, not at import."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hellojohn._config import Settings, check_account
from hellojohn._doctor import Diagnosis, diagnose
from hellojohn._errors import ConfigurationError
from hellojohn._http import Sender
from hellojohn._http._keys import KeyFetcher
from hellojohn._loading import loading
from hellojohn._secret import Secret
from hellojohn._service import MakeSource, ServiceAccounts
from hellojohn._session.account import Account
from hellojohn._session.engine import Engine
from hellojohn._session.workers import Lane
from hellojohn._transport.clients import library_of
from hellojohn._transport.httpx import SessionAuth
from hellojohn._transport.origins import Origins
from hellojohn._unpicklable import PartOfClient
from hellojohn._waiting import Completion, Flow, WaitFor
from hellojohn._wire import Answer, ApiRequest, make_dialect, prepare
from hellojohn.stores import MemoryStore, TokenStore
from hellojohn.stores._checks import check_store

if TYPE_CHECKING:
    from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2
    from hellojohn._transport.requests import SessionAuth as RequestsAuth
    from hellojohn.verify import Verifier

AnyOrigins = Iterable[str] | Literal["*"]
AnyClient = TypeVar("AnyClient")


class Parts(PartOfClient):
    """The parts of a client, which it shares with the clients of other accounts.

    Attributes:
        settings: The settings.
        engine: The session engine.
        sender: Sends the SDK's own requests.
    """

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        fetcher: KeyFetcher,
        *,
        store: TokenStore | None,
        jwks_cache: TokenStore | None,
    ) -> None:
        """Connect the parts. Nothing is read or sent yet."""
        self.settings = settings
        self.sender = sender
        self._fetcher = fetcher
        self._store = MemoryStore() if store is None else store
        self._jwks_cache = jwks_cache
        self._verifier: Verifier | None = None
        self._prepared = False
        self._dialect = make_dialect(
            settings.api,
            base_url=settings.api_url,
            tenant_id=settings.tenant_id,
            client_id=settings.client_id,
            publishable_key=settings.publishable_key,
            secret_key=settings.secret_key,
        )
        self.engine = self._begin(settings, self._store)
        self._services = ServiceAccounts(self._dialect, self._begin_service)

    @property
    def verifier(self) -> "Verifier":
        """The verifier of access tokens, which is loaded at its first use."""
        self.check_open()
        if self._verifier is not None:
            return self._verifier
        with loading:
            if self._verifier is None:
                from hellojohn.verify import Verifier  # noqa: PLC0415 - a program that signs in has no need of it

                settings, dialect = self.settings, self.engine.context.service.dialect
                self._verifier = Verifier(
                    api=settings.api,
                    api_url=settings.api_url,
                    tenant_id=settings.tenant_id,
                    client_id=settings.client_id,
                    fetch=self._fetcher,
                    check_token=dialect.admin.check_token,
                    send=self._send_unless_closed,
                    store=self._store,
                    webhook_secret=settings.webhook_secret,
                    jwks_max_age=settings.jwks_max_age,
                    jwks_cache=self._jwks_cache,
                    access_token_ttl=settings.access_token_ttl,
                    clock=settings.clock,
                )
            return self._verifier

    def service_account(self, client_secret: Secret, scopes: Iterable[str]) -> Account:
        """Return the account of a service. Calls with the same secret and scopes share it.

        Raises:
            ConfigurationError: An argument is malformed, or the client was closed.
        """
        account = self._services.account(client_secret, scopes)
        self.check_open()  # afterwards, because another thread may close the client meanwhile
        return account

    def httpx_auth(self, account: Account, origins: AnyOrigins) -> SessionAuth:
        """Return the auth hook for httpx."""
        self.check_open()
        return SessionAuth(account, Origins(origins))

    def httpx2_auth(self, account: Account, origins: AnyOrigins) -> "SessionAuth2":
        """Return the auth hook for httpx2."""
        self.check_open()
        return session_auth2()(account, Origins(origins))

    def requests_auth(self, account: Account, origins: AnyOrigins) -> "RequestsAuth":
        """Return the auth hook for requests.

        Raises:
            ConfigurationError: requests is not installed, or the client was closed.
        """
        self.check_open()
        try:
            from hellojohn._transport.requests import SessionAuth as RequestsAuth  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigurationError(
                "requests is not installed: pip install 'hellojohn[requests]'."
            ) from None
        return RequestsAuth(account, Origins(origins))

    def attach(
        self, account: Account, client: AnyClient, kind: str, origins: AnyOrigins, *, caller: str
    ) -> AnyClient:
        """Attach an account's token to an app's own client.

        Args:
            account: The account.
            client: The client.
            kind: The class that it must be of: ``Client`` or ``AsyncClient``.
            origins: Which origins get the token besides the client's base URL.
            caller: The class that the app called, for the message.
        """
        self.check_open()
        library = library_of(client, kind, caller=caller)
        target: Any = client
        if target.auth is not None:
            raise ConfigurationError(
                "The client has an auth already, such as from an earlier wrap(). Pass one without."
            )
        flow = SessionAuth if library == "httpx" else session_auth2()
        target.auth = flow(account, Origins.of_client(origins, target))
        return client

    def doctor(self, account: Account) -> Flow[Diagnosis]:
        """Examine an account's session, its store and the service."""
        return account.perform(lambda: diagnose(account, self.settings), Lane.NETWORK)

    def close(self) -> None:
        """Wait for what must be saved, and close the connections."""
        self.engine.refuse_work()  # first, so that no service is added unseen
        services = self._services.engines
        for engine in services:  # so that all of them wait for one refresh together
            engine.refuse_work()
        for engine in services:
            engine.finish()
        self.engine.close()
        self.sender.close()

    def close_in_thread(self) -> Flow[None]:
        """Close on a thread, and wait for it. It is not stopped if the caller gives up."""
        closed = Completion()

        def close() -> None:
            try:
                self.close()
            finally:
                closed.complete()

        try:
            threading.Thread(target=close, name="hellojohn-close").start()
        except RuntimeError:  # no thread can be started
            close()
        yield WaitFor(closed)

    def _begin(self, settings: Settings, store: TokenStore, source: MakeSource | None = None) -> Engine:
        return Engine(
            settings,
            store=store,
            dialect=self._dialect,
            send=lambda request, deadline: self.sender.send(request, deadline=deadline),
            load=self._load,
            source=source,
        )

    def _begin_service(self, source: MakeSource) -> Engine:
        return self._begin(replace(self.settings, idle_timeout=None), MemoryStore(), source)

    def check_open(self) -> None:
        """Refuse any use of a closed client.

        Raises:
            ConfigurationError: The client was closed.
        """
        self.engine.context.check_open()

    def _send_unless_closed(self, request: ApiRequest, deadline: float) -> Answer:
        self.check_open()
        return self.engine.context.service.send(request, deadline)

    def _load(self) -> None:
        if not self._prepared:
            with loading:
                prepare()
            self._prepared = True
        self.sender.prepare()


def store_checks(
    account: str, store: TokenStore | None, jwks_cache: TokenStore | None
) -> list[Callable[[], object]]:
    """Return the checks of where a client keeps things, for ``read_settings``."""
    return [
        lambda: check_account(account),
        lambda: None if store is None else check_store(store),
        lambda: None if jwks_cache is None else check_store(jwks_cache, "jwks_cache"),
    ]


def session_auth2() -> "type[SessionAuth2]":
    """Return the auth class for httpx2.

    Raises:
        ConfigurationError: httpx2 is not installed.
    """
    try:
        from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError("httpx2 is not installed: pip install 'hellojohn[httpx2]'.") from None
    return SessionAuth2

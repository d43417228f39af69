"""Connects the rooms to one working client. ``_client`` loads it when a client is created, not at import."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from hellojohn._config import Settings
from hellojohn._doctor import Diagnosis, diagnose
from hellojohn._errors import ConfigurationError
from hellojohn._http import Sender
from hellojohn._session.account import Account
from hellojohn._session.engine import Engine
from hellojohn._session.flight import Flow
from hellojohn._session.workers import Lane
from hellojohn._transport.clients import library_of, session_auth2
from hellojohn._transport.httpx import SessionAuth
from hellojohn._transport.origins import Origins
from hellojohn._wire import make_dialect, prepare
from hellojohn.stores import MemoryStore, TokenStore
from hellojohn.stores._checks import check_store

if TYPE_CHECKING:
    from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2

AnyOrigins = Iterable[str] | Literal["*"]
AnyClient = TypeVar("AnyClient")


class Parts:
    """The parts of a client, which it shares with the clients of other accounts.

    Attributes:
        settings: The settings.
        engine: The session engine.
        sender: Sends the SDK's own requests.
    """

    def __init__(self, settings: Settings, sender: Sender, store: TokenStore | None) -> None:
        """Connect the parts. Nothing is read or sent yet."""
        self.settings = settings
        self.sender = sender
        self._prepared = False
        self.engine = Engine(
            settings,
            store=MemoryStore() if store is None else check_store(store),
            dialect=make_dialect(
                settings.api,
                base_url=settings.api_url,
                tenant_id=settings.tenant_id,
                client_id=settings.client_id,
                publishable_key=settings.publishable_key,
                secret_key=settings.secret_key,
            ),
            send=lambda request, deadline: sender.send(request, deadline=deadline),
            load=self._load,
        )

    def httpx_auth(self, account: Account, origins: AnyOrigins) -> SessionAuth:
        """Return the auth hook for httpx."""
        return SessionAuth(account, Origins(origins))

    def httpx2_auth(self, account: Account, origins: AnyOrigins) -> "SessionAuth2":
        """Return the auth hook for httpx2."""
        return session_auth2()(account, Origins(origins))

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
        self.engine.close()
        self.sender.close()

    def _load(self) -> None:
        if not self._prepared:
            prepare()
            self._prepared = True
        self.sender.prepare()

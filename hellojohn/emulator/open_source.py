"""The part of the emulator that only the open-source server has: ``Emulator(api="v2")``."""

from collections.abc import Collection, Generator
from contextlib import contextmanager

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.service import Service
from hellojohn.emulator.user_admin import UserAdmin
from hellojohn.emulator.v2.names import new_token
from hellojohn.emulator.v2.records import Client, Database
from hellojohn.emulator.v2.service import V2Service


class OpenSourceAdmin(UserAdmin):
    """A host that may be the open-source server. On another API, these methods raise."""

    _service: Service

    @contextmanager
    def database_away(self, *, restarted: bool = False) -> Generator[None]:
        """Take the tenant's database away while the ``with`` block lasts.

        The server takes the database for an empty one. A refresh answers ``SESSION_EXPIRED``, a sign-in
        ``INVALID_CREDENTIALS``, and a sign-out 204. Nothing is lost.

        Args:
            restarted: Whether the server was restarted during the outage. It then knows of no database, and
                answers 503.

        Raises:
            ConfigurationError: The emulator speaks another API.
        """
        service = self._open_source("database_away")
        service.set_database(Database.UNKNOWN if restarted else Database.AWAY)
        try:
            yield
        finally:
            service.set_database(Database.READY)

    def add_client(
        self,
        client_id: str,
        *,
        scopes: Collection[str] = ("openid", "profile", "email", "profile:read", "offline_access"),
        redirect_uris: Collection[str] = (),
        confidential: bool = False,
    ) -> str:
        """Add a client, or replace one.

        Args:
            client_id: Its id.
            scopes: The scopes that its access tokens may have.
            redirect_uris: The addresses that a browser may be sent back to. They are compared as texts.
            confidential: Whether it has a secret, with which it gets service tokens.

        Returns:
            Its secret; empty for a public client.

        Raises:
            ConfigurationError: The emulator speaks another API.
        """
        secret = new_token() if confidential else None
        client = Client(
            id=client_id,
            type="confidential" if confidential else "public",
            auth_profile="web_ssr" if redirect_uris else "m2m" if confidential else "spa",
            secret=secret,
            scopes=tuple(scopes),
            redirect_uris=tuple(redirect_uris),
        )
        self._open_source("add_client").add_client(client)
        return "" if secret is None else secret.reveal()

    def api_key(self, *, readonly: bool = False) -> str:
        """Return an API key that is narrower than ``secret_key``: for this tenant, or for reading only.

        Raises:
            ConfigurationError: The emulator speaks another API.
        """
        scope = "readonly" if readonly else f"tenant:{self.tenant_id}"
        key: Secret = self._open_source("api_key").server.api_key(scope)
        return key.reveal()

    def _open_source(self, method: str) -> V2Service:
        if not isinstance(self._service, V2Service):
            msg = f"{method} needs Emulator(api='v2'): only the open-source server has it."
            raise ConfigurationError(msg)
        return self._service

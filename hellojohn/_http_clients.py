"""The HTTP clients that carry a session's access token, in two faces: new, wrapped, and as auth hooks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeVar

import httpx

if TYPE_CHECKING:
    from typing import Unpack

    import httpx2

    from hellojohn._assembly import Parts
    from hellojohn._session.account import Account
    from hellojohn._transport.clients import AsyncClientOptions, ClientOptions
    from hellojohn._transport.httpx import SessionAuth
    from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2
    from hellojohn._transport.requests import SessionAuth as RequestsAuth

AnyOrigins = Iterable[str] | Literal["*"]
SyncClient = TypeVar("SyncClient", bound="httpx.Client | httpx2.Client")
AsyncClient = TypeVar("AsyncClient", bound="httpx.AsyncClient | httpx2.AsyncClient")


class _SessionHooks:
    """The auth hooks of a session, which serve blocking and awaiting clients alike."""

    _parts: "Parts"
    _account: "Account"

    def httpx_auth(self, *, origins: AnyOrigins) -> "SessionAuth":
        """Return an ``httpx.Auth`` for the app's own ``httpx.Client(auth=...)`` or ``AsyncClient``.

        Args:
            origins: Which origins get the access token: ``["https://api.example.com"]``, scheme, host and
                port. ``"*"`` sends it to every https URL: only for a client whose URLs are all the app's own.

        Raises:
            ConfigurationError: No origin is given, or one is not safe.
        """
        return self._parts.httpx_auth(self._account, origins)

    def httpx2_auth(self, *, origins: AnyOrigins) -> "SessionAuth2":
        """Return an ``httpx2.Auth``, as ``httpx_auth`` does for httpx.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or httpx2 is not installed.
        """
        return self._parts.httpx2_auth(self._account, origins)

    def requests_auth(self, *, origins: AnyOrigins) -> "RequestsAuth":
        """Return an auth for ``requests``: ``session.auth = hj.requests_auth(origins=[...])``.

        It blocks, also the one of an async client. A request waits up to 20 seconds for a token, whatever its
        own timeout says. A 401 that your code gets was read before, also with ``stream=True``.

        Args:
            origins: Which origins get the access token: see ``httpx_auth``.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or requests is not installed.
        """
        return self._parts.requests_auth(self._account, origins)


class HttpClients(_SessionHooks):
    """Clients that block."""

    def client(self, *, origins: AnyOrigins = (), **options: "Unpack[ClientOptions]") -> httpx.Client:
        """Return a new ``httpx.Client`` whose requests carry the session's access token.

        Args:
            origins: Which origins get the token besides ``base_url``: see ``httpx_auth``.
            **options: The arguments of ``httpx.Client``, such as ``base_url``, ``headers`` or ``timeout``.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or a variable of the environment,
                such as ``NO_PROXY``, is wrong.
        """
        from hellojohn._http import create_client  # noqa: PLC0415 - importing the package stays cheap

        return self.wrap(create_client(lambda: httpx.Client(**options)), origins=origins)

    def wrap(self, client: SyncClient, *, origins: AnyOrigins = ()) -> SyncClient:
        """Attach the session's access token to the app's own ``httpx.Client`` or ``httpx2.Client``.

        Args:
            client: The client. Its ``base_url`` is an allowed origin. A response hook that raises on 401
                runs before the SDK sees the response, and so prevents the refresh.
            origins: Which origins get the token besides ``base_url``: see ``httpx_auth``.

        Returns:
            The same client.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or the client has an auth already.
            TypeError: It is another kind of client.
        """
        return self._parts.attach(self._account, client, "Client", origins, caller="HelloJohn")


class AsyncHttpClients(_SessionHooks):
    """Clients that await."""

    def client(
        self, *, origins: AnyOrigins = (), **options: "Unpack[AsyncClientOptions]"
    ) -> httpx.AsyncClient:
        """Return a new ``httpx.AsyncClient`` whose requests carry the session's access token.

        Args:
            origins: Which origins get the token besides ``base_url``: see ``httpx_auth``.
            **options: The arguments of ``httpx.AsyncClient``, such as ``base_url``, ``headers`` or
                ``timeout``.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or a variable of the environment,
                such as ``NO_PROXY``, is wrong.
        """
        from hellojohn._http import create_client  # noqa: PLC0415 - importing the package stays cheap

        return self.wrap(create_client(lambda: httpx.AsyncClient(**options)), origins=origins)

    def wrap(self, client: AsyncClient, *, origins: AnyOrigins = ()) -> AsyncClient:
        """Attach the session's access token to the app's own ``AsyncClient`` of httpx or httpx2.

        Args:
            client: The client. Its ``base_url`` is an allowed origin. A response hook that raises on 401
                runs before the SDK sees the response, and so prevents the refresh.
            origins: Which origins get the token besides ``base_url``: see ``httpx_auth``.

        Returns:
            The same client.

        Raises:
            ConfigurationError: No origin is given, or one is not safe; or the client has an auth already.
            TypeError: It is another kind of client.
        """
        return self._parts.attach(self._account, client, "AsyncClient", origins, caller="AsyncHelloJohn")

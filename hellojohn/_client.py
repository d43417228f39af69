"""The clients, ``HelloJohn`` and ``AsyncHelloJohn``: signatures, docstrings, and one-line bodies."""

from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NoReturn, Self

from hellojohn._constructors import own_constructor
from hellojohn._http_clients import AsyncHttpClients, HttpClients
from hellojohn._secret import Secret
from hellojohn._server_side import AsyncServerSide, ServerSide

if TYPE_CHECKING:
    from hellojohn._assembly import Parts
    from hellojohn._auth import AsyncAuth, Auth
    from hellojohn._clock import Clock
    from hellojohn._doctor import Diagnosis
    from hellojohn._http import Proxy, Timeout, Transport, Verify
    from hellojohn._mfa import AsyncMfa, Mfa
    from hellojohn._models import AuthEvent
    from hellojohn._session.account import Account
    from hellojohn.stores import TokenStore

__all__ = ["AsyncHelloJohn", "HelloJohn"]


class _Client:
    """What both clients share."""

    _parts: "Parts"
    _account: "Account"
    _root: bool

    def __init__(
        self,
        *,
        tenant_id: str | None = None,
        publishable_key: str | None = None,
        secret_key: str | None = None,
        client_id: str | None = None,
        api_url: str | None = None,
        api: Literal["v1", "v2"] = "v1",
        store: "TokenStore | None" = None,
        account: str = "default",
        remember_me_duration: str | timedelta = "30d",
        session_duration: str | timedelta = "24h",
        idle_timeout: str | timedelta | None = None,
        background_refresh: bool = True,
        timeout: "Timeout" = 10.0,
        verify: "Verify" = True,
        proxy: "Proxy" = None,
        transport: "Transport" = None,
        webhook_secret: str | None = None,
        jwks_max_age: str | timedelta = "24h",
        jwks_cache: "TokenStore | None" = None,
        access_token_ttl: str | timedelta = "24h",  # noqa: S107 - a duration
        clock: "Clock | None" = None,
    ) -> None:
        """Read the settings. Nothing is read from the store or sent before the first use.

        Args:
            tenant_id: The tenant; environment variable ``HELLOJOHN_TENANT_ID``.
            publishable_key: The public key, for sign-in and sign-up; ``HELLOJOHN_PUBLISHABLE_KEY``. The
                first call that needs it asks for it.
            secret_key: The server-side key; ``HELLOJOHN_SECRET_KEY``. Never ship it in an app.
            client_id: The client's id, which ``api="v2"`` needs; ``HELLOJOHN_CLIENT_ID``.
            api_url: The service, with or without a trailing ``/v1``; ``HELLOJOHN_API_URL``. It is an
                ``https`` URL, or ``http`` on this machine.
            api: ``"v1"`` for the cloud API, ``"v2"`` for the open-source server.
            store: Where the session is kept; in memory by default.
            account: Which session in the store.
            remember_me_duration: What ``sign_in(remember_me=True)`` asks for.
            session_duration: What ``sign_in(remember_me=False)`` asks for.
            idle_timeout: The tenant's idle timeout. With it, a session in use is refreshed in time.
            background_refresh: Whether to refresh ahead of expiry on a thread of the SDK, so that no request
                waits.
            timeout: Seconds for the SDK's own calls, in httpx's meaning. A refresh reads its answer for up
                to 20 seconds, because asking again would present the refresh token twice.
            verify: For the SDK's own calls, in httpx's meaning.
            proxy: For the SDK's own calls, in httpx's meaning.
            transport: For the SDK's own calls: a function that returns an ``httpx.BaseTransport``, or a
                transport, which then serves only the process that made it. Also for the async client.
            webhook_secret: The secret that the service signs webhooks with; ``HELLOJOHN_WEBHOOK_SECRET``.
            jwks_max_age: How long published keys verify tokens while they cannot be fetched again.
            jwks_cache: A store that keeps the last good keys, for a start during an outage.
            access_token_ttl: The longest life of an access token: how long a revocation is remembered.
            clock: Returns seconds since the epoch; inject one in tests.

        Raises:
            ConfigurationError: Settings are missing or malformed. The message names all of them.
        """
        public = None if publishable_key is None else Secret(publishable_key)
        secret = None if secret_key is None else Secret(secret_key)
        webhooks = None if webhook_secret is None else Secret(webhook_secret)
        del publishable_key, secret_key, webhook_secret
        # The engine is loaded here, so that importing the package stays cheap.
        from hellojohn._assembly import Parts, store_checks  # noqa: PLC0415
        from hellojohn._config import read_settings  # noqa: PLC0415
        from hellojohn._http import Sender, connection_checks  # noqa: PLC0415
        from hellojohn._http._keys import KeyFetcher  # noqa: PLC0415

        settings = read_settings(
            tenant_id=tenant_id,
            publishable_key=public,
            secret_key=secret,
            client_id=client_id,
            api_url=api_url,
            api=api,
            remember_me_duration=remember_me_duration,
            session_duration=session_duration,
            idle_timeout=idle_timeout,
            background_refresh=background_refresh,
            webhook_secret=webhooks,
            jwks_max_age=jwks_max_age,
            access_token_ttl=access_token_ttl,
            clock=clock,
            others=[
                *store_checks(account, store, jwks_cache),
                *connection_checks(timeout, verify, proxy, transport),
            ],
        )
        sender = Sender(settings.api_url, timeout=timeout, verify=verify, proxy=proxy, transport=transport)
        fetcher = KeyFetcher(verify=verify, proxy=proxy, transport=transport)
        self._parts = Parts(settings, sender, fetcher, store=store, jwks_cache=jwks_cache)
        self._root = True
        self._bind(account)

    def _bind(self, account: str) -> Self:
        self._account = self._parts.engine.account(account)
        return self

    @property
    def account(self) -> str:
        """Which session in the store this client is bound to."""
        return self._account.name

    def for_account(self, name: str) -> Self:
        """Return the same client bound to another session in the store.

        It shares the connections and threads of this client, costs next to nothing, and need not be closed:
        create one for each request of a web back end. It has the class of this client, but none of the
        attributes that a subclass has set: what they hold may belong to the session of this one.

        Args:
            name: Which session in the store: a text of 1 to 256 characters without control characters.

        Raises:
            ConfigurationError: The name is not such a text, or the client was closed.
        """
        other = object.__new__(type(self))
        other._parts, other._root = self._parts, False
        return other._bind(name)

    def on(self, callback: "Callable[[AuthEvent], None]") -> Callable[[], None]:
        """Call ``callback`` with every ``AuthEvent`` of this client and of those made by ``for_account``.

        Events come in the order in which the sessions changed, once each, on a thread of the SDK with no lock
        held, so a callback may call the client. A callback that raises is logged and changes nothing else.
        ``sign_in``, ``sign_out`` and ``refresh`` wait for the callbacks of their events, but at most a
        second.

        Returns:
            A function that ends the subscription.

        Raises:
            TypeError: ``callback`` is not a plain function.
            ConfigurationError: The client was closed.
        """
        self._parts.check_open()
        return self._parts.engine.events.on(callback)

    def __repr__(self) -> str:
        """Show the settings that are not secret."""
        if not hasattr(self, "_account"):  # in the traceback of a wrong setting
            return f"<{type(self).__name__}>"
        settings = self._parts.settings
        where = f"{settings.tenant_id} at {settings.api_url}"
        return f"<{type(self).__name__} account {self.account!r} of {where}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied and pickled: a client has threads, sockets and keys."""
        msg = "A client is not copied or pickled. Create one in each process, on the same store."
        raise TypeError(msg)


@own_constructor
class HelloJohn(HttpClients, ServerSide, _Client):
    """Signs users in, keeps them signed in, and raises ``SessionExpired`` when a session is over.

    Safe to share between threads. It survives ``fork``. Use it as a context manager or call ``close``.
    """

    @property
    def auth(self) -> "Auth":
        """Every way to sign in, sign-out and the session."""
        return self._auth

    @property
    def mfa(self) -> "Mfa":
        """The second factors of the signed-in user."""
        from hellojohn._mfa import Mfa  # noqa: PLC0415 - as in the constructor

        return Mfa(self._account)

    def _bind(self, account: str) -> Self:
        from hellojohn._auth import Auth  # noqa: PLC0415 - as in the constructor

        super()._bind(account)
        self._auth = Auth(self._account, self._parts.settings)
        return self

    def doctor(self) -> "Diagnosis":
        """Examine the store, the session, the service and the clock, and return facts and advice."""
        from hellojohn._waiting import run  # noqa: PLC0415 - as in the constructor

        return run(self._parts.doctor(self._account))

    def close(self) -> None:
        """Wait until running operations are stored, at most one refresh, and close the SDK's connections.

        Every later use of the client raises ``ConfigurationError``, and so does a request that would carry
        its token. A guard that was made before goes on to verify tokens.
        """
        if self._root:
            self._parts.close()

    def __enter__(self) -> Self:
        """Use the client as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


@own_constructor
class AsyncHelloJohn(AsyncHttpClients, AsyncServerSide, _Client):
    """The same for asyncio and trio: safe to share between tasks, event loops and threads.

    Cancelling a call never loses a session. Use it as a context manager or call ``aclose``.
    """

    @property
    def auth(self) -> "AsyncAuth":
        """Every way to sign in, sign-out and the session."""
        return self._auth

    @property
    def mfa(self) -> "AsyncMfa":
        """The second factors of the signed-in user."""
        from hellojohn._mfa import AsyncMfa  # noqa: PLC0415 - as in the constructor

        return AsyncMfa(self._account)

    def _bind(self, account: str) -> Self:
        from hellojohn._auth import AsyncAuth  # noqa: PLC0415 - as in the constructor

        super()._bind(account)
        self._auth = AsyncAuth(self._account, self._parts.settings)
        return self

    async def doctor(self) -> "Diagnosis":
        """Examine the store, the session, the service and the clock, and return facts and advice."""
        from hellojohn._waiting import run_async  # noqa: PLC0415 - as in the constructor

        return await run_async(self._parts.doctor(self._account))

    async def aclose(self) -> None:
        """Wait until running operations are stored, and close the SDK's connections: see ``HelloJohn.close``.

        The event loop is not blocked.
        """
        from hellojohn._waiting import run_async  # noqa: PLC0415 - as in the constructor

        if self._root:
            await run_async(self._parts.close_in_thread())

    async def __aenter__(self) -> Self:
        """Use the client as a context manager."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

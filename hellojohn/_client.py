"""The clients, ``HelloJohn`` and ``AsyncHelloJohn``: signatures, docstrings, and one-line bodies."""

import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol, Self, TypeVar

import httpx

from hellojohn._account import Account
from hellojohn._auth import AsyncAuth, Auth
from hellojohn._config import Settings, read_settings
from hellojohn._doctor import Diagnosis, diagnose
from hellojohn._engine import Engine
from hellojohn._errors import ConfigurationError
from hellojohn._events import Callback
from hellojohn._flight import drive, drive_async, finish
from hellojohn._http import Proxy, Sender, Timeout, Transport, Verify
from hellojohn._models import Clock
from hellojohn._secret import Secret
from hellojohn._transport.httpx import SessionAuth
from hellojohn._transport.origins import Origins
from hellojohn._wire.v1 import V1
from hellojohn.stores import MemoryStore, TokenStore
from hellojohn.stores._checks import check_store

if TYPE_CHECKING:
    from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2

AnyOrigins = Iterable[str] | Literal["*"]


class _Closes(Protocol):
    def close(self) -> None: ...


class _ClosesAsync(Protocol):
    async def aclose(self) -> None: ...


AnyClient = TypeVar("AnyClient")
SyncClient = TypeVar("SyncClient", bound=_Closes)
AsyncClient = TypeVar("AsyncClient", bound=_ClosesAsync)


class _Client:
    """What both clients are made of."""

    _settings: Settings
    _sender: Sender
    _engine: Engine
    _account: Account
    _root: bool

    def __init__(
        self,
        *,
        tenant_id: str | None = None,
        publishable_key: str | None = None,
        secret_key: str | None = None,
        client_id: str | None = None,
        api_url: str | None = None,
        api: Literal["v1"] = "v1",
        store: TokenStore | None = None,
        account: str = "default",
        remember_me_duration: str | timedelta = "30d",
        session_duration: str | timedelta = "24h",
        idle_timeout: str | timedelta | None = None,
        background_refresh: bool = True,
        timeout: Timeout = 10.0,
        verify: Verify = True,
        proxy: Proxy = None,
        transport: Transport = None,
        clock: Clock = time.time,
    ) -> None:
        """Read the settings; nothing is read from the store or sent before the first use.

        Args:
            tenant_id: The tenant; environment variable ``HELLOJOHN_TENANT_ID``.
            publishable_key: The public key, for sign-in and sign-up; ``HELLOJOHN_PUBLISHABLE_KEY``.
            secret_key: The server-side key; ``HELLOJOHN_SECRET_KEY``. Never ship it in an app.
            client_id: For the v2 API, which this version does not speak.
            api_url: Where the service is, with or without ``/v1``; ``HELLOJOHN_API_URL``. ``https``, or
                ``http`` on this machine.
            api: The dialect to speak.
            store: Where the session is kept; in memory if not given.
            account: Which session in the store.
            remember_me_duration: What ``sign_in(remember_me=True)`` asks for.
            session_duration: What ``sign_in(remember_me=False)`` asks for.
            idle_timeout: The tenant's idle timeout: with it, a session in use is refreshed early enough.
            background_refresh: Refresh ahead of expiry, on a thread of the SDK's, so that nobody waits.
            timeout: Of the SDK's own calls, in seconds, httpx's meaning.
            verify: Of the SDK's own calls, httpx's meaning.
            proxy: Of the SDK's own calls, httpx's meaning.
            transport: Of the SDK's own calls: an ``httpx.BaseTransport``, for the async client too, or a
                function that returns one. A forked process needs the function.
            clock: Returns seconds since the epoch; inject one in tests.

        Raises:
            ConfigurationError: A setting is missing or malformed; the message names argument and variable.
        """
        public = None if publishable_key is None else Secret(publishable_key)
        secret = None if secret_key is None else Secret(secret_key)
        del publishable_key, secret_key
        self._settings = settings = read_settings(
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
            clock=clock,
        )
        self._sender = sender = Sender(
            settings.api_url, timeout=timeout, verify=verify, proxy=proxy, transport=transport
        )
        self._engine = Engine(
            settings,
            store=MemoryStore() if store is None else check_store(store),
            dialect=V1(settings.tenant_id, settings.publishable_key or Secret("")),
            send=lambda call, deadline: sender.send(call, deadline=deadline),
            after_fork=lambda: None,
        )
        self._root = True
        self._rebound(account)

    def _rebound(self, account: str) -> Self:
        self._account = self._engine.account(account)
        return self

    @property
    def account(self) -> str:
        """Which session in the store this client is bound to."""
        return self._account.name

    def for_account(self, name: str) -> Self:
        """Return the same client bound to another session in the store.

        It shares everything with this client, costs next to nothing, and need not be closed: make one for
        each request of a web back end.

        Args:
            name: Which session in the store: a text of 1 to 256 printable characters.

        Raises:
            ConfigurationError: The name is not such a text.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _root=False)
        return other._rebound(name)

    def on(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` with every ``AuthEvent`` of this client and of those made by ``for_account``.

        Events come in order and once each, on a thread of the SDK's, with no lock held: the callback may call
        the client. A callback that raises is logged and harms nothing. ``sign_in``, ``sign_out`` and
        ``refresh`` return, and ``SessionExpired`` is raised, when the callbacks have been called, unless one
        was at work on another event: then this one comes behind it, and nobody waits.

        Returns:
            A function that ends the subscription.

        Raises:
            TypeError: ``callback`` is not a plain function.
        """
        return self._engine.events.on(callback)

    def httpx_auth(self, *, origins: AnyOrigins = ()) -> SessionAuth:
        """Return an ``httpx.Auth`` for the app's own ``httpx.Client(auth=...)`` or ``AsyncClient``.

        Args:
            origins: Who gets the access token: ``["https://api.example.com"]``, scheme, host and port.
                ``"*"`` sends it to every https URL: only for a client whose URLs are all the app's own.

        Raises:
            ConfigurationError: No origin, or one that is not safe.
        """
        return SessionAuth(self._account, Origins(origins))

    def httpx2_auth(self, *, origins: AnyOrigins = ()) -> "SessionAuth2":
        """Return an ``httpx2.Auth``, as ``httpx_auth`` does for httpx.

        Raises:
            ConfigurationError: No origin, or one that is not safe; or httpx2 is not installed.
        """
        return _session_auth2()(self._account, Origins(origins))

    def _attach(self, client: AnyClient, kind: str, origins: AnyOrigins) -> AnyClient:
        library = _library_of(client, kind)
        if library is None:
            other = "HelloJohn" if kind == "AsyncClient" else "AsyncHelloJohn"
            found = f"{type(client).__module__}.{type(client).__qualname__}"
            raise TypeError(
                f"{type(self).__name__} takes the {kind} of httpx or httpx2, not {found}: see {other}."
            )
        target: Any = client
        if target.auth is not None:
            raise ConfigurationError(
                "The client has an auth already, such as from an earlier wrap(): pass one without."
            )
        flow = SessionAuth if library == "httpx" else _session_auth2()
        target.auth = flow(self._account, Origins(origins, base_url=target.base_url))
        return client

    def _close(self) -> None:
        if self._root:
            self._engine.close()
            self._sender.close()

    def __repr__(self) -> str:
        """Show the settings that are no secret."""
        if not hasattr(self, "_account"):  # in the traceback of a wrong setting
            return f"<{type(self).__name__}>"
        where = f"{self._settings.tenant_id} at {self._settings.api_url}"
        return f"<{type(self).__name__} account {self.account!r} of {where}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle: a client has threads, sockets and keys."""
        msg = "A client does not pickle: make one in each process, on the same store."
        raise TypeError(msg)


class HelloJohn(_Client):
    """Signs users in, keeps them signed in, and says when it is over.

    Safe to share between threads. It survives ``fork``. Use it as a context manager or call ``close``.
    """

    auth: Auth
    """Sign-in, sign-out and the session."""

    def _rebound(self, account: str) -> Self:
        super()._rebound(account)
        self.auth = Auth(self._account, self._settings)
        return self

    def client(self, *, origins: AnyOrigins = (), **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own
        """Return a new ``httpx.Client`` whose requests carry the session's access token.

        Args:
            origins: Who gets the token besides ``base_url``: see ``httpx_auth``.
            **options: Whatever ``httpx.Client`` takes, such as ``base_url``, ``headers`` or ``timeout``.

        Raises:
            ConfigurationError: No origin, or one that is not safe.
        """
        return self.wrap(httpx.Client(**options), origins=origins)

    def wrap(self, client: SyncClient, *, origins: AnyOrigins = ()) -> SyncClient:
        """Attach the session's access token to the app's own ``httpx.Client`` or ``httpx2.Client``.

        Args:
            client: The client. Its ``base_url`` is an allowed origin. A response hook of its own that raises
                on 401 runs before the SDK sees the answer, and so switches the recovery off.
            origins: Who gets the token besides ``base_url``: see ``httpx_auth``.

        Returns:
            The same client.

        Raises:
            ConfigurationError: No origin, or one that is not safe; or the client has an auth already.
            TypeError: It is another kind of client.
        """
        return self._attach(client, "Client", origins)

    def doctor(self) -> Diagnosis:
        """Look at the store, the session, the service and the clock: facts and advice."""
        return drive(self._account.operate(lambda: diagnose(self._account)))

    def close(self) -> None:
        """Wait until what is under way is stored, and close the SDK's own connections."""
        self._close()

    def __enter__(self) -> Self:
        """Use the client as a context manager."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class AsyncHelloJohn(_Client):
    """The same for asyncio: safe to share between tasks, event loops and threads.

    Cancelling a call never loses a session. Use it as a context manager or call ``aclose``.
    """

    auth: AsyncAuth
    """Sign-in, sign-out and the session."""

    def _rebound(self, account: str) -> Self:
        super()._rebound(account)
        self.auth = AsyncAuth(self._account, self._settings)
        return self

    def client(self, *, origins: AnyOrigins = (), **options: Any) -> httpx.AsyncClient:  # noqa: ANN401
        """Return a new ``httpx.AsyncClient`` whose requests carry the token: see ``HelloJohn.client``."""
        return self.wrap(httpx.AsyncClient(**options), origins=origins)

    def wrap(self, client: AsyncClient, *, origins: AnyOrigins = ()) -> AsyncClient:
        """Attach the token to the app's own ``AsyncClient`` of httpx or httpx2: see ``HelloJohn.wrap``."""
        return self._attach(client, "AsyncClient", origins)

    async def doctor(self) -> Diagnosis:
        """Look at the store, the session, the service and the clock: see ``HelloJohn.doctor``."""
        return await drive_async(self._account.operate(lambda: diagnose(self._account)))

    async def aclose(self) -> None:
        """Wait until what is under way is stored, and close the SDK's connections."""
        await finish(self._close)

    async def __aenter__(self) -> Self:
        """Use the client as a context manager."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()


def _library_of(client: object, name: str) -> str | None:
    """Return which of the two libraries ``client`` belongs to, if it is of the class ``name`` there."""
    for library in ("httpx", "httpx2"):
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and isinstance(client, kind):
            return library
    return None


def _session_auth2() -> "type[SessionAuth2]":
    try:
        from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError("httpx2 is not installed: pip install 'hellojohn[httpx2]'.") from None
    return SessionAuth2

"""The server's side of a client, in two faces: sessions, settings, verification, revocations, service tokens.

Each room is loaded when it is first used: a program that signs a user in has no need of them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from hellojohn._secret import Secret

if TYPE_CHECKING:
    from hellojohn._assembly import Parts
    from hellojohn._session.account import Account
    from hellojohn._transport.httpx import SessionAuth
    from hellojohn._transport.httpx2 import SessionAuth as SessionAuth2
    from hellojohn._transport.requests import SessionAuth as RequestsAuth
    from hellojohn.admin import Admin, AsyncAdmin, AsyncSessions, Sessions
    from hellojohn.verify import AsyncRevocations, Revocations, TokenClaims, Verification


class _ServiceHooks:
    """The auth hooks of services, which serve blocking and awaiting clients alike."""

    _parts: "Parts"

    def service_auth(
        self,
        *,
        client_secret: str,
        scopes: Iterable[str] = (),
        origins: "Iterable[str] | Literal['*']" = (),
    ) -> "SessionAuth":
        """Return an ``httpx.Auth`` that adds a service's access token to requests.

        The service is the client that ``client_id`` names. The first request asks the server for a token,
        and later ones replace it before it expires. Hooks and calls with the same secret and scopes share the
        token. It is kept in memory only.

        Args:
            client_secret: The secret of a confidential client.
            scopes: The scopes to ask for, such as ``["orders:read"]``; by default all that the client has.
            origins: Which origins get the token: see ``httpx_auth``.

        Raises:
            NotSupported: On v1, which has not published service tokens.
            ConfigurationError: An argument is malformed, or no origin is given. A request raises it when the
                server refuses the secret or a scope.
        """
        hidden = Secret(client_secret)
        del client_secret
        return self._parts.httpx_auth(self._parts.service_account(hidden, scopes), origins)

    def httpx2_service_auth(
        self,
        *,
        client_secret: str,
        scopes: Iterable[str] = (),
        origins: "Iterable[str] | Literal['*']" = (),
    ) -> "SessionAuth2":
        """Return an ``httpx2.Auth``, as ``service_auth`` does for httpx.

        Raises:
            NotSupported: On v1, which has not published service tokens.
            ConfigurationError: An argument is malformed, no origin is given, or httpx2 is not installed.
        """
        hidden = Secret(client_secret)
        del client_secret
        return self._parts.httpx2_auth(self._parts.service_account(hidden, scopes), origins)

    def requests_service_auth(
        self,
        *,
        client_secret: str,
        scopes: Iterable[str] = (),
        origins: "Iterable[str] | Literal['*']" = (),
    ) -> "RequestsAuth":
        """Return an auth for ``requests``, as ``service_auth`` does for httpx. It blocks where it waits.

        Raises:
            NotSupported: On v1, which has not published service tokens.
            ConfigurationError: An argument is malformed, no origin is given, or requests is not installed.
        """
        hidden = Secret(client_secret)
        del client_secret
        return self._parts.requests_auth(self._parts.service_account(hidden, scopes), origins)


class ServerSide(_ServiceHooks):
    """The server's side, for callers that block."""

    _account: "Account"

    @property
    def sessions(self) -> "Sessions":
        """The sessions of all users. It needs the secret key."""
        from hellojohn.admin import Sessions  # noqa: PLC0415 - as in the constructor

        return Sessions(self._account)

    @property
    def admin(self) -> "Admin":
        """The settings of the tenant. It needs the secret key."""
        from hellojohn.admin import Admin  # noqa: PLC0415 - as in the constructor

        return Admin(self._account)

    @property
    def revocations(self) -> "Revocations":
        """The sessions and users whose tokens ``verify_token`` refuses before they expire."""
        return self._parts.verifier.revocations

    def verify_token(
        self, token: str, *, audience: str | Iterable[str] | None = None, leeway: float = 0.0
    ) -> "TokenClaims":
        """Verify an access token on this machine, and return its claims. It needs no key of the SDK.

        Args:
            token: The token, without ``Bearer``.
            audience: The audience that the token must have; by default the tenant, or the client on v2. Of
                several, any will do.
            leeway: The seconds by which this machine's clock and the service's may differ.

        Raises:
            TokenInvalid: The token did not verify; the subclass and ``reason`` say why. Answer 401.
            KeysUnavailable: The published keys cannot be fetched now. Answer 503.
            ConfigurationError: An argument is malformed, or cryptography is not installed.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return self._parts.verifier.verify_token(hidden, audience=audience, leeway=leeway)

    def verify_token_remote(self, token: str) -> "Verification":
        """Ask the service about an access token. It sees a revocation at once, and costs a request.

        Args:
            token: The token, without ``Bearer``.

        Raises:
            NotSupported: The server has no such check.
            ServiceUnavailable: The service gave no usable answer. Answer 503.
            ApiError: The service refused to answer, such as for a wrong key.
            ConfigurationError: The secret key is missing, or the client was closed.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return self._parts.verifier.verify_token_remote(hidden)

    def service_token(
        self, *, client_secret: str, scopes: Iterable[str] = (), refused: str | None = None
    ) -> str:
        """Return a service's access token, for gRPC, a WebSocket or any other transport.

        Call it for each message: it asks the server only when a new token is due. Hooks and calls with the
        same secret and scopes share the token.

        Args:
            client_secret: The secret of a confidential client.
            scopes: The scopes to ask for; by default all that the client has.
            refused: The token that the other transport was refused with: a newer one comes back.

        Raises:
            NotSupported: On v1, which has not published service tokens.
            ConfigurationError: An argument is malformed, or the server refuses the secret or a scope.
            ServiceUnavailable: The service gave no usable answer and the last token has expired; or
                ``refused`` is only a moment old, so that the next token would be refused as well.
        """
        from hellojohn._session import calls  # noqa: PLC0415 - as in the constructor
        from hellojohn._waiting import run  # noqa: PLC0415 - the same

        hidden, old = Secret(client_secret), None if refused is None else Secret(refused)
        del client_secret, refused
        account = self._parts.service_account(hidden, scopes)
        return (run(calls.access_token(account, refused=old))).reveal()


class AsyncServerSide(_ServiceHooks):
    """The server's side, for callers that await."""

    _account: "Account"

    @property
    def sessions(self) -> "AsyncSessions":
        """The sessions of all users. It needs the secret key."""
        from hellojohn.admin import AsyncSessions  # noqa: PLC0415 - as in the constructor

        return AsyncSessions(self._account)

    @property
    def admin(self) -> "AsyncAdmin":
        """The settings of the tenant. It needs the secret key."""
        from hellojohn.admin import AsyncAdmin  # noqa: PLC0415 - as in the constructor

        return AsyncAdmin(self._account)

    @property
    def revocations(self) -> "AsyncRevocations":
        """The sessions and users whose tokens ``verify_token`` refuses before they expire."""
        return self._parts.verifier.async_revocations

    async def verify_token(
        self, token: str, *, audience: str | Iterable[str] | None = None, leeway: float = 0.0
    ) -> "TokenClaims":
        """Verify an access token on this machine, and return its claims. It needs no key of the SDK.

        Args:
            token: The token, without ``Bearer``.
            audience: The audience that the token must have; by default the tenant, or the client on v2. Of
                several, any will do.
            leeway: The seconds by which this machine's clock and the service's may differ.

        Raises:
            TokenInvalid: The token did not verify; the subclass and ``reason`` say why. Answer 401.
            KeysUnavailable: The published keys cannot be fetched now. Answer 503.
            ConfigurationError: An argument is malformed, or cryptography is not installed.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return await self._parts.verifier.verify_token_async(hidden, audience=audience, leeway=leeway)

    async def verify_token_remote(self, token: str) -> "Verification":
        """Ask the service about an access token. It sees a revocation at once, and costs a request.

        Args:
            token: The token, without ``Bearer``.

        Raises:
            NotSupported: The server has no such check.
            ServiceUnavailable: The service gave no usable answer. Answer 503.
            ApiError: The service refused to answer, such as for a wrong key.
            ConfigurationError: The secret key is missing, or the client was closed.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return await self._parts.verifier.verify_token_remote_async(hidden)

    async def service_token(
        self, *, client_secret: str, scopes: Iterable[str] = (), refused: str | None = None
    ) -> str:
        """Return a service's access token, for gRPC, a WebSocket or any other transport.

        Call it for each message: it asks the server only when a new token is due. Hooks and calls with the
        same secret and scopes share the token.

        Args:
            client_secret: The secret of a confidential client.
            scopes: The scopes to ask for; by default all that the client has.
            refused: The token that the other transport was refused with: a newer one comes back.

        Raises:
            NotSupported: On v1, which has not published service tokens.
            ConfigurationError: An argument is malformed, or the server refuses the secret or a scope.
            ServiceUnavailable: The service gave no usable answer and the last token has expired; or
                ``refused`` is only a moment old, so that the next token would be refused as well.
        """
        from hellojohn._session import calls  # noqa: PLC0415 - as in the constructor
        from hellojohn._waiting import run_async  # noqa: PLC0415 - the same

        hidden, old = Secret(client_secret), None if refused is None else Secret(refused)
        del client_secret, refused
        account = self._parts.service_account(hidden, scopes)
        return (await run_async(calls.access_token(account, refused=old))).reveal()

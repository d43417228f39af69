"""The server's side of a client, in two faces: sessions, settings, verification and revocations.

Each room is loaded when it is first used: a program that signs a user in has no need of them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hellojohn._secret import Secret

if TYPE_CHECKING:
    from hellojohn._assembly import Parts
    from hellojohn._session.account import Account
    from hellojohn.admin import Admin, AsyncAdmin, AsyncSessions, Sessions
    from hellojohn.verify import AsyncRevocations, Revocations, TokenClaims, Verification


class ServerSide:
    """The server's side, for callers that block."""

    _parts: "Parts"
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
            NotSupported: The server cannot tell.
            ServiceUnavailable: There is no usable answer. Answer 503.
            ApiError: The service refused to answer, such as for a wrong key.
            ConfigurationError: The secret key is missing.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return self._parts.verifier.verify_token_remote(hidden)


class AsyncServerSide:
    """The server's side, for callers that await."""

    _parts: "Parts"
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
            NotSupported: The server cannot tell.
            ServiceUnavailable: There is no usable answer. Answer 503.
            ApiError: The service refused to answer, such as for a wrong key.
            ConfigurationError: The secret key is missing.
            TypeError: The token is not text.
        """
        hidden = Secret(token)
        del token
        return await self._parts.verifier.verify_token_remote_async(hidden)

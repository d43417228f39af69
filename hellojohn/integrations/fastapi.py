"""``Guard`` and ``BrowserSessions`` for FastAPI, of the extra ``hellojohn[fastapi]``.

    guard = Guard(hj)

    @app.get("/orders")
    async def orders(claims: Annotated[TokenClaims, Depends(guard.require_session)]): ...

The dependencies are asynchronous: a blocking one would cost a thread for each request.
"""

from dataclasses import replace

try:
    from fastapi import HTTPException, WebSocketException
    from fastapi.security import HTTPBearer, SecurityScopes
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket
except ModuleNotFoundError as _missing:
    _MESSAGE = "hellojohn.integrations.fastapi needs FastAPI: pip install 'hellojohn[fastapi]'"
    raise ImportError(_MESSAGE, name=_missing.name) from _missing

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.integrations._browser_asgi import BrowserSessions
from hellojohn.integrations._rules import Checker, Demand, Refused, checked_roles, checked_scopes
from hellojohn.integrations.starlette import claims_of
from hellojohn.verify import TokenClaims

__all__ = ["BrowserSessions", "Guard"]

_NONE_WANTED = SecurityScopes()


class RequiredToken(HTTPBearer):
    """A dependency that gives the claims of a valid access token."""

    def __init__(self, checker: Checker, demand: Demand) -> None:
        """Made by ``Guard``."""
        super().__init__(auto_error=False, scheme_name="HelloJohn", bearerFormat="JWT")
        self._checker = checker
        self._demand = demand

    async def __call__(  # type: ignore[override]
        self, connection: HTTPConnection, wanted: SecurityScopes = _NONE_WANTED
    ) -> TokenClaims:
        """Return the claims.

        Raises:
            HTTPException: The request is refused.
            WebSocketException: The WebSocket is refused.
        """
        claims = await self._claims(connection, wanted)
        assert claims is not None  # noqa: S101 - only an optional demand is met without a token
        return claims

    async def _claims(self, connection: HTTPConnection, wanted: SecurityScopes) -> TokenClaims | None:
        demand = self._demand
        if wanted.scopes:  # of Security(..., scopes=[...])
            scopes = checked_scopes(tuple(wanted.scopes))
            demand = replace(demand, scopes=tuple(dict.fromkeys((*demand.scopes, *scopes))))
        try:
            return await claims_of(self._checker, demand, connection)
        except Refused as refused:
            refusal = refused.refusal
        if isinstance(connection, WebSocket):
            raise WebSocketException(refusal.close_code, refusal.description)
        raise HTTPException(refusal.status, refusal.description, refusal.headers)


class OptionalToken(RequiredToken):
    """A dependency that gives the claims, or ``None`` without a token."""

    async def __call__(  # type: ignore[override]
        self, connection: HTTPConnection, wanted: SecurityScopes = _NONE_WANTED
    ) -> TokenClaims | None:
        """Return the claims.

        Raises:
            HTTPException: The token is bad.
            WebSocketException: The WebSocket's token is bad.
        """
        return await self._claims(connection, wanted)


class Guard:
    """Dependencies that let requests with a valid access token through.

    ``Security(guard.require_session, scopes=[...])`` demands scopes as well. A WebSocket is closed with 1008
    when the token is bad, and when it ends or is revoked.

    Attributes:
        require_session: Demands a valid token.
        require_session_remote: Demands a token that the service accepts at this moment: one request for each.
        optional: Gives ``None`` without a token. A bad token is refused.
    """

    def __init__(self, client: HelloJohn | AsyncHelloJohn) -> None:
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``. Local verification blocks no event loop.

        Raises:
            ConfigurationError: The client's settings allow no verification.
            TypeError: It is not a client.
        """
        self._checker = checker = Checker(client)
        self.require_session: RequiredToken = RequiredToken(checker, Demand())
        self.require_session_remote: RequiredToken = RequiredToken(checker, Demand(remote=True))
        self.optional: OptionalToken = OptionalToken(checker, Demand(optional=True))

    def require_scope(self, *scopes: str) -> RequiredToken:
        """Return a dependency that demands all of these scopes."""
        return RequiredToken(self._checker, Demand(scopes=checked_scopes(scopes)))

    def require_role(self, *roles: str) -> RequiredToken:
        """Return a dependency that demands one of these roles."""
        return RequiredToken(self._checker, Demand(roles=checked_roles(roles)))

"""``Guard`` and ``BrowserSessions`` for Starlette, of the extra ``hellojohn[starlette]``.

guard = Guard(hj)

@guard.require_session
async def orders(request):
    return JSONResponse({"user": request.state.hellojohn.user_id})
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection
    from starlette.responses import JSONResponse
    from starlette.websockets import WebSocket
except ModuleNotFoundError as _missing:
    _MESSAGE = "hellojohn.integrations.starlette needs Starlette: pip install 'hellojohn[starlette]'"
    raise ImportError(_MESSAGE, name=_missing.name) from _missing

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.integrations._browser_asgi import BrowserSessions
from hellojohn.integrations._rules import Checker, Demand, Refusal, Refused, checked_roles, checked_scopes
from hellojohn.integrations._sockets import close_in_time
from hellojohn.verify import TokenClaims

__all__ = ["BrowserSessions", "Guard"]

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Guard:
    """Lets requests with a valid access token through to an endpoint.

    The claims are in ``request.state.hellojohn``. A WebSocket is closed with 1008 when the token is bad, and
    when it ends or is revoked.
    """

    def __init__(self, client: HelloJohn | AsyncHelloJohn) -> None:
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``. Local verification blocks no event loop.

        Raises:
            ConfigurationError: The client's settings allow no verification.
            TypeError: It is not a client.
        """
        self._checker = Checker(client)

    def require_session(self, endpoint: Endpoint) -> Endpoint:
        """Let requests with a valid token through."""
        return self._guarded(endpoint, Demand())

    def require_session_remote(self, endpoint: Endpoint) -> Endpoint:
        """Let requests through whose token the service accepts at this moment: one request for each."""
        return self._guarded(endpoint, Demand(remote=True))

    def optional(self, endpoint: Endpoint) -> Endpoint:
        """Let requests without a token through as well, with ``None`` for claims. A bad token is refused."""
        return self._guarded(endpoint, Demand(optional=True))

    def require_scope(self, *scopes: str) -> Callable[[Endpoint], Endpoint]:
        """Let requests through whose token has all of these scopes."""
        demand = Demand(scopes=checked_scopes(scopes))
        return lambda endpoint: self._guarded(endpoint, demand)

    def require_role(self, *roles: str) -> Callable[[Endpoint], Endpoint]:
        """Let requests through whose token has one of these roles."""
        demand = Demand(roles=checked_roles(roles))
        return lambda endpoint: self._guarded(endpoint, demand)

    def _guarded(self, endpoint: Endpoint, demand: Demand) -> Endpoint:
        if inspect.isclass(endpoint):
            raise TypeError("Guard the methods of an endpoint class, such as get, not the class.")

        @functools.wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the endpoint
            connection = _connection_among((*args, *kwargs.values()))
            try:
                connection.state.hellojohn = await claims_of(self._checker, demand, connection)
            except Refused as refused:
                return await _refuse(connection, refused.refusal)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return cast("Endpoint", guarded)


def _connection_among(arguments: tuple[Any, ...]) -> "HTTPConnection[Any]":
    """Return the request or WebSocket that an endpoint is called with; a method has ``self`` before it."""
    return next(filter(_is_connection, arguments))


def _is_connection(argument: object) -> bool:
    return isinstance(argument, HTTPConnection)


async def _refuse(connection: HTTPConnection, refusal: Refusal) -> JSONResponse | None:
    if isinstance(connection, WebSocket):
        await connection.close(refusal.close_code)
        return None
    return JSONResponse(refusal.body, refusal.status, refusal.headers)


async def claims_of(checker: Checker, demand: Demand, connection: HTTPConnection) -> TokenClaims | None:
    """Return the claims of a request or a WebSocket.

    A WebSocket is closed when its token ends or is revoked.

    Raises:
        Refused: The request is refused.
    """
    authorization = connection.headers.getlist("authorization")
    claims = await checker.check_async(demand, authorization, connection.query_params)
    if claims is not None and isinstance(connection, WebSocket):
        revoked = functools.partial(checker.is_revoked, claims)
        close_in_time(connection, claims.expires_at.timestamp(), checker.now, revoked=revoked)
    return claims

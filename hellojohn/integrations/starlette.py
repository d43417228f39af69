"""Guards for Starlette, of the extra ``hellojohn[starlette]``: decorators for endpoints.

guard = Guard(hj)

@guard.require_session
async def orders(request):
    return JSONResponse({"user": request.state.hellojohn.user_id})
"""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketState

from hellojohn.integrations._rules import POLICY_VIOLATION, Checker, Demand, Refused, checked_names
from hellojohn.verify import TokenClaims

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_LONGEST_NAP = 0.5


class Guard:
    """Lets requests with a valid access token through to an endpoint.

    The claims are in ``request.state.hellojohn``. A WebSocket is closed with 1008 when the token is bad, and
    when it ends.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - either client
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``. Local verification blocks no event loop.

        Raises:
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
        demand = Demand(scopes=checked_names(scopes, "require_scope"))
        return lambda endpoint: self._guarded(endpoint, demand)

    def require_role(self, *roles: str) -> Callable[[Endpoint], Endpoint]:
        """Let requests through whose token has one of these roles."""
        demand = Demand(roles=checked_names(roles, "require_role"))
        return lambda endpoint: self._guarded(endpoint, demand)

    def _guarded(self, endpoint: Endpoint, demand: Demand) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(connection: HTTPConnection) -> Any:  # noqa: ANN401 - what the endpoint returns
            try:
                connection.state.hellojohn = await claims_of(self._checker, demand, connection)
            except Refused as refused:
                if isinstance(connection, WebSocket):
                    await connection.close(refused.refusal.close_code)
                    return None
                refusal = refused.refusal
                return JSONResponse(refusal.body, refusal.status, refusal.headers)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(connection)
            return await run_in_threadpool(endpoint, connection)

        return guarded  # type: ignore[return-value] # it is called like the endpoint


async def claims_of(checker: Checker, demand: Demand, connection: HTTPConnection) -> TokenClaims | None:
    """Return the claims of a request or a WebSocket, whose end is watched.

    Raises:
        Refused: The request is refused.
    """
    authorization = connection.headers.getlist("authorization")
    claims = await checker.check_async(demand, authorization, connection.query_params)
    if claims is not None and isinstance(connection, WebSocket):
        watcher = asyncio.ensure_future(_close_in_time(checker, connection, claims))
        _watchers.add(watcher)
        watcher.add_done_callback(_watchers.discard)
    return claims


_watchers: set["asyncio.Future[None]"] = set()
"""The running watchers: an event loop keeps no strong reference to a task."""


async def _close_in_time(checker: Checker, websocket: WebSocket, claims: TokenClaims) -> None:
    """Close a WebSocket when its token ends."""
    while websocket.application_state is not WebSocketState.DISCONNECTED:
        left = claims.expires_at.timestamp() - checker.now()
        if left <= 0:
            await websocket.close(POLICY_VIOLATION)
            return
        await asyncio.sleep(min(left, _LONGEST_NAP))
        if websocket.client_state is WebSocketState.DISCONNECTED:
            return

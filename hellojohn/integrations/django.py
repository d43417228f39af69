"""Guards for Django, of the extra ``hellojohn[django]``: decorators for views, synchronous and asynchronous.

guard = Guard(hj)

@guard.require_session
def orders(request):
    return JsonResponse({"user": request.hellojohn.user_id})
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped] # django has no types

from hellojohn.integrations._rules import Checker, Demand, Refused, checked_names

View = TypeVar("View", bound=Callable[..., Any])


class Guard:
    """Lets requests with a valid access token through to a view. The claims are in ``request.hellojohn``."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - either client
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``. Local verification blocks no event loop.

        Raises:
            TypeError: It is not a client.
        """
        self._checker = Checker(client)

    def require_session(self, view: View) -> View:
        """Let requests with a valid token through."""
        return self._guarded(view, Demand())

    def require_session_remote(self, view: View) -> View:
        """Let requests through whose token the service accepts at this moment: one request for each."""
        return self._guarded(view, Demand(remote=True))

    def optional(self, view: View) -> View:
        """Let requests without a token through as well, with ``None`` for claims. A bad token is refused."""
        return self._guarded(view, Demand(optional=True))

    def require_scope(self, *scopes: str) -> Callable[[View], View]:
        """Let requests through whose token has all of these scopes."""
        demand = Demand(scopes=checked_names(scopes, "require_scope"))
        return lambda view: self._guarded(view, demand)

    def require_role(self, *roles: str) -> Callable[[View], View]:
        """Let requests through whose token has one of these roles."""
        demand = Demand(roles=checked_names(roles, "require_role"))
        return lambda view: self._guarded(view, demand)

    def _guarded(self, view: View, demand: Demand) -> View:
        if inspect.iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                try:
                    claims = await self._checker.check_async(demand, *_parts(request))
                except Refused as refused:
                    return _response(refused)
                request.hellojohn = claims
                return await view(request, *args, **kwargs)

            return guarded_async  # type: ignore[return-value] # it is called like the view

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                claims = self._checker.check(demand, *_parts(request))
            except Refused as refused:
                return _response(refused)
            request.hellojohn = claims
            return view(request, *args, **kwargs)

        return guarded  # type: ignore[return-value] # it is called like the view


def _parts(request: HttpRequest) -> tuple[list[str], list[str]]:
    """Return the ``Authorization`` headers, which WSGI joins by commas, and the names in the query."""
    value = request.headers.get("Authorization")
    values = [] if value is None else [value]
    if value is not None and ", Bearer " in value:
        values = value.split(", ")
    return values, list(request.GET)


def _response(refused: Refused) -> JsonResponse:
    refusal = refused.refusal
    return JsonResponse(refusal.body, status=refusal.status, headers=refusal.headers)

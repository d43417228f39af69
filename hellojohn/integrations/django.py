"""``Guard`` and ``BrowserSessions`` for Django, of the extra ``hellojohn[django]``.

guard = Guard(hj)

@guard.require_session
def orders(request):
    return JsonResponse({"user": request.hellojohn.user_id})
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

try:
    from asgiref.sync import iscoroutinefunction
    from django.http import (  # pyright: ignore[reportMissingTypeStubs]
        HttpResponse,
        HttpResponseRedirect,
        JsonResponse,
    )
except ModuleNotFoundError as _missing:
    _MESSAGE = "hellojohn.integrations.django needs Django: pip install 'hellojohn[django]'"
    raise ImportError(_MESSAGE, name=_missing.name) from _missing

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn._constructors import own_constructor
from hellojohn.integrations._browser_blocking import BlockingBrowserSessions, target_of
from hellojohn.integrations._browser_values import CrossSiteRequest, Landing, Visit
from hellojohn.integrations._redirects import visited
from hellojohn.integrations._rules import Checker, Demand, Refusal, Refused, checked_roles, checked_scopes

__all__ = ["BrowserSessions", "Guard"]

View = TypeVar("View", bound=Callable[..., Any])


class Guard:
    """Lets requests with a valid access token through to a view. The claims are in ``request.hellojohn``."""

    def __init__(self, client: HelloJohn | AsyncHelloJohn) -> None:
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``. Local verification blocks no event loop.

        Raises:
            ConfigurationError: The client's settings allow no verification.
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
        demand = Demand(scopes=checked_scopes(scopes))
        return lambda view: self._guarded(view, demand)

    def require_role(self, *roles: str) -> Callable[[View], View]:
        """Let requests through whose token has one of these roles."""
        demand = Demand(roles=checked_roles(roles))
        return lambda view: self._guarded(view, demand)

    def middleware(self, get_response: View) -> View:
        """Set ``request.hellojohn`` for every view: the claims, or ``None`` without a token.

        A bad token is refused. Name it in ``MIDDLEWARE`` through a variable of a module of the project:
        ``middleware = guard.middleware``.
        """
        return self._guarded(get_response, Demand(optional=True))

    middleware.sync_capable = middleware.async_capable = True  # type: ignore[attr-defined] # Django reads it

    def _guarded(self, view: View, demand: Demand) -> View:
        # Django marks the asynchronous views of classes in a way that inspect does not see on Python 3.11.
        if iscoroutinefunction(view):  # pyright: ignore[reportDeprecated] # only on 3.14

            @functools.wraps(view)
            async def guarded_async(request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                try:
                    request.hellojohn = await self._checker.check_async(demand, *_parts(request))
                except Refused as refused:
                    return _response(refused.refusal)
                return await view(request, *args, **kwargs)

            return cast("View", guarded_async)

        @functools.wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                request.hellojohn = self._checker.check(demand, *_parts(request))
            except Refused as refused:
                return _response(refused.refusal)
            return view(request, *args, **kwargs)

        return cast("View", guarded)


def _parts(request: Any) -> tuple[list[str], Iterable[str]]:  # noqa: ANN401 - Django has no types
    """Return the values of the ``Authorization`` header and the names in the query."""
    value: str | None = request.META.get("HTTP_AUTHORIZATION")
    return ([] if value is None else [value]), request.GET


def _response(refusal: Refusal) -> Any:  # noqa: ANN401 - Django has no types
    return JsonResponse(refusal.body, status=refusal.status, headers=refusal.headers)


@own_constructor
class BrowserSessions(BlockingBrowserSessions[Any, Any]):
    """Signs browsers in: each has a session in the client's store, under a random cookie.

    Name its ``middleware`` in ``MIDDLEWARE`` through a variable of a module of the project. Each view has the
    client of its browser in ``request.hellojohn_client``. The middleware also answers ``SignInRequired`` with
    the way to sign-in, and an outage with 503.
    """

    def middleware(self, get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Set ``request.hellojohn_client``, and answer the SDK's errors as the rules say."""

        def bound(request: Any) -> Any:  # noqa: ANN401 - Django has no types
            try:
                request.hellojohn_client = self.client(request)
            except CrossSiteRequest as error:
                return self._on_error(request, error)
            return get_response(request)

        bound.process_exception = self._on_error  # type: ignore[attr-defined] # Django looks for it
        return bound

    def _on_error(self, request: Any, error: Exception) -> Any:  # noqa: ANN401 - Django has no types
        answer = self._answer_to(request, error)
        if answer is None:
            return None
        return HttpResponse(answer.body.encode(), status=answer.status, headers=answer.headers)

    def _visit(self, request: Any) -> Visit:  # noqa: ANN401 - Django has no types
        return Visit(
            method=request.method,
            scheme=request.scheme,
            host=request.get_host(),
            target=_target_of(request),
            next=request.GET.get("next"),
            headers=request.headers,
            cookies=request.COOKIES,
            address=request.META.get("REMOTE_ADDR"),
        )

    def _redirect(self, landing: Landing) -> Any:  # noqa: ANN401 - Django has no types
        response: Any = HttpResponseRedirect(
            landing.location, status=303, headers={"Cache-Control": "no-store"}
        )
        cookie = landing.cookie
        if cookie is not None:
            response.set_cookie(
                cookie.name,
                cookie.value,
                max_age=cookie.max_age,
                secure=cookie.secure,
                httponly=True,
                samesite="Lax",
            )
        return response


def _target_of(request: Any) -> str:  # noqa: ANN401 - Django has no types
    scope: dict[str, Any] | None = getattr(request, "scope", None)
    if scope is None:
        return target_of(request.META, request.path)
    return visited(scope.get("raw_path") or b"", scope["path"], scope.get("query_string", b""))

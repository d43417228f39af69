"""``Guard`` and ``BrowserSessions`` for Flask, of the extra ``hellojohn[flask]``.

guard = Guard(hj)

@app.get("/orders")
@guard.require_session
def orders():
    return {"user": g.hellojohn.user_id}
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    from flask import Flask, Request, Response, current_app, g, jsonify, redirect, request
except ModuleNotFoundError as _missing:
    _MESSAGE = "hellojohn.integrations.flask needs Flask: pip install 'hellojohn[flask]'"
    raise ImportError(_MESSAGE, name=_missing.name) from _missing

from hellojohn import AsyncHelloJohn, HelloJohn, ServiceUnavailable, SignInRequired, StoreError
from hellojohn._constructors import own_constructor
from hellojohn.integrations._browser_blocking import BlockingBrowserSessions, target_of
from hellojohn.integrations._browser_values import CrossSiteRequest, Landing, Visit
from hellojohn.integrations._rules import Checker, Demand, Refused, checked_roles, checked_scopes

__all__ = ["BrowserSessions", "Guard"]

View = TypeVar("View", bound=Callable[..., Any])


class Guard:
    """Lets requests with a valid access token through to a view. The claims are in ``g.hellojohn``."""

    def __init__(self, client: HelloJohn | AsyncHelloJohn) -> None:
        """Guard with a client.

        Args:
            client: A ``HelloJohn`` or an ``AsyncHelloJohn``.

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

    def _guarded(self, view: View, demand: Demand) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the view
            authorization = request.headers.getlist("Authorization")
            try:
                g.hellojohn = self._checker.check(demand, authorization, request.args)
            except Refused as refused:
                return _response(refused)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return cast("View", guarded)


def _response(refused: Refused) -> Response:
    response = jsonify(refused.refusal.body)
    response.status_code = refused.refusal.status
    response.headers.update(refused.refusal.headers)
    return response


@own_constructor
class BrowserSessions(BlockingBrowserSessions[Request, Response]):
    """Signs browsers in: each has a session in the client's store, under a random cookie.

    Call ``install`` once. Each view has the client of its browser in ``g.hellojohn_client``. ``install`` also
    answers ``SignInRequired`` with the way to sign-in, and an outage with 503.
    """

    def install(self, app: Flask) -> None:
        """Set ``g.hellojohn_client``, and have the app answer the SDK's errors as the rules say."""
        app.before_request(self._bind)
        for error in (SignInRequired, ServiceUnavailable, StoreError, CrossSiteRequest):
            app.register_error_handler(error, self._on_error)

    def _bind(self) -> None:
        g.hellojohn_client = self.client(request)

    def _on_error(self, error: Exception) -> Response:
        answer = self._answer_to(request, error)
        assert answer is not None  # noqa: S101 - the errors are those that were registered
        return Response(answer.body, answer.status, answer.headers)

    def _visit(self, request: Request) -> Visit:
        return Visit(
            method=request.method,
            scheme=request.scheme,
            host=request.host,
            target=target_of(request.environ, request.root_path + request.path),
            next=request.args.get("next"),
            headers=request.headers,  # type: ignore[arg-type] # it has the methods of a mapping
            cookies=request.cookies,
            address=request.remote_addr,
        )

    def _redirect(self, landing: Landing) -> Response:
        response = cast("Response", redirect(landing.location, 303, Response))
        response.headers["Cache-Control"] = "no-store"
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

"""Guards for Flask, of the extra ``hellojohn[flask]``: decorators for views.

guard = Guard(hj)

@app.get("/orders")
@guard.require_session
def orders():
    return {"user": g.hellojohn.user_id}
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Response, current_app, g, jsonify, request

from hellojohn import AsyncHelloJohn, HelloJohn
from hellojohn.integrations._rules import Checker, Demand, Refused, checked_roles, checked_scopes

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

"""``BrowserSessions`` for Starlette and FastAPI."""

import math
from collections.abc import Sequence
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.websockets import WebSocket

from hellojohn import (
    AsyncHelloJohn,
    HelloJohnError,
    NotSignedIn,
    ServiceUnavailable,
    Session,
    SignInRequired,
    StoreError,
)
from hellojohn._oauth import SCOPES
from hellojohn._secret import Secret
from hellojohn.integrations._browser_rules import Rules
from hellojohn.integrations._browser_steps import BrowserSteps, drive_async
from hellojohn.integrations._browser_values import CrossSiteRequest, Landing, Visit
from hellojohn.integrations._redirects import visited
from hellojohn.integrations._sockets import close_in_time

Connection = HTTPConnection[Any]

_LOOK_EVERY = 10.0
"""Seconds after which an open WebSocket sees that its browser has signed out in another process."""


class BrowserSessions:
    """Signs browsers in: each has a session in the client's store, under a random cookie.

    Call ``install`` once. It answers ``SignInRequired`` with the way to sign-in, and an outage with 503.
    """

    def __init__(
        self,
        client: AsyncHelloJohn,
        *,
        sign_in_url: str = "/sign-in",
        mfa_url: str = "/mfa",
        callback_url: str = "/callback",
        home: str = "/",
        origin: str | None = None,
        cookie_name: str = "hellojohn",
    ) -> None:
        """Keep sessions with a client.

        Args:
            client: The client. Its store holds the sessions of all browsers: with several workers, one that
                they share, such as a ``RedisStore``.
            sign_in_url: The path of the page that signs users in.
            mfa_url: The path of the page that asks for the code of the second factor.
            callback_url: The path to which providers send browsers back. Register it, with the origin.
            home: The path to go to after sign-in, unless the user was on the way to another page.
            origin: The site's public origin, such as ``https://example.com``; needed behind a proxy that ends
                TLS. By default that of the request.
            cookie_name: The name of the cookie. On https it gets the prefix ``__Host-``.

        Raises:
            ConfigurationError: An argument is malformed.
            TypeError: It is another kind of client.
        """
        if not isinstance(client, AsyncHelloJohn):
            raise TypeError(f"BrowserSessions takes an AsyncHelloJohn here, not {type(client).__name__}.")
        self._rules = Rules(
            sign_in_url=sign_in_url,
            mfa_url=mfa_url,
            callback_url=callback_url,
            home=home,
            origin=origin,
            cookie_name=cookie_name,
        )
        self._steps = BrowserSteps(client, self._rules)

    def install(self, app: Starlette) -> None:
        """Have the app answer the SDK's errors as the rules say."""
        handler: Any = self._on_error
        for error in (SignInRequired, ServiceUnavailable, StoreError, CrossSiteRequest):
            app.add_exception_handler(error, handler)

    async def client(self, connection: HTTPConnection) -> AsyncHelloJohn:
        """Return the client that is bound to the browser's session: a dependency in FastAPI.

        A visitor who has not signed in gets one without a session. Its calls raise ``NotSignedIn``.
        """
        return cast("AsyncHelloJohn", self._steps.client_for(_visit(connection)))

    async def session(self, connection: HTTPConnection) -> Session:
        """Return the browser's session: a dependency in FastAPI, for pages of signed-in users.

        It refreshes the session when that is due. So the visit counts as activity, and a session that was
        ended elsewhere is refused when its access token has run out. It also takes a WebSocket, which is then
        closed with 1008 when the session ends, and at the latest when its access token does.

        Raises:
            SignInRequired: The browser is not signed in. ``install`` has this answered.
            ServiceUnavailable: A refresh is due and the service is away. ``install`` has this answered.
        """
        auth = (await self.client(connection)).auth
        await auth.access_token()
        session = await auth.session()
        if session is None:
            raise NotSignedIn("This page is for signed-in users.")
        if isinstance(connection, WebSocket):
            opened = _Opened(self._steps, _visit(connection), session)
            close_in_time(connection, opened.next_look(), self._steps.now, look=opened.look)
        return session

    async def sign_in(
        self, request: Request, email: str, password: str, *, remember_me: bool | None = None
    ) -> Response:
        """Sign a user in under a new cookie, and end the browser's old session.

        Args:
            request: The request of the form.
            email: The user's email address.
            password: The password.
            remember_me: The box under the form. Without it, the cookie ends with the browser.

        Returns:
            The redirect: to ``mfa_url`` if a second factor is needed, else to the page in the query's
            ``next`` or to ``home``.

        Raises:
            ApiError: The service refused, such as with ``InvalidCredentials``. Show the form again.
            ServiceUnavailable: The service is away. ``install`` has this answered with 503.
            ConfigurationError: The site is on plain http, and not on this machine.
        """
        hidden = Secret(password)
        del password
        steps = self._steps.sign_in(_visit(request), email, hidden, remember_me=remember_me)
        return _redirect(await drive_async(steps))

    async def sign_in_with_oauth(
        self,
        request: Request,
        provider: str | None = None,
        *,
        remember_me: bool | None = None,
        scopes: Sequence[str] = SCOPES,
    ) -> Response:
        """Send the browser to a provider, under a new cookie, and end the browser's old session.

        Args:
            request: The request of the form.
            provider: A provider such as ``"google"``; ``None`` for the server's own login page.
            remember_me: As in ``sign_in``.
            scopes: The scopes to ask for, on ``v2``: openid, profile and email by default. Without email, the
                server does not name the user's address.

        Returns:
            The redirect to the provider, which sends the browser back to ``callback_url``.

        Raises:
            NotSupported: The server has no such sign-in.
            ConfigurationError: The site is on plain http, and not on this machine.
        """
        steps = self._steps.sign_in_with_oauth(
            _visit(request), provider, remember_me=remember_me, scopes=scopes
        )
        return _redirect(await drive_async(steps))

    async def complete_oauth(self, request: Request) -> Response:
        """Complete the sign-in that ``sign_in_with_oauth`` has begun in this browser: at ``callback_url``.

        Returns:
            The redirect: to ``mfa_url`` if a second factor is needed, else to the page in the ``next`` of
            sign-in or to ``home``; to sign-in, with ``reason=not_completed``, if the user has declined or it
            took over ten minutes.

        Raises:
            ApiError: The service refused.
            ServiceUnavailable: The service is away. ``install`` has this answered with 503.
        """
        return _redirect(await drive_async(self._steps.complete_oauth(_visit(request))))

    async def verify_mfa(self, request: Request, code: str) -> Response:
        """Answer the second factor that ``sign_in`` was asked for.

        A second click on the form, within a minute, leads to the session of the first.

        Returns:
            The redirect: to the page in ``next`` or to ``home``; to sign-in if the challenge has ended.

        Raises:
            ApiError: The service refused, such as with ``InvalidCredentials``. Show the form again.
            ServiceUnavailable: The service is away. ``install`` has this answered with 503.
        """
        hidden = Secret(code)
        del code
        return _redirect(await drive_async(self._steps.verify_mfa(_visit(request), hidden)))

    async def sign_out(self, request: Request, *, everywhere: bool = False) -> Response:
        """End the browser's session, and return the redirect to sign-in.

        Args:
            request: The request of the form.
            everywhere: End all sessions of the user: those of other browsers and programs too.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on. ``install`` has this
                answered with 503.
            ApiError: With ``everywhere`` only: the service refused.
        """
        return _redirect(await drive_async(self._steps.sign_out(_visit(request), everywhere=everywhere)))

    async def _on_error(self, connection: Connection, error: Exception) -> Response | None:
        answer = self._rules.answer_to(_visit(connection), error)
        assert answer is not None  # noqa: S101 - the errors are those that were registered
        if isinstance(connection, WebSocket):
            await connection.close(answer.close_code)
            return None
        return Response(answer.body, answer.status, answer.headers)


class _Opened:
    """A WebSocket that a browser's session has opened."""

    def __init__(self, steps: BrowserSteps, visit: Visit, session: Session) -> None:
        self._steps = steps
        self._visit = visit
        self._session = session

    def next_look(self) -> float:
        """Return when to look at the session again."""
        return min(self._ends_at(), self._steps.now() + _LOOK_EVERY)

    async def look(self) -> float | None:
        """Return when to look again; ``None`` if the session is over, or its access token."""
        try:
            # The client is a new one each time: one that is kept would not see what other processes do.
            session = await cast("AsyncHelloJohn", self._steps.client_for(self._visit)).auth.session()
        except (ServiceUnavailable, StoreError):
            session = self._session
        except HelloJohnError:  # the session is over, or the client was closed
            return None
        if session is None or session.id != self._session.id:
            return None
        self._session = session
        return self.next_look() if self._ends_at() > self._steps.now() else None

    def _ends_at(self) -> float:
        ends = [self._session.access_token_expires_at, self._session.expires_at]
        return min((end.timestamp() for end in ends if end is not None), default=math.inf)


def _visit(connection: Connection) -> Visit:
    url, scope = connection.url, connection.scope
    return Visit(
        method=scope.get("method", "WEBSOCKET"),
        scheme={"ws": "http", "wss": "https"}.get(url.scheme, url.scheme),
        host=url.netloc,
        target=visited(scope.get("raw_path") or b"", scope["path"], scope.get("query_string", b"")),
        next=connection.query_params.get("next"),
        headers=connection.headers,
        cookies=connection.cookies,
        address=None if connection.client is None else connection.client.host,
    )


def _redirect(landing: Landing) -> Response:
    response = RedirectResponse(landing.location, 303, {"Cache-Control": "no-store"})
    cookie = landing.cookie
    if cookie is not None:
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.max_age,
            secure=cookie.secure,
            httponly=True,
            samesite="lax",
        )
    return response

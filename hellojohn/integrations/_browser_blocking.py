"""The part of ``BrowserSessions`` that Flask and Django share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from hellojohn import (
    HelloJohn,
    NotSignedIn,
    Session,
)
from hellojohn._oauth import SCOPES
from hellojohn._secret import Secret
from hellojohn.integrations._browser_rules import Rules
from hellojohn.integrations._browser_steps import BrowserSteps, drive
from hellojohn.integrations._browser_values import Answer, Landing, Visit
from hellojohn.integrations._redirects import visited

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class BlockingBrowserSessions(ABC, Generic[RequestT, ResponseT]):
    """Signs browsers in: each has a session in the client's store, under a random cookie."""

    def __init__(
        self,
        client: HelloJohn,
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
        if not isinstance(client, HelloJohn):
            raise TypeError(f"BrowserSessions takes a HelloJohn here, not {type(client).__name__}.")
        self._rules = Rules(
            sign_in_url=sign_in_url,
            mfa_url=mfa_url,
            callback_url=callback_url,
            home=home,
            origin=origin,
            cookie_name=cookie_name,
        )
        self._steps = BrowserSteps(client, self._rules)

    def client(self, request: RequestT) -> HelloJohn:
        """Return the client that is bound to the browser's session.

        A visitor who has not signed in gets one without a session. Its calls raise ``NotSignedIn``.
        """
        return cast("HelloJohn", self._steps.client_for(self._visit(request)))

    def session(self, request: RequestT) -> Session:
        """Return the browser's session, for pages of signed-in users.

        It refreshes the session when that is due. So the visit counts as activity, and a session that was
        ended elsewhere is refused when its access token has run out.

        Raises:
            SignInRequired: The browser is not signed in. The answer leads to sign-in.
            ServiceUnavailable: A refresh is due and the service is away. The browser gets 503.
        """
        auth = self.client(request).auth
        auth.access_token()
        session = auth.session()
        if session is None:
            raise NotSignedIn("This page is for signed-in users.")
        return session

    def sign_in(
        self, request: RequestT, email: str, password: str, *, remember_me: bool | None = None
    ) -> ResponseT:
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
            ServiceUnavailable: The service is away. The browser gets 503.
            ConfigurationError: The site is on plain http, and not on this machine.
        """
        hidden = Secret(password)
        del password
        steps = self._steps.sign_in(self._visit(request), email, hidden, remember_me=remember_me)
        return self._redirect(drive(steps))

    def sign_in_with_oauth(
        self,
        request: RequestT,
        provider: str | None = None,
        *,
        remember_me: bool | None = None,
        scopes: Sequence[str] = SCOPES,
    ) -> ResponseT:
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
            self._visit(request), provider, remember_me=remember_me, scopes=scopes
        )
        return self._redirect(drive(steps))

    def complete_oauth(self, request: RequestT) -> ResponseT:
        """Complete the sign-in that ``sign_in_with_oauth`` has begun in this browser: at ``callback_url``.

        Returns:
            The redirect: to ``mfa_url`` if a second factor is needed, else to the page in the ``next`` of
            sign-in or to ``home``; to sign-in, with ``reason=not_completed``, if the user has declined or it
            took over ten minutes.

        Raises:
            ApiError: The service refused.
            ServiceUnavailable: The service is away. The browser gets 503.
        """
        return self._redirect(drive(self._steps.complete_oauth(self._visit(request))))

    def verify_mfa(self, request: RequestT, code: str) -> ResponseT:
        """Answer the second factor that ``sign_in`` was asked for.

        A second click on the form, within a minute, leads to the session of the first.

        Returns:
            The redirect: to the page in ``next`` or to ``home``; to sign-in if the challenge has ended.

        Raises:
            ApiError: The service refused, such as with ``InvalidCredentials``. Show the form again.
            ServiceUnavailable: The service is away. The browser gets 503.
        """
        hidden = Secret(code)
        del code
        return self._redirect(drive(self._steps.verify_mfa(self._visit(request), hidden)))

    def sign_out(self, request: RequestT, *, everywhere: bool = False) -> ResponseT:
        """End the browser's session, and return the redirect to sign-in.

        Args:
            request: The request of the form.
            everywhere: End all sessions of the user: those of other browsers and programs too.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on. The browser gets
                503.
            ApiError: With ``everywhere`` only: the service refused.
        """
        return self._redirect(drive(self._steps.sign_out(self._visit(request), everywhere=everywhere)))

    def _answer_to(self, request: RequestT, error: Exception) -> Answer | None:
        return self._rules.answer_to(self._visit(request), error)

    @abstractmethod
    def _visit(self, request: RequestT) -> Visit:
        """Read a request."""

    @abstractmethod
    def _redirect(self, landing: Landing) -> ResponseT:
        """Make the response of a redirect."""


def target_of(environ: Mapping[str, Any], path: str) -> str:
    """Return the path and query that a browser has sent to a WSGI server.

    Args:
        environ: The environment of the request.
        path: Its path, decoded, with that under which the app is served.
    """
    address: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""  # not every server has one
    sent, query = address.partition("?")[0], environ.get("QUERY_STRING", "")
    return visited(sent.encode("latin-1"), path, query.encode("latin-1"))

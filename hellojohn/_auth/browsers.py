"""The part of ``hj.auth`` that goes through a browser, in two faces."""

import threading
import webbrowser
from collections.abc import Callable, Sequence

from hellojohn._auth.browser_options import BrowserOptions
from hellojohn._auth.flows import Flows, Options
from hellojohn._details import Device
from hellojohn._models import Session
from hellojohn._oauth import SCOPES, OAuthRequest
from hellojohn._secret import Secret
from hellojohn._session.flight import in_thread
from hellojohn._waiting import run, run_async


class Browsers:
    """Sign-in with a browser, for callers that block."""

    _flows: Flows

    def sign_in_with_browser(
        self,
        provider: str | None = None,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        ports: Sequence[int] = (8765, 8766, 8767),
        timeout: float = 300.0,
        scopes: Sequence[str] = SCOPES,
        open_browser: Callable[[str], object] = webbrowser.open,
        prompt: Callable[[str], object] = print,
        paste: Callable[[], str] | None = None,
    ) -> Session:
        """Sign in with the browser of this machine: for desktop apps and command-line tools.

        The address is printed and opened. A page on a loopback port takes the answer, and the session is kept
        as after ``sign_in``. Ctrl-C ends it at once.

        Args:
            provider: A provider such as ``"google"``; ``None`` for the server's own login page.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            ports: The ports whose ``http://127.0.0.1:<port>/callback`` is registered with the client.
            timeout: Seconds to wait for the person.
            scopes: The scopes to ask for, on ``v2``: openid, profile and email by default. Without email, the
                server does not name the user's address.
            open_browser: Opens an address; ``webbrowser.open`` by default. It is called on a thread, and may
                go on for as long as the browser does.
            prompt: Shows a line; ``print`` by default.
            paste: Returns the address that a person has pasted, or nothing so far, for a machine without a
                browser. It is called on a thread until the sign-in is over, so it should return often:
                ``input`` would go on waiting, and take the next line of the program.

        Raises:
            NotSupported: The server has no such sign-in.
            ChallengeExpired: The sign-in was not completed in the browser.
            ServiceUnavailable: No browser came back in time, or the service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            ConfigurationError: All ports are in use, or an argument is malformed.
            StoreError: The session could not be stored. It was signed out again.
        """
        options = BrowserOptions(
            provider, remember_me, session_options, ports, timeout, scopes, open_browser, prompt, paste
        )
        request, callback = self._flows.listen(options, threading.Event())
        return run(self._flows.complete_oauth(request, callback, None))

    def sign_in_with_oauth(
        self,
        provider: str | None,
        redirect_to: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        scopes: Sequence[str] = SCOPES,
    ) -> OAuthRequest:
        """Begin a sign-in that a browser completes: for web back ends. Redirect the browser to ``url``.

        Args:
            provider: A provider such as ``"google"``; ``None`` for the server's own login page.
            redirect_to: The address of the back end that the browser comes back to.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            scopes: The scopes to ask for, on ``v2``: openid, profile and email by default. Without email, the
                server does not name the user's address.

        Returns:
            The request. Keep it in the browser session on the server, and pass it to ``complete_oauth``.

        Raises:
            NotSupported: The server has no such sign-in.
            ConfigurationError: An argument is malformed.
        """
        return self._flows.start_oauth(
            provider, redirect_to, remember_me=remember_me, session_options=session_options, scopes=scopes
        )

    def complete_oauth(
        self, request: OAuthRequest, callback_url: str, *, device: Device | None = None
    ) -> Session:
        """Complete a sign-in with the address that the browser came back to, and keep the session.

        Args:
            request: The request of this browser session. It can be used once.
            callback_url: The whole address of the request that the browser made.
            device: As in ``sign_in``.

        Raises:
            ValidationFailed: The address does not belong to this request.
            ChallengeExpired: The request is over, or the sign-in was refused in the browser.
            ServiceUnavailable: The service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            StoreError: The session could not be stored. It was signed out again.
        """
        hidden = Secret(callback_url)
        del callback_url
        return run(self._flows.complete_oauth(request, hidden, device))


class AsyncBrowsers:
    """Sign-in with a browser, for callers that await."""

    _flows: Flows

    async def sign_in_with_browser(
        self,
        provider: str | None = None,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        ports: Sequence[int] = (8765, 8766, 8767),
        timeout: float = 300.0,  # noqa: ASYNC109 - the contract
        scopes: Sequence[str] = SCOPES,
        open_browser: Callable[[str], object] = webbrowser.open,
        prompt: Callable[[str], object] = print,
        paste: Callable[[], str] | None = None,
    ) -> Session:
        """Sign in with the browser of this machine: for desktop apps and command-line tools.

        The address is printed and opened. A page on a loopback port takes the answer, and the session is kept
        as after ``sign_in``. Ctrl-C ends it at once.

        Args:
            provider: A provider such as ``"google"``; ``None`` for the server's own login page.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            ports: The ports whose ``http://127.0.0.1:<port>/callback`` is registered with the client.
            timeout: Seconds to wait for the person.
            scopes: The scopes to ask for, on ``v2``: openid, profile and email by default. Without email, the
                server does not name the user's address.
            open_browser: Opens an address; ``webbrowser.open`` by default. It is called on a thread, and may
                go on for as long as the browser does.
            prompt: Shows a line; ``print`` by default.
            paste: Returns the address that a person has pasted, or nothing so far, for a machine without a
                browser. It is called on a thread until the sign-in is over, so it should return often:
                ``input`` would go on waiting, and take the next line of the program.

        Raises:
            NotSupported: The server has no such sign-in.
            ChallengeExpired: The sign-in was not completed in the browser.
            ServiceUnavailable: No browser came back in time, or the service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            ConfigurationError: All ports are in use, or an argument is malformed.
            StoreError: The session could not be stored. It was signed out again.
        """
        options = BrowserOptions(
            provider, remember_me, session_options, ports, timeout, scopes, open_browser, prompt, paste
        )
        cancelled = threading.Event()
        try:
            request, callback = await run_async(
                in_thread(lambda: self._flows.listen(options, cancelled), "hellojohn-browser")
            )
        finally:
            cancelled.set()
        return await run_async(self._flows.complete_oauth(request, callback, None))

    async def sign_in_with_oauth(
        self,
        provider: str | None,
        redirect_to: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        scopes: Sequence[str] = SCOPES,
    ) -> OAuthRequest:
        """Begin a sign-in that a browser completes: for web back ends. Redirect the browser to ``url``.

        Args:
            provider: A provider such as ``"google"``; ``None`` for the server's own login page.
            redirect_to: The address of the back end that the browser comes back to.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            scopes: The scopes to ask for, on ``v2``: openid, profile and email by default. Without email, the
                server does not name the user's address.

        Returns:
            The request. Keep it in the browser session on the server, and pass it to ``complete_oauth``.

        Raises:
            NotSupported: The server has no such sign-in.
            ConfigurationError: An argument is malformed.
        """
        return self._flows.start_oauth(
            provider, redirect_to, remember_me=remember_me, session_options=session_options, scopes=scopes
        )

    async def complete_oauth(
        self, request: OAuthRequest, callback_url: str, *, device: Device | None = None
    ) -> Session:
        """Complete a sign-in with the address that the browser came back to, and keep the session.

        Args:
            request: The request of this browser session. It can be used once.
            callback_url: The whole address of the request that the browser made.
            device: As in ``sign_in``.

        Raises:
            ValidationFailed: The address does not belong to this request.
            ChallengeExpired: The request is over, or the sign-in was refused in the browser.
            ServiceUnavailable: The service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            StoreError: The session could not be stored. It was signed out again.
        """
        hidden = Secret(callback_url)
        del callback_url
        return await run_async(self._flows.complete_oauth(request, hidden, device))

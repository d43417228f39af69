"""``hj.auth`` of an ``AsyncHelloJohn``: the calls of ``Auth``, awaited."""

from collections.abc import Mapping
from typing import Any

from hellojohn._auth import AuthFlows, Options
from hellojohn._config import Settings
from hellojohn._errors import MfaChallenge
from hellojohn._models import Session, User
from hellojohn._secret import Secret
from hellojohn._session import operations
from hellojohn._session.account import Account
from hellojohn._session.flight import run_async

__all__ = ["AsyncAuth"]


class AsyncAuth:
    """Signs one account in and out; ``hj.auth`` of an ``AsyncHelloJohn``.

    Safe to share between tasks and event loops. A call that has started is finished and stored on a thread of
    the SDK, so cancelling the task that waits for it loses no session.
    """

    def __init__(self, account: Account, settings: Settings) -> None:
        """Take the account. ``AsyncHelloJohn`` creates the instances."""
        self._flows = AuthFlows(account, settings)

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        captcha_token: str | None = None,
    ) -> Session:
        """Sign a user in and keep the session in the store.

        Args:
            email: The user's email address.
            password: The password. It is masked at once and held no longer than the call.
            remember_me: The box under the form: ``True`` asks for the client's ``remember_me_duration``,
                ``False`` for its ``session_duration``, ``None`` for the tenant's default.
            session_options: Asks for exactly this: ``{"duration": "8h"}``, or ``SessionOptions``.
            captcha_token: The answer of a captcha, if the tenant demands one.

        Returns:
            The session. If the server grants a longer one than asked for, the client ends it in time.

        Raises:
            InvalidCredentials: The email or the password is wrong.
            MfaRequired: A second factor is due: see ``verify_mfa``.
            ValidationFailed: The email or the password is empty or too long.
            AccountLocked: Too many failed attempts.
            AccountDisabled: The account is disabled.
            RateLimited: Too many attempts; ``retry_after`` says how many seconds to wait.
            ServiceUnavailable: No usable answer; an existing session is kept.
            SignInSuperseded: A later sign-in or sign-out was asked for. This session was signed out again.
            ConfigurationError: An argument or a key is wrong.
            StoreError: The session could not be stored. It was signed out again, unless the store may
                have it.
        """
        hidden = Secret(password)
        captcha = None if captcha_token is None else Secret(captcha_token)
        del password, captcha_token
        return await run_async(
            self._flows.sign_in(
                email,
                hidden,
                remember_me=remember_me,
                session_options=session_options,
                captcha_token=captcha,
            )
        )

    async def sign_up(
        self,
        email: str,
        password: str,
        *,
        name: str | None = None,
        username: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        remember_me: bool | None = None,
        session_options: Options | None = None,
    ) -> Session:
        """Create a user and sign them in.

        Args:
            email: The user's email address.
            password: The password: at least 8 characters.
            name: The display name.
            username: The user name.
            metadata: Anything JSON can carry.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.

        Raises:
            Conflict: The email address is taken.
            ValidationFailed: The API refused a value, such as a weak password.
            RateLimited: Too many attempts; ``retry_after`` says how many seconds to wait.
            ServiceUnavailable: No usable answer; the user may have been created if ``ambiguous`` is true.
            ConfigurationError: An argument or a key is wrong.
            SignInSuperseded: As in ``sign_in``.
            StoreError: The session could not be stored. It was signed out again, unless the store may
                have it.
        """
        hidden = Secret(password)
        del password
        return await run_async(
            self._flows.sign_up(
                email,
                hidden,
                name=name,
                username=username,
                metadata=metadata,
                remember_me=remember_me,
                session_options=session_options,
            )
        )

    async def verify_mfa(self, challenge: MfaChallenge, code: str, *, factor: str | None = None) -> Session:
        """Answer a second-factor challenge and keep the session that it grants.

        Args:
            challenge: The ``challenge`` of the ``MfaRequired`` error. The duration that was asked for at
                sign-in still holds.
            code: The code that the user typed.
            factor: Which factor it belongs to; the first one listed if not given.

        Raises:
            InvalidCredentials: The code is wrong. The challenge still works.
            ValidationFailed: The code is empty or too long.
            ChallengeExpired: The challenge has ended: sign in again.
            ServiceUnavailable: No usable answer.
            ConfigurationError: An argument is wrong.
            SignInSuperseded: As in ``sign_in``.
            StoreError: The session could not be stored. It was signed out again, unless the store may
                have it.
        """
        hidden = Secret(code)
        del code
        return await run_async(self._flows.verify_mfa(challenge, hidden, factor))

    async def sign_out(self, *, everywhere: bool = False) -> bool:
        """End the session, on this machine and at the service.

        The session is gone here even if the service cannot be reached, and no operation that was asked for
        before brings it back. Without a session, this does nothing.

        Args:
            everywhere: End all sessions of the user.

        Returns:
            Whether the service confirmed it. Without a session there is nothing to confirm: ``True``.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on.
            ApiError: With ``everywhere`` only: the service refused.
            StoreError: The store did not remove the session. The service was asked to end it anyway.
        """
        return await run_async(self._flows.sign_out(everywhere=everywhere))

    async def session(self) -> Session | None:
        """Return the session, or ``None`` if there is none or it has ended.

        The store is read the first time. The service is not called.

        Raises:
            StoreError: The store failed.
        """
        return await run_async(operations.session(self._flows.account))

    async def access_token(self, *, refused: str | None = None) -> str:
        """Return an access token that is valid now, for a transport other than HTTP. It refreshes when due.

        Args:
            refused: The token that the other transport was refused with. A newer one comes back, with one
                refresh for any number of callers.

        Raises:
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: A refresh was due and got no usable answer, or the refused token is itself
                the result of a refusal a moment ago. The session is kept.
            StoreError: The store failed.
        """
        hidden = None if refused is None else Secret(refused)
        del refused
        return (await run_async(self._flows.access_token(hidden))).reveal()

    async def refresh(self) -> Session:
        """Refresh now, or join the refresh that is in flight.

        Raises:
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The settings are wrong; the session is kept.
            StoreError: The store failed.
        """
        return await run_async(operations.refresh(self._flows.account))

    async def user(self) -> User:
        """Ask the service for the signed-in user.

        Raises:
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The service refused.
            StoreError: The store failed.
        """
        return await run_async(operations.user(self._flows.account))

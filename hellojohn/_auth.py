"""``hj.auth``: sign-in, sign-out and the session, for callers that block and callers that await."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hellojohn._config import Settings, check_flag
from hellojohn._duration import format_duration, parse_duration
from hellojohn._errors import ConfigurationError, MfaChallenge
from hellojohn._models import Session, SessionOptions, User
from hellojohn._secret import Secret
from hellojohn._session import operations
from hellojohn._session.account import Account
from hellojohn._session.flight import Flow, run, run_async
from hellojohn._session.operations import SignInRequest
from hellojohn._wire import ApiRequest, Dialect

__all__ = ["AsyncAuth", "Auth"]

Options = SessionOptions | Mapping[str, Any]
Duration = str | timedelta


class _Flows:
    """What both faces ask of an account: the arguments are checked here, and the secrets masked."""

    def __init__(self, account: Account, settings: Settings) -> None:
        self.account = account
        self._settings = settings

    @property
    def _dialect(self) -> Dialect:
        return self.account.context.service.dialect

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        remember_me: bool | None,
        session_options: Options | None,
        captcha_token: Secret | None,
    ) -> Flow[Session]:
        duration = self._duration(remember_me, session_options)
        request = self._dialect.sign_in(
            email, password, duration=_as_text(duration), captcha_token=captcha_token
        )
        return self._sign_in(request, duration, remember_me)

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, Any] | None,
        remember_me: bool | None,
        session_options: Options | None,
    ) -> Flow[Session]:
        duration = self._duration(remember_me, session_options)
        request = self._dialect.sign_up(
            email,
            password,
            duration=_as_text(duration),
            name=name,
            username=username,
            metadata=metadata,
        )
        return self._sign_in(request, duration, remember_me)

    def verify_mfa(self, challenge: MfaChallenge, code: Secret, factor: str | None) -> Flow[Session]:
        if not isinstance(challenge, MfaChallenge):
            raise ConfigurationError("challenge must be the MfaChallenge of an MfaRequired error.")
        if challenge.remember_me is not None:
            check_flag(challenge.remember_me, "challenge.remember_me")
        request = self._dialect.verify_mfa(challenge, code, factor=factor)
        return self._sign_in(request, challenge.duration, challenge.remember_me)

    def sign_out(self, *, everywhere: bool) -> Flow[bool]:
        return operations.sign_out(self.account, everywhere=check_flag(everywhere, "everywhere"))

    def access_token(self, refused: Secret | None) -> Flow[Secret]:
        return operations.access_token(self.account, refused=refused)

    def _sign_in(
        self,
        request: ApiRequest,
        duration: Duration | None,
        remember_me: bool | None,  # noqa: FBT001
    ) -> Flow[Session]:
        asked = None if duration is None else parse_duration(duration, name="challenge.duration")
        return operations.sign_in(self.account, SignInRequest(request, asked, remember_me))

    def _duration(self, remember_me: object, session_options: Options | None) -> Duration | None:
        if remember_me is not None and session_options is not None:
            raise ConfigurationError(
                "Pass remember_me or session_options, not both: each asks for a duration."
            )
        if session_options is not None:
            return SessionOptions.read(session_options).duration
        if remember_me is None:
            return None
        if check_flag(remember_me, "remember_me"):
            return self._settings.remember_me_duration
        return self._settings.session_duration


def _as_text(duration: Duration | None) -> str | None:
    """Return a duration as it goes over the wire: text as the app gave it."""
    return format_duration(duration) if isinstance(duration, timedelta) else duration


class Auth:
    """Signs one account in and out; ``hj.auth``. Safe to share between threads."""

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``HelloJohn``."""
        self._flows = _Flows(account, settings)

    def sign_in(
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
            AccountLocked: Too many failed attempts.
            AccountDisabled: The account is disabled.
            RateLimited: Too many attempts; ``retry_after`` says how many seconds to wait.
            ServiceUnavailable: No usable answer; an existing session is kept.
            ConfigurationError: An argument or a key is wrong.
            StoreError: The session could not be stored; it was signed out again,
                unless the store may have it all the same.
        """
        hidden = Secret(password)
        captcha = None if captcha_token is None else Secret(captcha_token)
        del password, captcha_token
        return run(
            self._flows.sign_in(
                email,
                hidden,
                remember_me=remember_me,
                session_options=session_options,
                captcha_token=captcha,
            )
        )

    def sign_up(
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
            StoreError: The session could not be stored; it was signed out again,
                unless the store may have it all the same.
        """
        hidden = Secret(password)
        del password
        return run(
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

    def verify_mfa(self, challenge: MfaChallenge, code: str, *, factor: str | None = None) -> Session:
        """Answer a second-factor challenge and keep the session that it grants.

        Args:
            challenge: The ``challenge`` of the ``MfaRequired`` error. What was asked at sign-in still holds.
            code: The code that the user typed.
            factor: Which factor it belongs to; the first one listed if not given.

        Raises:
            InvalidCredentials: The code is wrong.
            ApiError: The challenge is over: sign in again.
            ServiceUnavailable: No usable answer.
            ConfigurationError: An argument is wrong.
            StoreError: The session could not be stored; it was signed out again,
                unless the store may have it all the same.
        """
        hidden = Secret(code)
        del code
        return run(self._flows.verify_mfa(challenge, hidden, factor))

    def sign_out(self, *, everywhere: bool = False) -> bool:
        """End the session: here at once and for good, and at the service.

        The session is gone here even when the service cannot be reached, and no operation that was begun
        before brings it back. Without a session, this does nothing.

        Args:
            everywhere: End all sessions of the user.

        Returns:
            Whether the service confirmed it. Without a session there is nothing to confirm: ``True``.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on.
            ApiError: With ``everywhere`` only: the service refused.
            StoreError: The store did not remove the session. The service was asked to end it all the same.
        """
        return run(self._flows.sign_out(everywhere=everywhere))

    def session(self) -> Session | None:
        """Return the session, ``None`` when there is none or it is over.

        It asks the store once, and the service never.

        Raises:
            StoreError: The store failed.
        """
        return run(operations.session(self._flows.account))

    def access_token(self, *, refused: str | None = None) -> str:
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
        return run(self._flows.access_token(hidden)).reveal()

    def refresh(self) -> Session:
        """Refresh now, or join the refresh that is in flight.

        Raises:
            SignInRequired: Nobody is signed in, or the session is over.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The settings are wrong; the session is kept.
            StoreError: The store failed.
        """
        return run(operations.refresh(self._flows.account))

    def user(self) -> User:
        """Ask the service who is signed in.

        Raises:
            SignInRequired: Nobody is signed in, or the session is over.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The service refused.
            StoreError: The store failed.
        """
        return run(operations.user(self._flows.account))


class AsyncAuth:
    """Signs one account in and out; ``hj.auth`` of ``AsyncHelloJohn``. Safe to share between tasks and loops.

    Cancelling a call never loses a session: what was begun is finished and stored by a thread of the SDK's.
    """

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``AsyncHelloJohn``."""
        self._flows = _Flows(account, settings)

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        captcha_token: str | None = None,
    ) -> Session:
        """Sign a user in and keep the session in the store: see ``Auth.sign_in``."""
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
        """Create a user and sign them in: see ``Auth.sign_up``."""
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
        """Answer a second-factor challenge: see ``Auth.verify_mfa``."""
        hidden = Secret(code)
        del code
        return await run_async(self._flows.verify_mfa(challenge, hidden, factor))

    async def sign_out(self, *, everywhere: bool = False) -> bool:
        """End the session, here and at the service: see ``Auth.sign_out``."""
        return await run_async(self._flows.sign_out(everywhere=everywhere))

    async def session(self) -> Session | None:
        """Return the session, ``None`` when there is none or it is over: see ``Auth.session``."""
        return await run_async(operations.session(self._flows.account))

    async def access_token(self, *, refused: str | None = None) -> str:
        """Return an access token that is valid now: see ``Auth.access_token``."""
        hidden = None if refused is None else Secret(refused)
        del refused
        return (await run_async(self._flows.access_token(hidden))).reveal()

    async def refresh(self) -> Session:
        """Refresh now, or join the refresh that is in flight: see ``Auth.refresh``."""
        return await run_async(operations.refresh(self._flows.account))

    async def user(self) -> User:
        """Ask the service who is signed in: see ``Auth.user``."""
        return await run_async(operations.user(self._flows.account))

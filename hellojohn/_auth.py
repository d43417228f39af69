"""``hj.auth``: sign-in, sign-out and the session, for callers that block and callers that await."""

from collections.abc import Mapping
from typing import Any

from hellojohn._account import Account
from hellojohn._config import Settings, check_flag
from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError, MfaChallenge
from hellojohn._flight import Steps, drive, drive_async
from hellojohn._models import Session, SessionOptions, User
from hellojohn._secret import Secret
from hellojohn._sign import Wish, sign_in, sign_out, user
from hellojohn._wire import Dialect

Options = SessionOptions | Mapping[str, Any]


class _Steps:
    """What both faces ask of an account: arguments checked, secrets hidden."""

    def __init__(self, account: Account, settings: Settings) -> None:
        self.account = account
        self._settings = settings

    @property
    def _public(self) -> Dialect:
        """The dialect, for calls that carry the publishable key."""
        if self._settings.publishable_key is None:
            raise ConfigurationError(
                "Sign-in needs the public key: pass publishable_key=... or set HELLOJOHN_PUBLISHABLE_KEY."
            )
        return self.account.services.dialect

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        remember_me: bool | None,
        session_options: Options | None,
        captcha_token: Secret | None,
    ) -> Steps[Session]:
        wish = self._wish(remember_me, session_options)
        call = self._public.sign_in(
            email,
            password,
            duration=wish.as_text(),
            captcha_token=captcha_token,
        )
        return sign_in(self.account, call, wish)

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
    ) -> Steps[Session]:
        wish = self._wish(remember_me, session_options)
        call = self._public.sign_up(
            email,
            password,
            duration=wish.as_text(),
            name=name,
            username=username,
            metadata=metadata,
        )
        return sign_in(self.account, call, wish)

    def verify_mfa(self, challenge: MfaChallenge, code: Secret, factor: str | None) -> Steps[Session]:
        if not isinstance(challenge, MfaChallenge):
            raise ConfigurationError("challenge must be the MfaChallenge of an MfaRequired error.")
        wish = _wish_of(challenge)
        call = self._public.verify_mfa(challenge, code, factor=factor)
        return sign_in(self.account, call, wish)

    def refresh(self) -> Steps[Session]:
        view = yield from self.account.load()
        if view is None:
            view = yield from self.account.acquire()
        view = yield from self.account.acquire(view, full=True)
        return self.account.public(view.record)

    def session(self) -> Steps[Session | None]:
        view = yield from self.account.load()
        return None if view is None else self.account.public(view.record)

    def access_token(self) -> Steps[Secret]:
        view = yield from self.account.acquire()
        return view.record.access_token

    def _wish(self, remember_me: object, session_options: Options | None) -> Wish:
        if remember_me is not None and session_options is not None:
            raise ConfigurationError(
                "Pass remember_me or session_options, not both: each asks for a duration."
            )
        if session_options is not None:
            options = SessionOptions.read(session_options)
            return Wish(parse_duration(options.duration, name="session_options duration"))
        match remember_me:
            case None:
                return Wish()
            case True:
                return Wish(self._settings.remember_me_duration, remember_me=True)
            case False:
                return Wish(self._settings.session_duration, remember_me=False)
            case _:
                raise ConfigurationError("remember_me must be True, False or None.")


def _wish_of(challenge: MfaChallenge) -> Wish:
    """Return what was asked for at sign-in; an app may have kept it between two requests."""
    asked, chosen = challenge.duration, challenge.remember_me
    return Wish(
        None if asked is None else parse_duration(asked, name="challenge.duration"),
        None if chosen is None else check_flag(chosen, "challenge.remember_me"),
    )


class Auth:
    """Signs one account in and out; ``hj.auth``. Safe to share between threads."""

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``HelloJohn``."""
        self._steps = _Steps(account, settings)

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
        return drive(
            self._steps.sign_in(
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
        return drive(
            self._steps.sign_up(
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
        return drive(self._steps.verify_mfa(challenge, hidden, factor))

    def sign_out(self, *, everywhere: bool = False) -> None:
        """End the session: here at once and for good, and at the service.

        It is gone here even when the service cannot be reached, and no refresh in flight brings it back.
        Signing out when nobody is signed in does nothing.

        Args:
            everywhere: End all of the user's sessions.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on.
            ApiError: With ``everywhere`` only: the service refused.
            StoreError: The store did not let go of the session; the service was told all the same.
        """
        drive(sign_out(self._steps.account, everywhere=everywhere))

    def session(self) -> Session | None:
        """Return the session, ``None`` when there is none or it is over.

        It asks the store once, and the service never.

        Raises:
            StoreError: The store failed.
        """
        return drive(self._steps.session())

    def access_token(self) -> str:
        """Return an access token that is good now, for any transport other than HTTP; refreshes when due.

        Raises:
            SignInRequired: Nobody is signed in, or the session is over.
            ServiceUnavailable: A refresh was due and got no usable answer; the session is kept.
            StoreError: The store failed.
        """
        return drive(self._steps.access_token()).reveal()

    def refresh(self) -> Session:
        """Refresh now, or join the refresh that is in flight.

        Raises:
            SignInRequired: Nobody is signed in, or the session is over.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The settings are wrong; the session is kept.
            StoreError: The store failed.
        """
        return drive(self._steps.refresh())

    def user(self) -> User:
        """Ask the service who is signed in.

        Raises:
            SignInRequired: Nobody is signed in, or the session is over.
            ServiceUnavailable: No usable answer; the session is kept.
            ApiError: The service refused.
            StoreError: The store failed.
        """
        return drive(user(self._steps.account))


class AsyncAuth:
    """Signs one account in and out; ``hj.auth`` of ``AsyncHelloJohn``. Safe to share between tasks and loops.

    Cancelling a call never loses a session: what was begun is finished and stored by a thread of the SDK's.
    """

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``AsyncHelloJohn``."""
        self._steps = _Steps(account, settings)

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
        return await drive_async(
            self._steps.sign_in(
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
        return await drive_async(
            self._steps.sign_up(
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
        return await drive_async(self._steps.verify_mfa(challenge, hidden, factor))

    async def sign_out(self, *, everywhere: bool = False) -> None:
        """End the session, here and at the service: see ``Auth.sign_out``."""
        await drive_async(sign_out(self._steps.account, everywhere=everywhere))

    async def session(self) -> Session | None:
        """Return the session, ``None`` when there is none or it is over: see ``Auth.session``."""
        return await drive_async(self._steps.session())

    async def access_token(self) -> str:
        """Return an access token that is good now: see ``Auth.access_token``."""
        return (await drive_async(self._steps.access_token())).reveal()

    async def refresh(self) -> Session:
        """Refresh now, or join the refresh that is in flight: see ``Auth.refresh``."""
        return await drive_async(self._steps.refresh())

    async def user(self) -> User:
        """Ask the service who is signed in: see ``Auth.user``."""
        return await drive_async(user(self._steps.account))

"""``hj.auth`` for callers that block. Each method masks the secrets and runs a flow."""

from collections.abc import Mapping
from typing import Any

from hellojohn._auth.browsers import Browsers
from hellojohn._auth.flows import Flows, Options
from hellojohn._auth.mails import Mails
from hellojohn._config import Settings
from hellojohn._details import Device
from hellojohn._errors import MfaChallenge
from hellojohn._models import Session, User
from hellojohn._secret import Secret
from hellojohn._session.account import Account
from hellojohn._waiting import run


class Auth(Browsers, Mails):
    """Signs one account in and out; ``hj.auth``. Safe to share between threads."""

    def __init__(self, account: Account, settings: Settings) -> None:
        """Made by ``HelloJohn``."""
        self._flows = Flows(account, settings)

    def sign_in(
        self,
        email: str,
        password: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        captcha_token: str | None = None,
        device: Device | None = None,
    ) -> Session:
        """Sign a user in and keep the session in the store.

        Args:
            email: The user's email address.
            password: The password. It is masked at once and held no longer than the call.
            remember_me: The box under the form: ``True`` asks for the client's ``remember_me_duration``,
                ``False`` for its ``session_duration``, ``None`` for the tenant's default.
            session_options: Asks for exactly this: ``{"duration": "8h"}``, or ``SessionOptions``.
            captcha_token: The answer of a captcha, if the tenant demands one.
            device: The browser for which a back end signs the user in.

        Returns:
            The session. If the service grants a longer one than asked for, the client ends it in time.

        Raises:
            InvalidCredentials: The email or the password is wrong.
            MfaRequired: A second factor is needed: see ``verify_mfa``.
            AccountLocked: Too many attempts failed.
            AccountDisabled: The account is disabled.
            EmailNotVerified: The address is not verified yet.
            RateLimited: Too many attempts; ``retry_after`` says how many seconds to wait.
            ValidationFailed: The email or the password is empty or too long.
            ServiceUnavailable: The service gave no usable answer; an existing session is kept.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            ConfigurationError: An argument has the wrong type, or a key is missing.
            StoreError: The session could not be stored. It was signed out again.
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
                device=device,
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
        device: Device | None = None,
    ) -> Session:
        """Create a user and sign them in.

        Args:
            email: The user's email address.
            password: The password, by the rules of the tenant: see ``password_policy``.
            name: The display name.
            username: The user name.
            metadata: Any JSON object.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            device: As in ``sign_in``.

        Raises:
            Conflict: The email address is taken.
            ValidationFailed: The service refused a value, such as a weak password.
            RateLimited: Too many attempts; ``retry_after`` says how many seconds to wait.
            ServiceUnavailable: The service gave no usable answer. If ``ambiguous``, the user may exist.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            ConfigurationError: An argument has the wrong type, or a key is missing.
            StoreError: The session could not be stored. It was signed out again.
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
                device=device,
            )
        )

    def verify_mfa(
        self,
        challenge: MfaChallenge,
        code: str,
        *,
        factor: str | None = None,
        remember_device: bool = False,
        device: Device | None = None,
    ) -> Session:
        """Answer a second-factor challenge and keep the session that it brings.

        Args:
            challenge: The ``challenge`` of the ``MfaRequired`` error. The duration asked for at sign-in
                still applies.
            code: The code that the user typed: of the factor, or a recovery code.
            factor: Which factor the code belongs to; the one that fits the code if not given.
            remember_device: Whether the next sign-in on this device needs no second factor.
            device: As in ``sign_in``.

        Raises:
            InvalidCredentials: The code is wrong. The same challenge can be answered again.
            ChallengeExpired: The challenge has ended: sign in again.
            ValidationFailed: The code is empty or too long.
            ServiceUnavailable: The service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            ConfigurationError: An argument has the wrong type.
            StoreError: The session could not be stored. It was signed out again.
        """
        hidden = Secret(code)
        del code
        return run(
            self._flows.verify_mfa(
                challenge, hidden, factor=factor, remember_device=remember_device, device=device
            )
        )

    def send_mfa_code(self, challenge: MfaChallenge, *, factor: str | None = None) -> None:
        """Have the code of a second factor sent, by text message or mail.

        Args:
            challenge: The ``challenge`` of the ``MfaRequired`` error.
            factor: Which factor; the first one whose codes are sent if not given.

        Raises:
            ChallengeExpired: The challenge has ended: sign in again.
            RateLimited: Too many codes were sent.
            ServiceUnavailable: The service gave no usable answer.
            ConfigurationError: No factor of the challenge can be sent.
        """
        run(self._flows.send_mfa_code(challenge, factor))

    def sign_out(self, *, everywhere: bool = False) -> bool:
        """End the session: here at once and for good, and at the service.

        The session is gone here even when the service cannot be reached, and no operation that was begun
        before brings it back. Without a session, this does nothing.

        Args:
            everywhere: End all sessions of the user, and forget that this device needs no second factor.

        Returns:
            Whether the service confirmed it. Without a session there is nothing to confirm: ``True``.

        Raises:
            ServiceUnavailable: With ``everywhere`` only: the other sessions may live on.
            ApiError: With ``everywhere`` only: the service refused.
            StoreError: The store did not remove the session. The service was still asked to end it.
        """
        return run(self._flows.sign_out(everywhere=everywhere))

    def session(self) -> Session | None:
        """Return the session as this client knows it, or ``None`` if no user is signed in.

        It reads the store the first time, and never asks the service. ``None`` also comes once the client
        itself has to end the session, because the duration asked for or the idle timeout that the service
        does not keep has passed. An end that the service keeps is the service's word: until a request or a
        refresh has heard it, the session is returned, with a ``time_left()`` of zero.

        Raises:
            StoreError: The store failed.
        """
        return run(self._flows.session())

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
        """Refresh now, or join the refresh that is under way.

        Raises:
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer; the session is kept.
            ApiError: The settings are wrong; the session is kept.
            StoreError: The store failed.
        """
        return run(self._flows.refresh())

    def user(self) -> User:
        """Ask the service who is signed in.

        Raises:
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer; the session is kept.
            ApiError: The service refused.
            StoreError: The store failed.
        """
        return run(self._flows.user())

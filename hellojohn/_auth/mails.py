"""The part of ``hj.auth`` that goes through mailed links, and passwords, in two faces."""

from hellojohn._auth.flows import Flows, Options
from hellojohn._details import Device, PasswordPolicy
from hellojohn._models import Session
from hellojohn._secret import Secret
from hellojohn._waiting import run, run_async


class Mails:
    """Magic links, password resets and address verification, for callers that block."""

    _flows: Flows

    def send_magic_link(self, email: str, *, redirect_to: str | None = None) -> None:
        """Mail a link that signs in. The answer does not say whether the address has an account.

        Args:
            email: The address.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query, and
                calls ``verify_magic_link`` after a click only, because mail scanners open links as well.

        Raises:
            NotSupported: The server has no magic links.
            RateLimited: Too many mails were sent.
            ValidationFailed: The address is empty or too long.
            ServiceUnavailable: The service gave no usable answer.
        """
        run(self._flows.send_magic_link(email, redirect_to))

    def verify_magic_link(
        self,
        token_or_url: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        device: Device | None = None,
    ) -> Session:
        """Sign in with a magic link, or with the token in it.

        Args:
            token_or_url: The link that was opened, or its token.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            device: As in ``sign_in``.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            MfaRequired: A second factor is needed: see ``verify_mfa``.
            NotSupported: The server has no magic links.
            ServiceUnavailable: The service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            StoreError: The session could not be stored. It was signed out again.
        """
        hidden = Secret(token_or_url)
        del token_or_url
        return run(
            self._flows.verify_magic_link(
                hidden, remember_me=remember_me, session_options=session_options, device=device
            )
        )

    def send_password_reset(self, email: str, *, redirect_to: str | None = None) -> None:
        """Mail a link that sets a new password. The answer does not say whether the address has an account.

        Args:
            email: The address.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query.

        Raises:
            RateLimited: Too many mails were sent.
            ValidationFailed: The address is empty or too long.
            ServiceUnavailable: The service gave no usable answer.
        """
        run(self._flows.send_password_reset(email, redirect_to))

    def confirm_password_reset(self, token_or_url: str, new_password: str) -> None:
        """Set a new password with a mailed link. It does not sign the user in.

        The reset ends the user's sessions at the service.

        Args:
            token_or_url: The link that was opened, or its token.
            new_password: The new password.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            ValidationFailed: The password breaks the tenant's rules. The link stays good.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden, password = Secret(token_or_url), Secret(new_password)
        del token_or_url, new_password
        run(self._flows.confirm_password_reset(hidden, password))

    def change_password(self, current: str, new: str) -> None:
        """Change the password of the signed-in user.

        Args:
            current: The present password.
            new: The new password.

        Raises:
            InvalidCredentials: The present password is wrong.
            ValidationFailed: The new password breaks the tenant's rules.
            NotSupported: The server cannot do it: send a password reset.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        before, after = Secret(current), Secret(new)
        del current, new
        run(self._flows.change_password(before, after))

    def password_policy(self) -> PasswordPolicy:
        """Return the tenant's rules for new passwords, so that an app can show them.

        Raises:
            NotSupported: The server does not publish them.
            ServiceUnavailable: The service gave no usable answer.
        """
        return run(self._flows.password_policy())

    def send_email_verification(self, email: str | None = None, *, redirect_to: str | None = None) -> None:
        """Mail a link that verifies an address.

        Args:
            email: The address; on v1 the signed-in user's if not given.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query.

        Raises:
            SignInRequired: No address was given, and no user is signed in.
            RateLimited: Too many mails were sent.
            ServiceUnavailable: The service gave no usable answer.
        """
        run(self._flows.send_email_verification(email, redirect_to))

    def verify_email(self, token_or_url: str) -> None:
        """Verify an address with a mailed link, or with the token in it.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden = Secret(token_or_url)
        del token_or_url
        run(self._flows.verify_email(hidden))


class AsyncMails:
    """Magic links, password resets and address verification, for callers that await."""

    _flows: Flows

    async def send_magic_link(self, email: str, *, redirect_to: str | None = None) -> None:
        """Mail a link that signs in. The answer does not say whether the address has an account.

        Args:
            email: The address.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query, and
                calls ``verify_magic_link`` after a click only, because mail scanners open links as well.

        Raises:
            NotSupported: The server has no magic links.
            RateLimited: Too many mails were sent.
            ValidationFailed: The address is empty or too long.
            ServiceUnavailable: The service gave no usable answer.
        """
        await run_async(self._flows.send_magic_link(email, redirect_to))

    async def verify_magic_link(
        self,
        token_or_url: str,
        *,
        remember_me: bool | None = None,
        session_options: Options | None = None,
        device: Device | None = None,
    ) -> Session:
        """Sign in with a magic link, or with the token in it.

        Args:
            token_or_url: The link that was opened, or its token.
            remember_me: As in ``sign_in``.
            session_options: As in ``sign_in``.
            device: As in ``sign_in``.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            MfaRequired: A second factor is needed: see ``verify_mfa``.
            NotSupported: The server has no magic links.
            ServiceUnavailable: The service gave no usable answer.
            SignInSuperseded: A later sign-in or sign-out was asked for.
            StoreError: The session could not be stored. It was signed out again.
        """
        hidden = Secret(token_or_url)
        del token_or_url
        return await run_async(
            self._flows.verify_magic_link(
                hidden, remember_me=remember_me, session_options=session_options, device=device
            )
        )

    async def send_password_reset(self, email: str, *, redirect_to: str | None = None) -> None:
        """Mail a link that sets a new password. The answer does not say whether the address has an account.

        Args:
            email: The address.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query.

        Raises:
            RateLimited: Too many mails were sent.
            ValidationFailed: The address is empty or too long.
            ServiceUnavailable: The service gave no usable answer.
        """
        await run_async(self._flows.send_password_reset(email, redirect_to))

    async def confirm_password_reset(self, token_or_url: str, new_password: str) -> None:
        """Set a new password with a mailed link. It does not sign the user in.

        The reset ends the user's sessions at the service.

        Args:
            token_or_url: The link that was opened, or its token.
            new_password: The new password.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            ValidationFailed: The password breaks the tenant's rules. The link stays good.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden, password = Secret(token_or_url), Secret(new_password)
        del token_or_url, new_password
        await run_async(self._flows.confirm_password_reset(hidden, password))

    async def change_password(self, current: str, new: str) -> None:
        """Change the password of the signed-in user.

        Args:
            current: The present password.
            new: The new password.

        Raises:
            InvalidCredentials: The present password is wrong.
            ValidationFailed: The new password breaks the tenant's rules.
            NotSupported: The server cannot do it: send a password reset.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        before, after = Secret(current), Secret(new)
        del current, new
        await run_async(self._flows.change_password(before, after))

    async def password_policy(self) -> PasswordPolicy:
        """Return the tenant's rules for new passwords, so that an app can show them.

        Raises:
            NotSupported: The server does not publish them.
            ServiceUnavailable: The service gave no usable answer.
        """
        return await run_async(self._flows.password_policy())

    async def send_email_verification(
        self, email: str | None = None, *, redirect_to: str | None = None
    ) -> None:
        """Mail a link that verifies an address.

        Args:
            email: The address; on v1 the signed-in user's if not given.
            redirect_to: The page of the app that the link leads to. It takes the ``token`` of the query.

        Raises:
            SignInRequired: No address was given, and no user is signed in.
            RateLimited: Too many mails were sent.
            ServiceUnavailable: The service gave no usable answer.
        """
        await run_async(self._flows.send_email_verification(email, redirect_to))

    async def verify_email(self, token_or_url: str) -> None:
        """Verify an address with a mailed link, or with the token in it.

        Raises:
            ChallengeExpired: The link is used, unknown or too old: send another one.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden = Secret(token_or_url)
        del token_or_url
        await run_async(self._flows.verify_email(hidden))

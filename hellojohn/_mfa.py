"""``hj.mfa``: the second factors of the signed-in user, in two faces."""

from hellojohn._details import MfaFactor, TotpEnrollment
from hellojohn._secret import Secret
from hellojohn._session import calls
from hellojohn._session.account import Account
from hellojohn._session.acquire import acquire
from hellojohn._waiting import Flow, run, run_async
from hellojohn._wire.topics import SecondFactors

__all__ = ["AsyncMfa", "Mfa"]


class _Flows:
    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def _topic(self) -> SecondFactors:
        return self._account.context.service.dialect.second_factors

    def factors(self) -> Flow[tuple[MfaFactor, ...]]:
        return calls.ask_as_user(self._account, self._topic.list_factors)

    def enroll_totp(self, *, replace: bool) -> Flow[TotpEnrollment]:
        snapshot = yield from acquire(self._account)
        user = snapshot.record.user
        if user is None or user.email is None:  # the tokens of v2 name no address
            user = yield from calls.user(self._account)
        label = user.email or user.username or user.id
        return (
            yield from calls.ask_as_user(
                self._account, lambda who: self._topic.enroll_totp(who, account=label, replace=replace)
            )
        )

    def confirm_totp(self, enrollment: TotpEnrollment, code: Secret) -> Flow[tuple[str, ...]]:
        return calls.ask_as_user(self._account, lambda who: self._topic.confirm_totp(who, enrollment, code))

    def disable_totp(self, password: Secret, code: Secret) -> Flow[None]:
        return calls.ask_as_user(
            self._account, lambda who: self._topic.disable_totp(who, password=password, code=code)
        )

    def new_recovery_codes(self, password: Secret, code: Secret) -> Flow[tuple[str, ...]]:
        return calls.ask_as_user(
            self._account, lambda who: self._topic.new_recovery_codes(who, password=password, code=code)
        )


class Mfa:
    """The second factors of the signed-in user; ``hj.mfa``. Safe to share between threads."""

    def __init__(self, account: Account) -> None:
        """Made by ``HelloJohn``."""
        self._flows = _Flows(account)

    def factors(self) -> tuple[MfaFactor, ...]:
        """List the user's second factors.

        Raises:
            NotSupported: On v1 without a secret key: the path of the user itself is not published.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        return run(self._flows.factors())

    def enroll_totp(self, *, replace: bool = False) -> TotpEnrollment:
        """Begin to enroll an authenticator app: show ``uri`` as a QR code, then call ``confirm_totp``.

        Args:
            replace: Whether an app that is enrolled already may stop working at once.

        Raises:
            Conflict: An app is enrolled already, and ``replace`` is false.
            NotSupported: On v1 without a secret key.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        return run(self._flows.enroll_totp(replace=replace))

    def confirm_totp(self, enrollment: TotpEnrollment, code: str) -> tuple[str, ...]:
        """Finish an enrolment with the app's present code. To sign in, use the next code, not this one.

        Returns:
            The recovery codes, if the service gave any. Show them to the user once.

        Raises:
            InvalidCredentials: The code is wrong.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden = Secret(code)
        del code
        return run(self._flows.confirm_totp(enrollment, hidden))

    def disable_totp(self, password: str, code: str) -> None:
        """Remove the authenticator app.

        Args:
            password: The user's password.
            code: The app's present code, or a recovery code.

        Raises:
            InvalidCredentials: The password or the code is wrong. The cloud API (v1) checks neither.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden, hidden_code = Secret(password), Secret(code)
        del password, code
        run(self._flows.disable_totp(hidden, hidden_code))

    def new_recovery_codes(self, password: str, code: str) -> tuple[str, ...]:
        """Replace the recovery codes. The old ones stop working.

        Args:
            password: The user's password.
            code: The app's present code, or a recovery code.

        Raises:
            InvalidCredentials: The password or the code is wrong. The cloud API (v1) checks neither.
            SignInRequired: No user is signed in, or the session has ended.
            ServiceUnavailable: The service gave no usable answer.
        """
        hidden, hidden_code = Secret(password), Secret(code)
        del password, code
        return run(self._flows.new_recovery_codes(hidden, hidden_code))


class AsyncMfa:
    """The second factors of the signed-in user; ``hj.mfa`` of ``AsyncHelloJohn``."""

    def __init__(self, account: Account) -> None:
        """Made by ``AsyncHelloJohn``."""
        self._flows = _Flows(account)

    async def factors(self) -> tuple[MfaFactor, ...]:
        """List the user's second factors: see ``Mfa.factors``."""
        return await run_async(self._flows.factors())

    async def enroll_totp(self, *, replace: bool = False) -> TotpEnrollment:
        """Begin to enroll an authenticator app: see ``Mfa.enroll_totp``."""
        return await run_async(self._flows.enroll_totp(replace=replace))

    async def confirm_totp(self, enrollment: TotpEnrollment, code: str) -> tuple[str, ...]:
        """Finish an enrolment with the app's present code: see ``Mfa.confirm_totp``."""
        hidden = Secret(code)
        del code
        return await run_async(self._flows.confirm_totp(enrollment, hidden))

    async def disable_totp(self, password: str, code: str) -> None:
        """Remove the authenticator app: see ``Mfa.disable_totp``."""
        hidden, hidden_code = Secret(password), Secret(code)
        del password, code
        await run_async(self._flows.disable_totp(hidden, hidden_code))

    async def new_recovery_codes(self, password: str, code: str) -> tuple[str, ...]:
        """Replace the recovery codes: see ``Mfa.new_recovery_codes``."""
        hidden, hidden_code = Secret(password), Secret(code)
        del password, code
        return await run_async(self._flows.new_recovery_codes(hidden, hidden_code))

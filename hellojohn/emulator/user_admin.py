"""The part of the emulator that adds, locks, disables and deletes users."""

from collections.abc import Collection, Generator
from contextlib import contextmanager

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.hosting import Host
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import AccountState, NewUser, Profile
from hellojohn.emulator.service import Service
from hellojohn.emulator.users import access_of, parse_user


class UserAdmin(Host):
    """A host whose service has users."""

    _service: Service

    def add_user(
        self,
        email: str,
        password: str,
        *,
        name: str | None = None,
        mfa_code: str | None = None,
        factors: Collection[str] = (),
        roles: Collection[str] = (),
        scopes: Collection[str] = (),
        verified: bool = True,
    ) -> str:
        """Add a user who can sign in, and return the user's id.

        Args:
            email: The address to sign in with.
            password: The password; any will do.
            name: The user's name.
            mfa_code: The code of the authenticator app that sign-in then asks for.
            factors: Second factors whose codes are sent to ``inbox``: ``email_otp``, ``sms``.
            roles: The roles that the user's access tokens name.
            scopes: The scopes that the user's access tokens name.
            verified: Whether the address is verified.

        Raises:
            ConfigurationError: The address is malformed or taken, or a factor is unknown.
        """
        user = NewUser(
            email=email,
            password=Secret(password),
            profile=Profile(name),
            access=access_of(roles, scopes),
            mfa_code=None if mfa_code is None else Secret(mfa_code),
            factors=tuple(factors),
            verified=verified,
        )
        with problems_named():
            return self._service.add_user(user)

    def add_user_from(self, text: str) -> str:
        """Add a user given as ``email:password`` or ``email:password:mfa-code``, and return the user's id.

        Raises:
            ConfigurationError: The text has another form, or see ``add_user``.
        """
        user = parse_user(text)
        with problems_named():
            return self._service.add_user(user)

    def lock_user(self, email: str) -> None:
        """Lock an account: sign-in answers ``account_locked``; sessions go on."""
        self._set_state(email, AccountState.LOCKED)

    def disable_user(self, email: str) -> None:
        """Disable an account and revoke its sessions: sign-in and refresh answer ``account_disabled``."""
        self._set_state(email, AccountState.DISABLED)

    def enable_user(self, email: str) -> None:
        """Let a locked or disabled account sign in again. Revoked sessions stay revoked."""
        self._set_state(email, AccountState.ACTIVE)

    def delete_user(self, email: str) -> None:
        """Delete an account and revoke its sessions."""
        with problems_named():
            self._service.delete_user(email)

    def mfa_code(self, email: str) -> str:
        """Return the code that the user's authenticator app shows now.

        Raises:
            ConfigurationError: The user is unknown, or the user has no authenticator app.
        """
        with problems_named():
            return self._service.mfa_code(email)

    def _set_state(self, email: str, state: AccountState) -> None:
        with problems_named():
            self._service.set_state(email, state)


@contextmanager
def problems_named() -> Generator[None]:
    """Turn the service's refusal into the error of a mistaken test."""
    try:
        yield
    except ApiProblem as problem:
        raise ConfigurationError(problem.message) from None

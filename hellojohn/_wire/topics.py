"""The protocols of the ways in and of the server's side, by topic. Each dialect implements all of them.

``NotSupported``, ``ConfigurationError`` and ``ValidationFailed`` are raised before a conversation is
returned, as ``Dialect`` says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hellojohn._details import Device, MfaFactor, PasswordPolicy, SessionInfo, TotpEnrollment
from hellojohn._errors import MfaChallenge
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.conversation import Conversation
from hellojohn._wire.reading import Fields
from hellojohn._wire.values import Outcome, TokenResponse


class SignedIn(NamedTuple):
    """Who asks: a signed-in user.

    Attributes:
        access_token: The access token.
        user: The user as of sign-in, if the service said so.
    """

    access_token: Secret
    user: User | None

    @property
    def user_id(self) -> str:
        """The user's id; empty if it is not known."""
        return "" if self.user is None else self.user.id


class SessionPage(NamedTuple):
    """One page of the list of sessions.

    Attributes:
        sessions: The sessions.
        next_cursor: The cursor of the next page; ``None`` on the last one.
    """

    sessions: tuple[SessionInfo, ...]
    next_cursor: str | None


class RemoteCheck(NamedTuple):
    """The service's answer about an access token.

    Attributes:
        valid: Whether the token is valid now.
        session: The session, if the service describes it.
        claims: The claims, as the service lists them.
    """

    valid: bool
    session: SessionInfo | None = None
    claims: Fields | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthCode:
    """The code that a browser brought back, with what proves that this client asked for it.

    Attributes:
        code: The code.
        code_verifier: The verifier of PKCE.
        redirect_uri: The address that the browser came back to.
        nonce: The value that an ID token must repeat.
        provider: The provider; ``None`` for the server's own login page.
    """

    code: Secret = field(repr=False)
    code_verifier: Secret = field(repr=False)
    redirect_uri: str
    nonce: str = field(repr=False)
    provider: str | None = None


class SecondFactors(Protocol):
    """Codes for a challenge, and the second factors of a signed-in user."""

    def send_code(self, challenge: MfaChallenge, *, factor: str | None) -> Conversation[None]:
        """Send the code of a factor; without ``factor``, of the first one whose codes are sent."""
        ...

    def list_factors(self, who: SignedIn) -> Conversation[tuple[MfaFactor, ...]]:
        """List the user's factors."""
        ...

    def enroll_totp(self, who: SignedIn, *, account: str, replace: bool) -> Conversation[TotpEnrollment]:
        """Begin to enroll an authenticator app.

        Args:
            who: The user.
            account: The name that the app shows beside the code, such as the email address.
            replace: Whether an app that is enrolled already may stop working at once.
        """
        ...

    def confirm_totp(
        self, who: SignedIn, enrollment: TotpEnrollment, code: Secret
    ) -> Conversation[tuple[str, ...]]:
        """Finish an enrolment with the app's first code; the result are the recovery codes, if any came."""
        ...

    def disable_totp(self, who: SignedIn, *, password: Secret, code: Secret) -> Conversation[None]:
        """Remove the authenticator app."""
        ...

    def new_recovery_codes(
        self, who: SignedIn, *, password: Secret, code: Secret
    ) -> Conversation[tuple[str, ...]]:
        """Replace the recovery codes."""
        ...


class Links(Protocol):
    """Everything that goes through a mailed link, and passwords."""

    def send_magic_link(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Mail a link that signs in."""
        ...

    def verify_magic_link(
        self, link: Secret, *, duration: str | None, device: Device | None
    ) -> Conversation[TokenResponse]:
        """Sign in with a link or its token."""
        ...

    def send_password_reset(self, email: str, *, redirect_to: str | None) -> Conversation[None]:
        """Mail a link that sets a new password."""
        ...

    def confirm_password_reset(self, link: Secret, new_password: Secret) -> Conversation[None]:
        """Set a new password with a link or its token. No session begins."""
        ...

    def change_password(self, who: SignedIn, *, current: Secret, new: Secret) -> Conversation[None]:
        """Change the password of a signed-in user."""
        ...

    def password_policy(self) -> Conversation[PasswordPolicy]:
        """Read the rules for new passwords."""
        ...

    def send_email_verification(
        self, email: str | None, *, who: SignedIn | None, redirect_to: str | None
    ) -> Conversation[None]:
        """Mail a link that verifies an address: the given one, else the signed-in user's."""
        ...

    def verify_email(self, link: Secret) -> Conversation[None]:
        """Verify an address with a link or its token."""
        ...


class OAuth(Protocol):
    """Sign-in with a browser, and tokens for services."""

    def authorize_url(
        self,
        *,
        provider: str | None,
        redirect_uri: str,
        state: str,
        nonce: str,
        code_challenge: str,
        scopes: Sequence[str],
    ) -> str:
        """Return the address at which the browser begins; ``provider=None`` is the server's own login."""
        ...

    def exchange_code(
        self, code: OAuthCode, *, duration: str | None, device: Device | None
    ) -> Conversation[TokenResponse]:
        """Sign in with a code. It is sent once: a wrong verifier burns it."""
        ...

    def service_token(self, client_secret: Secret, *, scopes: Iterable[str]) -> Conversation[Outcome]:
        """Ask once for a token for the client itself. It comes without a refresh token.

        The outcome is read like that of a refresh. An error of the settings is a ``ConfigurationError``.
        """
        ...


class Admin(Protocol):
    """Sessions and settings, with the secret key."""

    def list_sessions(
        self, *, user_id: str | None, status: str | None, limit: int, cursor: str | None
    ) -> Conversation[SessionPage]:
        """List sessions, one page."""
        ...

    def get_session(self, session_id: str) -> Conversation[SessionInfo]:
        """Read one session."""
        ...

    def revoke_session(self, session_id: str) -> Conversation[None]:
        """End one session."""
        ...

    def revoke_all(self, user_id: str) -> Conversation[None]:
        """End all sessions of a user."""
        ...

    def check_token(self, access_token: Secret) -> Conversation[RemoteCheck]:
        """Ask whether an access token is valid at this moment."""
        ...

    def get_config(self) -> Conversation[Fields]:
        """Read the settings of sessions: durations as text, numbers, ``None`` for no limit."""
        ...

    def update_config(self, changes: Mapping[str, str | int | None]) -> Conversation[Fields]:
        """Change settings; the result are all of them."""
        ...

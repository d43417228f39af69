"""The seam between the emulator and the APIs that it can speak.

``Emulator`` runs a ``Service``; each API implements one. An API gets its ``Surroundings``: everything that it
shares with the emulator. It never imports ``emulator`` or another API.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from hellojohn.emulator.app import Call, Errors
from hellojohn.emulator.clock import MovableClock
from hellojohn.emulator.keys import Algorithm
from hellojohn.emulator.mail import Inbox
from hellojohn.emulator.records import AccountState, NewUser, SessionInfo


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts of the emulator that an API works with.

    Attributes:
        clock: The emulator's time.
        inbox: Where mails and text messages go.
        emit: Sends a webhook for an event, with its data, if one is wanted. It does not block.
    """

    clock: MovableClock
    inbox: Inbox
    emit: Callable[[str, Mapping[str, object]], None]


class Rotates(Protocol):
    """Keys that can be rotated."""

    def rotate(
        self, *, algorithm: Algorithm = "EdDSA", keep_old: float | None = None, publish_after: float = 0.0
    ) -> str:
        """Sign with a new key from now on, and return its id; see ``SigningKeys.rotate``."""
        ...


class Service(Protocol):
    """One API of the service with one tenant, in memory.

    A method that takes an email or an id raises ``ApiProblem`` when it is unknown. All of them may be called
    from any thread.
    """

    @property
    def errors(self) -> Errors:
        """How the API writes its errors."""
        ...

    @property
    def keys(self) -> Rotates:
        """The keys that sign access tokens."""
        ...

    @property
    def rotations(self) -> int:
        """How many refreshes have succeeded."""
        ...

    @property
    def reuses(self) -> int:
        """How many times a rotated refresh token was presented again."""
        ...

    def table(self) -> Sequence[Call]:
        """Return every route."""
        ...

    def listen_at(self, url: str) -> None:
        """Note the address of the host. Tokens and links name it."""
        ...

    def add_user(self, user: NewUser) -> str:
        """Add a user, and return the user's id."""
        ...

    def set_state(self, email: str, state: AccountState) -> None:
        """Lock, disable or enable an account."""
        ...

    def delete_user(self, email: str) -> None:
        """Delete a user."""
        ...

    def mfa_code(self, email: str) -> str:
        """Return a code that answers the user's authenticator app now."""
        ...

    def session(self, session_id: str) -> SessionInfo:
        """Return a session as it is now."""
        ...

    def sessions(self, email: str | None) -> list[SessionInfo]:
        """Return the sessions of a user, or all of them, the oldest first."""
        ...

    def revoke(self, session_id: str) -> None:
        """End a session."""
        ...

    def reject_access_tokens(self) -> None:
        """Make the sample resource refuse every access token that was issued so far."""
        ...

    def configure(self, settings: Mapping[str, object]) -> None:
        """Change session settings; raise ``ConfigurationError`` where a name or value is wrong."""
        ...

    def token(
        self,
        email: str,
        *,
        access: Mapping[str, tuple[str, ...]],
        life: timedelta | None,
        claims: Mapping[str, object],
    ) -> str:
        """Open a session and return its access token. ``access`` replaces fields of the user's ``Access``."""
        ...

    def authorize(self, url: str, email: str) -> str:
        """Do the browser's part of a sign-in, and return the address that the browser ends on."""
        ...

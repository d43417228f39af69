"""The rules of v1 for signing in and for the life of a session.

No HTTP, no JWT, and the time comes from the injected clock. A lock makes every call atomic.

A presented refresh token is judged in this order:

    never issued                                    refresh_token_invalid
    rotated, and its session's duration is over     refresh_token_expired
    rotated, outside the grace window               refresh_token_reused, and the session is revoked
    the user is disabled                            account_disabled
    the session was revoked or signed out           session_revoked
    the session's duration is over, or idle         session_expired
    otherwise                                       a new token; this one is now rotated
"""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from hellojohn._duration import parse_duration
from hellojohn._secret import Secret
from hellojohn.emulator.mail import Inbox
from hellojohn.emulator.records import Access, AccountState, Device, NewUser, SessionStatus
from hellojohn.emulator.v1.accounts import Accounts, check_password, check_state
from hellojohn.emulator.v1.challenges import Challenges
from hellojohn.emulator.v1.factors import Factors
from hellojohn.emulator.v1.policy import Policy
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Event, Factor, Grant, Session, User, Verified
from hellojohn.emulator.v1.sessions import SessionBook, check_alive

_NO_DEVICE: Final = Device()


class Rules:
    """The state of one tenant, and every rule that changes it.

    Attributes:
        lock: Makes several calls atomic.
        accounts, factors: The users and their second factors; hold the lock.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        inbox: Inbox | None = None,
        reuse_grace: str | timedelta | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """Start without users and with the default policy.

        Args:
            clock: Seconds since the epoch.
            inbox: Where codes are sent.
            reuse_grace: How long after its rotation a refresh token works once more.
            on_event: Called with each event, while the lock is held.
        """
        grace = None if reuse_grace is None else parse_duration(reuse_grace, name="reuse_grace")
        self.lock: threading.RLock = threading.RLock()
        self.accounts: Accounts = Accounts(clock)
        self.factors: Factors = Factors(clock, Inbox() if inbox is None else inbox)
        self._challenges = Challenges(clock)
        self._sessions = SessionBook(clock, grace=grace, on_revoked=self._on_revoked)
        self._on_event = on_event

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self._sessions.policy

    @property
    def rotations(self) -> int:
        """Refreshes that succeeded."""
        return self._sessions.rotations

    @property
    def reuses(self) -> int:
        """Times a rotated refresh token came again, outside the grace window."""
        return self._sessions.reuses

    def configure(self, settings: Mapping[str, object]) -> Policy:
        """Change settings for the future: a session that is over by the old ones stays over.

        Raises:
            ConfigurationError: A name or a value is wrong; nothing is changed then.
        """
        with self.lock:
            self._sessions.adopt(self.policy.changed(settings))
            return self.policy

    # Users

    def add_user(self, new: NewUser) -> User:
        """Add a user, with any password.

        Raises:
            V1Problem: The email is malformed or taken, or a second factor is unknown.
        """
        with self.lock:
            user = self.accounts.add(new)
            try:
                self.factors.install(user, new)
            except V1Problem:
                self.accounts.delete(user.email)
                raise
            self.emit("user.created", user)
            return user

    def set_state(self, email: str, state: AccountState) -> None:
        """Lock, disable or enable an account. Disabling it revokes its sessions.

        Raises:
            V1Problem: The user is unknown.
        """
        with self.lock:
            user = self.accounts.set_state(email, state)
            if state is AccountState.DISABLED:
                self.revoke_all(user.id)
                self.emit("user.disabled", user)

    def delete_user(self, email: str) -> None:
        """Delete a user and revoke their sessions.

        Raises:
            V1Problem: The user is unknown.
        """
        with self.lock:
            user = self.accounts.named(email)
            self.revoke_all(user.id)
            self._challenges.drop(user.id)
            self.emit("user.deleted", self.accounts.delete(email))

    def user(self, user_id: str) -> User:
        """Return a user by id.

        Raises:
            V1Problem: The user is unknown.
        """
        with self.lock:
            return self.accounts.get(user_id)

    # Signing in

    def sign_up(self, new: NewUser, *, duration: str | None, device: Device) -> Grant:
        """Add a user and sign them in.

        Raises:
            V1Problem: The password is weak, or see ``add_user``.
        """
        check_password(new.password)
        with self.lock:
            return self.open_session(self.add_user(new), duration=duration, device=device)

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        device: Device,
        device_token: Secret | None = None,
    ) -> Grant:
        """Begin a session with a password.

        Raises:
            V1Problem: The credentials are wrong, the account may not sign in, or a second factor is due.
        """
        with self.lock:
            user = self.accounts.authenticate(email, password)
            if self._challenges.is_remembered(user, device_token):
                return self.open_session(user, duration=duration, device=device)
            return self.enter(user, duration=duration, device=device)

    def enter(self, user: User, *, duration: str | None, device: Device) -> Grant:
        """Begin a session of a user who has shown who they are, unless a second factor is due.

        Raises:
            V1Problem: The account may not sign in, or a second factor is due.
        """
        with self.lock:
            check_state(user)
            available = self.factors.available(user.id)
            if available:
                raise self._challenges.open(user, duration=duration, device=device, factors=available)
            return self.open_session(user, duration=duration, device=device)

    def open_session(
        self,
        user: User,
        *,
        duration: str | None = None,
        device: Device = _NO_DEVICE,
        mfa_verified: bool = False,
        access: Access | None = None,
    ) -> Grant:
        """Begin a session. Over the cap, the least recently active session of the user ends."""
        with self.lock:
            grant = self._sessions.begin(
                user, duration=duration, device=device, mfa_verified=mfa_verified, access=access
            )
            self.emit("session.created", user, grant.session)
            return grant

    def send_code(self, challenge_id: str, factor: str | None) -> Factor:
        """Send the code of a second factor, and return the factor.

        Raises:
            V1Problem: The challenge is over, or the factor takes no codes by mail or message.
        """
        with self.lock:
            return self.factors.send(self._challenges.get(challenge_id).user_id, factor)

    def answer_challenge(
        self, challenge_id: str, factor: str, code: Secret, *, remember_device: bool = False
    ) -> Verified:
        """Finish a sign-in that waits for its second factor. A challenge can be answered once.

        Raises:
            V1Problem: The challenge is over, the code is wrong, or the account may not sign in.
        """
        with self.lock:
            challenge = self._challenges.get(challenge_id)
            self.factors.check(challenge.user_id, factor, code)
            user = self.accounts.get(challenge.user_id)
            check_state(user)
            self._challenges.close(challenge_id)
            self.emit("mfa.verified", user)
            asked, device = challenge.duration, challenge.device
            grant = self.open_session(user, duration=asked, device=device, mfa_verified=True)
            return Verified(grant, self._challenges.remember_device(user) if remember_device else None)

    # A session's life

    def refresh(self, token: Secret) -> Grant:
        """Rotate a refresh token; the module's docstring has the table.

        Raises:
            V1Problem: The token or its session is no longer good.
        """
        with self.lock:
            session = self._sessions.presented(token)
            if self.accounts.is_disabled(session.user_id):
                raise V1Problem("account_disabled")
            check_alive(session)
            return self._sessions.rotate(session, self.accounts.get(session.user_id))

    def sign_out(self, token: Secret, *, session_id: str, everywhere: bool) -> None:
        """End the session of a refresh token, or every session of its user.

        A rotated token counts as well. ``session_id`` is the session of the caller's access token.

        Raises:
            V1Problem: The refresh token was never issued, or belongs to another session.
        """
        with self.lock:
            if self._sessions.id_of(token) != session_id:
                raise V1Problem("refresh_token_invalid")
            if everywhere:
                self.revoke_all(self._sessions.get(session_id).user_id)
            else:
                self.revoke(session_id)

    def revoke(self, session_id: str) -> None:
        """End a session.

        Raises:
            V1Problem: The session is unknown.
        """
        with self.lock:
            self._sessions.revoke(session_id)

    def revoke_all(self, user_id: str, *, keep: str | None = None) -> None:
        """End every session of a user except the one to ``keep``, and forget the user's devices."""
        with self.lock:
            self._sessions.revoke_all(user_id, keep=keep)
            self._challenges.forget_devices(user_id)

    def session(self, session_id: str) -> Session:
        """Return a session as it is now.

        Raises:
            V1Problem: The session is unknown.
        """
        with self.lock:
            return self._sessions.get(session_id)

    def sessions(self, *, user_id: str | None = None, status: SessionStatus | None = None) -> list[Session]:
        """Return the sessions that match, the newest first."""
        with self.lock:
            return self._sessions.search(user_id=user_id, status=status)

    def emit(self, kind: str, user: User, session: Session | None = None) -> None:
        """Report an event."""
        if self._on_event is not None:
            self._on_event(Event(kind, user, session))

    def _on_revoked(self, session: Session) -> None:
        self.emit("session.revoked", self.accounts.get(session.user_id), session)

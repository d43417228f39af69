"""The service's session rules: how long a session lives, when a refresh is refused, what ends it.

Pure: no HTTP, no JWT, and the time comes from the injected clock. A lock makes every call atomic. Refresh
tokens are kept as digests only. It must never import the SDK's own reading of the protocol
(``hellojohn._wire``, ``_engine``, ``_client``): two independent readings catch misreadings.

A presented refresh token is judged in this order:

    never issued                                    refresh_token_invalid
    rotated, and its session's duration is over     refresh_token_expired
    rotated, outside the grace window               refresh_token_reused, and the session is revoked
    session revoked or signed out                   session_revoked
    session's duration over, or idle too long       session_expired
    user disabled                                   account_disabled
    else                                            a new token; this one is now rotated
"""

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from hellojohn._duration import parse_duration
from hellojohn._secret import Secret
from hellojohn.emulator.accounts import Accounts, name
from hellojohn.emulator.policy import Policy, seconds
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import (
    AccountState,
    Device,
    Grant,
    Profile,
    Session,
    SessionStatus,
    User,
)

_SHORTEST_PASSWORD = 8
_NO_PROFILE: Final = Profile()


@dataclass(slots=True)
class _Issued:
    """A refresh token that was given out, found by its digest."""

    session_id: str
    rotated_at: float | None = None


class Rules:
    """The state of one tenant, and every rule that changes it.

    Attributes:
        rotations: Refreshes that succeeded.
        reuses: Times a rotated refresh token came again, outside the grace window.
    """

    def __init__(self, *, clock: Callable[[], float], reuse_grace: str | timedelta | None = None) -> None:
        """Start with no users and the default policy.

        Args:
            clock: Seconds since the epoch.
            reuse_grace: For how long after its rotation a refresh token is taken once more; ``None`` for not
                at all.
        """
        self._clock = clock
        self._grace = None if reuse_grace is None else parse_duration(reuse_grace, name="reuse_grace")
        self._lock = threading.RLock()
        self._policy = Policy()
        self._accounts = Accounts(clock)
        self._sessions: dict[str, Session] = {}
        self._issued: dict[bytes, _Issued] = {}
        self.rotations: int = 0
        self.reuses: int = 0

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self._policy

    def configure(self, settings: Mapping[str, object]) -> Policy:
        """Change settings for what comes: a session that is over by the old ones stays over.

        Raises:
            ConfigurationError: A name or a value is wrong; nothing is changed then.
        """
        with self._lock:
            policy = self._policy.changed(settings)
            for session in tuple(self._sessions.values()):
                self._settle(session)
            self._policy = policy
            return policy

    # Users and signing in

    def add_user(
        self, email: str, password: Secret, *, profile: Profile = _NO_PROFILE, mfa_code: Secret | None = None
    ) -> User:
        """Add a user, with any password.

        Raises:
            ApiProblem: The email is not one, or it is taken.
        """
        with self._lock:
            return self._accounts.add(email, password, profile=profile, mfa_code=mfa_code)

    def set_state(self, email: str, state: AccountState) -> None:
        """Lock or disable an account, or let it in again.

        Raises:
            ApiProblem: There is no such user.
        """
        with self._lock:
            self._accounts.set_state(email, state)

    def user(self, user_id: str) -> User:
        """Return a user by id.

        Raises:
            ApiProblem: There is no such user.
        """
        with self._lock:
            return self._accounts.get(user_id)

    def sign_up(
        self, email: str, password: Secret, *, profile: Profile, duration: str | None, device: Device
    ) -> Grant:
        """Add a user and sign them in.

        Raises:
            ApiProblem: The password is weak, or see ``add_user``.
        """
        if len(password.reveal()) < _SHORTEST_PASSWORD:
            raise ApiProblem("password_too_weak")
        with self._lock:
            user = self.add_user(email, password, profile=profile)
            return self._begin(user, duration, device)

    def sign_in(self, email: str, password: Secret, *, duration: str | None, device: Device) -> Grant:
        """Begin a session, as long as asked for, at most as the policy allows.

        Raises:
            ApiProblem: The credentials are wrong, the account may not sign in, or a second factor is due.
        """
        with self._lock:
            user = self._accounts.authenticate(email, password)
            if user.mfa_code is not None:
                raise self._accounts.challenge(user, duration=duration, device=device)
            return self._begin(user, duration, device)

    def answer_challenge(self, challenge_id: str, factor: str, code: Secret) -> Grant:
        """Finish a sign-in that waits for its second factor. A challenge serves once.

        Raises:
            ApiProblem: The challenge is over, the factor or the code is wrong, or the account may not sign in.
        """
        with self._lock:
            challenge = self._accounts.answer(challenge_id, factor, code)
            user = self._accounts.get(challenge.user_id)
            return self._begin(user, challenge.duration, challenge.device, mfa_verified=True)

    # A session's life

    def refresh(self, token: Secret) -> Grant:
        """Rotate a refresh token; the module's docstring is the table.

        Raises:
            ApiProblem: The token or its session is no longer good.
        """
        with self._lock:
            issued = self._issued.get(_digest(token))
            if issued is None:
                raise ApiProblem("refresh_token_invalid")
            session = self._settle(self._sessions[issued.session_id])
            self._check_reuse(issued, session)
            _check_alive(session)
            user = self._accounts.get(session.user_id)
            if user.state is AccountState.DISABLED:
                raise ApiProblem("account_disabled")
            return self._rotate(session, user)

    def sign_out(self, token: Secret, *, session_id: str, everywhere: bool) -> None:
        """End the session of a refresh token, or every session of its user. Ended sessions stay ended.

        Args:
            token: The refresh token; a rotated one serves, for it can only end the session.
            session_id: The session that the caller's access token belongs to.
            everywhere: Whether to end all sessions of the user.

        Raises:
            ApiProblem: The refresh token was never issued, or belongs to another session.
        """
        with self._lock:
            issued = self._issued.get(_digest(token))
            if issued is None or issued.session_id != session_id:
                raise ApiProblem("refresh_token_invalid")
            if everywhere:
                self.revoke_all(self._sessions[session_id].user_id)
            else:
                self.revoke(session_id)

    def revoke(self, session_id: str) -> None:
        """End a session.

        Raises:
            ApiProblem: There is no such session.
        """
        with self._lock:
            session = self.session(session_id)
            if session.status is SessionStatus.ACTIVE:
                self._keep(replace(session, status=SessionStatus.REVOKED))

    def revoke_all(self, user_id: str) -> None:
        """End every session of a user."""
        with self._lock:
            for session in self.sessions(user_id=user_id, status=SessionStatus.ACTIVE):
                self.revoke(session.id)

    def session(self, session_id: str) -> Session:
        """Return a session as it is now.

        Raises:
            ApiProblem: There is no such session.
        """
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                raise ApiProblem("not_found", "There is no such session.")
            return self._settle(session)

    def sessions(self, *, user_id: str | None = None, status: SessionStatus | None = None) -> list[Session]:
        """Return the sessions that match, the newest first."""
        with self._lock:
            settled = [self._settle(session) for session in reversed(tuple(self._sessions.values()))]
        return [
            session
            for session in settled
            if user_id in (None, session.user_id) and status in (None, session.status)
        ]

    # The steps of the rules; the lock is held

    def _begin(
        self, user: User, duration: str | None, device: Device, *, mfa_verified: bool = False
    ) -> Grant:
        now = self._clock()
        longest = seconds(self._policy.session_duration)
        token, digest = _new_token()
        session = Session(
            id=name("ses"),
            serial=len(self._sessions),
            user_id=user.id,
            device=device,
            mfa_verified=mfa_verified,
            created_at=now,
            last_active_at=now,
            expires_at=now + (longest if duration is None else min(longest, seconds(duration))),
            token=digest,
        )
        self._keep(session)
        self._issued[digest] = _Issued(session.id)
        self._make_room(user.id)
        return Grant(session, user, token)

    def _make_room(self, user_id: str) -> None:
        cap = self._policy.max_sessions_per_user
        if cap is None:
            return
        active = self.sessions(user_id=user_id, status=SessionStatus.ACTIVE)
        others = sorted(active[1:], key=lambda session: (session.last_active_at, session.serial))
        for session in others[: max(0, len(active) - cap)]:
            self.revoke(session.id)

    def _check_reuse(self, issued: _Issued, session: Session) -> None:
        now = self._clock()
        if issued.rotated_at is None or self._in_grace(issued.rotated_at, now):
            return
        self.reuses += 1
        if now >= session.expires_at:
            raise ApiProblem("refresh_token_expired")
        self.revoke(session.id)
        raise ApiProblem("refresh_token_reused")

    def _in_grace(self, rotated_at: float, now: float) -> bool:
        return self._grace is not None and now - rotated_at <= self._grace.total_seconds()

    def _rotate(self, session: Session, user: User) -> Grant:
        now = self._clock()
        token, digest = _new_token()
        self._issued[session.token].rotated_at = now
        self._issued[digest] = _Issued(session.id)
        session = replace(session, token=digest, last_active_at=now)
        self._keep(session)
        self.rotations += 1
        return Grant(session, user, token)

    def _settle(self, session: Session) -> Session:
        now = self._clock()
        idle = self._policy.idle_timeout
        over = now >= session.expires_at or (
            idle is not None and now - session.last_active_at > seconds(idle)
        )
        if session.status is SessionStatus.ACTIVE and over:
            session = replace(session, status=SessionStatus.EXPIRED)
            self._keep(session)
        return session

    def _keep(self, session: Session) -> None:
        self._sessions[session.id] = session


def _check_alive(session: Session) -> None:
    if session.status is SessionStatus.REVOKED:
        raise ApiProblem("session_revoked")
    if session.status is SessionStatus.EXPIRED:
        raise ApiProblem("session_expired")


def _new_token() -> tuple[Secret, bytes]:
    token = Secret("rt_" + secrets.token_urlsafe(32))
    return token, _digest(token)


def _digest(token: Secret) -> bytes:
    return hashlib.sha256(token.reveal().encode()).digest()

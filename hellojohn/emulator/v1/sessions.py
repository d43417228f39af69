"""Sessions and their refresh tokens: how long they live and what ends them.

Pure, with the clock injected. ``rules`` holds the lock around every call. Refresh tokens are kept as digests
only.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from hellojohn._secret import Secret
from hellojohn.emulator.records import Access, Device, SessionStatus
from hellojohn.emulator.v1.names import digest, new_id, new_token
from hellojohn.emulator.v1.policy import Policy, seconds
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Grant, Session, User


@dataclass(slots=True)
class _Issued:
    """A refresh token that was issued, found by its digest."""

    session_id: str
    rotated_at: float | None = None


class SessionBook:
    """Every session of a tenant.

    Attributes:
        rotations: Refreshes that succeeded.
        reuses: Times a rotated refresh token came again, outside the grace window.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        grace: timedelta | None,
        on_revoked: Callable[[Session], None],
    ) -> None:
        """Start without sessions.

        Args:
            clock: Seconds since the epoch.
            grace: How long after its rotation a refresh token works once more; ``None`` for no time.
            on_revoked: Called with each session that is revoked.
        """
        self._clock = clock
        self._grace = grace
        self._on_revoked = on_revoked
        self._policy = Policy()
        self._sessions: dict[str, Session] = {}
        self._issued: dict[bytes, _Issued] = {}
        self.rotations: int = 0
        self.reuses: int = 0

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self._policy

    def adopt(self, policy: Policy) -> None:
        """Change the settings for the future: a session that is over by the old ones stays over."""
        for session in tuple(self._sessions.values()):
            self._settle(session)
        self._policy = policy

    def begin(
        self,
        user: User,
        *,
        duration: str | None,
        device: Device,
        mfa_verified: bool = False,
        access: Access | None = None,
    ) -> Grant:
        """Begin a session that lasts as long as asked for, at most as long as the policy allows."""
        now = self._clock()
        longest = seconds(self._policy.session_duration)
        token, token_digest = new_token("rt")
        session = Session(
            id=new_id("ses"),
            serial=len(self._sessions),
            user_id=user.id,
            device=device,
            access=user.access if access is None else access,
            mfa_verified=mfa_verified,
            created_at=now,
            last_active_at=now,
            expires_at=now + (longest if duration is None else min(longest, seconds(duration))),
            token=token_digest,
        )
        self._keep(session)
        self._issued[token_digest] = _Issued(session.id)
        self._make_room(user.id)
        return Grant(session, user, token)

    def presented(self, token: Secret) -> Session:
        """Return the session of a refresh token that was not rotated, also of an ended session.

        Raises:
            V1Problem: The token was never issued, or it was rotated: then its session is revoked.
        """
        issued = self._find(token)
        session = self.get(issued.session_id)
        now = self._clock()
        if issued.rotated_at is None or self._in_grace(issued.rotated_at, now):
            return session
        self.reuses += 1
        if now >= session.expires_at:
            raise V1Problem("refresh_token_expired")
        self.revoke(session.id)
        raise V1Problem("refresh_token_reused")

    def rotate(self, session: Session, user: User) -> Grant:
        """Give a session a new refresh token, and note its activity."""
        now = self._clock()
        token, token_digest = new_token("rt")
        self._issued[session.token].rotated_at = now
        self._issued[token_digest] = _Issued(session.id)
        session = replace(session, token=token_digest, last_active_at=now)
        self._keep(session)
        self.rotations += 1
        return Grant(session, user, token)

    def id_of(self, token: Secret) -> str:
        """Return the id of a refresh token's session. A rotated token counts.

        Raises:
            V1Problem: The token was never issued.
        """
        return self._find(token).session_id

    def get(self, session_id: str) -> Session:
        """Return a session as it is now.

        Raises:
            V1Problem: The session is unknown.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise V1Problem("not_found", "There is no such session.")
        return self._settle(session)

    def search(self, *, user_id: str | None, status: SessionStatus | None) -> list[Session]:
        """Return the sessions that match, the newest first."""
        settled = [self._settle(session) for session in reversed(tuple(self._sessions.values()))]
        return [
            session
            for session in settled
            if user_id in (None, session.user_id) and status in (None, session.status)
        ]

    def revoke(self, session_id: str) -> None:
        """End a session. An ended session stays as it is.

        Raises:
            V1Problem: The session is unknown.
        """
        session = self.get(session_id)
        if session.status is SessionStatus.ACTIVE:
            session = replace(session, status=SessionStatus.REVOKED)
            self._keep(session)
            self._on_revoked(session)

    def revoke_all(self, user_id: str, *, keep: str | None = None) -> None:
        """End every session of a user except the one to ``keep``."""
        for session in self.search(user_id=user_id, status=SessionStatus.ACTIVE):
            if session.id != keep:
                self.revoke(session.id)

    def _find(self, token: Secret) -> _Issued:
        issued = self._issued.get(digest(token))
        if issued is None:
            raise V1Problem("refresh_token_invalid")
        return issued

    def _make_room(self, user_id: str) -> None:
        cap = self._policy.max_sessions_per_user
        if cap is None:
            return
        active = self.search(user_id=user_id, status=SessionStatus.ACTIVE)
        others = sorted(active[1:], key=lambda session: (session.last_active_at, session.serial))
        for session in others[: max(0, len(active) - cap)]:
            self.revoke(session.id)

    def _in_grace(self, rotated_at: float, now: float) -> bool:
        return self._grace is not None and now - rotated_at <= self._grace.total_seconds()

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


def check_alive(session: Session) -> None:
    """Refuse a session that is over."""
    if session.status is SessionStatus.REVOKED:
        raise V1Problem("session_revoked")
    if session.status is SessionStatus.EXPIRED:
        raise V1Problem("session_expired")

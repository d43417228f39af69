"""The refresh tokens of a tenant, and the families that they form.

Every refresh replaces the token by one of the same family. The old token is dead at once: the server has no
grace window. A token that is revoked for any reason is refused alike, so that a refusal proves no theft. With
reuse detection on, such a refusal also ends the whole family.

Pure, with the clock injected. The service holds a lock around every call. Tokens are kept as digests only.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from hellojohn._secret import Secret
from hellojohn.emulator.records import Device, SessionInfo, SessionStatus
from hellojohn.emulator.v2.names import digest, new_id, new_token
from hellojohn.emulator.v2.records import RefreshToken, User

Matches = Callable[[RefreshToken], bool]


class Families:
    """Every refresh token that was issued."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._tokens: dict[bytes, RefreshToken] = {}

    def begin(self, user: User, client_id: str, *, life: float, device: Device) -> Secret:
        """Begin a family, and return its first token."""
        now = self._clock()
        first = RefreshToken(
            family=new_id(),
            serial=0,
            user_id=user.id,
            client_id=client_id,
            device=device,
            began_at=now,
            issued_at=now,
            expires_at=now + life,
        )
        return self._issue(first)

    def find(self, token: Secret) -> RefreshToken | None:
        """Return the record of a token, or ``None`` when it was never issued."""
        return self._tokens.get(digest(token))

    def has_expired(self, token: RefreshToken) -> bool:
        """Return whether a token's own life is over. Each rotation starts a new one."""
        return self._clock() >= token.expires_at

    def rotate(self, old: RefreshToken, *, life: float) -> Secret:
        """Revoke a token and return its successor."""
        self.revoke(lambda token: token == old)
        now = self._clock()
        return self._issue(replace(old, issued_at=now, expires_at=now + life, revoked=False))

    def revoke(self, matches: Matches) -> int:
        """Revoke the live tokens that match, and return how many they are."""
        found = [key for key, token in self._tokens.items() if not token.revoked and matches(token)]
        for key in found:
            self._tokens[key] = replace(self._tokens[key], revoked=True)
        return len(found)

    def forget_user(self, user_id: str) -> None:
        """Delete every token of a user: the database does so with the user."""
        self._tokens = {key: token for key, token in self._tokens.items() if token.user_id != user_id}

    def sessions(self) -> list[SessionInfo]:
        """Return every family as a session, the oldest first."""
        families: dict[str, list[RefreshToken]] = {}
        for token in self._tokens.values():
            families.setdefault(token.family, []).append(token)
        return [self._info(tokens) for tokens in families.values()]

    def _issue(self, token: RefreshToken) -> Secret:
        text = new_token()
        self._tokens[digest(text)] = replace(token, serial=len(self._tokens))
        return text

    def _info(self, tokens: Iterable[RefreshToken]) -> SessionInfo:
        newest = max(tokens, key=lambda token: token.serial)
        status = SessionStatus.ACTIVE
        if newest.revoked:
            status = SessionStatus.REVOKED
        elif self.has_expired(newest):
            status = SessionStatus.EXPIRED
        return SessionInfo(
            id=newest.family,
            user_id=newest.user_id,
            status=status,
            device=newest.device,
            created_at=newest.began_at,
            last_active_at=newest.issued_at,
            expires_at=newest.expires_at,
        )

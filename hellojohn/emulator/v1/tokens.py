"""The access tokens of v1: which claims they carry, and how they are read back.

It holds no session state. Times come from the caller, never from PyJWT's own clock.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hellojohn._secret import Secret
from hellojohn.emulator.keys import SigningKeys
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Session, User

_REQUIRED: Final = ("sub", "session_id", "tenant_id", "iat", "exp", "iss", "aud", "jti")
_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token, its life in seconds, and the whole second in which it expires."""

    text: Secret
    ttl: int
    expires_at: int


class Issuer:
    """Signs the access tokens of one tenant and reads them back.

    Attributes:
        url: The API host, the tokens' ``iss``; known once the emulator listens.
        tenant_id: The tenant, the tokens' ``aud``.
        keys: The keys that sign.
    """

    def __init__(self, keys: SigningKeys, *, tenant_id: str) -> None:
        """Sign with these keys."""
        self.url = ""
        self.tenant_id = tenant_id
        self.keys: SigningKeys = keys
        self._last_serial = 0
        self._rejected_up_to = 0

    def issue(
        self,
        user: User,
        session: Session,
        *,
        now: float,
        ttl: int,
        claims: Mapping[str, object] | None = None,
    ) -> AccessToken:
        """Sign a token for a session, good for ``ttl`` seconds from ``now``. No two tokens are alike.

        Args:
            user: The session's user.
            session: The session.
            now: The time.
            ttl: The token's life in seconds.
            claims: Claims to add or to replace; ``None`` as a value leaves a claim out.
        """
        self._last_serial = next(_serials)
        issued_at = math.floor(now)
        usual: dict[str, object] = {
            "sub": user.id,
            "session_id": session.id,
            "tenant_id": self.tenant_id,
            "mfa_verified": session.mfa_verified,
            "email": user.email,
            **_access_claims(session),
            "iat": issued_at,
            "exp": issued_at + ttl,
            "iss": self.url,
            "aud": self.tenant_id,
            "jti": str(self._last_serial),
        }
        all_claims = {**usual, **(claims or {})}
        kept = {name: value for name, value in all_claims.items() if value is not None}
        return AccessToken(Secret(self.keys.sign(kept)), ttl, issued_at + ttl)

    def read(self, token: Secret, *, now: float | None) -> dict[str, Any]:
        """Return the claims of a token that this service has issued.

        Args:
            token: The token.
            now: The time to compare its expiry with; ``None`` accepts an expired token as well.

        Raises:
            V1Problem: This service did not issue it, its key was withdrawn, or it has expired.
        """
        claims = self.keys.read(token.reveal(), audience=self.tenant_id, issuer=self.url, required=_REQUIRED)
        if claims is None:
            raise V1Problem("invalid_token")
        if now is not None and now >= claims["exp"]:
            raise V1Problem("token_expired")
        return claims

    def reject_all(self) -> None:
        """Make ``is_rejected`` true for every token issued so far."""
        self._rejected_up_to = self._last_serial

    def is_rejected(self, claims: Mapping[str, Any]) -> bool:
        """Return whether the sample resource must refuse the token."""
        serial = str(claims["jti"])
        return serial.isdecimal() and int(serial) <= self._rejected_up_to


def _access_claims(session: Session) -> dict[str, object]:
    roles, scopes = session.access.roles, session.access.scopes
    claims: dict[str, object] = {}
    if roles:
        claims |= {"role": roles[0], "roles": list(roles)}
    if scopes:
        claims["scope"] = " ".join(scopes)
    return claims

"""Access tokens: Ed25519 JWTs signed by PyJWT, and the key set that verifies them.

It reads no request and holds no session state. Its times come from the caller, never from PyJWT's own clock.
"""

import functools
import hashlib
import itertools
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hellojohn._secret import Secret
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import Session, User

_serials = itertools.count(1)
_REQUIRED = ("sub", "session_id", "tenant_id", "iat", "exp", "iss", "aud", "jti")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed token, its life in seconds and the whole second it is over."""

    text: Secret
    ttl: int
    expires_at: int


class Issuer:
    """Signs the access tokens of one tenant and reads them back.

    Attributes:
        url: The API host, the tokens' ``iss``; known once the emulator listens.
        tenant_id: The tenant, the tokens' ``aud``.
    """

    def __init__(self, *, tenant_id: str) -> None:
        """Use the process's one key, which is made on first use."""
        self.url = ""
        self.tenant_id = tenant_id
        self._last_serial = 0
        self._rejected_up_to = 0

    def issue(self, user: User, session: Session, *, now: float, ttl: int) -> AccessToken:
        """Sign a token for a session, good for ``ttl`` seconds from ``now``. No two are alike."""
        self._last_serial = next(_serials)
        issued_at = int(now)
        claims = {
            "sub": user.id,
            "session_id": session.id,
            "tenant_id": self.tenant_id,
            "mfa_verified": session.mfa_verified,
            "email": user.email,
            "iat": issued_at,
            "exp": issued_at + ttl,
            "iss": self.url,
            "aud": self.tenant_id,
            "jti": str(self._last_serial),
        }
        text = jwt.encode(claims, _key(), algorithm="EdDSA", headers={"kid": _key_id()})
        return AccessToken(Secret(text), ttl, issued_at + ttl)

    def read(self, token: Secret, *, now: float | None) -> dict[str, Any]:
        """Return the claims of a token of ours.

        Args:
            token: The token.
            now: The time to hold its expiry against; ``None`` takes an expired one as well.

        Raises:
            ApiProblem: It is not one of ours, or its life is over.
        """
        claims = self._decode(token)
        if claims is None:
            raise ApiProblem("invalid_token")
        if now is not None and now >= claims["exp"]:
            raise ApiProblem("token_expired")
        return claims

    def reject_all(self) -> None:
        """Make ``is_rejected`` true for every token issued so far."""
        self._rejected_up_to = self._last_serial

    def is_rejected(self, claims: dict[str, Any]) -> bool:
        """Tell whether the sample resource must refuse the token."""
        return int(str(claims["jti"])) <= self._rejected_up_to

    def _decode(self, token: Secret) -> dict[str, Any] | None:
        try:
            return jwt.decode(
                token.reveal(),
                _key().public_key(),
                algorithms=["EdDSA"],
                audience=self.tenant_id,
                issuer=self.url,
                options={"verify_exp": False, "verify_iat": False, "require": list(_REQUIRED)},
            )
        except jwt.PyJWTError:
            return None


def key_set() -> dict[str, object]:
    """Return the public keys as a JWK set."""
    key = {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": _key_id(),
        "x": _public_text(),
    }
    return {"keys": [key]}


@functools.cache
def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@functools.cache
def _key_id() -> str:
    """The key's thumbprint, as RFC 7638 and RFC 8037 define it."""
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": _public_text()}, separators=(",", ":"))
    return _base64url(hashlib.sha256(members.encode()).digest())


def _public_text() -> str:
    return _base64url(_key().public_key().public_bytes_raw())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

"""The keys that sign access tokens: they rotate, and the published set follows later if asked to.

It reads no request. Times come from the injected clock. An Ed25519 key takes microseconds to make, an RSA key
about 100 ms.
"""

import hashlib
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from hellojohn._errors import ConfigurationError

Algorithm = Literal["EdDSA", "RS256", "RS384", "RS512"]
_ALGORITHMS: Final = ("EdDSA", "RS256", "RS384", "RS512")
_RSA_BITS: Final = 2048
_RSA_EXPONENT: Final = 65_537
_THUMBPRINT_MEMBERS: Final = {"OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key and the time in which it is published.

    Attributes:
        id: Its ``kid``, the thumbprint of RFC 7638.
        algorithm: The algorithm that it signs with.
        private: The private key.
        public: The public key as a JWK.
        published_from: When the key set begins to show it.
        withdrawn_at: When the key set stops to show it and its tokens stop to count; ``None`` for never.
    """

    id: str
    algorithm: str
    private: Ed25519PrivateKey | RSAPrivateKey
    public: Mapping[str, object]
    published_from: float
    withdrawn_at: float | None = None


class SigningKeys:
    """The keys of one tenant. The newest signs; the older ones verify until they are withdrawn."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with one Ed25519 key."""
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = (_make("EdDSA", published_from=0.0),)

    def rotate(
        self, *, algorithm: Algorithm = "EdDSA", keep_old: float | None = None, publish_after: float = 0.0
    ) -> str:
        """Sign with a new key from now on.

        Args:
            algorithm: The new key's algorithm.
            keep_old: For how many seconds the old keys stay published; ``None`` withdraws them at once.
            publish_after: How many seconds the new key is missing from the published set.

        Returns:
            The new key's id.

        Raises:
            ConfigurationError: The algorithm is unknown.
        """
        if algorithm not in _ALGORITHMS:
            msg = f"algorithm is one of {', '.join(_ALGORITHMS)}, not {algorithm!r}."
            raise ConfigurationError(msg)
        now = self._clock()
        new = _make(algorithm, published_from=now + publish_after)
        with self._lock:
            kept = () if keep_old is None else (_until(key, now + keep_old) for key in self._keys)
            self._keys = (*kept, new)
        return new.id

    @property
    def current(self) -> str:
        """The id of the key that signs."""
        return self._keys[-1].id

    def branch(self) -> "SigningKeys":
        """Return keys that are the same now, and rotate apart from these."""
        branch = SigningKeys(self._clock)
        branch._keys = self._keys
        return branch

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims, signed by the newest key."""
        key = self._keys[-1]
        return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers={"kid": key.id})

    def read(
        self, token: str, *, audience: str | None, issuer: str | Sequence[str] | None, required: Sequence[str]
    ) -> dict[str, Any] | None:
        """Return the claims of a token that a key in force has signed, or ``None``. No time is checked.

        Args:
            token: The token.
            audience: The ``aud`` that it must have; ``None`` for any.
            issuer: The ``iss`` that it must have, or several that it may have; ``None`` for any.
            required: The claims that it must have.
        """
        skipped = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        options: Any = {**skipped, "verify_aud": audience is not None, "require": list(required)}
        try:
            key = self._find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                return None
            return jwt.decode(
                token,
                key.private.public_key(),
                algorithms=[key.algorithm],
                audience=audience,
                issuer=issuer,
                options=options,
            )
        except jwt.PyJWTError:
            return None

    def published(self) -> dict[str, object]:
        """Return the published public keys as a JWK set, the oldest first."""
        now = self._clock()
        shown = [key for key in self._in_force() if key.published_from <= now]
        return {"keys": [dict(key.public) for key in shown]}

    def _find(self, key_id: object) -> SigningKey | None:
        return next((key for key in self._in_force() if key.id == key_id), None)

    def _in_force(self) -> list[SigningKey]:
        now = self._clock()
        return [key for key in self._keys if key.withdrawn_at is None or now < key.withdrawn_at]


def _until(key: SigningKey, moment: float) -> SigningKey:
    ends = [moment] if key.withdrawn_at is None else [moment, key.withdrawn_at]
    return replace(key, withdrawn_at=min(ends))


def _make(algorithm: str, *, published_from: float) -> SigningKey:
    private, members = _ed25519() if algorithm == "EdDSA" else _rsa()
    key_id = _thumbprint(members)
    public = {**members, "alg": algorithm, "use": "sig", "kid": key_id}
    return SigningKey(key_id, algorithm, private, public, published_from)


def _ed25519() -> tuple[Ed25519PrivateKey, dict[str, str]]:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    return private, {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public)}


def _rsa() -> tuple[RSAPrivateKey, dict[str, str]]:
    private = generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    numbers = private.public_key().public_numbers()
    return private, {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}


def _thumbprint(members: Mapping[str, str]) -> str:
    """Return the thumbprint that RFC 7638 and RFC 8037 define."""
    required = {name: members[name] for name in _THUMBPRINT_MEMBERS[members["kty"]]}
    text = json.dumps(required, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode()).digest())


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

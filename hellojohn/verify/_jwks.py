"""Reads a key document (JWKS) into keys that verify. PyJWT and cryptography do the cryptography.

Which algorithm a key verifies is decided here, from the key alone. A key that does not fit is skipped:

    kty   crv      alg                          verifies
    ----  -------  ---------------------------  ------------------------------------------
    OKP   Ed25519  absent, EdDSA, Ed25519       EdDSA, under either name
    RSA            absent                       RS256, from 2,048 to 8,192 bits
    RSA            RS256, RS384, RS512          the named algorithm
    any   any      any other                    nothing: symmetric keys, other curves, private keys ...
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from hellojohn._errors import ConfigurationError
from hellojohn._limits import LARGEST_KEY_DOCUMENT, MOST_KEYS
from hellojohn._loading import loading
from hellojohn._wire.reading import fields, json_object

_LONGEST_KID = 512
_RSA_BITS = range(2_048, 8_193)
_PRIVATE = ("d", "k", "p", "q")
_EDDSA = frozenset(("EdDSA", "Ed25519"))
_RSA = {name: frozenset((name,)) for name in ("RS256", "RS384", "RS512")}
_NO_CRYPTOGRAPHY = 'Verifying tokens needs the cryptography package: pip install "hellojohn[verify]".'

Jwk = Mapping[str, Any]


class VerificationKey(NamedTuple):
    """A public key.

    Attributes:
        algorithms: The names of its algorithm that a token's header may use.
        is_signed: Return whether the second argument is this key's signature of the first.
    """

    algorithms: frozenset[str]
    is_signed: Callable[[bytes, bytes], bool]


class KeyDocument(NamedTuple):
    """The usable keys of a document.

    Attributes:
        keys: The keys by their ``kid``. Of two keys with one ``kid``, the first counts.
        jwks: The same keys as published, to be kept in a store.
    """

    keys: Mapping[str, VerificationKey]
    jwks: tuple[Jwk, ...]


def read_keys(body: bytes) -> KeyDocument | None:
    """Read a document; ``None`` if it is unreadable or has no usable key.

    Raises:
        ConfigurationError: cryptography is not installed.
    """
    listed = fields(json_object(body)).get("keys") if len(body) <= LARGEST_KEY_DOCUMENT else None
    return usable_keys(cast("list[object]", listed)) if isinstance(listed, list) else None


def usable_keys(listed: list[object]) -> KeyDocument | None:
    """Return the usable keys of a list of JWKs; ``None`` if the list has no usable key.

    Raises:
        ConfigurationError: cryptography is not installed.
    """
    algorithms = _algorithms()
    keys: dict[str, VerificationKey] = {}
    jwks: list[Jwk] = []
    for jwk in listed:
        if not isinstance(jwk, dict) or len(keys) >= MOST_KEYS:
            continue
        published = cast("Jwk", jwk)
        kid, key = published.get("kid"), _read_key(published, algorithms)
        if key is not None and _is_kid(kid) and kid not in keys:
            keys[str(kid)] = key
            jwks.append(published)
    return KeyDocument(keys, tuple(jwks)) if keys else None


def require_cryptography() -> None:
    """Load what verifies signatures.

    Raises:
        ConfigurationError: cryptography is not installed.
    """
    _algorithms()


def _algorithms() -> Mapping[str, Any]:
    with loading:
        from jwt.algorithms import (  # noqa: PLC0415 - loaded with the first keys
            get_default_algorithms,
            has_crypto,
        )

    if not has_crypto:
        raise ConfigurationError(_NO_CRYPTOGRAPHY)
    return get_default_algorithms()


def _read_key(jwk: Jwk, algorithms: Mapping[str, Any]) -> VerificationKey | None:
    names = _names(jwk)
    if names is None or not _is_for_signatures(jwk) or any(name in jwk for name in _PRIVATE):
        return None
    algorithm = algorithms["EdDSA" if names is _EDDSA else next(iter(names))]
    try:
        key = algorithm.from_jwk(dict(jwk))
    except Exception:  # noqa: BLE001 - PyJWT and cryptography raise many kinds for a broken key
        return None
    if names is not _EDDSA and key.key_size not in _RSA_BITS:
        return None

    def is_signed(signed: bytes, signature: bytes) -> bool:
        return bool(algorithm.verify(signed, key, signature))

    return VerificationKey(names, is_signed)


def _names(jwk: Jwk) -> frozenset[str] | None:
    kind, algorithm = jwk.get("kty"), jwk.get("alg")
    if algorithm is not None and not isinstance(algorithm, str):
        return None
    if kind == "OKP" and jwk.get("crv") == "Ed25519" and (algorithm is None or algorithm in _EDDSA):
        return _EDDSA
    return _RSA.get(algorithm or "RS256") if kind == "RSA" else None


def _is_for_signatures(jwk: Jwk) -> bool:
    uses, operations = jwk.get("use", "sig"), jwk.get("key_ops", ["verify"])
    return uses == "sig" and isinstance(operations, list) and "verify" in operations


def _is_kid(kid: object) -> bool:
    return isinstance(kid, str) and 0 < len(kid) <= _LONGEST_KID

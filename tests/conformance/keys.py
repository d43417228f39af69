"""A key that signs the tokens which the rows verify."""

import base64
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conformance.rows import NOW

_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = base64.urlsafe_b64encode(_PRIVATE.public_key().public_bytes_raw()).rstrip(b"=").decode()
KEY = {"kty": "OKP", "crv": "Ed25519", "x": _PUBLIC, "kid": "k1", "alg": "EdDSA", "use": "sig"}
URL = "https://api.example.com"


def signed(**claims: Any) -> str:
    """Return a token for the tenant, with these claims instead of the usual ones."""
    usual = {"sub": "usr_1", "iss": URL, "aud": "acme", "tenant_id": "acme", "iat": NOW, "exp": NOW + 900}
    kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(kept, _PRIVATE, algorithm="EdDSA", headers={"kid": "k1"})

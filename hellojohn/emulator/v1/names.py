"""Makes ids and tokens, and the digests that tokens are kept as."""

import hashlib
import secrets

from hellojohn._secret import Secret


def new_id(prefix: str) -> str:
    """Return an id that no other has."""
    return f"{prefix}_{secrets.token_hex(12)}"


def new_token(prefix: str) -> tuple[Secret, bytes]:
    """Return a token that cannot be guessed, and its digest."""
    token = Secret(f"{prefix}_{secrets.token_urlsafe(32)}")
    return token, digest(token)


def digest(token: Secret) -> bytes:
    """Return the form that a token is kept in."""
    return hashlib.sha256(token.reveal().encode()).digest()

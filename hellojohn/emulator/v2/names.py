"""Makes ids and tokens as the server makes them, and the digests that tokens are kept as."""

import hashlib
import secrets
import uuid

from hellojohn._secret import Secret

_CODE_DIGITS = 6


def new_id() -> str:
    """Return a UUID."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Return whether a text is a UUID."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def new_token() -> Secret:
    """Return an opaque token of 43 characters that cannot be guessed."""
    return Secret(secrets.token_urlsafe(32))


def new_code() -> Secret:
    """Return a code of six digits, to be sent by mail or message."""
    return Secret(f"{secrets.randbelow(10**_CODE_DIGITS):06}")


def digest(token: Secret) -> bytes:
    """Return the form that a token is kept in."""
    return hashlib.sha256(token.reveal().encode()).digest()

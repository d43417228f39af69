"""Keys and what they encrypt: AES-256-GCM, keys as they are or made from a pass phrase. Knows no store."""

import hmac
import re
import secrets
from contextlib import suppress
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hellojohn._secret import Secret

_NONCE = 12


class Cipher:
    """One key, and an id that tells it from others without giving it away."""

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes."""
        self.id = hmac.digest(key, b"hellojohn key id", "sha256").hex()[:16]
        self._aead = AESGCM(key)

    def encrypt(self, text: Secret, bound_to: str) -> bytes:
        """Return ``text`` encrypted, so that it decrypts only together with ``bound_to``."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, text.reveal().encode(), _bytes(bound_to))

    def decrypt(self, data: bytes, bound_to: str) -> str | None:
        """Return the text, or ``None`` when ``data`` or ``bound_to`` is not what it was."""
        with suppress(InvalidTag, ValueError):
            return self._aead.decrypt(data[:_NONCE], data[_NONCE:], _bytes(bound_to)).decode()
        return None


class Key(Protocol):
    """Where a cipher comes from."""

    @property
    def name(self) -> str:
        """What to call it without giving it away."""
        ...

    def fresh(self) -> tuple[str, Cipher]:
        """Return what to encrypt with: a salt and its cipher."""
        ...

    def cipher(self, salt: str) -> Cipher | None:
        """Return the cipher for ``salt``, or ``None`` when this kind of key makes none from it."""
        ...


class DirectKey:
    """A key that is used as it is, and takes no salt."""

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes."""
        self._cipher = Cipher(key)

    @property
    def name(self) -> str:
        """The key's id."""
        return f"key {self._cipher.id}"

    def fresh(self) -> tuple[str, Cipher]:
        """Return no salt and the one cipher."""
        return "", self._cipher

    def cipher(self, salt: str) -> Cipher | None:
        """Return the one cipher."""
        return None if salt else self._cipher


class PassPhrase:
    """A text that people remember. Each salt makes a key of it, once: that takes a fifth of a second."""

    def __init__(self, phrase: Secret) -> None:
        """Note the phrase."""
        self._phrase = phrase
        self._ciphers: dict[str, Cipher] = {}

    @property
    def name(self) -> str:
        """The same for all: a digest of a phrase could be guessed."""
        return "a pass phrase"

    def fresh(self) -> tuple[str, Cipher]:
        """Return a salt that was met before, so that processes agree on one, and its cipher."""
        salt = next(iter(tuple(self._ciphers)), None) or secrets.token_hex(16)
        return salt, self._made(salt)

    def cipher(self, salt: str) -> Cipher | None:
        """Return the cipher for ``salt``."""
        return self._made(salt) if re.fullmatch(r"[0-9a-f]{32}", salt) else None

    def _made(self, salt: str) -> Cipher:
        if salt not in self._ciphers:
            # The cost that OWASP recommends for scrypt, in its variant with 32 MiB of memory.
            derivation = Scrypt(salt=bytes.fromhex(salt), length=32, n=2**15, r=8, p=3)
            self._ciphers[salt] = Cipher(derivation.derive(self._phrase.reveal().encode()))
        return self._ciphers[salt]


def _bytes(bound_to: str) -> bytes:
    return bound_to.encode("utf-8", "surrogatepass")

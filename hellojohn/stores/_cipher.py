"""Encryption with AES-256-GCM, by keys as they are or derived from a pass phrase. Knows no store."""

import hmac
import re
import secrets
from contextlib import suppress
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.stores._key_text import is_damaged, key_of
from hellojohn.stores._lock_registry import ProcessLock

_NONCE = 12
_SALT = re.compile(r"[0-9a-f]{32}")
_MOST_DERIVED = 64
_SHORTEST_PHRASE = 12
_VARIABLE = "HELLOJOHN_STORE_KEY"
_MISSING = (
    "must be 32 bytes, a text from EncryptedStore.generate_key(), a pass phrase of at least"
    f" {_SHORTEST_PHRASE} characters, or a list of these"
)


class Cipher:
    """One key, and an id that identifies it without giving it away."""

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes."""
        self.id = hmac.digest(key, b"hellojohn key id", "sha256").hex()[:16]
        self._aead = AESGCM(key)

    def encrypt(self, text: Secret, bound_to: str) -> bytes:
        """Return ``text`` encrypted, so that it decrypts only together with ``bound_to``."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, text.reveal().encode(), _bytes(bound_to))

    def decrypt(self, data: bytes, bound_to: str) -> str | None:
        """Return the text, or ``None`` when ``data`` or ``bound_to`` was changed."""
        with suppress(InvalidTag, ValueError):
            return self._aead.decrypt(data[:_NONCE], data[_NONCE:], _bytes(bound_to)).decode()
        return None


class Key(Protocol):
    """The source of a cipher."""

    @property
    def name(self) -> str:
        """A name that does not give the key away."""
        ...

    @property
    def is_salted(self) -> bool:
        """Whether the cipher depends on a salt."""
        ...

    def takes(self, salt: str) -> bool:
        """Return whether there is a cipher for ``salt``."""
        ...

    def cipher(self, salt: str) -> Cipher:
        """Return the cipher for ``salt``."""
        ...


class DirectKey:
    """A key that is used as it is, without a salt."""

    is_salted = False

    def __init__(self, key: bytes) -> None:
        """Take 32 bytes."""
        self._cipher = Cipher(key)

    @property
    def name(self) -> str:
        """The key's id."""
        return f"key {self._cipher.id}"

    def takes(self, salt: str) -> bool:
        """Return whether ``salt`` is empty."""
        return not salt

    def cipher(self, salt: str) -> Cipher:
        """Return the one cipher."""
        del salt
        return self._cipher


class PassPhrase:
    """A text that people remember; with each salt it gives another key."""

    is_salted = True

    def __init__(self, phrase: Secret) -> None:
        """Note the phrase."""
        self._phrase = phrase

    @property
    def name(self) -> str:
        """The same for all phrases: a digest of a phrase could be guessed."""
        return "a pass phrase"

    def takes(self, salt: str) -> bool:
        """Return whether ``salt`` is valid."""
        return _SALT.fullmatch(salt) is not None

    def cipher(self, salt: str) -> Cipher:
        """Return the cipher for ``salt``."""
        return _derived(self._phrase, salt)


def keys_of(texts: list[Secret]) -> list[Key]:
    """Return the keys that are given as texts.

    Raises:
        ConfigurationError: The list is empty, or a key is unusable. The message shows no key.
    """
    problems = [_problem_of(text) for text in texts] or [_MISSING]
    for problem in filter(None, problems):
        raise ConfigurationError(f"EncryptedStore: the argument key (default: {_VARIABLE}) {problem}.")
    return [_key_of(text) for text in texts]


def _problem_of(text: Secret) -> str:
    """Return the problem of a key's text, or an empty text if it is good."""
    if not text.reveal():
        return _MISSING
    if is_damaged(text):
        return "is a damaged text of EncryptedStore.generate_key(): a character is wrong or missing"
    try:
        text.reveal().encode()
    except UnicodeEncodeError:  # of an environment variable with other bytes
        return "is a pass phrase that is not valid UTF-8"
    if key_of(text) is None and len(text.reveal().strip()) < _SHORTEST_PHRASE:
        return (
            f"is a pass phrase of less than {_SHORTEST_PHRASE} characters: choose a longer one, or use"
            " EncryptedStore.generate_key()"
        )
    return ""


def _key_of(text: Secret) -> Key:
    key = key_of(text)
    return PassPhrase(text) if key is None else DirectKey(key)


_ciphers: dict[tuple[Secret, str], Cipher] = {}
_deriving = ProcessLock()


def _derived(phrase: Secret, salt: str) -> Cipher:
    """Derive a key once per process: that takes a fifth of a second and 32 MiB of memory."""
    place = (phrase, salt)
    found = _ciphers.get(place)
    if found is not None:
        return found
    with _deriving.current():
        found = _ciphers.get(place)
        if found is None:
            # The cost that OWASP recommends for scrypt, in its variant with 32 MiB of memory.
            derivation = Scrypt(salt=bytes.fromhex(salt), length=32, n=2**15, r=8, p=3)
            found = Cipher(derivation.derive(phrase.reveal().encode()))
            # Records with made-up salts must not fill the memory: the oldest cipher goes.
            while len(_ciphers) >= _MOST_DERIVED:
                del _ciphers[next(iter(_ciphers))]
            _ciphers[place] = found
    return found


def _bytes(bound_to: str) -> bytes:
    return bound_to.encode("utf-8", "surrogatepass")

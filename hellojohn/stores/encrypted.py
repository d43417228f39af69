"""Sessions encrypted before another store sees them. Chooses no store and keeps nothing itself."""

import os
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from hellojohn._errors import ConfigurationError, StoreCorrupt
from hellojohn._secret import Secret
from hellojohn.stores._capabilities import (
    describe,
    lease_of,
    loaded,
    locked_value,
    quarantine,
    saver,
    wrapped,
)
from hellojohn.stores._checks import check_store
from hellojohn.stores._encoding import refuse_unfit
from hellojohn.stores._protocol import LockedValue, TokenStore

if TYPE_CHECKING:
    from hellojohn.stores._cipher import Cipher, Key

_VARIABLE = "HELLOJOHN_STORE_KEY"
_KIND = "hellojohn-encrypted-1"
_RECORD = re.compile(rf"({_KIND}:([0-9a-f]{{16}}):([0-9a-f]*):)((?:[A-Za-z0-9_=-]{{4}})*)")
_LATER = re.compile(r"hellojohn-encrypted-(?:[2-9]|[1-9][0-9]+):")
_GENERATED = re.compile(r"[A-Za-z0-9_-]{43}=")
_LENGTH = 32


class EncryptedStore:
    """Encrypts each session (AES-256-GCM) and keeps it in another store.

    A record is bound to its place in the store: swapped with another account's, or changed in one bit, it is
    corrupt. So is what the other store kept in plain text before. A record that another encryption key or a
    later version of the SDK wrote is never set aside: ``load`` raises ``StoreCorrupt``, and the right key or
    version still reads it.

    Args:
        inner: The store that keeps the encrypted text.
        key: 32 bytes; or a text from ``EncryptedStore.generate_key()``; or any other text, as a pass phrase,
            which costs a fifth of a second at the first use. A list of these rotates keys: the first one
            writes, all of them read. Default: the environment variable ``HELLOJOHN_STORE_KEY``.

    Raises:
        ConfigurationError: The key is missing or is none of these, ``inner`` is no store, or cryptography is
            not installed.
    """

    def __init__(self, inner: TokenStore, key: bytes | str | Sequence[bytes | str] | None = None) -> None:
        """Check the key; the store is not touched yet."""
        given = _wrapped(os.environ.get(_VARIABLE, "") if key is None else key)
        del key  # before anything can raise: a traceback shows the locals
        _require_cryptography()
        self._inner = check_store(inner, "inner")
        self._save = saver(inner)
        self._keys = _keys_of(given)
        if not self._keys:
            msg = (
                f"EncryptedStore needs a key, in the argument key or the variable {_VARIABLE}: 32 bytes, a"
                " text from EncryptedStore.generate_key(), a pass phrase as text (in a variable: as UTF-8),"
                " or a list of these."
            )
            raise ConfigurationError(msg)

    @staticmethod
    def generate_key() -> str:
        """Return a new random key as text. Keep it apart from the store, such as in a secret manager."""
        return urlsafe_b64encode(secrets.token_bytes(_LENGTH)).decode()

    @property
    def inner(self) -> TokenStore:
        """The store that keeps the encrypted text."""
        return self._inner

    @property
    def lease(self) -> float | None:
        """Seconds the inner store's lock lasts, or ``None`` when it lasts as long as its holder."""
        return lease_of(self._inner)

    def __repr__(self) -> str:
        """Show the inner store, and no key."""
        return f"EncryptedStore({getattr(self, '_inner', None)!r})"

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, decrypted, or ``None``.

        Raises:
            StoreCorrupt: It was changed, is not encrypted, or was encrypted with another key or by a later
                version of the SDK.
            StoreError: The inner store failed.
        """
        return self._opened(key, loaded(self._inner, key))

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``, encrypted with the first key.

        Raises:
            StoreCorrupt: ``text`` is larger than 1 MiB, or no proper Unicode. Nothing was saved.
            StoreError: The inner store failed.
        """
        secret = Secret(text)
        del text
        self._save(key, self._sealed(key, secret), expires_in)

    def delete(self, key: str) -> None:
        """Remove what is under ``key``."""
        self._inner.delete(key)

    @contextmanager
    def lock(self, key: str, timeout: float) -> Generator[LockedValue | None]:
        """Take the inner store's lock of ``key``, waiting up to ``timeout`` seconds."""
        with self._inner.lock(key, timeout) as entered:
            value = locked_value(entered)
            if value is None:
                yield None
            else:
                yield _EncryptedValue(value, partial(self._opened, key), partial(self._sealed, key))

    def quarantine(self, key: str) -> str | None:
        """Let the inner store move the data under ``key`` to another place, still encrypted.

        Raises:
            StoreError: The inner store failed.
        """
        return quarantine(self._inner, key)

    def describe(self) -> Mapping[str, str]:
        """Return facts for ``doctor``: those of the inner store, and which keys there are, by their ids.

        Raises:
            StoreError: The inner store failed.
        """
        first, *others = [key.name for key in self._keys]
        reads = f"; {', '.join(others)} can be read" if others else ""
        return {
            "inside": type(self._inner).__name__,
            **describe(self._inner),
            "encrypted": f"AES-256-GCM with {first}{reads}",
        }

    def _opened(self, key: str, record: Secret | None) -> str | None:
        """Return the text in a record of ``key``."""
        if record is None:
            return None
        match = self._matched(key, record)
        text = match and self._decrypted(key, match)
        if text is None:
            msg = f"The record of {key!r} in {self!r} is not encrypted, or was changed. It is left as it was."
            raise StoreCorrupt(msg)
        return text

    def _sealed(self, key: str, text: Secret) -> Secret:
        """Return the record of ``key`` for a text."""
        refuse_unfit(text)
        salt, cipher = self._keys[0].fresh()
        head = f"{_KIND}:{cipher.id}:{salt}:"
        return Secret(f"{head}{urlsafe_b64encode(cipher.encrypt(text, f'{head}{key}')).decode()}")

    def _matched(self, key: str, record: Secret) -> re.Match[str] | None:
        if _LATER.match(record.reveal()):
            msg = (
                f"What {self!r} holds for {key!r} was encrypted by a later version of hellojohn: upgrade this"
                " one. Nothing was changed."
            )
            raise StoreCorrupt(msg, readable_elsewhere=True)
        return _RECORD.fullmatch(record.reveal())

    def _decrypted(self, key: str, match: re.Match[str]) -> str | None:
        head, id_, salt, body = match.groups()
        cipher = self._cipher(key, id_, salt)
        with suppress(ValueError):  # of a "=" in the middle
            data = urlsafe_b64decode(body)
            # Other texts can stand for the same bytes: what was not written like this was changed.
            if urlsafe_b64encode(data).decode() == body:
                return cipher.decrypt(data, f"{head}{key}")
        return None

    def _cipher(self, key: str, id_: str, salt: str) -> "Cipher":
        for candidate in self._keys:
            if (cipher := candidate.cipher(salt)) and cipher.id == id_:
                return cipher
        msg = (
            f"What {self!r} holds for {key!r} was encrypted with another key ({id_}). Give that key as well:"
            " EncryptedStore(inner, [new_key, old_key]). Nothing was changed."
        )
        raise StoreCorrupt(msg, readable_elsewhere=True)


class _EncryptedValue:
    """The text under a locked key, encrypted in the inner store's ``LockedValue``."""

    def __init__(
        self,
        value: LockedValue,
        opened: Callable[[Secret | None], str | None],
        sealed: Callable[[Secret], Secret],
    ) -> None:
        self._value = value
        self._opened = opened
        self._sealed = sealed

    def load(self) -> str | None:
        """Return the text, decrypted, or ``None``."""
        return self._opened(wrapped(self._value.load()))

    def save(self, text: str, *, expires_in: float | None = None, release: bool = False) -> None:
        """Put ``text`` under the key, encrypted."""
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        self._value.save(self._sealed(secret).reveal(), expires_in=expires_in, release=release)


def _wrapped(key: object) -> list[Secret]:
    """Return the texts that ``key`` is made of; an empty one stands for what is no key. It never raises."""
    given = cast("list[object]", key if isinstance(key, list | tuple) else [key])
    return [Secret(_text_of(one)) for one in given]


def _text_of(key: object) -> str:
    match key:
        case bytes() if len(key) == _LENGTH:
            return urlsafe_b64encode(key).decode()
        case str():
            return key
        case _:
            return ""


def _keys_of(given: list[Secret]) -> "list[Key]":
    """Return the keys that were given, or none where one of them is unusable."""
    keys = [_key_of(one) for one in given]
    return [one for one in keys if one] if all(keys) else []


def _key_of(text: Secret) -> "Key | None":
    from hellojohn.stores._cipher import DirectKey, PassPhrase  # noqa: PLC0415 - an extra

    if _GENERATED.fullmatch(text.reveal()):
        return DirectKey(urlsafe_b64decode(text.reveal()))
    with suppress(UnicodeEncodeError):  # of a variable that holds other bytes than UTF-8
        return PassPhrase(text) if text.reveal().encode() else None
    return None


def _require_cryptography() -> None:
    if find_spec("cryptography") is None:
        msg = 'EncryptedStore needs the cryptography package: pip install "hellojohn[encrypted]"'
        raise ConfigurationError(msg)

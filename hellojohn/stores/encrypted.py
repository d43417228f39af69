"""Sessions encrypted before another store sees them. Chooses no store and keeps nothing itself."""

import os
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn, cast

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
from hellojohn.stores._checks import check_store, uncopyable
from hellojohn.stores._encoding import refuse_unfit
from hellojohn.stores._key_text import LENGTH, key_text
from hellojohn.stores._protocol import LockedValue, TokenStore
from hellojohn.stores._salt import AgreedSalt

if TYPE_CHECKING:
    from hellojohn.stores._cipher import Cipher

_VARIABLE = "HELLOJOHN_STORE_KEY"
_KIND = "hellojohn-encrypted-1"
_RECORD = re.compile(rf"({_KIND}:([0-9a-f]{{16}}):([0-9a-f]*):)((?:[A-Za-z0-9_=-]{{4}})*)")
_LATER = re.compile(r"hellojohn-encrypted-(?:[2-9]|[1-9][0-9]+):")
_STAYS = "Only a sign-in or a sign-out moves the record."


class EncryptedStore:
    """Encrypts each session (AES-256-GCM) and keeps it in another store.

    A record is bound to its place in the store: if it is exchanged with that of another account, or changed
    in one bit, it is corrupt. So is a record that the other store kept in plain text before: the SDK moves it
    aside with its tokens readable, so sign out with the other store before you turn encryption on. ``load``
    raises ``StoreCorrupt`` with ``readable_elsewhere`` for a record that another encryption key or a later
    version of the SDK can read.

    Args:
        inner: The store that keeps the encrypted text.
        key: 32 bytes; or a text from ``EncryptedStore.generate_key()``; or a pass phrase of at least 12
            characters, which costs a fifth of a second at the first use in a process. A list of these rotates
            keys: the first one writes, all of them read. Default: the environment variable
            ``HELLOJOHN_STORE_KEY``.

    Raises:
        ConfigurationError: The key is missing or unusable, ``inner`` is not a store, or cryptography is not
            installed.
    """

    def __init__(self, inner: TokenStore, key: bytes | str | Sequence[bytes | str] | None = None) -> None:
        """Check the key; the store is not used yet."""
        given = _wrapped_keys(os.environ.get(_VARIABLE, "") if key is None else key)
        del key  # before anything can raise: a traceback shows the locals
        if find_spec("cryptography") is None:
            msg = 'EncryptedStore needs the cryptography package: pip install "hellojohn[encrypted]"'
            raise ConfigurationError(msg)
        from hellojohn.stores._cipher import keys_of  # noqa: PLC0415 - an extra

        self._inner = check_store(inner, "inner")
        self._keys = keys_of(given)
        self._save = saver(inner)
        self._salt = AgreedSalt(inner)

    @staticmethod
    def generate_key() -> str:
        """Return a new random key as text. Keep it apart from the store, such as in a secret manager.

        The text has a checksum: one that was mistyped or cut is refused.
        """
        return key_text(secrets.token_bytes(LENGTH))

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

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle and to copy."""
        raise uncopyable(self, "it holds an encryption key; make another one from the same key")

    def load(self, key: str) -> str | None:
        """Return the text last saved under ``key``, decrypted, or ``None``.

        Raises:
            StoreCorrupt: The record was changed, is not encrypted, or was encrypted with another key or by a
                later version of the SDK.
            StoreError: The inner store failed.
        """
        return self._opened(key, loaded(self._inner, key))

    def save(self, key: str, text: str, *, expires_in: float | None = None) -> None:
        """Put ``text`` under ``key``, encrypted with the first key.

        Raises:
            StoreCorrupt: ``text`` is larger than 1 MiB, or not valid Unicode. Nothing was saved.
            StoreError: The inner store failed.
        """
        secret = Secret(text)
        del text  # before anything can raise: a traceback shows the locals
        self._save(key, self._sealed(key, secret), expires_in)

    def delete(self, key: str) -> None:
        """Remove the text under ``key``."""
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
            msg = f"The record of {key!r} in {self!r} is not encrypted, or was changed."
            raise StoreCorrupt(msg)
        return text

    def _sealed(self, key: str, text: Secret) -> Secret:
        """Return the record of ``key`` for a text."""
        refuse_unfit(text)
        salt = self._salt.get() if self._keys[0].is_salted else ""
        cipher = self._keys[0].cipher(salt)
        head = f"{_KIND}:{cipher.id}:{salt}:"
        return Secret(f"{head}{urlsafe_b64encode(cipher.encrypt(text, f'{head}{key}')).decode()}")

    def _matched(self, key: str, record: Secret) -> re.Match[str] | None:
        if _LATER.match(record.reveal()):
            msg = (
                f"The record of {key!r} in {self!r} was encrypted by a later version of hellojohn. Upgrade"
                f" this one. {_STAYS}"
            )
            raise StoreCorrupt(msg, readable_elsewhere=True)
        return _RECORD.fullmatch(record.reveal())

    def _decrypted(self, key: str, match: re.Match[str]) -> str | None:
        head, id_, salt, body = match.groups()
        cipher = self._cipher(key, id_, salt)
        with suppress(ValueError):  # of a "=" in the middle
            data = urlsafe_b64decode(body)
            # Several texts of base64 stand for the same bytes. Any but the one that was written is a change.
            if urlsafe_b64encode(data).decode() == body:
                return cipher.decrypt(data, f"{head}{key}")
        return None

    def _cipher(self, key: str, id_: str, salt: str) -> "Cipher":
        for candidate in self._keys:
            if candidate.takes(salt) and (cipher := candidate.cipher(salt)).id == id_:
                return cipher
        msg = (
            f"The record of {key!r} in {self!r} was encrypted with another key ({id_}). Pass that key too:"
            f" EncryptedStore(inner, [new_key, old_key]). {_STAYS}"
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


def _wrapped_keys(key: object) -> list[Secret]:
    """Return the keys as texts; an empty text stands for a key of the wrong type. It never raises."""
    given = cast("list[object]", key if isinstance(key, list | tuple) else [key])
    return [Secret(_text_of(one)) for one in given]


def _text_of(key: object) -> str:
    match key:
        case bytes() if len(key) == LENGTH:
            return key_text(key)
        case str():
            return key
        case _:
            return ""

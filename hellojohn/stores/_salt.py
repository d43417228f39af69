"""The salt for a pass phrase, kept in the encrypted store itself, so that all processes derive the same key.

Each record names its salt. So a record can be read although another salt is agreed on later.
"""

import re
import secrets
from contextlib import suppress

from hellojohn._errors import StoreError
from hellojohn.stores._protocol import TokenStore

_PLACE = "hellojohn-encrypted-salt"
_KIND = "hellojohn-encrypted-salt-1"
_TEXT = re.compile(rf"{_KIND}:([0-9a-f]{{32}})")
_WAIT = 2.0


class AgreedSalt:
    """The salt of one store; the first process that needs it makes it."""

    def __init__(self, store: TokenStore) -> None:
        """Keep the salt in ``store``; nothing is read yet."""
        self._store = store
        self._own = secrets.token_hex(16)
        self._agreed: str | None = None

    def get(self) -> str:
        """Return the salt to encrypt with."""
        if self._agreed is None:
            # A store that fails here must not prevent the save. This process uses its own salt then, which
            # costs the others one derivation.
            salt = self._own
            with suppress(StoreError):
                salt = self._salt_in(self._store.load(_PLACE) or self._made())
            self._agreed = salt
        return self._agreed

    def _made(self) -> str:
        with self._store.lock(_PLACE, _WAIT):
            text = self._store.load(_PLACE)
            if text is None:
                text = f"{_KIND}:{self._own}"
                self._store.save(_PLACE, text)
        return text

    def _salt_in(self, text: str) -> str:
        match = _TEXT.fullmatch(text)
        return match[1] if match else self._own

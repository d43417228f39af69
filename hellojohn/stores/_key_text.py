"""Encryption keys as text that shows when it was mistyped or cut. Knows no cipher and no store.

A key text is a prefix and seven groups of eight characters: 32 bytes of key and 3 of checksum in base32.
"""

import re
from base64 import b32decode, b32encode
from hashlib import sha256

from hellojohn._secret import Secret

LENGTH = 32
"""Bytes in a key."""

_PREFIX = "hjk"
_GROUP = 8
_CHECKSUM = 3
_TEXT = re.compile(rf"{_PREFIX}((?:_[a-z2-7]{{{_GROUP}}}){{7}})")
# Whole groups show a key text that lost its beginning. Words have no digits, so phrases do not match.
_ONE = rf"[a-z2-7]{{{_GROUP}}}"
_GROUPS = re.compile(rf"{_ONE}_{_ONE}|{_ONE}[\W_]{_ONE}[\W_]{_ONE}")
_SEPARATORS = re.compile(r"[\W_]+")
_LONG = 40


def key_text(key: bytes) -> str:
    """Return the text of a key."""
    body = b32encode(key + _checksum(key)).decode().lower()
    return "_".join([_PREFIX, *(body[start : start + _GROUP] for start in range(0, len(body), _GROUP))])


def key_of(text: Secret) -> bytes | None:
    """Return the key of a text that ``key_text`` made; ``None`` for any other text."""
    match = _TEXT.fullmatch(text.reveal().strip())
    if match is None:
        return None
    data = b32decode(match[1].replace("_", "").upper())
    key, checksum = data[:LENGTH], data[LENGTH:]
    return key if checksum == _checksum(key) else None


def is_damaged(text: Secret) -> bool:
    """Return whether a text looks like a key text that was mistyped or cut."""
    return key_of(text) is None and _resembles(text)


def _resembles(text: Secret) -> bool:
    given = Secret(text.reveal().strip().lower())
    if given.reveal().startswith(f"{_PREFIX}_"):
        return True
    # An editor or a form may have replaced the underscores, or dropped them.
    joined = Secret(_SEPARATORS.sub("", given.reveal()))
    if joined.reveal().startswith(_PREFIX) and len(joined.reveal()) >= _LONG and _has_digit(joined.reveal()):
        return True
    return any(_has_digit(groups[0]) for groups in _GROUPS.finditer(given.reveal()))


def _has_digit(text: str) -> bool:
    return re.search("[2-7]", text) is not None


def _checksum(key: bytes) -> bytes:
    return sha256(key).digest()[:_CHECKSUM]

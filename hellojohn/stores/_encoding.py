"""Keys as short names, and texts as bytes. Knows no store."""

import re
from contextlib import suppress
from hashlib import sha256

from hellojohn._errors import StoreCorrupt
from hellojohn._secret import Secret

LARGEST = 1024 * 1024
"""The most bytes of UTF-8 in a text. Larger data is not a text that a store saved."""


def name_of(key: str) -> str:
    """Return a short ASCII name for ``key``, in lower case.

    The digest makes names differ for keys that differ only in case, accents or invisible characters. The rest
    of the name is for people.
    """
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    slug = re.sub(r"[^a-z0-9]+", "-", key.lower())[:40].strip("-")
    return f"{slug or 'key'}-{digest}"


def refuse_unfit(secret: Secret) -> None:
    """Refuse a text that could not be loaded again.

    Raises:
        StoreCorrupt: The text is larger than 1 MiB, or not valid Unicode.
    """
    with suppress(UnicodeEncodeError):
        if len(secret.reveal().encode()) <= LARGEST:
            return
    msg = "The text could not be read back: a record is valid Unicode of at most 1 MiB. Nothing was saved."
    raise StoreCorrupt(msg)


def decoded(data: bytes | str | None, place: str) -> str | None:
    """Return the text in ``data``; ``None`` for ``None``.

    Raises:
        StoreCorrupt: The data is not a text. The message names ``place``, where the data was found.
    """
    if not isinstance(data, bytes):
        return data
    if len(data) <= LARGEST:
        with suppress(UnicodeDecodeError):
            return data.decode()
    del data  # a traceback shows the locals
    msg = f"{place} holds data that is not a session: not UTF-8, or more than 1 MiB."
    raise StoreCorrupt(msg)

"""Texts as bytes, and bytes that are no text of ours. Knows no store."""

from contextlib import suppress

from hellojohn._errors import StoreCorrupt
from hellojohn._secret import Secret

LARGEST = 1024 * 1024
"""Bytes of UTF-8 beyond which a text is no record of ours."""


def refuse_unfit(secret: Secret) -> None:
    """Refuse a text that could not be loaded again.

    Raises:
        StoreCorrupt: It is larger than 1 MiB, or no proper Unicode.
    """
    with suppress(UnicodeEncodeError):
        if len(secret.reveal().encode()) <= LARGEST:
            return
    msg = "The text could not be read back: a record is proper Unicode of at most 1 MiB. Nothing was saved."
    raise StoreCorrupt(msg)


def decoded(data: bytes | str | None, place: str) -> str | None:
    """Return the text that ``data`` is; nothing is nothing.

    Raises:
        StoreCorrupt: It is none; the message says that it was found in ``place``.
    """
    if not isinstance(data, bytes):
        return data
    if len(data) <= LARGEST:
        with suppress(UnicodeDecodeError):
            return data.decode()
    del data
    msg = f"{place} holds no session of ours: it is not UTF-8, or larger than 1 MiB. Nothing was changed."
    raise StoreCorrupt(msg)

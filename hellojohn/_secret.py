"""A text that does not show itself. Imports nothing of the package."""

import hmac
from typing import NoReturn


class Secret:
    """A token, a password or a key, masked until the moment it is sent.

    ``repr``, ``str`` and ``format`` show ``***``; it has no ``__dict__``, does not pickle, and compares in
    constant time. ``reveal()`` is the one way to the text: call it in the expression that sends or stores it,
    so that no local variable of a traceback holds the plain value.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap ``text``."""
        self._text = text

    def reveal(self) -> str:
        """Return the plain text."""
        return self._text

    def is_sendable(self) -> bool:
        """Return whether the text can go into an HTTP header: visible ASCII, at least one character."""
        text: object = self._text
        return isinstance(text, str) and text.isascii() and text.isprintable() and text.split() == [text]

    def __repr__(self) -> str:
        """Mask the text."""
        return "Secret('***')"

    def __str__(self) -> str:
        """Mask the text."""
        return "***"

    def __format__(self, spec: str) -> str:
        """Mask the text."""
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time, with another secret only."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        """Hash by the text."""
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle: a pickle would carry the plain text."""
        msg = "A Secret does not pickle; pass the account's name and let the other side read the store."
        raise TypeError(msg)


def _bytes(text: str) -> bytes:
    """Encode any text: the error of one that has no encoding would carry it."""
    return text.encode("utf-8", "surrogatepass")

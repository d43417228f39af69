"""The rules that a tenant has for new passwords. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hellojohn._secret import Secret

_SHORTEST_PERSONAL: Final = 3


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The rules for new passwords.

    Attributes:
        min_length: The fewest characters.
        max_length: The most characters.
        uppercase: Whether it needs an upper-case letter.
        lowercase: Whether it needs a lower-case letter.
        digit: Whether it needs a digit.
        symbol: Whether it needs something else.
        history: How many earlier passwords it must differ from.
    """

    min_length: int = 8
    max_length: int = 128
    uppercase: bool = False
    lowercase: bool = True
    digit: bool = True
    symbol: bool = False
    history: int = 0

    def accepts(self, password: Secret, *, email: str, used: Sequence[Secret] = ()) -> bool:
        """Return whether a user with this address, who had the ``used`` passwords, may take a password."""
        text = password.reveal()
        if not self.min_length <= len(text) <= self.max_length:
            return False
        classes: tuple[tuple[bool, Callable[[str], bool]], ...] = (
            (self.uppercase, str.isupper),
            (self.lowercase, str.islower),
            (self.digit, str.isdigit),
            (self.symbol, _is_symbol),
        )
        if any(needed and not any(map(has, text)) for needed, has in classes):
            return False
        recent = used[-self.history :] if self.history else ()
        return not _is_personal(text, email) and password not in recent

    def as_json(self) -> dict[str, object]:
        """Return the rules as the server publishes them."""
        return {
            "min_length": self.min_length,
            "max_length": self.max_length,
            "require_uppercase": self.uppercase,
            "require_lowercase": self.lowercase,
            "require_numbers": self.digit,
            "require_symbols": self.symbol,
            "max_history": self.history,
            "breach_detection": False,
            "common_password": True,
            "personal_info": True,
        }


def _is_personal(password: str, email: str) -> bool:
    """Return whether a password has the address in it. A first part of two letters does not count."""
    local = email.partition("@")[0].casefold()
    return len(local) >= _SHORTEST_PERSONAL and local in password.casefold()


def _is_symbol(character: str) -> bool:
    return not character.isalnum()


SERVER_DEFAULT = PasswordPolicy(uppercase=True, history=5)
"""What the server publishes where it does not know the tenant. No tenant goes by it."""

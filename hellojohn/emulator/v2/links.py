"""The tokens of mails: for a new password, and for the proof of an address.

Pure, with the clock injected. Each token works once. A new one takes the place of the user's last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.v2.names import digest, new_token

_LIVES: Final = {"reset": 3_600.0, "verification": 2 * 86_400.0}


class LinkKind(StrEnum):
    """The purpose of a link."""

    RESET = "reset"
    VERIFICATION = "verification"


@dataclass(frozen=True, slots=True)
class _Link:
    kind: LinkKind
    user_id: str
    expires_at: float


class Links:
    """The tokens that were mailed and not used."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._links: dict[bytes, _Link] = {}

    def new(self, kind: LinkKind, user_id: str) -> Secret:
        """Return a token. Earlier ones of this user and kind stop working."""
        self._links = {
            key: link for key, link in self._links.items() if (link.kind, link.user_id) != (kind, user_id)
        }
        token = new_token()
        self._links[digest(token)] = _Link(kind, user_id, self._clock() + _LIVES[kind])
        return token

    def user_of(self, kind: LinkKind, token: Secret) -> str | None:
        """Return the user that a token is for, or ``None`` when it is not good."""
        link = self._links.get(digest(token))
        if link is None or link.kind is not kind or self._clock() >= link.expires_at:
            return None
        return link.user_id

    def use_up(self, token: Secret) -> None:
        """Make a token useless."""
        self._links.pop(digest(token), None)

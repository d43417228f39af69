"""One-time links that are sent by mail: magic links, password resets and address verifications.

Pure, with the clock injected. ``ways`` holds the lock around every call. Only ``redeem`` uses a link up, so
that any number of visits by a mail scanner leave it good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hellojohn._secret import Secret
from hellojohn.emulator.v1.names import digest, new_token
from hellojohn.emulator.v1.problems import V1Problem


class LinkKind(Enum):
    """The purpose of a link, with its life in seconds."""

    MAGIC_LINK = 900.0
    PASSWORD_RESET = 3_600.0
    EMAIL_VERIFICATION = 86_400.0


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was sent.

    Attributes:
        kind: Its purpose.
        user_id: Whom it was sent to.
        redirect_to: Where the browser goes afterwards; ``None`` for nowhere.
        expires_at: When it stops working.
    """

    kind: LinkKind
    user_id: str
    redirect_to: str | None
    expires_at: float


class Links:
    """The links that can still be used, found by the digest of their token."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without links."""
        self._clock = clock
        self._links: dict[bytes, Link] = {}

    def create(self, kind: LinkKind, user_id: str, *, redirect_to: str | None) -> Secret:
        """Return the token of a new link."""
        token, token_digest = new_token("lnk")
        self._links[token_digest] = Link(kind, user_id, redirect_to, self._clock() + kind.value)
        return token

    def find(self, kind: LinkKind, token: Secret) -> Link:
        """Return a link that can be used.

        Raises:
            V1Problem: It was used, has expired, has another purpose, or never existed.
        """
        link = self._links.get(digest(token))
        if link is None or link.kind is not kind or self._clock() >= link.expires_at:
            raise V1Problem("link_expired")
        return link

    def redeem(self, token: Secret) -> None:
        """Use up a link that ``find`` has returned."""
        del self._links[digest(token)]

    def drop(self, user_id: str) -> None:
        """Make every link of a user useless."""
        self._links = {key: link for key, link in self._links.items() if link.user_id != user_id}

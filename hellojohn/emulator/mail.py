"""The mails and text messages that the service sends, kept where a test or a developer can read them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, overload

from hellojohn._errors import ConfigurationError

_MOST: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail or text message. Its representation shows neither the link nor the code.

    Attributes:
        to: The address or the telephone number.
        subject: The subject, such as ``Sign in to your account``.
        link: The link that the person follows; ``None`` where the mail has a code.
        code: The code that the person types; ``None`` where the mail has a link.
        sent_at: When it was sent, in seconds since the epoch.
    """

    to: str
    subject: str
    link: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    sent_at: float


class Inbox(Sequence[Mail]):
    """Every mail that was sent, the oldest first. It keeps the last 1,000."""

    def __init__(self) -> None:
        """Start empty."""
        self._mails: tuple[Mail, ...] = ()
        self._lock = threading.Lock()

    def latest(self, to: str) -> Mail:
        """Return the newest mail to an address, in any case.

        Raises:
            ConfigurationError: No mail was sent there.
        """
        for mail in reversed(self._mails):
            if mail.to.casefold() == to.casefold():
                return mail
        msg = f"No mail was sent to {to!r}."
        raise ConfigurationError(msg)

    def deliver(self, mail: Mail) -> None:
        """Add a mail."""
        with self._lock:
            self._mails = (*self._mails[1 - _MOST :], mail)

    def clear(self) -> None:
        """Throw every mail away."""
        with self._lock:
            self._mails = ()

    @overload
    def __getitem__(self, index: int) -> Mail: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Mail, ...]: ...
    def __getitem__(self, index: int | slice) -> Mail | tuple[Mail, ...]:
        """Return a mail, or several."""
        return self._mails[index]

    def __len__(self) -> int:
        """Return how many mails there are."""
        return len(self._mails)

    def __repr__(self) -> str:
        """Show the number of mails."""
        return f"<Inbox with {len(self)} mails>"

"""The values that the rules of browser sessions read and return. This module imports no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hellojohn import Device
from hellojohn.integrations._rules import POLICY_VIOLATION


class CrossSiteRequest(Exception):
    """Another site has sent the request. It is answered with 403."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a browser, as the rules read it.

    Attributes:
        method: The HTTP method; ``WEBSOCKET`` for one.
        scheme: ``http`` or ``https``.
        host: The ``Host`` header.
        target: The path and the query.
        next: The parameter ``next`` of the query.
        headers: The headers. Their names may be in any case.
        cookies: The cookies.
        address: Where it came from.
    """

    method: str
    scheme: str
    host: str
    target: str
    next: str | None
    headers: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    address: str | None = None

    @property
    def device(self) -> Device:
        """The browser, as the list of sessions shows it."""
        return Device(user_agent=self.headers.get("User-Agent"), ip_address=self.address)

    @property
    def is_page(self) -> bool:
        """Whether a browser opens a page, so that a redirect leads its user somewhere."""
        mode = self.headers.get("Sec-Fetch-Mode")
        return mode == "navigate" if mode else "text/html" in self.headers.get("Accept", "")


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie to set. ``value`` is empty where the browser should forget it.

    Attributes:
        name: Its name.
        value: Its value.
        max_age: The seconds to keep it; ``None`` until the browser ends.
        secure: Whether it goes over https only.
    """

    name: str
    value: str = field(repr=False)
    max_age: int | None
    secure: bool


@dataclass(frozen=True, slots=True)
class Landing:
    """A redirect, with the cookie to set."""

    location: str
    cookie: Cookie | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in place of a page.

    Attributes:
        status: The HTTP status.
        headers: The headers, with the content type.
        body: A page for a browser that opens one, else JSON.
        close_code: The code that a WebSocket is closed with.
    """

    status: int
    headers: Mapping[str, str]
    body: str
    close_code: int = POLICY_VIOLATION

"""Reads the service's webhooks. Nothing of a webhook counts before its signature has been checked.

The signature covers the body alone. So the headers prove nothing, and every time and id that matters is taken
from the body: a body that is sent again under other headers says the same as the first time.
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from hellojohn._errors import WebhookInvalid
from hellojohn._limits import LARGEST_WEBHOOK, LONGEST_REVOKED_ID, MOST_DELIVERIES
from hellojohn._secret import Secret
from hellojohn._wire.reading import fields, json_object, moment
from hellojohn.verify._claims import ReadOnlyDict
from hellojohn.verify._forks import watch_forks
from hellojohn.verify._revocation_list import Revocation

_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_DELIVERY = re.compile(r"[!-~]{1,256}")
_LATEST = 1e11
_SESSION_ENDS = frozenset(("session.revoked",))
_USER_ENDS = frozenset(("user.disabled", "user.deleted", "user.password_changed"))

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """An event that a webhook reports.

    Attributes:
        type: The event, such as ``session.revoked``.
        created_at: When it happened, by the service's clock (UTC).
        session_id: The session, if the event names one.
        user_id: The user, if the event names one.
        delivery_id: The id in the headers; it is not signed.
        repeated: Whether this delivery has been handled before by this process. Then nothing was done.
        data: The event's other members, as they came.
    """

    type: str
    created_at: datetime
    session_id: str | None
    user_id: str | None
    delivery_id: str | None = None
    repeated: bool = False
    data: Mapping[str, Any]

    def revocation(self) -> Revocation | None:
        """Return the revocation that follows from the event, if any does.

        Raises:
            WebhookInvalid: It revokes something and does not say what.
        """
        if self.type in _SESSION_ENDS:
            return _revocation("session", self.session_id, self.created_at)
        if self.type in _USER_ENDS:
            return _revocation("user", self.user_id, self.created_at)
        return None


class Deliveries:
    """The deliveries that were handled, the last 10,000 of them."""

    def __init__(self) -> None:
        """Remember none."""
        self._handled: dict[bytes, None] = {}
        self._restart()
        watch_forks(self, Deliveries._restart)

    def mark(self, event: WebhookEvent, body: bytes) -> WebhookEvent:
        """Return the event, marked if it was handled before."""
        return replace(event, repeated=_digest(event, body) in self._handled)

    def remember(self, event: WebhookEvent, body: bytes) -> None:
        """Remember an event that was handled to its end."""
        with self._lock:
            self._handled[_digest(event, body)] = None
            if len(self._handled) > MOST_DELIVERIES:
                del self._handled[next(iter(self._handled))]

    def _restart(self) -> None:
        self._lock = threading.Lock()


def read_webhook(headers: Headers, body: bytes, secret: Secret) -> WebhookEvent:
    """Check a webhook's signature and read it.

    Raises:
        WebhookInvalid: It is forged, too large or unreadable.
        TypeError: The body is not bytes.
    """
    if not isinstance(body, bytes):
        raise TypeError(f"The body must be the raw bytes of the request, not {type(body).__name__}.")
    if len(body) > LARGEST_WEBHOOK:
        raise WebhookInvalid(f"The webhook is larger than {LARGEST_WEBHOOK} bytes.")
    named = _named(headers)
    signature = _SIGNATURE.fullmatch(named.get("hellojohn-signature", "").strip())
    if signature is None:
        raise WebhookInvalid("The webhook has no signature: HelloJohn-Signature must be sha256=<hex>.")
    if not hmac.compare_digest(_signed(body, secret), signature[1].lower()):
        raise WebhookInvalid(
            "The webhook's signature is wrong: it is forged, or webhook_secret is another's."
        )
    delivery = named.get("hellojohn-delivery-id", "")
    return replace(_read(body), delivery_id=delivery if _DELIVERY.fullmatch(delivery) else None)


def _signed(body: bytes, secret: Secret) -> str:
    """Return the signature of a body. The traceback of an error does not reach this frame and its key."""
    return hmac.digest(secret.reveal().encode("utf-8", "surrogatepass"), body, "sha256").hex()


def _named(headers: Headers) -> Mapping[str, str]:
    # Not every mapping of headers is a Mapping: that of http.server, for example.
    pairs: Any = cast("Any", headers).items() if hasattr(headers, "items") else headers
    return {_text(name).lower(): _text(value) for name, value in pairs}


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _read(body: bytes) -> WebhookEvent:
    document = json_object(body) or {}
    kind, created_at = document.get("type", document.get("event")), _moment(document.get("created_at"))
    if not isinstance(kind, str) or created_at is None:
        raise WebhookInvalid("The webhook cannot be read: it has no type, or no created_at.")
    data = fields(document.get("data"))
    return WebhookEvent(
        type=kind,
        created_at=created_at,
        session_id=_id("session", kind, data, document),
        user_id=_id("user", kind, data, document),
        data=ReadOnlyDict(data),
    )


def _id(thing: str, kind: str, data: Mapping[str, object], document: Mapping[str, object]) -> str | None:
    """Return the id of the session or user: ``thing_id``, or the ``id`` of an object about the thing."""
    places = (
        data.get(f"{thing}_id"),
        fields(data.get(thing)).get("id"),
        data.get("id") if kind.startswith(f"{thing}.") else None,
        document.get(f"{thing}_id"),
    )
    return next((place for place in places if isinstance(place, str) and place), None)


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    return moment(value)


def _revocation(kind: Any, identity: str | None, created_at: datetime) -> Revocation:  # noqa: ANN401 - a literal
    if identity is None or len(identity) > LONGEST_REVOKED_ID:
        raise WebhookInvalid(f"The webhook does not say which {kind} it is about.")
    return Revocation(kind, identity, created_at.timestamp())


def _digest(event: WebhookEvent, body: bytes) -> bytes:
    return hashlib.sha256((event.delivery_id or "").encode() + b"\0" + body).digest()

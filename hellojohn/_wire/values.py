"""Requests, answers and their meanings: the plain values of the wire.

Nothing here sends, waits, or reads a clock or a setting. This module must never import an HTTP library, the
engine or a store, so that a dialect can be tested with literals.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import urlencode

from hellojohn._errors import ExpiryReason, HelloJohnError
from hellojohn._models import User
from hellojohn._secret import Secret

_FORM = "application/x-www-form-urlencoded"


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"A {type(value).__name__} cannot be sent as JSON.")


_JSON = json.JSONEncoder(default=_reveal, allow_nan=False)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request. Its repr shows the method and the path only.

    The sender needs ``method``, ``path``, the three methods that reveal the secrets, and the two flags.

    Attributes:
        method: The HTTP method.
        path: The path below the host's base with its query, such as ``/v1/auth/sign-in``.
        body: The fields to send. A value may be a ``Secret``.
        bearer: The token or key for the ``Authorization`` header.
        headers: All other headers. A value may be a ``Secret``.
        secret_query: Query parameters that no log may show, such as the token of a link in a mail.
        form: Whether the body goes out as a form instead of JSON.
        idempotent: Whether sending it twice does no more than sending it once. It may be sent again on a new
            connection when a kept one turns out to be closed.
        reads_until_deadline: Whether the answer is waited for until the deadline, even past the read timeout.
            A refresh needs it: giving up early means presenting the same token twice.
    """

    method: str
    path: str
    body: Mapping[str, object] | None = field(default=None, repr=False)
    bearer: Secret | None = field(default=None, repr=False)
    headers: Mapping[str, str | Secret] = field(default_factory=dict[str, str | Secret], repr=False)
    secret_query: Mapping[str, Secret] = field(default_factory=dict[str, Secret], repr=False)
    form: bool = False
    idempotent: bool = False
    reads_until_deadline: bool = False

    def encode(self) -> bytes | None:
        """Return the body with its secrets revealed. Call it in the expression that sends it."""
        if self.body is None:
            return None
        if self.form:
            return urlencode({name: _revealed(value) for name, value in self.body.items()}).encode()
        return _JSON.encode(dict(self.body)).encode()

    def header_values(self) -> dict[str, str]:
        """Return all headers with their secrets revealed. Call it in the expression that sends them."""
        headers = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in self.headers.items()
        }
        if self.bearer is not None:
            headers["Authorization"] = f"Bearer {self.bearer.reveal()}"
        if self.body is not None:
            headers["Content-Type"] = _FORM if self.form else "application/json"
        return headers

    def target(self) -> str:
        """Return the path with the secret query. Send it without logging it."""
        if not self.secret_query:
            return self.path
        query = urlencode({name: value.reveal() for name, value in self.secret_query.items()})
        return f"{self.path}{'&' if '?' in self.path else '?'}{query}"

    def secrets(self) -> tuple[Secret, ...]:
        """Return all secrets of the request. No message may repeat one that the server echoes."""
        values = self.bearer, *(self.body or {}).values(), *self.headers.values(), *self.secret_query.values()
        return tuple([value for value in values if isinstance(value, Secret)])


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An answer. Its repr shows the status only.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body, decompressed; empty when it was longer than the sender reads.
        secrets: The secrets of the request, so that no message repeats one that the server echoes.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status // 100 == 2  # noqa: PLR2004 - the class of successes


class Delivery(StrEnum):
    """How far a request came that got no answer."""

    NOT_SENT = "not_sent"
    """No byte of it left this machine: sending it again is safe."""
    UNKNOWN = "unknown"
    """It was cut off after sending began: the service may have carried it out."""


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No answer at all.

    Attributes:
        delivery: Whether the service may have carried out the request.
        detail: The error's class and a sentence. It holds no secret.
    """

    delivery: Delivery
    detail: str


Answer: TypeAlias = ApiResponse | TransportFailure


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """The tokens that a sign-in, a sign-up, a second factor or a refresh brings.

    Attributes:
        access_token: The access token.
        refresh_token: The refresh token; ``None`` when the answer carries none: the old one stays good.
        ttl: The access token's life in seconds, from the answer's arrival.
        session_id: The session's id, where the answer or the token names it.
        user: Who signed in, where the answer says so.
        session_ttl: The whole session's life in seconds, from the answer's arrival; ``None`` when the
            answer does not say.
        device_token: The token that spares this device the second factor at the next sign-in, if one came.
    """

    access_token: Secret
    refresh_token: Secret | None
    ttl: float
    session_id: str | None = None
    user: User | None = None
    session_ttl: float | None = None
    device_token: Secret | None = None


class OutcomeKind(StrEnum):
    """The meaning of an answer to a refresh; ``hellojohn._wire.outcome`` has the table."""

    SUCCESS = "success"
    NOT_SENT = "not_sent"
    RETRY_LATER = "retry_later"
    UNKNOWN = "unknown"
    DOUBTFUL_END = "doubtful_end"
    SESSION_ENDED = "session_ended"
    MISCONFIGURED = "misconfigured"
    FOREIGN_RESPONSE = "foreign_response"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The meaning of one answer to a refresh.

    Attributes:
        kind: The row of the table.
        tokens: The new tokens, for ``SUCCESS``.
        reason: Why the session is over, for ``SESSION_ENDED``; the claim of a ``DOUBTFUL_END``.
        code: The API's error code, where the answer names one.
        retry_after: Seconds the service asks to wait, for ``RETRY_LATER``; ``None`` when it does not say.
        error: The error to raise if nothing else helps. ``None`` for ``SUCCESS`` and ``SESSION_ENDED``.
        ask_again: Whether the same token may be presented once more after a pause, for ``UNKNOWN``.
        token_was_used: Whether the refusal may mean that the token was presented before. After an attempt
            without an answer, this client itself may have done so.
    """

    kind: OutcomeKind
    tokens: TokenResponse | None = None
    reason: ExpiryReason | None = None
    code: str | None = None
    retry_after: float | None = None
    error: HelloJohnError | None = None
    ask_again: bool = False
    token_was_used: bool = False


def _revealed(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)

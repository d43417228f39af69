"""What the SDK says on the wire and what it hears: plain values, and the protocol a dialect implements.

Pure: nothing here sends, waits, reads a clock or a setting. It must never import httpx, ``_http``, the
engine or a store, so that a dialect can be tested with literals.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from hellojohn._errors import ExpiryReason, HelloJohnError, MfaChallenge
from hellojohn._models import User
from hellojohn._secret import Secret


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request, to be sent once. Its repr shows the method and the path only.

    Attributes:
        method: The HTTP method.
        path: The path below the API's base, such as ``/auth/sign-in``.
        body: The JSON object to send. A value may be a ``Secret``.
        bearer: What the ``Authorization`` header carries.
        headers: Every other header.
        idempotent: Sending it twice does no more than sending it once. It may be sent again on a new
            connection when a kept one turns out to be closed.
        reads_until_deadline: The answer is waited for until the deadline, however long that is after the
            read timeout. A refresh needs it: giving up early means presenting the same token twice.
    """

    method: str
    path: str
    body: Mapping[str, object] | None = field(default=None, repr=False)
    bearer: Secret | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    idempotent: bool = False
    reads_until_deadline: bool = False

    def encode(self) -> bytes | None:
        """Return the body as JSON with its secrets revealed: call it in the expression that sends it."""
        if self.body is None:
            return None
        return json.dumps(dict(self.body), default=_reveal, allow_nan=False).encode()

    def secrets(self) -> tuple[Secret, ...]:
        """Return what an answer must not echo into a message."""
        values = (self.bearer, *(self.body or {}).values())
        return tuple(value for value in values if isinstance(value, Secret))


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What came back. Its repr shows the status only.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body, decompressed; empty when it was longer than the sender reads.
        secrets: The secrets of the call, so that no message repeats one the server echoes.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    secrets: tuple[Secret, ...] = field(default=(), repr=False)


class Delivery(StrEnum):
    """How far a call came that got no answer."""

    NOT_SENT = "not_sent"
    """No byte of it left this machine: sending it again is safe."""
    UNKNOWN = "unknown"
    """It was cut off after sending began: the service may have carried it out."""


@dataclass(frozen=True, slots=True)
class TransportFailure:
    """No answer at all.

    Attributes:
        fault: Whether the service may have carried out the call.
        detail: The error's class and a sentence. It holds no secret.
    """

    fault: Delivery
    detail: str


Answer: TypeAlias = ApiResponse | TransportFailure


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What the answer to a sign-in, a sign-up, a second factor or a refresh grants.

    Attributes:
        access_token: The access token.
        refresh_token: The refresh token; ``None`` when the answer carries none: the old one stays good.
        ttl: The access token's life in seconds, from the answer's arrival.
        session_id: The session's id, where the answer or the token names it.
        user: Who signed in, where the answer says so.
        session_ttl: The whole session's life in seconds, from the answer's arrival; ``None`` when the
            answer does not say.
    """

    access_token: Secret
    refresh_token: Secret | None
    ttl: float
    session_id: str | None = None
    user: User | None = None
    session_ttl: float | None = None


class OutcomeKind(StrEnum):
    """What an answer to a refresh means; ``hellojohn._wire.outcome`` has the table."""

    SUCCESS = "success"
    NOT_SENT = "not_sent"
    RETRY_LATER = "retry_later"
    UNKNOWN = "unknown"
    SESSION_ENDED = "session_ended"
    MISCONFIGURED = "misconfigured"
    FOREIGN_RESPONSE = "foreign_response"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The meaning of one answer to a refresh.

    Attributes:
        kind: The row of the table.
        grant: The new tokens, for ``SUCCESS``.
        reason: Why the session is over, for ``SESSION_ENDED``.
        code: The API's error code, where the answer names one.
        retry_after: Seconds the service asks to wait, for ``RETRY_LATER``; ``None`` when it does not say.
        error: What to raise if nothing else helps; ``None`` for ``SUCCESS`` and ``SESSION_ENDED``. Never raised before.
    """

    kind: OutcomeKind
    grant: TokenResponse | None = None
    reason: ExpiryReason | None = None
    code: str | None = None
    retry_after: float | None = None
    error: HelloJohnError | None = None


class Dialect(Protocol):
    """One face of the service: builds its calls and reads its answers.

    The ``read_`` methods raise an ``ApiError`` when the API said no and ``ServiceUnavailable`` when there is
    no usable answer. Building a call raises ``ConfigurationError`` for an argument that cannot be sent.
    """

    @property
    def limits_sessions(self) -> bool:
        """Whether the server takes a session duration at sign-in."""
        ...

    def sign_in(
        self, email: str, password: Secret, *, duration: str | None, captcha_token: Secret | None
    ) -> ApiRequest:
        """Build a sign-in; ``duration`` is text such as ``30d``, ``None`` for the tenant's default."""
        ...

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, object] | None,
    ) -> ApiRequest:
        """Build a sign-up."""
        ...

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh."""
        ...

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all of the user's sessions."""
        ...

    def me(self, access_token: Secret) -> ApiRequest:
        """Build a question for the signed-in user."""
        ...

    def verify_mfa(self, challenge: MfaChallenge, code: Secret, *, factor: str | None) -> ApiRequest:
        """Build the answer to a second-factor challenge; without ``factor``, for the first one listed."""
        ...

    def read_grant(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in, a sign-up or a second factor."""
        ...

    def read_user(self, answer: Answer) -> User:
        """Read the answer to ``me``."""
        ...

    def read_done(self, answer: Answer) -> None:
        """Read an answer that says nothing but yes or no."""
        ...

    def outcome(self, answer: Answer) -> Outcome:
        """Say what the answer to a refresh means. Never raises."""
        ...


def _reveal(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"A {type(value).__name__} cannot be sent as JSON.")

"""The answers of a guard, for every framework. This module imports none of them.

    situation                                     answer
    --------------------------------------------  ---------------------------------------------------------
    no token, or another scheme                   401, ``WWW-Authenticate: Bearer`` without an error
    a bad, expired or revoked token               401, ``error="invalid_token"``
    a scope or a role is missing                  403, ``error="insufficient_scope"``
    two tokens, or a token in the query           400, ``error="invalid_request"``
    the keys, the service or the store are away   503 with ``Retry-After``
    optional: no token                            the route runs without claims

The statuses and challenges are those of RFC 6750. A description never holds the internals of an error.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hellojohn import (
    AsyncHelloJohn,
    ConfigurationError,
    HelloJohn,
    RateLimited,
    ServiceUnavailable,
    StoreError,
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
)
from hellojohn._logs import logger_of
from hellojohn._secret import Secret
from hellojohn.verify import TokenClaims, Verifier

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
_RETRY_AFTER = 5
_LONGEST_RETRY_AFTER = 3_600
_QUERY_PARAMETER = "access_token"
_ROLE, _SCOPE = (
    'require_role takes texts, such as "admin".',
    'require_scope takes texts, such as "orders:write".',
)

_log = logger_of("hellojohn.integrations")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of the route's.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        description: A sentence for the developer of the client.
        close_code: The code that a WebSocket is closed with.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    description: str = ""
    close_code: int = POLICY_VIOLATION

    @property
    def body(self) -> dict[str, str]:
        """The JSON of the answer."""
        return {"detail": self.description}


class Refused(Exception):
    """The request is refused.

    Attributes:
        refusal: The answer.
    """

    def __init__(self, refusal: Refusal) -> None:
        """Keep the answer."""
        super().__init__(refusal.description)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Demand:
    """The demands of a route.

    Attributes:
        optional: Whether the route also runs without a token.
        remote: Whether the service is asked about every token, so that a revocation counts at once.
        scopes: The scopes that the token must have, all of them.
        roles: The roles of which it must have one.
    """

    optional: bool = False
    remote: bool = False
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


class Checker:
    """Checks requests for one client."""

    def __init__(self, client: HelloJohn | AsyncHelloJohn) -> None:
        """Use the client's verifier, which serves both faces: a guard need not be of the client's face.

        Raises:
            ConfigurationError: The client's settings allow no verification.
            TypeError: It is not a client.
        """
        if not isinstance(client, HelloJohn | AsyncHelloJohn):
            raise TypeError(f"Guard takes a HelloJohn or an AsyncHelloJohn, not {type(client).__name__}.")
        parts: Any = client._parts  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._verifier: Verifier = parts.verifier
        self.now: Callable[[], float] = parts.settings.clock

    def check(self, demand: Demand, authorization: Sequence[str], query: Iterable[str]) -> TokenClaims | None:
        """Check the request of a framework that blocks.

        Args:
            demand: The demands of the route.
            authorization: The values of the ``Authorization`` headers.
            query: The names in the query.

        Raises:
            Refused: The request is refused.
        """
        token = _token(demand, authorization, query)
        if token is None:
            return None
        with _refusing():
            if demand.remote:
                found = self._verifier.verify_token_remote(token.reveal())
                return _permitted(demand, _valid(found.claims))
            return _permitted(demand, self._verifier.verify_token(token.reveal()))

    async def check_async(
        self, demand: Demand, authorization: Sequence[str], query: Iterable[str]
    ) -> TokenClaims | None:
        """Check the request of a framework that awaits: see ``check``."""
        token = _token(demand, authorization, query)
        if token is None:
            return None
        with _refusing():
            if demand.remote:
                found = await self._verifier.verify_token_remote_async(token.reveal())
                return _permitted(demand, _valid(found.claims))
            return _permitted(demand, await self._verifier.verify_token_async(token.reveal()))

    async def is_revoked(self, claims: TokenClaims) -> bool:
        """Return whether a token's session or user was revoked since it was checked."""
        return await self._verifier.is_revoked_async(claims)


class _refusing:  # noqa: N801 - used like a function
    """Turns the SDK's errors into refusals."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        """Raise a refusal in place of an error."""
        refusal = _refusal_of(error)
        if refusal is not None:
            raise Refused(refusal) from None


def _refusal_of(error: BaseException | None) -> Refusal | None:
    """Return the answer for an error; ``None`` for any that only the developer can mend.

    A wrong secret key is among those. An answer of 503 would hide it, so the error goes on.
    """
    match error:
        case TokenExpired():
            return _challenge(401, "invalid_token", "The access token has expired.")
        case TokenRevoked():
            return _challenge(401, "invalid_token", "The session was revoked.")
        case TokenInvalid():
            return _challenge(401, "invalid_token", "The access token is not valid.")
        case ServiceUnavailable() | RateLimited() | StoreError():
            return unavailable(error)
        case _:
            return None


def _token(demand: Demand, authorization: Sequence[str], query: Iterable[str]) -> Secret | None:
    """Return the token of a request; ``None`` if it has none and needs none."""
    token = _bearer(authorization)
    if _QUERY_PARAMETER in query:
        raise Refused(_challenge(400, "invalid_request", "Send the token in the Authorization header."))
    if token is not None or demand.optional:
        return token
    raise Refused(Refusal(401, {"WWW-Authenticate": "Bearer"}, "An access token is needed."))


def _bearer(authorization: Sequence[str]) -> Secret | None:
    """Return the bearer token of the headers, or ``None``."""
    # WSGI and Django join repeated headers with commas. A token holds no comma, but a Digest header does.
    credentials = [part.strip().partition(" ") for value in authorization for part in value.split(",")]
    tokens = [
        Secret(token.strip()) for scheme, _, token in credentials if scheme.lower() == "bearer" and token
    ]
    if tokens and len(credentials) > 1:
        raise Refused(_challenge(400, "invalid_request", "Send one Authorization header with one token."))
    return tokens[0] if tokens else None


def _valid(claims: TokenClaims | None) -> TokenClaims:
    if claims is None:
        raise TokenInvalid("The service does not accept the token.")
    return claims


def _permitted(demand: Demand, claims: TokenClaims) -> TokenClaims:
    if not claims.scopes.issuperset(demand.scopes):
        scope = " ".join(demand.scopes)
        raise Refused(_challenge(403, "insufficient_scope", "A scope is missing.", scope=scope))
    if demand.roles and not claims.roles.intersection(demand.roles):
        raise Refused(_challenge(403, "insufficient_scope", "A role is missing."))
    return claims


def _challenge(status: int, error: str, description: str, *, scope: str = "") -> Refusal:
    parts = [f'error="{error}"', f'error_description="{description}"']
    parts += [f'scope="{scope}"'] if scope else []
    return Refusal(status, {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}, description)


def unavailable(error: ServiceUnavailable | RateLimited | StoreError) -> Refusal:
    """Return the answer during an outage, and log the reason, which the answer does not hold."""
    _log.warning("A request is answered with 503: %s", error)
    wait = getattr(error, "retry_after", None)
    seconds = _RETRY_AFTER if wait is None else math.ceil(min(max(wait, 1), _LONGEST_RETRY_AFTER))
    headers = {"Retry-After": str(seconds)}
    return Refusal(503, headers, "The service cannot be reached now. Try again later.", TRY_AGAIN_LATER)


def checked_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of a demand.

    Raises:
        ConfigurationError: The list is empty, or a scope cannot stand in a challenge.
    """
    for scope in _checked_texts(scopes, _SCOPE):
        if not Secret(scope).is_sendable() or '"' in scope or "\\" in scope:
            raise ConfigurationError(
                f"A scope is visible ASCII without quotes and backslashes, not {scope!r}."
            )
    return scopes


def checked_roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    """Return the roles of a demand.

    Raises:
        ConfigurationError: The list is empty, or a role is not text.
    """
    return _checked_texts(roles, _ROLE)


def _checked_texts(texts: tuple[str, ...], message: str) -> tuple[str, ...]:
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ConfigurationError(message)
    return texts

"""What a guard answers, for every framework. It knows no framework.

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

from hellojohn._errors import (
    ConfigurationError,
    HelloJohnError,
    NotSupported,
    ServiceUnavailable,
    StoreError,
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
)
from hellojohn._secret import Secret
from hellojohn.verify import TokenClaims, Verifier

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
_RETRY_AFTER = 5
_QUERY = ("access_token", "token")


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
    """What a route asks for.

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

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - HelloJohn or AsyncHelloJohn, which this room cannot import
        """Use the client's verifier.

        Raises:
            TypeError: It is not a client.
        """
        parts = getattr(client, "_parts", None)
        if parts is None:
            msg = f"Guard takes a HelloJohn or an AsyncHelloJohn, not {type(client).__name__}."
            raise TypeError(msg)
        self._parts = parts

    @property
    def _verifier(self) -> Verifier:
        verifier: Verifier = self._parts.verifier
        return verifier

    def now(self) -> float:
        """Return the client's time, in seconds since the epoch."""
        clock: Callable[[], float] = self._parts.settings.clock
        return clock()

    def check(self, demand: Demand, authorization: Sequence[str], query: Iterable[str]) -> TokenClaims | None:
        """Check the request of a framework that blocks.

        Args:
            demand: What the route asks for.
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


class _refusing:  # noqa: N801 - used like a function
    """Turns the SDK's errors into refusals."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        """Raise a refusal in place of an error."""
        if isinstance(error, HelloJohnError):
            refusal = _refusal_of(error)
            if refusal is not None:
                raise Refused(refusal) from None


def _refusal_of(error: HelloJohnError) -> Refusal | None:  # noqa: PLR0911 - a row for each kind of error
    """Return the answer for an error; ``None`` for a mistake in the settings, which must not be hidden."""
    match error:
        case TokenExpired():
            return _challenge(401, "invalid_token", "The access token has expired.")
        case TokenRevoked():
            return _challenge(401, "invalid_token", "The session was revoked.")
        case TokenInvalid():
            return _challenge(401, "invalid_token", "The access token is not valid.")
        case ServiceUnavailable():
            return _unavailable(error.retry_after)
        case StoreError():
            return _unavailable(None)
        case NotSupported() | ConfigurationError():
            return None
        case _:
            return _unavailable(None)


def _token(demand: Demand, authorization: Sequence[str], query: Iterable[str]) -> Secret | None:
    """Return the token of a request; ``None`` if it has none and needs none."""
    if len(authorization) > 1:
        raise Refused(
            _challenge(400, "invalid_request", "The request has more than one Authorization header.")
        )
    if any(name in _QUERY for name in query):
        raise Refused(_challenge(400, "invalid_request", "Send the token in the Authorization header."))
    scheme, _, value = authorization[0].strip().partition(" ") if authorization else ("", "", "")
    token = value.strip()
    if scheme.lower() == "bearer" and token:
        return Secret(token)
    if demand.optional:
        return None
    raise Refused(Refusal(401, {"WWW-Authenticate": "Bearer"}, "An access token is needed."))


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


def _unavailable(retry_after: float | None) -> Refusal:
    wait = _RETRY_AFTER if retry_after is None else max(math.ceil(retry_after), 1)
    return Refusal(
        503, {"Retry-After": str(wait)}, "Access tokens cannot be checked now. Try again.", TRY_AGAIN_LATER
    )


def checked_names(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return the scopes or roles of a demand.

    Raises:
        ConfigurationError: There are none, or one is not a text that fits a header.
    """
    for name in names:
        if not isinstance(name, str) or not Secret(name).is_sendable() or '"' in name:
            raise ConfigurationError(f'{what} takes texts such as "orders:write".')
    if not names:
        raise ConfigurationError(f'{what} takes at least one text, such as "orders:write".')
    return names

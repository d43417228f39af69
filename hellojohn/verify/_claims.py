"""``TokenClaims``: the claims of a verified token, in every published spelling.

attribute      claims, in this order
-------------  ------------------------------------------------------------------
user_id        sub
session_id     session_id, sid
tenant_id      tenant_id, tid
roles          role, org_role, roles, and the server's own roles on v2: all of them
scopes         scope, scp, each text or a list: all of them
custom         unknown claims at the top level, then custom, then custom_claims
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, cast

from hellojohn._clock import as_moment
from hellojohn._errors import TokenInvalid, TokenRefusal, WrongTenant

_LATEST = 1e12
_NONE: frozenset[str] = frozenset()
_STANDARD = frozenset(
    (
        *("sub", "session_id", "sid", "tenant_id", "tid", "email", "org_id", "mfa_verified"),
        *("role", "roles", "org_role", "scope", "scp", "iss", "aud", "exp", "nbf", "iat", "jti"),
        *("acr", "amr", "auth_time", "azp", "cid", "client_id", "custom", "custom_claims"),
    )
)


class ReadOnlyDict(dict[str, Any]):
    """A dictionary that refuses changes. It pickles, and serialises like any other."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("The claims of a token are read-only: copy them with dict(...).")

    __setitem__ = __delitem__ = clear = pop = popitem = __ior__ = _refuse
    setdefault = update = _refuse  # pyright: ignore[reportAssignmentType] - it refuses every call

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy by the constructor."""
        return ReadOnlyDict, (dict(self),)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """The user of a verified token, and the permissions that it carries.

    Attributes:
        user_id: The user's id (``sub``); a service's own id in a token of the v2 server for a service.
        session_id: The session's id; ``None`` if the token names none, as on v2.
        tenant_id: The tenant's id as the token names it; ``None`` if only the audience names it.
        email: The user's email address, if the token carries it.
        org_id: The organization, if the token names one.
        roles: The roles.
        scopes: The scopes.
        mfa_verified: Whether the token says that a second factor was checked.
        issued_at: When it was issued (UTC), if the token says so.
        expires_at: When it expires (UTC).
        custom: The claims that the tenant has added.
        raw: Every claim as it came.
    """

    user_id: str
    session_id: str | None
    tenant_id: str | None
    email: str | None
    org_id: str | None
    roles: frozenset[str]
    scopes: frozenset[str]
    mfa_verified: bool
    issued_at: datetime | None
    expires_at: datetime
    custom: Mapping[str, Any]
    raw: Mapping[str, Any]


def read_claims(payload: dict[str, Any], *, api: str = "v1") -> TokenClaims:
    """Read the claims of a verified payload of one of the two servers.

    Raises:
        TokenInvalid: ``sub`` or ``exp`` is missing, or a claim is of another type than the published one.
        WrongTenant: Two claims name two tenants.
    """
    subject = text_claim(payload, "sub")
    if subject is None:
        raise missing("sub")
    session_id, sid = text_claim(payload, "session_id"), text_claim(payload, "sid")
    issued_at = time_claim(payload, "iat")
    return TokenClaims(
        user_id=subject,
        session_id=session_id or sid,
        tenant_id=tenant_claim(payload),
        email=text_claim(payload, "email"),
        org_id=text_claim(payload, "org_id"),
        roles=_roles(payload, api),
        scopes=_scopes(payload),
        mfa_verified=payload.get("mfa_verified") is True,
        issued_at=None if issued_at is None else as_moment(issued_at),
        expires_at=as_moment(expiry_claim(payload)),
        custom=_custom(payload),
        raw=ReadOnlyDict(payload),
    )


def text_claim(payload: Mapping[str, Any], name: str) -> str | None:
    """Return a claim that is text; ``None`` if it is missing, null or empty.

    Raises:
        TokenInvalid: It is not text.
    """
    value = payload.get(name)
    if value is not None and not isinstance(value, str):
        raise TokenInvalid(f"The token's claim {name!r} is not text.")
    return value or None


def time_claim(payload: Mapping[str, Any], name: str) -> float | None:
    """Return a claim that is a time in seconds since the epoch; ``None`` if it is missing or null.

    Raises:
        TokenInvalid: It is not such a time.
    """
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LATEST < value < _LATEST:
        raise TokenInvalid(f"The token's claim {name!r} is not a time.")
    return value


def expiry_claim(payload: Mapping[str, Any]) -> float:
    """Return ``exp``.

    Raises:
        TokenInvalid: It is missing or not a time.
    """
    expires_at = time_claim(payload, "exp")
    if expires_at is None:
        raise missing("exp")
    return expires_at


def tenant_claim(payload: Mapping[str, Any]) -> str | None:
    """Return the tenant that the token names.

    Raises:
        TokenInvalid: A tenant is not text.
        WrongTenant: Two claims name two tenants.
    """
    one, other = text_claim(payload, "tenant_id"), text_claim(payload, "tid")
    if one is not None and other is not None and one != other:
        raise WrongTenant("The token names two tenants.")
    return one or other


def missing(name: str) -> TokenInvalid:
    """Return the error for a missing claim."""
    return TokenInvalid(f"The token has no claim {name!r}.", reason=TokenRefusal.MISSING_CLAIM)


def _roles(payload: Mapping[str, Any], api: str) -> frozenset[str]:
    found: set[str] = set()
    for name in ("role", "org_role", "roles"):
        if name in payload:
            found.update(_texts(payload[name], name, split=False))
    if api == "v2":  # it puts the roles that it manages under a name that begins with its issuer
        own = _object(_object(payload.get("custom")).get(f"{payload.get('iss')}/claims/sys"))
        found.update(_texts(own.get("roles"), "roles", split=False))
    return frozenset(found) if found else _NONE


def _scopes(payload: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    for name in ("scope", "scp"):
        if name in payload:
            found.update(_texts(payload[name], name, split=True))
    return frozenset(found) if found else _NONE


def _texts(value: object, name: str, *, split: bool) -> Iterable[str]:
    """Return the texts of a claim that is one text or a list of texts."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return value.split() if split else (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in cast("list[object]", value)):
        return cast("list[str]", value)
    raise TokenInvalid(f"The token's claim {name!r} is neither text nor a list of texts.")


def _custom(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = {name: payload[name] for name in payload.keys() - _STANDARD}
    nested = {**_object(payload.get("custom_claims")), **_object(payload.get("custom"))}
    return ReadOnlyDict({**nested, **unknown} if nested else unknown)


def _object(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}

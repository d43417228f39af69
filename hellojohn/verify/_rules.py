"""Which issuers, tenants and audiences a token may name, and when it is valid.

    api   iss                                             tenant_id, tid       aud
    ----  ----------------------------------------------  -------------------  -----------
    v1    the API host                                    the tenant           the tenant
    v2    the host, host/t/<slug>, host/t/<uuid>          the slug, the uuid   the client

A token may leave the tenant out where its audience is the tenant.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

from hellojohn._errors import (
    ConfigurationError,
    TokenExpired,
    TokenInvalid,
    TokenRefusal,
    WrongAudience,
    WrongIssuer,
    WrongTenant,
)
from hellojohn.verify._claims import expiry_claim, tenant_claim, text_claim, time_claim
from hellojohn.verify._fetching import is_uuid

_OTHER_TENANT = "The token belongs to another tenant."
_UNNAMED_TENANT = (
    "The server does not say which UUID this tenant has. It does for a tenant whose settings have a security"
    " block."
)


class Expected(NamedTuple):
    """The names that a token may carry, one of each is needed, and the words for another tenant's token."""

    issuers: frozenset[str]
    tenants: frozenset[str]
    audiences: frozenset[str]
    other_tenant: str


class Rules:
    """The rules of one client."""

    def __init__(self, *, api: str, api_url: str, tenant_id: str, client_id: str | None) -> None:
        """Keep the settings that tokens are compared with."""
        self._api_url = api_url
        self._tenant_id = tenant_id
        self._v2 = api == "v2"
        self._audience = frozenset((client_id or "",)) if self._v2 else frozenset((tenant_id,))
        self._known: dict[str | None, Expected] = {}

    def expected(self, tenant_uuid: str | None) -> Expected:
        """Return the names that a token may carry, given the tenant's UUID where the server has one."""
        found = self._known.get(tenant_uuid)
        if found is None:
            found = self._known[tenant_uuid] = self._expected(tenant_uuid)
        return found

    def _expected(self, tenant_uuid: str | None) -> Expected:
        tenants = frozenset(name for name in (self._tenant_id, tenant_uuid) if name)
        issuers = {self._api_url}
        if self._v2:
            issuers.update(f"{self._api_url}/t/{tenant}" for tenant in tenants)
        is_unnamed = self._v2 and not any(map(is_uuid, tenants))
        other_tenant = f"{_OTHER_TENANT} {_UNNAMED_TENANT}" if is_unnamed else _OTHER_TENANT
        return Expected(frozenset(issuers), tenants, self._audience, other_tenant)


def key_urls(*, api: str, api_url: str, tenant_id: str) -> tuple[str, str | None]:
    """Return the URL of the keys and, on v2, that of the tenant's UUID, unless the tenant's id is one."""
    if api != "v2":
        return f"{api_url}/.well-known/jwks.json", None
    from urllib.parse import quote  # noqa: PLC0415 - v1 needs it nowhere

    name = quote(tenant_id, safe="")
    identity = None if is_uuid(tenant_id) else f"{api_url}/v2/auth/password-policy?tenant_id={name}"
    return f"{api_url}/.well-known/jwks/{name}.json", identity


def read_audience(audience: str | Iterable[str]) -> frozenset[str]:
    """Return the audiences that a caller accepts.

    Raises:
        ConfigurationError: They are not one text or several.
    """
    listed: list[object] = [audience] if isinstance(audience, str) else _listed(audience)
    if not listed or not all(isinstance(item, str) and item for item in listed):
        raise ConfigurationError('audience must be text such as "https://api.example.com", or several texts.')
    return frozenset(cast("list[str]", listed))


def read_leeway(leeway: float) -> float:
    """Return the seconds by which clocks may differ.

    Raises:
        ConfigurationError: It is not a number of seconds from 0.
    """
    value: object = leeway
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError("leeway must be a number of seconds, 0 or more.")
    return value


def check(payload: Mapping[str, Any], expected: Expected, *, now: float, leeway: float) -> None:
    """Check a verified payload's issuer, audience, tenant and times.

    Raises:
        TokenInvalid: It breaks a rule; the subclass and the reason say which.
    """
    if "nonce" in payload or "at_hash" in payload:
        raise TokenInvalid("The token is an ID token. Send the access token.")
    _check_issuer(text_claim(payload, "iss"), expected.issuers)
    audiences = _audiences(payload.get("aud"))
    if audiences.isdisjoint(expected.audiences):
        raise WrongAudience(
            "The token is for another audience.",
            reason=None if audiences else TokenRefusal.MISSING_CLAIM,
        )
    _check_tenant(tenant_claim(payload), audiences, expected)
    _check_times(payload, now, leeway)


def _listed(value: object) -> list[object]:
    return list(cast("Iterable[object]", value)) if isinstance(value, Iterable) else []


def _check_issuer(issuer: str | None, issuers: frozenset[str]) -> None:
    if issuer is None:
        raise WrongIssuer("The token names no issuer.", reason=TokenRefusal.MISSING_CLAIM)
    if issuer not in issuers:
        raise WrongIssuer("The token was issued by another service. Check api_url.")


def _audiences(claim: object) -> set[str]:
    if claim is None:
        return set()
    listed = cast("list[object]", claim) if isinstance(claim, list) else [claim]
    if not all(isinstance(item, str) for item in listed):
        raise TokenInvalid("The token's claim 'aud' is neither text nor a list of texts.")
    return set(cast("list[str]", listed))


def _check_tenant(tenant: str | None, audiences: set[str], expected: Expected) -> None:
    if tenant is None and audiences.isdisjoint(expected.tenants):
        raise WrongTenant("The token names no tenant.", reason=TokenRefusal.MISSING_CLAIM)
    if tenant is not None and tenant not in expected.tenants:
        raise WrongTenant(expected.other_tenant)


def _check_times(payload: Mapping[str, Any], now: float, leeway: float) -> None:
    if now >= expiry_claim(payload) + leeway:
        raise TokenExpired("The token has expired.")
    for name in ("nbf", "iat"):
        begins_at = time_claim(payload, name)
        if begins_at is not None and begins_at > now + leeway:
            raise TokenInvalid(
                "The token is not valid yet: check this machine's clock.", reason=TokenRefusal.NOT_YET_VALID
            )

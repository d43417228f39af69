"""The access tokens of v2: which claims each way of signing in gives them, and how they are read back.

A token has no id: two that are issued alike in one second are the same text. It holds no session state.
Times come from the injected clock, never from PyJWT's own.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hellojohn._secret import Secret
from hellojohn.emulator.keys import SigningKeys
from hellojohn.emulator.v2.records import User
from hellojohn.emulator.v2.tenants import Directory, Tenant

ADMIN: Final = "hellojohn:admin"
PASSWORD: Final = ("pwd",)
SECOND_FACTOR: Final = ("pwd", "mfa")
REFRESHED: Final = ("refresh",)
_LEVELS: Final[dict[tuple[str, ...], int]] = {PASSWORD: 1, SECOND_FACTOR: 2}


class _Signs(Protocol):
    def sign(self, claims: Mapping[str, object]) -> str: ...


@dataclass(frozen=True, slots=True)
class Read:
    """A token that the server has issued: its claims, its text, and its tenant if it has one."""

    claims: Mapping[str, Any]
    text: str
    tenant: Tenant | None


class Issuer:
    """Signs access tokens and reads them back.

    Attributes:
        url: The address of the server; known once the emulator listens.
        keys: The server's own keys.
    """

    def __init__(self, clock: Callable[[], float], keys: SigningKeys, directory: Directory) -> None:
        """Sign for these tenants."""
        self.url = ""
        self.keys: SigningKeys = keys
        self._clock = clock
        self._directory = directory
        self._rejected_second = -math.inf
        self._issued_since = set[str]()

    def issuer_of(self, tenant: Tenant) -> str:
        """Return the ``iss`` of a tenant's password tokens."""
        return self.url if tenant.issuer_mode == "global" else f"{self.url}/t/{tenant.slug}"

    def for_password(
        self,
        tenant: Tenant,
        user: User,
        client_id: str,
        *,
        scopes: Collection[str],
        amr: tuple[str, ...],
        ttl: float,
        roles: Collection[str] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> Secret:
        """Return the token of a password sign-in, or of a refresh of one.

        Args:
            tenant: The tenant.
            user: Who signs in.
            client_id: The token's ``aud``.
            scopes: Its scopes, which are one text here.
            amr: How the user has signed in.
            ttl: Its life in seconds.
            roles: The roles that it names; ``None`` where the server names none at all.
            claims: Claims to add or to replace; ``None`` as a value leaves a claim out.
        """
        issuer = self.issuer_of(tenant)
        usual: dict[str, object] = {
            "iss": issuer,
            "tid": tenant.id,
            "amr": list(amr),
            "scp": " ".join(scopes),
        }
        if amr in _LEVELS:
            usual["acr"] = _level(_LEVELS[amr])
        if roles is not None:
            known = {"claims_ver": 1, "is_admin": False, "perms": [], "roles": list(roles)}
            usual["custom"] = {f"{issuer}/claims/sys": known}
        keys = self.keys if tenant.issuer_mode == "global" else tenant.keys
        return self._sign(keys, {"sub": user.id, "aud": client_id, **usual, **(claims or {})}, ttl)

    def for_oauth(
        self,
        tenant: Tenant,
        *,
        subject: str,
        client_id: str,
        ttl: float,
        amr: Collection[str],
        level: int = 1,
        by_id: bool = False,
        **claims: object,
    ) -> Secret:
        """Return a token of ``/oauth2/token``, which names the tenant by slug, or ``by_id``."""
        usual = {
            "sub": subject,
            "aud": client_id,
            "iss": self.issuer_of(tenant) if by_id else self.url,
            "tid": tenant.id if by_id else tenant.slug,
            "amr": list(amr),
            "acr": _level(level),
        }
        return self._sign(tenant.keys, {**usual, **claims}, ttl)

    def for_admin(self, admin_id: str, *, email: str, ttl: float, use: str | None = None) -> Secret:
        """Return a token of an administrator, or the refresh token that belongs to it."""
        usual: dict[str, object] = {"sub": admin_id, "aud": ADMIN, "iss": self.url}
        more: dict[str, object] = {"admin_type": "global", "email": email, "perms": []}
        return self._sign(self.keys, {**usual, **(more if use is None else {"token_use": use})}, ttl)

    def read(self, token: Secret) -> Read | None:
        """Return a token as ``/v2/me`` reads it, or ``None`` where that refuses it.

        A password token in issuer mode "global" is refused: it names the tenant by id under an ``iss`` where
        the server looks for a slug.
        """
        for tenant in self._directory:
            claims = tenant.keys.read(token.reveal())
            if claims is not None and (claims.get("iss"), claims.get("tid")) in self._places(tenant):
                return self._alive(Read(claims, token.reveal(), tenant))
        claims = self.keys.read(token.reveal(), audience=ADMIN, issuer=self.url, required=("exp", "sub"))
        return None if claims is None else self._alive(Read(claims, token.reveal(), None))

    def read_for_resource(self, token: Secret) -> Read | None:
        """Return a token as an app's API should read it, or ``None`` where that refuses it."""
        for tenant in self._directory:
            issuers = (self.url, f"{self.url}/t/{tenant.slug}", f"{self.url}/t/{tenant.id}")
            for keys in (tenant.keys.read, self._read_with_server_keys):
                claims = keys(token.reveal())
                if claims and claims.get("iss") in issuers and claims.get("tid") in (tenant.id, tenant.slug):
                    return self._alive(Read(claims, token.reveal(), tenant))
        return None

    def has_server_key(self, read: Read) -> bool:
        """Return whether one of the server's own keys has signed a token."""
        return self._read_with_server_keys(read.text) is not None

    def reject_all(self) -> None:
        """Make ``is_rejected`` true for every token issued so far."""
        self._rejected_second = math.floor(self._clock())
        self._issued_since = set[str]()

    def is_rejected(self, read: Read) -> bool:
        """Return whether the sample resource must refuse the token.

        A token that was issued again in the same second is a good one, although it is the same text.
        """
        return read.claims["iat"] <= self._rejected_second and read.text not in self._issued_since

    def _places(self, tenant: Tenant) -> set[tuple[object, object]]:
        own = f"{self.url}/t/{tenant.slug}"
        return {(self.url, tenant.slug), (own, tenant.id), (own, tenant.slug)}

    def _read_with_server_keys(self, token: str) -> dict[str, Any] | None:
        return self.keys.read(token, audience=None, issuer=None, required=("exp", "sub", "aud"))

    def _alive(self, read: Read) -> Read | None:
        return read if self._clock() < read.claims["exp"] else None

    def _sign(self, keys: _Signs, claims: Mapping[str, object], ttl: float) -> Secret:
        now = math.floor(self._clock())
        times = {"iat": now, "nbf": now, "exp": now + int(ttl)}
        kept = {name: value for name, value in {**times, **claims}.items() if value is not None}
        token = keys.sign(kept)
        if now == self._rejected_second:
            self._issued_since.add(token)
        return Secret(token)


def _level(level: int) -> str:
    return f"urn:hellojohn:loa:{level}"

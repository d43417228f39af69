"""How sessions begin, go on and end on the open-source server.

A refresh is refused for these reasons, looked at in this order:

==========================================  ===================================================
the token was never issued, or its user is  ``SESSION_EXPIRED``; so is every token while the
gone                                        database is away
it was rotated or revoked, for any reason   ``UNAUTHORIZED``; with reuse detection on
                                            ``REFRESH_TOKEN_REUSE``, and the family is revoked
its own life is over                        ``SESSION_EXPIRED``
it belongs to another client                ``UNAUTHORIZED``, and nothing changes
its user is disabled                        ``user_disabled``
==========================================  ===================================================

A session has no duration and no idle timeout: each refresh begins a new life of the refresh token. The
lives that a client asks for count from the first refresh on. Pure, with the clock injected; the service holds
a lock around every call.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from hellojohn._secret import Secret
from hellojohn.emulator.records import Device, NewUser
from hellojohn.emulator.v2.challenges import Challenges
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import (
    FIRST_ACCESS_LIFE,
    FIRST_REFRESH_LIFE,
    Client,
    Database,
    RefreshToken,
    User,
)
from hellojohn.emulator.v2.settings import Switches
from hellojohn.emulator.v2.tenants import Tenant
from hellojohn.emulator.v2.tokens import PASSWORD, REFRESHED, SECOND_FACTOR, Issuer

_SCOPES_WITHOUT_CLIENT = ("openid",)


@dataclass(frozen=True, slots=True)
class Grant:
    """A new pair of tokens, and the ``expires_in`` of the answer."""

    access_token: Secret
    refresh_token: Secret
    expires_in: int


@dataclass(frozen=True, slots=True)
class Due:
    """A second factor that is due: the challenge's token and the factors that answer it."""

    token: Secret
    available: list[str]
    preferred: str


class Usable(NamedTuple):
    """A refresh token that may be used, and its user."""

    token: RefreshToken
    user: User


class Rules:
    """The rules.

    Attributes:
        rotations: Refreshes that succeeded.
        reuses: Times a token that was rotated or revoked came again.
    """

    def __init__(
        self, issuer: Issuer, challenges: Challenges, switches: Switches, clock: Callable[[], float]
    ) -> None:
        """Go by these switches."""
        self._issuer = issuer
        self._challenges = challenges
        self._clock = clock
        self.switches: Switches = switches
        self.rotations: int = 0
        self.reuses: int = 0

    # Signing in

    def register(self, tenant: Tenant, new: NewUser, fields: dict[str, object]) -> User:
        """Add a user.

        Raises:
            V2Problem: The password breaks the policy, or the address is taken.
        """
        if not tenant.policy.accepts(new.password, email=new.email):
            raise V2Problem("BAD_REQUEST", "password does not meet policy requirements")
        tenant.need_database()
        user = tenant.data.accounts.add(new)
        if user is None:
            raise V2Problem("INTERNAL_SERVER_ERROR")
        return tenant.data.accounts.keep(replace(user, custom_fields=fields))

    def authenticate(self, tenant: Tenant, email: str, password: Secret) -> User:
        """Return the user with this email and password.

        Raises:
            V2Problem: The credentials are wrong or the user is disabled; that is looked at first.
        """
        user = tenant.data.accounts.find(email)
        if user is None:
            raise V2Problem("INVALID_CREDENTIALS")
        if user.disabled:
            raise V2Problem("user_disabled")
        if user.password != password:
            raise V2Problem("INVALID_CREDENTIALS")
        return user

    def sign_in(
        self,
        tenant: Tenant,
        client: Client,
        user: User,
        *,
        device: Device,
        trusted: Collection[Secret | None],
    ) -> Grant | Due:
        """Begin a session, or ask for a second factor.

        Raises:
            V2Problem: The client wants a verified address.
        """
        if client.verified_only and not user.verified:
            raise V2Problem("EMAIL_NOT_VERIFIED")
        factors = tenant.data.factors
        if not factors.are_demanded(user):
            return self.begin(tenant, client, user, device=device)
        if any(self._challenges.is_remembered(user, token) for token in trusted):
            return self.begin(tenant, client, user, device=device, amr=SECOND_FACTOR)
        token = self._challenges.new(tenant, user, client.id, device)
        return Due(token, factors.available(user), factors.preferred(user))

    def begin(
        self,
        tenant: Tenant,
        client: Client,
        user: User,
        *,
        device: Device,
        amr: tuple[str, ...] = PASSWORD,
        roles: Collection[str] | None = None,
    ) -> Grant:
        """Begin a session."""
        access_life, refresh_life = self.first_lives(tenant, client)
        access = self._issuer.for_password(
            tenant,
            user,
            client.id,
            scopes=user.access.scopes or client.scopes,
            amr=amr,
            ttl=access_life,
            roles=roles,
        )
        refresh = tenant.data.tokens.begin(user, client.id, life=refresh_life, device=device)
        return Grant(access, refresh, access_life - 1)

    def first_lives(self, tenant: Tenant, client: Client) -> tuple[int, int]:
        """Return the lives of the first access and refresh token of a session, in seconds."""
        if self.switches.lifetimes_from_sign_in:
            return tenant.ttls(client)
        return FIRST_ACCESS_LIFE, FIRST_REFRESH_LIFE

    # Second factors

    def answer(
        self,
        tenant: Tenant,
        token: Secret,
        kind: str,
        *,
        code: Secret | None,
        recovery: Secret | None,
    ) -> tuple[User, Grant]:
        """Answer a challenge, and begin the session that waits for it.

        Raises:
            V2Problem: The challenge is over, or the code is wrong.
        """
        challenge = self._challenges.get(tenant, token)
        factors, user = tenant.data.factors, tenant.user(challenge.user_id)
        client = tenant.client(challenge.client_id)
        if user is None or client is None:
            raise V2Problem("invalid_grant")
        if recovery is not None:
            is_right = factors.is_recovery_code(user.id, recovery)
        else:
            is_right = code is not None and factors.is_right(user.id, kind, code)
        if not is_right:
            raise V2Problem("invalid_mfa_code")
        self._challenges.close(token)
        grant = self.begin(tenant, client, user, device=challenge.device, amr=SECOND_FACTOR)
        return user, replace(grant, expires_in=grant.expires_in + 1)

    # A session's life

    def refresh(self, tenant: Tenant, client_id: str, token: Secret) -> Grant:
        """Replace a refresh token; the module's docstring has the table.

        Raises:
            V2Problem: The token is no longer good.
        """
        used = self.usable(tenant, client_id, token)
        client = tenant.client_in_any_case(used.token.client_id)
        access_life, refresh_life = tenant.ttls(client)
        scopes = client.scopes if client else _SCOPES_WITHOUT_CLIENT
        access = self._issuer.for_password(
            tenant,
            used.user,
            client_id,
            scopes=used.user.access.scopes or scopes,
            amr=REFRESHED,
            ttl=access_life,
            roles=used.user.access.roles,
        )
        return Grant(access, self.rotate(tenant, used.token, refresh_life), access_life - 1)

    def usable(self, tenant: Tenant, client_id: str, token: Secret) -> Usable:
        """Return a refresh token that this client may use now.

        Raises:
            V2Problem: It is no longer good.
        """
        tokens = tenant.data.tokens
        found = tokens.find(token)
        user = None if found is None else tenant.user(found.user_id)
        if found is None or user is None:
            raise V2Problem("SESSION_EXPIRED")
        if found.revoked:
            raise self._revoked(tenant, found)
        if tokens.has_expired(found):
            raise V2Problem("SESSION_EXPIRED")
        _check_client(found, client_id)
        if user.disabled:
            raise V2Problem("user_disabled")
        return Usable(found, user)

    def rotate(self, tenant: Tenant, token: RefreshToken, life: float) -> Secret:
        """Revoke a refresh token, and return its successor."""
        self.rotations += 1
        return tenant.data.tokens.rotate(token, life=life)

    def sign_out(self, tenant: Tenant, client_id: str, token: Secret) -> None:
        """End the session of a refresh token, also of an old one. An unknown token changes nothing.

        Raises:
            V2Problem: The token belongs to another client.
        """
        found = tenant.data.tokens.find(token)
        if found is not None:
            _check_client(found, client_id)
            tenant.data.tokens.revoke(lambda other: other.family == found.family)

    def revoke_user(self, tenant: Tenant, user_id: str, *, client_id: str = "") -> int:
        """End every session of a user, or those with one client; return how many tokens were revoked."""
        return tenant.data.tokens.revoke(
            lambda token: token.user_id == user_id and client_id in ("", token.client_id)
        )

    def _revoked(self, tenant: Tenant, token: RefreshToken) -> V2Problem:
        self.reuses += 1
        if not self.switches.reuse_detection:
            return V2Problem("UNAUTHORIZED", "refresh token is revoked")
        tenant.data.tokens.revoke(lambda other: other.family == token.family)
        return V2Problem("REFRESH_TOKEN_REUSE")


def need_known_database(tenant: Tenant, code: str, detail: str | None = None) -> None:
    """Refuse a call on a tenant that has no database as far as the server knows."""
    if tenant.database is Database.UNKNOWN:
        raise V2Problem(code, detail)


def _check_client(token: RefreshToken, client_id: str) -> None:
    if token.client_id.casefold() != client_id.casefold():
        raise V2Problem("UNAUTHORIZED", "client_id mismatch")

"""The values that the rules of v2 work on. Pure and frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from hellojohn._secret import Secret
from hellojohn.emulator.records import Access, Device, Profile

IssuerMode = Literal["path", "global"]
FIRST_ACCESS_LIFE: Final = 900
FIRST_REFRESH_LIFE: Final = 30 * 86_400
_GRANTS: Final = {"m2m": ("client_credentials",)}
_USUAL_GRANTS: Final = ("authorization_code", "refresh_token")


class Database(StrEnum):
    """The state of a tenant's database, as the server sees it."""

    READY = "ready"
    AWAY = "away"
    """It refuses connections, and the server takes that for an empty database."""
    UNKNOWN = "unknown"
    """It was never reached, or there is none: the server knows that it has no database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application that signs users in.

    Attributes:
        id: The ``client_id``.
        name: Its name.
        type: ``public``, or ``confidential`` with a secret.
        auth_profile: ``spa``, ``native``, ``web_ssr`` or ``m2m``; it decides about the grants.
        secret: The secret of a confidential client.
        redirect_uris: The addresses that a browser may be sent back to. They are compared as texts.
        post_logout_redirect_uris: The same after signing out.
        providers: The ways to sign in; empty for all.
        scopes: The scopes of its access tokens.
        access_token_ttl: The life of its access tokens in seconds, from the first refresh on.
        refresh_token_ttl: The life of its refresh tokens in seconds, from the first refresh on.
        verified_only: Whether sign-in refuses addresses that are not verified.
    """

    id: str
    name: str = ""
    type: str = "public"
    auth_profile: str = "spa"
    secret: Secret | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("password",)
    scopes: tuple[str, ...] = ("openid", "profile", "email", "profile:read", "offline_access")
    access_token_ttl: int | None = None
    refresh_token_ttl: int | None = None
    verified_only: bool = False

    @property
    def grants(self) -> tuple[str, ...]:
        """The grant types that it may use."""
        return _GRANTS.get(self.auth_profile, _USUAL_GRANTS)

    @property
    def takes_passwords(self) -> bool:
        """Whether users sign in to it with a password."""
        return not self.providers or "password" in self.providers


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who can sign in.

    Attributes:
        id: The user's UUID, the tokens' ``sub``.
        email: The address, in lower case.
        password: The password.
        history: Earlier passwords, the newest last.
        profile: The user's data.
        access: Roles and scopes that a test has given the user.
        verified: Whether the address is verified.
        disabled: Whether the user may not sign in.
        custom_fields: The fields given at registration.
    """

    id: str
    email: str
    password: Secret
    history: tuple[Secret, ...] = ()
    profile: Profile = field(default_factory=Profile)
    access: Access = field(default_factory=Access)
    verified: bool = False
    disabled: bool = False
    custom_fields: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """One refresh token. All that came from one sign-in are a family.

    Attributes:
        family: The id of its family, which the emulator shows as the session's id.
        serial: The number of tokens before it.
        user_id: Whose it is.
        client_id: The client that it was issued to.
        device: Where the sign-in came from.
        began_at: When the family began.
        issued_at: When it was issued.
        expires_at: When it expires.
        revoked: Whether it was rotated or revoked.
    """

    family: str
    serial: int
    user_id: str
    client_id: str
    device: Device
    began_at: float
    issued_at: float
    expires_at: float
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class CookieSession:
    """A browser that is signed in at the server's own address.

    Attributes:
        tenant: The tenant as the sign-in's body named it. authorization wants the slug here.
        user_id: Who is signed in.
        expires_at: When it ends.
    """

    tenant: str
    user_id: str
    expires_at: float

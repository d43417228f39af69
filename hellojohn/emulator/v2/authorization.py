"""Signing in with a browser: cookie sessions, authorization codes, and the tokens that a code is worth.

Pure, with the clock injected. The service holds a lock around every call.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import with_query
from hellojohn.emulator.records import Device
from hellojohn.emulator.v2.names import digest, new_token
from hellojohn.emulator.v2.problems import OAuthProblem, V2Problem
from hellojohn.emulator.v2.records import Client, CookieSession, User
from hellojohn.emulator.v2.rules import Rules
from hellojohn.emulator.v2.tenants import Directory, Tenant
from hellojohn.emulator.v2.tokens import Issuer

SESSION_LIFE: Final = 86_400
_CODE_LIFE: Final = 300.0
_AMR: Final = ("pwd", "mfa", "totp")  # the server names these for every user


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A checked authorization request.

    Attributes:
        tenant: The first tenant that has the client.
        client: The client.
        redirect_uri: Where the browser goes back to.
        scope: The scopes, as one text.
        state: The app's own value.
        nonce: The value that the ID token repeats.
        challenge: The PKCE challenge.
    """

    tenant: Tenant
    client: Client
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    challenge: str


@dataclass(frozen=True, slots=True)
class _Code:
    asked: Asked
    user_id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The tokens that a code was worth."""

    access_token: Secret
    refresh_token: Secret
    id_token: Secret
    expires_in: int
    scope: str


class Authorization:
    """The browsers that are signed in, and the codes on their way to apps."""

    def __init__(
        self, directory: Directory, issuer: Issuer, rules: Rules, clock: Callable[[], float]
    ) -> None:
        """Start without any."""
        self._directory = directory
        self._issuer = issuer
        self._rules = rules
        self._clock = clock
        self._sessions: dict[bytes, CookieSession] = {}
        self._codes: dict[bytes, _Code] = {}

    def open_session(self, tenant: str, user: User) -> Secret:
        """Sign a browser in, and return its cookie. ``tenant`` is as the request's body named it."""
        cookie = new_token()
        self._sessions[digest(cookie)] = CookieSession(tenant, user.id, self._clock() + SESSION_LIFE)
        return cookie

    def close_session(self, cookie: Secret) -> None:
        """Sign a browser out."""
        self._sessions.pop(digest(cookie), None)

    def user_of(self, cookie: Secret | None, tenant: Tenant) -> User | None:
        """Return the user of a browser that is signed in at this tenant by its slug."""
        session = None if cookie is None else self._sessions.get(digest(cookie))
        if session is None or session.tenant != tenant.slug or self._clock() >= session.expires_at:
            return None
        return tenant.user(session.user_id)

    def check(self, query: Mapping[str, str]) -> Asked:
        """Check an authorization request.

        Raises:
            V2Problem: The request is refused. The browser shows this, and the app does not learn of it.
        """
        given = {name: query.get(name, "") for name in ("client_id", "redirect_uri", "scope")}
        if query.get("response_type") != "code" or not all(given.values()):
            raise V2Problem("BAD_REQUEST", "missing required parameters")
        if "openid" not in given["scope"].split():
            raise V2Problem("SCOPE_NOT_ALLOWED", "scope must include openid")
        challenge = query.get("code_challenge", "")
        if not challenge or query.get("code_challenge_method") != "S256":
            raise V2Problem("PKCE_REQUIRED")
        found = self._directory.with_client(given["client_id"])
        if found is None:
            raise V2Problem("CLIENT_NOT_FOUND")
        tenant, client = found
        if given["redirect_uri"] not in client.redirect_uris:
            raise V2Problem("REDIRECT_URI_MISMATCH")
        return Asked(
            tenant=tenant,
            client=client,
            redirect_uri=given["redirect_uri"],
            scope=given["scope"],
            state=query.get("state", ""),
            nonce=query.get("nonce", ""),
            challenge=challenge,
        )

    def grant(self, asked: Asked, user: User) -> str:
        """Return the address at which the app receives a code."""
        code = new_token()
        self._codes[digest(code)] = _Code(asked, user.id, self._clock() + _CODE_LIFE)
        state = {"state": asked.state} if asked.state else {}
        return with_query(asked.redirect_uri, code=code.reveal(), **state)

    def redeem(self, code: Secret, *, client_id: str, redirect_uri: str, verifier: Secret) -> Redeemed:
        """Return the tokens that a code is worth. Whatever comes of it, the code is used up.

        Raises:
            OAuthProblem: The code is not good here. The published server refuses every code, because the
                challenge method that it stores is not the one that it looks for.
        """
        kept = self._codes.pop(digest(code), None)
        if kept is None or self._clock() >= kept.expires_at:
            raise invalid_grant()
        asked, user = kept.asked, kept.asked.tenant.user(kept.user_id)
        fits = (asked.client.id, asked.redirect_uri) == (client_id, redirect_uri)
        if not fits or not _is_answer(verifier, asked.challenge):
            raise invalid_grant()
        if user is None or user.disabled or not self._rules.switches.mended:
            raise invalid_grant()
        return self._tokens(asked, user)

    def _tokens(self, asked: Asked, user: User) -> Redeemed:
        tenant, client = asked.tenant, asked.client
        access_life, refresh_life = self._rules.first_lives(tenant, client)
        common = {"subject": user.id, "client_id": client.id, "ttl": access_life, "amr": _AMR, "level": 2}
        scopes = asked.scope.split()
        access = self._issuer.for_oauth(tenant, **common, scope=asked.scope, scp=scopes)  # type: ignore[arg-type]
        identity = _identity(user, access, asked)
        refresh = tenant.data.tokens.begin(user, client.id, life=refresh_life, device=Device())
        return Redeemed(
            access_token=access,
            refresh_token=refresh,
            id_token=self._issuer.for_oauth(tenant, **common, **identity),  # type: ignore[arg-type]
            expires_in=access_life - 1,
            scope=asked.scope,
        )


def invalid_grant() -> OAuthProblem:
    """Return the one answer to every code or refresh token that is not good."""
    return OAuthProblem("invalid_grant", "Invalid or expired grant")


def _identity(user: User, access: Secret, asked: Asked) -> dict[str, object]:
    half = hashlib.sha256(access.reveal().encode()).digest()[:16]
    scopes = asked.scope.split()
    claims: dict[str, object] = {
        "azp": asked.client.id,
        "at_hash": _base64url(half),
        "nonce": asked.nonce or None,
    }
    if "email" in scopes:
        claims |= {"email": user.email, "email_verified": user.verified}
    if user.profile.name and "profile" in scopes:
        claims |= {"name": user.profile.name, "given_name": user.profile.name.partition(" ")[0]}
    return claims


def _is_answer(verifier: Secret, challenge: str) -> bool:
    return _base64url(hashlib.sha256(verifier.reveal().encode()).digest()) == challenge


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

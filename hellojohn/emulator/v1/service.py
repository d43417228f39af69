"""v1 as a ``Service`` of the emulator: it wires the rules to the routes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.app import Call, Errors
from hellojohn.emulator.keys import SigningKeys
from hellojohn.emulator.records import AccountState, NewUser, SessionInfo
from hellojohn.emulator.requests import Fields, refuse
from hellojohn.emulator.service import Surroundings
from hellojohn.emulator.v1 import responses
from hellojohn.emulator.v1.credentials import Credentials
from hellojohn.emulator.v1.errors import V1Errors
from hellojohn.emulator.v1.grants import Grants
from hellojohn.emulator.v1.records import Event, Session
from hellojohn.emulator.v1.routes.admin import AdminRoutes
from hellojohn.emulator.v1.routes.auth import AuthRoutes
from hellojohn.emulator.v1.routes.mfa import MfaRoutes
from hellojohn.emulator.v1.routes.pages import PageRoutes
from hellojohn.emulator.v1.routes.ways import WayRoutes
from hellojohn.emulator.v1.rules import Rules
from hellojohn.emulator.v1.table import Routes, table
from hellojohn.emulator.v1.tokens import Issuer
from hellojohn.emulator.v1.ways import Ways

_AUTHORIZE: Final = re.compile(r"/v1/auth/oauth/([^/]+)/authorize")


class V1Service:
    """The documented cloud API with one tenant, in memory; a ``Service``."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        tenant_id: str,
        publishable_key: Secret,
        secret_key: Secret,
        shape: responses.Shape,
        reuse_grace: str | timedelta | None,
    ) -> None:
        """Start without users.

        Args:
            surroundings: The parts that it shares with the emulator.
            tenant_id: The tenant's id.
            publishable_key: The key for sign-in and sign-up.
            secret_key: The key for sessions and settings.
            shape: Which of the two documented shapes sign-in answers in.
            reuse_grace: How long after its rotation a refresh token works once more, if at all.

        Raises:
            ConfigurationError: The shape or the time is malformed.
        """
        if shape not in ("nested", "flat"):
            msg = f"answers is 'nested' or 'flat', not {shape!r}."
            raise ConfigurationError(msg)
        clock, inbox = surroundings.clock, surroundings.inbox
        self._emit = surroundings.emit
        self._keys = SigningKeys(clock)
        self._issuer = Issuer(self._keys, tenant_id=tenant_id)
        self._rules = Rules(clock=clock, inbox=inbox, reuse_grace=reuse_grace, on_event=self._on_event)
        self._ways = Ways(self._rules, clock=clock, inbox=inbox)
        self._grants = Grants(self._rules, self._issuer, clock=clock, shape=shape)
        credentials = Credentials(
            self._issuer, clock=clock, publishable_key=publishable_key, secret_key=secret_key
        )
        self._routes = self._make_routes(credentials, surroundings)

    @property
    def errors(self) -> Errors:
        """How the API writes its errors."""
        return V1Errors()

    @property
    def keys(self) -> SigningKeys:
        """The keys that sign access tokens."""
        return self._keys

    @property
    def rotations(self) -> int:
        """How many refreshes have succeeded."""
        return self._rules.rotations

    @property
    def reuses(self) -> int:
        """How many times a rotated refresh token was presented again."""
        return self._rules.reuses

    def table(self) -> Sequence[Call]:
        """Return every route."""
        return table(self._routes)

    def listen_at(self, url: str) -> None:
        """Note the address of the host. Tokens and links name it."""
        self._issuer.url = self._ways.url = url

    def add_user(self, user: NewUser) -> str:
        """Add a user, and return the user's id."""
        return self._rules.add_user(user).id

    def set_state(self, email: str, state: AccountState) -> None:
        """Lock, disable or enable an account."""
        self._rules.set_state(email, state)

    def delete_user(self, email: str) -> None:
        """Delete a user."""
        self._rules.delete_user(email)

    def mfa_code(self, email: str) -> str:
        """Return a code that answers the user's authenticator app now."""
        with self._rules.lock:
            return self._rules.factors.current_code(self._rules.accounts.named(email).id)

    def session(self, session_id: str) -> SessionInfo:
        """Return a session as it is now."""
        return _info(self._rules.session(session_id))

    def sessions(self, email: str | None) -> list[SessionInfo]:
        """Return the sessions of a user, or all of them, the oldest first."""
        with self._rules.lock:
            user_id = None if email is None else self._rules.accounts.named(email).id
            return [_info(session) for session in reversed(self._rules.sessions(user_id=user_id))]

    def revoke(self, session_id: str) -> None:
        """End a session."""
        self._rules.revoke(session_id)

    def reject_access_tokens(self) -> None:
        """Make the sample resource refuse every access token that was issued so far."""
        self._issuer.reject_all()

    def configure(self, settings: Mapping[str, object]) -> None:
        """Change session settings."""
        self._rules.configure(settings)

    def token(
        self,
        email: str,
        *,
        access: Mapping[str, tuple[str, ...]],
        life: timedelta | None,
        claims: Mapping[str, object],
    ) -> str:
        """Open a session and return its access token."""
        with self._rules.lock:
            user = self._rules.accounts.named(email)
            grant = self._rules.open_session(user, access=replace(user.access, **access))
        return self._grants.issue(grant, life=life, claims=claims).text.reveal()

    def authorize(self, url: str, email: str) -> str:
        """Do the browser's part of a sign-in through a provider."""
        parts = urlsplit(url)
        match = _AUTHORIZE.fullmatch(parts.path)
        if match is None:
            refuse("The address is not one of /v1/auth/oauth/{provider}/authorize.")
        query: dict[str, object] = dict(parse_qsl(parts.query))
        flow_id = self._routes.ways.start_oauth(match[1], Fields(query, allowed=tuple(query)))
        return self._ways.approve_user(flow_id, email)

    def _make_routes(self, credentials: Credentials, surroundings: Surroundings) -> Routes:
        rules, grants, clock = self._rules, self._grants, surroundings.clock
        return Routes(
            auth=AuthRoutes(rules, credentials, grants),
            mfa=MfaRoutes(rules, credentials, grants, clock=clock),
            ways=WayRoutes(rules, self._ways, credentials, grants),
            admin=AdminRoutes(rules, self._issuer, credentials, clock=clock),
            pages=PageRoutes(self._ways, surroundings.inbox),
        )

    def _on_event(self, event: Event) -> None:
        data: dict[str, object] = {"user": responses.user_json(event.user)}
        if event.session is not None:
            shown = responses.session_json(event.session, tenant_id=self._issuer.tenant_id)
            data = {"session": shown, **data}
        self._emit(event.kind, data)


def _info(session: Session) -> SessionInfo:
    return SessionInfo(
        id=session.id,
        user_id=session.user_id,
        status=session.status,
        device=session.device,
        created_at=session.created_at,
        last_active_at=session.last_active_at,
        expires_at=session.expires_at,
    )

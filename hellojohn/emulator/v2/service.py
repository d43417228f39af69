"""v2 as a ``Service`` of the emulator: it wires the rules to the routes."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hellojohn.emulator.app import Call, Errors, Handler
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.records import AccountState, Device, NewUser, SessionInfo
from hellojohn.emulator.service import Surroundings
from hellojohn.emulator.v2 import settings as changes
from hellojohn.emulator.v2.errors import V2Errors
from hellojohn.emulator.v2.keys import TenantKeys
from hellojohn.emulator.v2.records import Client, Database, User
from hellojohn.emulator.v2.routes.account import AccountRoutes
from hellojohn.emulator.v2.routes.admin import AdminRoutes
from hellojohn.emulator.v2.routes.auth import AuthRoutes
from hellojohn.emulator.v2.routes.mfa import MfaRoutes
from hellojohn.emulator.v2.routes.oauth import OAuthRoutes
from hellojohn.emulator.v2.routes.passwords import PasswordRoutes
from hellojohn.emulator.v2.routes.wellknown import WellKnownRoutes
from hellojohn.emulator.v2.server import Server, make_server
from hellojohn.emulator.v2.table import Routes, table
from hellojohn.emulator.v2.tokens import PASSWORD

_FACTORS: Final = {"email_otp": "email", "email": "email", "sms": "sms"}


class V2Service:
    """The open-source server with one tenant and one client, in memory; a ``Service``.

    Attributes:
        server: The server.
    """

    def __init__(self, surroundings: Surroundings, *, tenant: str, client: Client) -> None:
        """Start without users.

        Args:
            surroundings: The parts that it shares with the emulator.
            tenant: The slug of the tenant that the emulator's methods are about.
            client: The client that they are about.
        """
        self.server: Server = make_server(surroundings.clock, surroundings.inbox)
        self._tenant = self.server.add_tenant(tenant)
        self._tenant.clients[client.id] = client
        self._client_id = client.id
        self._lock = threading.RLock()
        self._oauth = OAuthRoutes(self.server)

    @property
    def errors(self) -> Errors:
        """How the API writes its errors."""
        return V2Errors()

    @property
    def keys(self) -> TenantKeys:
        """The keys that sign access tokens."""
        return self._tenant.keys

    @property
    def rotations(self) -> int:
        """How many refreshes have succeeded."""
        return self.server.rules.rotations

    @property
    def reuses(self) -> int:
        """How many times a token that was rotated or revoked was presented again."""
        return self.server.rules.reuses

    def table(self) -> Sequence[Call]:
        """Return every route."""
        account = AccountRoutes(self.server)
        routes = Routes(
            auth=AuthRoutes(self.server),
            account=account,
            mfa=MfaRoutes(self.server, account),
            passwords=PasswordRoutes(self.server),
            oauth=self._oauth,
            admin=AdminRoutes(self.server),
            wellknown=WellKnownRoutes(self.server),
        )
        return table(routes, locked=self._locked)

    def listen_at(self, url: str) -> None:
        """Note the address of the server. Tokens and links name it."""
        self.server.issuer.url = url

    # Users

    def add_user(self, user: NewUser) -> str:
        """Add a user, and return the user's id."""
        if not user.email.strip():
            raise _mistake("email is empty.")
        if not set(user.factors) <= set(_FACTORS):
            raise _mistake(f"A second factor is one of {', '.join(_FACTORS)}.")
        with self._lock:
            added = self._tenant.stored.accounts.add(user)
            if added is None:
                raise _mistake("There is a user with this email already.")
            sent = tuple(_FACTORS[kind] for kind in user.factors)
            self._tenant.stored.factors.install(added, code=user.mfa_code, kinds=sent)
        return added.id

    def set_state(self, email: str, state: AccountState) -> None:
        """Disable or enable an account. Disabling revokes its refresh tokens for good."""
        if state is AccountState.LOCKED:
            raise _mistake("This server cannot lock a user. Use disable_user.")
        with self._lock:
            user = replace(self._named(email), disabled=state is AccountState.DISABLED)
            self._tenant.stored.accounts.keep(user)
            if user.disabled:
                self.server.rules.revoke_user(self._tenant, user.id)

    def delete_user(self, email: str) -> None:
        """Delete a user, and with the user every refresh token."""
        with self._lock:
            user = self._named(email)
            self._tenant.stored.accounts.delete(user)
            self._tenant.stored.tokens.forget_user(user.id)

    def mfa_code(self, email: str) -> str:
        """Return a code that answers the user's authenticator app now."""
        with self._lock:
            code = self._tenant.stored.factors.current_code(self._named(email).id)
        if code is None:
            raise _mistake("The user has no authenticator app.")
        return code

    # Sessions and tokens

    def sessions(self, email: str | None) -> list[SessionInfo]:
        """Return the sessions of a user, or all of them, the oldest first. Each is a family of tokens."""
        with self._lock:
            user_id = None if email is None else self._named(email).id
            found = self._tenant.stored.tokens.sessions()
        return [session for session in found if user_id in (None, session.user_id)]

    def session(self, session_id: str) -> SessionInfo:
        """Return a session as it is now."""
        for session in self.sessions(None):
            if session.id == session_id:
                return session
        raise _mistake("There is no such session.")

    def revoke(self, session_id: str) -> None:
        """End a session."""
        self.session(session_id)
        with self._lock:
            self._tenant.stored.tokens.revoke(lambda token: token.family == session_id)

    def reject_access_tokens(self) -> None:
        """Make the sample resource refuse every access token that was issued so far."""
        with self._lock:
            self.server.issuer.reject_all()

    def set_database(self, database: Database) -> None:
        """Take the tenant's database away, or bring it back."""
        with self._lock:
            self._tenant.database = database

    def add_client(self, client: Client) -> None:
        """Add a client, or replace one."""
        with self._lock:
            self._tenant.clients[client.id] = client

    def configure(self, settings: Mapping[str, object]) -> None:
        """Change settings of the server, of the tenant, and of its client."""
        checked = changes.check(settings)
        with self._lock:
            self.server.rules.switches = checked.to_switches(self.server.rules.switches)
            self._tenant.clients[self._client_id] = checked.to_client(self._client)
            checked.apply_to(self._tenant)

    def token(
        self,
        email: str,
        *,
        access: Mapping[str, tuple[str, ...]],
        life: timedelta | None,
        claims: Mapping[str, object],
    ) -> str:
        """Open a session and return its access token."""
        with self._lock:
            user, client = self._named(email), self._client
            access_life, refresh_life = self.server.rules.first_lives(self._tenant, client)
            self._tenant.stored.tokens.begin(user, client.id, life=refresh_life, device=Device())
            named = replace(user.access, **access)
            token = self.server.issuer.for_password(
                self._tenant,
                user,
                client.id,
                scopes=named.scopes or client.scopes,
                amr=PASSWORD,
                ttl=access_life if life is None else life.total_seconds(),
                roles=named.roles,
                claims=claims,
            )
        return token.reveal()

    def authorize(self, url: str, email: str) -> str:
        """Do the browser's part of a sign-in, and return the address that the browser ends on."""
        with self._lock:
            return self._oauth.approve(url, email)

    @property
    def _client(self) -> Client:
        return self._tenant.clients[self._client_id]

    def _locked(self, handler: Handler) -> Handler:
        def locked(request: Request) -> Response:
            with self._lock:
                return handler(request)

        return locked

    def _named(self, email: str) -> User:
        user = self._tenant.stored.accounts.find(email)
        if user is None:
            raise _mistake("There is no such user.")
        return user


def _mistake(message: str) -> ApiProblem:
    """Return the error of a test that names something wrong."""
    return ApiProblem("BAD_REQUEST", message, status=400)

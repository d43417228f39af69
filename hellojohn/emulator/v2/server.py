"""Everything that the routes of v2 work with, in one value."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.keys import SigningKeys
from hellojohn.emulator.mail import Inbox
from hellojohn.emulator.v2.accounts import Accounts
from hellojohn.emulator.v2.authorization import Authorization
from hellojohn.emulator.v2.challenges import Challenges
from hellojohn.emulator.v2.factors import Factors
from hellojohn.emulator.v2.families import Families
from hellojohn.emulator.v2.keys import TenantKeys
from hellojohn.emulator.v2.links import Links
from hellojohn.emulator.v2.names import new_id
from hellojohn.emulator.v2.rules import Rules
from hellojohn.emulator.v2.settings import Switches
from hellojohn.emulator.v2.tenants import Data, Directory, Tenant
from hellojohn.emulator.v2.tokens import Issuer

ADMIN_EMAIL: Final = "admin@example.test"
ADMIN_PASSWORD: Final = "Admin-Horse-9-Battery"  # noqa: S105 - it opens nothing but an emulator
_ADMIN_LIFE: Final = 900


@dataclass(slots=True)
class Server:
    """The open-source server with its tenants, in memory.

    Attributes:
        clock: The time.
        inbox: Where mails go.
        directory: The tenants.
        issuer: Signs and reads tokens.
        challenges: The second factors that are due.
        rules: How sessions begin, go on and end.
        authorization: The sign-ins of browsers.
        admin_id: The id of the one administrator.
        api_keys: The keys of back ends by their scope: ``admin``, ``readonly``, ``tenant:<slug>``.
    """

    clock: Callable[[], float]
    inbox: Inbox
    directory: Directory
    issuer: Issuer
    challenges: Challenges
    rules: Rules
    authorization: Authorization
    admin_id: str
    api_keys: dict[str, Secret]

    def add_tenant(self, slug: str) -> Tenant:
        """Add a tenant."""
        tenant = Tenant(
            id=new_id(),
            slug=slug,
            keys=TenantKeys(self.clock, self.issuer.keys),
            stored=self._data(),
            empty=self._data(),
        )
        return self.directory.add(tenant)

    def api_key(self, scope: str) -> Secret:
        """Return the key for a scope: ``admin``, ``readonly`` or ``tenant:<slug>``. It never changes."""
        if scope not in self.api_keys:
            kinds = {"admin": "admin", "readonly": "ro"}
            kind = kinds.get(scope) or f"t_{scope.removeprefix('tenant:')}"
            self.api_keys[scope] = Secret(f"hj_{kind}_{hashlib.sha256(scope.encode()).hexdigest()}")
        return self.api_keys[scope]

    def admin_tokens(self) -> tuple[Secret, Secret, int]:
        """Return an administrator's access and refresh token, and the first one's life in seconds."""
        access = self.issuer.for_admin(self.admin_id, email=ADMIN_EMAIL, ttl=_ADMIN_LIFE)
        refresh = self.issuer.for_admin(self.admin_id, email=ADMIN_EMAIL, ttl=30 * 86_400, use="refresh")
        return access, refresh, _ADMIN_LIFE

    def _data(self) -> Data:
        return Data(Accounts(), Families(self.clock), Factors(self.clock), Links(self.clock))


def make_server(clock: Callable[[], float], inbox: Inbox) -> Server:
    """Return a server without tenants."""
    directory = Directory()
    issuer = Issuer(clock, SigningKeys(clock), directory)
    challenges = Challenges(clock)
    rules = Rules(issuer, challenges, Switches(), clock)
    authorization = Authorization(directory, issuer, rules, clock)
    return Server(clock, inbox, directory, issuer, challenges, rules, authorization, new_id(), {})

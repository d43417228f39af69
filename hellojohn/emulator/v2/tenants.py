"""The tenants of a server with everything that belongs to each, and how requests name them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hellojohn.emulator.v2.accounts import Accounts
from hellojohn.emulator.v2.factors import Factors
from hellojohn.emulator.v2.families import Families
from hellojohn.emulator.v2.keys import TenantKeys
from hellojohn.emulator.v2.links import Links
from hellojohn.emulator.v2.policy import PasswordPolicy
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import (
    FIRST_ACCESS_LIFE,
    FIRST_REFRESH_LIFE,
    Client,
    Database,
    IssuerMode,
    User,
)


@dataclass(slots=True)
class Data:
    """The contents of a tenant's database."""

    accounts: Accounts
    tokens: Families
    factors: Factors
    links: Links


@dataclass(slots=True, kw_only=True)
class Tenant:
    """One tenant.

    Attributes:
        id: Its UUID, which tokens carry.
        slug: The name that requests give it.
        keys: The keys that sign its tokens.
        stored: The contents of its database.
        empty: An empty database, which the server sees while the real one is away.
        clients: Its applications.
        database: The state of its database.
        issuer_mode: Whether password tokens name the tenant in ``iss``.
        policy: The rules for new passwords.
        access_token_ttl: The life of access tokens in seconds, for clients that say nothing.
        refresh_token_ttl: The life of refresh tokens in seconds, for clients that say nothing.
    """

    id: str
    slug: str
    keys: TenantKeys
    stored: Data
    empty: Data
    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    database: Database = Database.READY
    issuer_mode: IssuerMode = "path"
    policy: PasswordPolicy = field(default_factory=PasswordPolicy)
    access_token_ttl: int = FIRST_ACCESS_LIFE
    refresh_token_ttl: int = FIRST_REFRESH_LIFE

    @property
    def data(self) -> Data:
        """The data that a query sees. While the database is away, the server takes it for an empty one."""
        return self.stored if self.database is Database.READY else self.empty

    def need_database(self, problem: str = "INTERNAL_SERVER_ERROR", detail: str | None = None) -> None:
        """Refuse a call that has to write while the database is away."""
        if self.database is not Database.READY:
            raise V2Problem(problem, detail)

    def client(self, client_id: str) -> Client | None:
        """Return a client by its id, letter by letter."""
        return self.clients.get(client_id)

    def client_in_any_case(self, client_id: str) -> Client | None:
        """Return a client by its id in any case: refreshing looks for it like that."""
        wanted = client_id.casefold()
        return next((client for name, client in self.clients.items() if name.casefold() == wanted), None)

    def ttls(self, client: Client | None) -> tuple[int, int]:
        """Return the lives of access and refresh tokens in seconds that count from the first refresh on."""
        if client is None:
            return self.access_token_ttl, self.refresh_token_ttl
        return (
            client.access_token_ttl or self.access_token_ttl,
            client.refresh_token_ttl or self.refresh_token_ttl,
        )

    def user(self, user_id: str) -> User | None:
        """Return a user, as far as the database answers."""
        return self.data.accounts.get(user_id)


class Directory:
    """The tenants of a server."""

    def __init__(self) -> None:
        """Start without any."""
        self._tenants: list[Tenant] = []

    def add(self, tenant: Tenant) -> Tenant:
        """Add a tenant."""
        self._tenants.append(tenant)
        return tenant

    def __iter__(self) -> Iterator[Tenant]:
        """Return the tenants, the oldest first."""
        return iter(self._tenants)

    def find(self, named: str) -> Tenant | None:
        """Return a tenant by slug or UUID."""
        return next((tenant for tenant in self._tenants if named in (tenant.slug, tenant.id)), None)

    def with_client(self, client_id: str) -> tuple[Tenant, Client] | None:
        """Return the first tenant that has a client of this name, and the client."""
        for tenant in self._tenants:
            client = tenant.client(client_id)
            if client is not None:
                return tenant, client
        return None

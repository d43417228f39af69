"""How v2's requests are built: with tenant and client in the body, and with the tenant in a header as well.

A login without tenant and client is taken for an administrator's, so both are always sent. The header is sent
everywhere: without it, some routes read the tenant from the host's name.
"""

from collections.abc import Mapping
from urllib.parse import quote

from hellojohn._details import Device
from hellojohn._secret import Secret
from hellojohn._wire.arguments import device_headers, required_key
from hellojohn._wire.values import ApiRequest

Body = Mapping[str, object]


class Requests:
    """Builds requests for one client of one tenant.

    Attributes:
        base_url: The host, without a version.
        tenant_id: The tenant's slug.
        client_id: The client's id.
        secret_key: The API key of a back end's requests.
        headers: The headers of every request.
        names: The tenant and the client, for a body.
    """

    def __init__(self, base_url: str, tenant_id: str, client_id: str, secret_key: Secret | None) -> None:
        """Build requests with these settings."""
        self.base_url = base_url
        self.tenant_id = tenant_id
        self.client_id = client_id
        self.secret_key = secret_key
        self.headers = {"X-Tenant-ID": tenant_id}
        self.names = {"tenant_id": tenant_id, "client_id": client_id}

    def bare(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        bearer: Secret | None = None,
        device: Device | None = None,
        idempotent: bool = False,
    ) -> ApiRequest:
        """Build a request with this bearer, or with none."""
        headers = {**self.headers, **device_headers(device)}
        return ApiRequest(method, path, body, bearer, headers, idempotent=idempotent)

    def client(
        self,
        path: str,
        body: Body,
        *,
        bearer: Secret | None = None,
        device: Device | None = None,
        idempotent: bool = False,
    ) -> ApiRequest:
        """Build a request that names tenant and client in its body."""
        content = {**self.names, **body}
        return self.bare("POST", path, content, bearer=bearer, device=device, idempotent=idempotent)

    def form(self, path: str, body: Body, *, idempotent: bool = False) -> ApiRequest:
        """Build a request of OAuth, which is a form."""
        return ApiRequest("POST", path, body, headers=self.headers, form=True, idempotent=idempotent)

    def server(
        self, method: str, path: str, body: Body | None = None, *, call: str, idempotent: bool = False
    ) -> ApiRequest:
        """Build an administrator's request below the tenant.

        Raises:
            ConfigurationError: The client has no secret key.
        """
        key = required_key(self.secret_key, name="secret_key", call=call)
        target = f"/v2/admin/tenants/{quote(self.tenant_id, safe='')}/{path}"
        headers: dict[str, str | Secret] = {**self.headers, "X-API-Key": key}
        return ApiRequest(method, target, body, headers=headers, idempotent=idempotent)

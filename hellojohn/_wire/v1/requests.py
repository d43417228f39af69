"""How v1's requests are built: with the tenant's header, and with the key or token that each kind needs."""

from collections.abc import Mapping

from hellojohn._details import Device
from hellojohn._secret import Secret
from hellojohn._wire.arguments import device_headers, required_key
from hellojohn._wire.values import ApiRequest

Body = Mapping[str, object]


class Requests:
    """Builds requests for one tenant.

    Attributes:
        base_url: The host, without a version.
        tenant_id: The tenant.
        publishable_key: The key of public requests.
        secret_key: The key of a back end's requests.
        headers: The headers of every request.
    """

    def __init__(
        self, base_url: str, tenant_id: str, publishable_key: Secret | None, secret_key: Secret | None
    ) -> None:
        """Build requests with these settings."""
        self.base_url = base_url
        self.tenant_id = tenant_id
        self.publishable_key = publishable_key
        self.secret_key = secret_key
        self.headers = {"X-Tenant-ID": tenant_id}

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

    def public(self, path: str, body: Body, *, call: str, device: Device | None = None) -> ApiRequest:
        """Build a request with the publishable key.

        Raises:
            ConfigurationError: The client has none.
        """
        key = required_key(self.publishable_key, name="publishable_key", call=call)
        return self.bare("POST", path, body, bearer=key, device=device)

    def server(
        self, method: str, path: str, body: Body | None = None, *, call: str, idempotent: bool = False
    ) -> ApiRequest:
        """Build a request with the secret key.

        Raises:
            ConfigurationError: The client has none.
        """
        key = required_key(self.secret_key, name="secret_key", call=call)
        return self.bare(method, path, body, bearer=key, idempotent=idempotent)

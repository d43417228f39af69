"""Checks who calls v1: the tenant's header, the two keys and the user's access token."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from hellojohn._secret import Secret
from hellojohn.emulator.problems import ApiProblem
from hellojohn.emulator.requests import bearer
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.tokens import Issuer


class Credentials:
    """The checks of one tenant. Each raises ``V1Problem`` when the credential is missing or wrong."""

    def __init__(
        self, issuer: Issuer, *, clock: Callable[[], float], publishable_key: Secret, secret_key: Secret
    ) -> None:
        """Check against these keys and this issuer's tokens."""
        self._issuer = issuer
        self._clock = clock
        self._publishable_key = publishable_key
        self._secret_key = secret_key

    def need_tenant(self, request: Request) -> None:
        """Require the tenant's header."""
        if request.headers.get("x-tenant-id") != self._issuer.tenant_id:
            raise V1Problem("tenant_mismatch")

    def need_publishable_key(self, request: Request) -> None:
        """Require the publishable key."""
        self.need_tenant(request)
        if bearer(request) != self._publishable_key:
            raise V1Problem("invalid_publishable_key")

    def need_secret_key(self, request: Request, *, otherwise: str = "insufficient_permissions") -> None:
        """Require the secret key. ``otherwise`` is the code for a known credential that is not enough."""
        self.need_tenant(request)
        credential = bearer(request)
        if credential == self._secret_key:
            return
        raise V1Problem(otherwise if self._is_known(credential) else "invalid_api_key")

    def need_user(self, request: Request, *, expired: bool = False) -> dict[str, Any]:
        """Require an access token, with ``expired`` also an expired one, and return its claims."""
        self.need_tenant(request)
        return self._issuer.read(bearer(request), now=None if expired else self._clock())

    def is_publishable_key(self, request: Request) -> bool:
        """Return whether the caller sent the publishable key."""
        return bearer(request) == self._publishable_key

    def _is_known(self, credential: Secret) -> bool:
        if credential == self._publishable_key:
            return True
        with suppress(ApiProblem):
            self._issuer.read(credential, now=None)
            return True
        return False

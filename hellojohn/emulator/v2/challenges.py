"""Sign-ins that wait for a second factor, and devices that need none.

Pure, with the clock injected. The service holds a lock around every call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.records import Device
from hellojohn.emulator.v2.names import digest, new_token
from hellojohn.emulator.v2.problems import V2Problem
from hellojohn.emulator.v2.records import User
from hellojohn.emulator.v2.tenants import Tenant

DEVICE_LIFE: Final = 30 * 86_400
_CHALLENGE_LIFE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """A second factor that is due, and the sign-in that waits for it."""

    tenant_id: str
    user_id: str
    client_id: str
    device: Device
    expires_at: float


class Challenges:
    """The open challenges and the remembered devices of a server."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._open: dict[bytes, Challenge] = {}
        self._devices: dict[bytes, tuple[str, float]] = {}

    def new(self, tenant: Tenant, user: User, client_id: str, device: Device) -> Secret:
        """Return the token of a new challenge. Earlier ones of the user stay good."""
        token = new_token()
        ends = self._clock() + _CHALLENGE_LIFE
        self._open[digest(token)] = Challenge(tenant.id, user.id, client_id, device, ends)
        return token

    def get(self, tenant: Tenant, token: Secret) -> Challenge:
        """Return an open challenge. Wrong codes do not end it.

        Raises:
            V2Problem: It was answered, has expired, belongs to another tenant, or never existed.
        """
        challenge = self._open.get(digest(token))
        if challenge is None or challenge.tenant_id != tenant.id or self._clock() >= challenge.expires_at:
            raise V2Problem("invalid_grant")
        return challenge

    def close(self, token: Secret) -> None:
        """End a challenge: it was answered."""
        del self._open[digest(token)]

    def remember_device(self, user_id: str) -> Secret:
        """Return a token with which the user signs in without a second factor for 30 days."""
        token = new_token()
        self._devices[digest(token)] = (user_id, self._clock() + DEVICE_LIFE)
        return token

    def is_remembered(self, user: User, device_token: Secret | None) -> bool:
        """Return whether a device needs no second factor."""
        if device_token is None:
            return False
        owner, ends = self._devices.get(digest(device_token), ("", 0.0))
        return owner == user.id and self._clock() < ends

"""Sign-ins that wait for a second factor, and devices that need none.

Pure, with the clock injected. ``rules`` holds the lock around every call.
"""

from collections.abc import Callable
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.records import Device
from hellojohn.emulator.v1.names import digest, new_id, new_token
from hellojohn.emulator.v1.problems import V1Problem
from hellojohn.emulator.v1.records import Challenge, User

_CHALLENGE_LIFE: Final = 300.0
_DEVICE_LIFE: Final = 30 * 86_400.0


class Challenges:
    """The open challenges and the remembered devices."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._challenges: dict[str, Challenge] = {}
        self._devices: dict[bytes, tuple[str, float]] = {}

    def open(self, user: User, *, duration: str | None, device: Device, factors: list[str]) -> V1Problem:
        """Return the refusal that asks for a second factor, and remember the sign-in that waits for it."""
        challenge_id = new_id("chl")
        ends = self._clock() + _CHALLENGE_LIFE
        self._challenges[challenge_id] = Challenge(user.id, duration, device, ends)
        return V1Problem("mfa_required", challenge_id=challenge_id, available_factors=factors)

    def get(self, challenge_id: str) -> Challenge:
        """Return an open challenge.

        Raises:
            V1Problem: It was answered, it has expired, or it never existed.
        """
        challenge = self._challenges.get(challenge_id)
        if challenge is None or self._clock() >= challenge.expires_at:
            raise V1Problem("mfa_challenge_expired")
        return challenge

    def close(self, challenge_id: str) -> None:
        """End a challenge: it was answered."""
        del self._challenges[challenge_id]

    def remember_device(self, user: User) -> Secret:
        """Return a token with which the user signs in without a second factor for 30 days."""
        token, token_digest = new_token("dvc")
        self._devices[token_digest] = (user.id, self._clock() + _DEVICE_LIFE)
        return token

    def is_remembered(self, user: User, device_token: Secret | None) -> bool:
        """Return whether a device needs no second factor."""
        if device_token is None:
            return False
        owner, ends = self._devices.get(digest(device_token), ("", 0.0))
        return owner == user.id and self._clock() < ends

    def forget_devices(self, user_id: str) -> None:
        """Ask for the second factor again on every device of a user."""
        self._devices = {key: device for key, device in self._devices.items() if device[0] != user_id}

    def drop(self, user_id: str) -> None:
        """End every challenge of a user."""
        self._challenges = {
            key: challenge for key, challenge in self._challenges.items() if challenge.user_id != user_id
        }

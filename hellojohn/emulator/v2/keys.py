"""The keys of a tenant, and the key set that the server publishes for it.

A tenant signs with the server's keys until its own are rotated for the first time. The server remembers a
published set for 15 s, so that a new key signs at once and is published late.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hellojohn.emulator.keys import Algorithm, SigningKeys

PUBLISHED_FOR: Final = 15.0


class TenantKeys:
    """The keys that sign a tenant's tokens; a ``KeyRing``."""

    def __init__(self, clock: Callable[[], float], server: SigningKeys) -> None:
        """Sign with the server's keys until the first rotation."""
        self._clock = clock
        self._server = server
        self._keys = server
        self._shown: tuple[float, dict[str, object]] | None = None

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims."""
        return self._keys.sign(claims)

    def rotate(
        self, *, algorithm: Algorithm = "EdDSA", keep_old: float | None = None, publish_after: float = 0.0
    ) -> str:
        """Sign with a new key from now on, and return its id; see ``SigningKeys.rotate``.

        A key set that was asked for in the last 15 s is shown until these are over.
        """
        if self._keys is self._server:
            self._keys = self._server.branch()
        return self._keys.rotate(algorithm=algorithm, keep_old=keep_old, publish_after=publish_after)

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token that one of the keys in force has signed, or ``None``."""
        return self._keys.read(token, audience=None, issuer=None, required=("exp", "sub", "aud"))

    def published(self) -> dict[str, object]:
        """Return the key set, as it was up to 15 s ago."""
        now = self._clock()
        if self._shown is None or not 0 <= now - self._shown[0] < PUBLISHED_FOR:
            self._shown = (now, self._keys.published())
        return self._shown[1]

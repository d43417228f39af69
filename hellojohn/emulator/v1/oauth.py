"""Sign-in through a provider, with PKCE. One fake provider plays all of the documented ones.

Pure, with the clock injected. ``ways`` holds the lock around every call. The provider's page is the
emulator's login page.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hellojohn._secret import Secret
from hellojohn.emulator.addresses import with_query
from hellojohn.emulator.v1.names import digest, new_id, new_token
from hellojohn.emulator.v1.problems import V1Problem

PROVIDERS: Final = (
    *("google", "github", "microsoft", "apple"),
    *("facebook", "twitter", "linkedin", "discord"),
)
_FLOW_LIFE: Final = 600.0
_CODE_LIFE: Final = 300.0
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Flow:
    """A browser sign-in that has begun.

    Attributes:
        provider: The provider's name.
        redirect_uri: Where the browser goes afterwards, compared as an exact text.
        state: The app's value, sent back unchanged.
        challenge: The S256 challenge of PKCE.
        expires_at: When it is too late to sign in.
    """

    provider: str
    redirect_uri: str
    state: str
    challenge: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Code:
    flow: Flow
    user_id: str
    expires_at: float


class OAuth:
    """The browser sign-ins that have begun, and the codes that can still be exchanged."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without any."""
        self._clock = clock
        self._flows: dict[str, Flow] = {}
        self._codes: dict[bytes, _Code] = {}

    def start(self, provider: str, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Begin a sign-in, and return its id.

        Raises:
            V1Problem: The provider is unknown, or the challenge is not one of S256.
        """
        if provider not in PROVIDERS:
            raise V1Problem("not_found", f"There is no provider {provider[:40]!a}.")
        if not _CHALLENGE.fullmatch(challenge):
            raise V1Problem("validation_failed", "code_challenge is not a SHA-256 challenge.")
        flow_id = new_id("flw")
        self._flows[flow_id] = Flow(provider, redirect_uri, state, challenge, self._clock() + _FLOW_LIFE)
        return flow_id

    def get(self, flow_id: str) -> Flow:
        """Return a sign-in that has begun.

        Raises:
            V1Problem: It has ended or never began.
        """
        flow = self._flows.get(flow_id)
        if flow is None or self._clock() >= flow.expires_at:
            raise V1Problem("link_expired", "This sign-in has ended. Start again in the app.")
        return flow

    def approve(self, flow_id: str, user_id: str) -> str:
        """End a sign-in with a code, and return the address that the browser goes to."""
        flow = self.get(flow_id)
        code, code_digest = new_token("cod")
        self._codes[code_digest] = _Code(flow, user_id, self._clock() + _CODE_LIFE)
        del self._flows[flow_id]
        return with_query(flow.redirect_uri, code=code.reveal(), state=flow.state)

    def deny(self, flow_id: str) -> str:
        """End a sign-in without a code, and return the address that the browser goes to."""
        flow = self.get(flow_id)
        del self._flows[flow_id]
        return with_query(flow.redirect_uri, error="access_denied", state=flow.state)

    def exchange(self, provider: str, code: Secret, *, verifier: Secret, redirect_uri: str) -> str:
        """Use a code up, and return the id of the user who signed in. Whatever comes with it, it works once.

        Raises:
            V1Problem: The code cannot be used, or the verifier, address or provider is another sign-in's.
        """
        issued = self._codes.pop(digest(code), None)
        if issued is None or self._clock() >= issued.expires_at:
            raise V1Problem("oauth_code_invalid")
        flow = issued.flow
        fits = hmac.compare_digest(_s256(verifier), flow.challenge)
        if not fits or flow.redirect_uri != redirect_uri or flow.provider != provider:
            raise V1Problem("oauth_code_invalid")
        return issued.user_id


def _s256(verifier: Secret) -> str:
    hashed = hashlib.sha256(verifier.reveal().encode()).digest()
    return urlsafe_b64encode(hashed).rstrip(b"=").decode()

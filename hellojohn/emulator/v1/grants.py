"""Turns a grant of the rules into the answer of a sign-in or a refresh."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from starlette.responses import Response

from hellojohn._duration import parse_duration
from hellojohn._errors import ConfigurationError
from hellojohn._secret import Secret
from hellojohn.emulator.requests import Fields, refuse
from hellojohn.emulator.responses import json_response
from hellojohn.emulator.v1 import responses
from hellojohn.emulator.v1.policy import seconds
from hellojohn.emulator.v1.records import Grant
from hellojohn.emulator.v1.rules import Rules
from hellojohn.emulator.v1.tokens import AccessToken, Issuer


class Grants:
    """Issues the access token of each grant, and writes the answer in one of the documented shapes."""

    def __init__(
        self, rules: Rules, issuer: Issuer, *, clock: Callable[[], float], shape: responses.Shape
    ) -> None:
        """Answer in this shape."""
        self._rules = rules
        self._issuer = issuer
        self._clock = clock
        self._shape: responses.Shape = shape

    def signed_in(self, grant: Grant, *, status: int = 200, device_token: Secret | None = None) -> Response:
        """Return the answer to a sign-in. With a device token, it says how to skip the second factor."""
        body = responses.signed_in(grant, self.issue(grant), shape=self._shape)
        if device_token is not None:
            body["device_token"] = device_token.reveal()
        return json_response(body, status=status)

    def refreshed(self, grant: Grant) -> Response:
        """Return the answer to a refresh."""
        return json_response(responses.refreshed(grant, self.issue(grant)))

    def issue(
        self, grant: Grant, *, life: timedelta | None = None, claims: Mapping[str, object] | None = None
    ) -> AccessToken:
        """Return the access token of a grant, as long as the tenant's settings say or ``life``."""
        ttl = int(seconds(self._rules.policy.access_token_ttl) if life is None else life.total_seconds())
        return self._issuer.issue(grant.user, grant.session, now=self._clock(), ttl=ttl, claims=claims)


def session_duration(fields: Fields) -> str | None:
    """Return the duration that ``session_options`` asks for."""
    options = Fields(fields.mapping("session_options"), allowed=("duration",))
    duration = options.optional_text("duration")
    if duration is None:
        return None
    try:
        parse_duration(duration, name="session_options.duration")
    except ConfigurationError as error:
        refuse(str(error))
    return duration

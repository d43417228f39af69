"""v1, the documented cloud API."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hellojohn._errors import MfaChallenge
from hellojohn._limits import (
    LONGEST_CAPTCHA,
    LONGEST_CHALLENGE,
    LONGEST_NAME,
)
from hellojohn._models import Device, User
from hellojohn._secret import Secret
from hellojohn._wire.arguments import (
    checked,
    checked_code,
    checked_email,
    checked_metadata,
    checked_password,
    checked_secret,
    device_headers,
    required_key,
)
from hellojohn._wire.errors import read_failure, refusal
from hellojohn._wire.outcome import outcome
from hellojohn._wire.reading import fields
from hellojohn._wire.tokens import read_tokens, success, user, user_of_token
from hellojohn._wire.v1_codes import CODES, ENDINGS, TOKEN_REFUSED
from hellojohn._wire.values import Answer, ApiRequest, ApiResponse, Outcome, TokenResponse

_UNPUBLISHED = {
    "sign_out": "/v1/auth/sign-out",
}
"""Paths that no document of the service names: they are assumptions of the SDK."""


@dataclass(frozen=True, slots=True)
class V1:
    """Builds v1's requests and reads its answers. It implements ``Dialect``.

    Attributes:
        tenant_id: The tenant, named in every request.
        publishable_key: The key of public requests: sign-in, sign-up, the second factor.
        secret_key: The key of server-side requests.
    """

    tenant_id: str
    publishable_key: Secret | None = None
    secret_key: Secret | None = None
    name: str = field(default="v1", init=False)
    ends_sessions: bool = field(default=True, init=False)
    ends_idle_sessions: bool = field(default=True, init=False)
    challenge_ttl: float | None = field(default=None, init=False)

    # ---------------------------------------------------------------- requests

    def sign_in(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        captcha_token: Secret | None,
        device: Device | None = None,
        device_token: Secret | None = None,
    ) -> ApiRequest:
        """Build a sign-in."""
        body = _credentials(email, password, duration)
        if captcha_token is not None:
            body["captcha_token"] = checked_secret(
                captcha_token, name="captcha_token", longest=LONGEST_CAPTCHA
            )
        return self._public("/v1/auth/sign-in", body, call="sign_in", device=device)

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, object] | None,
        device: Device | None = None,
    ) -> ApiRequest:
        """Build a sign-up."""
        body = _credentials(email, password, duration)
        if name is not None:
            body["name"] = checked(name, name="name", longest=LONGEST_NAME)
        if username is not None:
            body["username"] = checked(username, name="username", longest=LONGEST_NAME)
        if metadata is not None:
            body["metadata"] = checked_metadata(metadata)
        return self._public("/v1/auth/sign-up", body, call="sign_up", device=device)

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh. It carries no ``Authorization``: the refresh token is the credential."""
        request = self._request("POST", "/v1/auth/token/refresh", {"refresh_token": refresh_token})
        return replace(request, reads_until_deadline=True)

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all sessions of the user."""
        body: dict[str, object] = {"refresh_token": refresh_token}
        if everywhere:
            body["everywhere"] = True
        request = self._request("POST", _UNPUBLISHED["sign_out"], body, bearer=access_token)
        return replace(request, idempotent=True)

    def me(self, access_token: Secret) -> ApiRequest:
        """Build the question who is signed in."""
        return replace(self._request("GET", "/v1/auth/me", bearer=access_token), idempotent=True)

    def verify_mfa(
        self,
        challenge: MfaChallenge,
        code: Secret,
        *,
        factor: str | None,
        remember_device: bool = False,
        device: Device | None = None,
    ) -> ApiRequest:
        """Build the answer to a second-factor challenge; without ``factor``, for the first one listed."""
        body: dict[str, object] = {
            "challenge_id": checked(challenge.id, name="challenge.id", longest=LONGEST_CHALLENGE),
            "code": checked_code(code),
        }
        if factor is not None:
            body["factor_id"] = checked(factor, name="factor", longest=LONGEST_NAME)
        elif challenge.factors:
            body["factor_id"] = checked(challenge.factors[0], name="challenge.factors", longest=LONGEST_NAME)
        return self._public("/v1/mfa/verify", body, call="verify_mfa", device=device)

    def probe(self) -> ApiRequest:
        """Build a question for the user without a token, which HelloJohn refuses in its own words."""
        return replace(self._request("GET", "/v1/auth/me"), idempotent=True)

    def second_look(self, access_token: Secret | None) -> ApiRequest:
        """Build a harmless request. v1 has no doubtful refusals."""
        return self.probe()

    # ---------------------------------------------------------------- answers

    def read_tokens(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in, a sign-up or a second factor."""
        tokens = read_tokens(answer)
        if tokens is None or tokens.refresh_token is None:
            raise refusal(answer, CODES)
        return replace(tokens, user=tokens.user or user_of_token(tokens))

    def read_sign_up(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-up."""
        return self.read_tokens(answer)

    def read_user(self, answer: Answer) -> User:
        """Read the answer to ``me``: a user, or an object that holds one."""
        content = success(answer) or {}
        found = user(fields(content.get("user")) or content)
        if found is None:
            raise refusal(answer, CODES)
        return found

    def read_done(self, answer: Answer) -> None:
        """Read the answer to a sign-out: any success."""
        if not (isinstance(answer, ApiResponse) and answer.is_success):
            raise refusal(answer, CODES, assumed_path=_UNPUBLISHED["sign_out"])

    def outcome(self, answer: Answer) -> Outcome:
        """Return what the answer to a refresh means."""
        return outcome(answer, read_tokens(answer), codes=CODES, endings=ENDINGS)

    def is_token_refused(self, answer: Answer) -> bool:
        """Return whether an answer to ``me`` means that the token is not good, and a newer one may be."""
        if not isinstance(answer, ApiResponse) or answer.status != 401:  # noqa: PLR2004 - Unauthorized
            return False
        failure = read_failure(answer, CODES)
        return failure is not None and failure.is_in(TOKEN_REFUSED)

    def is_own_answer(self, answer: Answer) -> bool:
        """Return whether HelloJohn answered."""
        return isinstance(answer, ApiResponse) and (
            read_failure(answer, CODES) is not None or bool(success(answer))
        )

    def is_serving(self, answer: Answer) -> bool:
        """Return whether HelloJohn answered."""
        return self.is_own_answer(answer)

    # ---------------------------------------------------------------- parts

    def _public(
        self, path: str, body: Mapping[str, object], *, call: str, device: Device | None = None
    ) -> ApiRequest:
        key = required_key(self.publishable_key, name="publishable_key", call=f"auth.{call}")
        request = self._request("POST", path, body, bearer=key)
        return replace(request, headers={**request.headers, **device_headers(device)})

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        bearer: Secret | None = None,
    ) -> ApiRequest:
        return ApiRequest(method, path, body, bearer, {"X-Tenant-ID": self.tenant_id})


def _credentials(email: str, password: Secret, duration: str | None) -> dict[str, object]:
    body: dict[str, object] = {"email": checked_email(email), "password": checked_password(password)}
    if duration is not None:
        body["session_options"] = {"duration": duration}
    return body

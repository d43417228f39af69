"""The dialect of the documented cloud API, ``/v1``. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from hellojohn._errors import ExpiryReason, MfaChallenge
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire._answers import grant_in, user_in
from hellojohn._wire._arguments import (
    LONGEST_CAPTCHA,
    LONGEST_CHALLENGE,
    LONGEST_EMAIL,
    LONGEST_NAME,
    LONGEST_PASSWORD,
    checked,
    checked_metadata,
    checked_secret,
)
from hellojohn._wire._types import Answer, ApiRequest, ApiResponse, Outcome, TokenResponse
from hellojohn._wire.errors import read_failure, refusal
from hellojohn._wire.outcome import outcome

_OVER: Mapping[str, ExpiryReason] = {
    "refresh_token_expired": ExpiryReason.EXPIRED,
    "session_expired": ExpiryReason.EXPIRED,
    "session_revoked": ExpiryReason.REVOKED,
    "refresh_token_reused": ExpiryReason.REUSE_DETECTED,
    "refresh_token_invalid": ExpiryReason.REJECTED,
    "account_disabled": ExpiryReason.USER_DISABLED,
}


@dataclass(frozen=True, slots=True)
class V1:
    """Builds v1's calls and reads v1's answers; a ``Dialect``.

    Attributes:
        tenant_id: The tenant, named in every call.
        publishable_key: The key that public calls carry: sign-in, sign-up, the second factor.
    """

    tenant_id: str
    publishable_key: Secret

    @property
    def ends_sessions(self) -> bool:
        """v1 takes a duration at sign-in."""
        return True

    def sign_in(
        self, email: str, password: Secret, *, duration: str | None, captcha_token: Secret | None
    ) -> ApiRequest:
        """Build a sign-in.

        Raises:
            ConfigurationError: An argument cannot be sent.
        """
        body = _credentials(email, password, duration)
        if captcha_token is not None:
            body["captcha_token"] = checked_secret(
                captcha_token, name="captcha_token", longest=LONGEST_CAPTCHA
            )
        return self._post("/v1/auth/sign-in", body, bearer=self.publishable_key)

    def sign_up(
        self,
        email: str,
        password: Secret,
        *,
        duration: str | None,
        name: str | None,
        username: str | None,
        metadata: Mapping[str, object] | None,
    ) -> ApiRequest:
        """Build a sign-up.

        Raises:
            ConfigurationError: An argument cannot be sent.
        """
        body = _credentials(email, password, duration)
        if name is not None:
            body["name"] = checked(name, name="name", longest=LONGEST_NAME)
        if username is not None:
            body["username"] = checked(username, name="username", longest=LONGEST_NAME)
        if metadata is not None:
            body["metadata"] = checked_metadata(metadata)
        return self._post("/v1/auth/sign-up", body, bearer=self.publishable_key)

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh. It carries no ``Authorization``: the refresh token is the credential."""
        return replace(
            self._post("/v1/auth/token/refresh", {"refresh_token": refresh_token}), reads_until_deadline=True
        )

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all of the user's sessions."""
        body: dict[str, object] = {"refresh_token": refresh_token}
        if everywhere:
            body["everywhere"] = True
        return self._post("/v1/auth/sign-out", body, bearer=access_token)

    def me(self, access_token: Secret) -> ApiRequest:
        """Build a question for the signed-in user."""
        return ApiRequest("GET", "/v1/auth/me", bearer=access_token, headers=self._headers())

    def verify_mfa(self, challenge: MfaChallenge, code: Secret, *, factor: str | None) -> ApiRequest:
        """Build the answer to a second-factor challenge.

        Args:
            challenge: The challenge.
            code: What the factor shows.
            factor: The factor's id; without it, the first one the challenge lists.

        Raises:
            ConfigurationError: An argument cannot be sent.
        """
        body: dict[str, object] = {
            "challenge_id": checked(challenge.id, name="challenge.id", longest=LONGEST_CHALLENGE),
            "code": checked_secret(code, name="code", longest=LONGEST_NAME),
        }
        if factor is not None:
            body["factor_id"] = checked(factor, name="factor", longest=LONGEST_NAME)
        elif challenge.factors:
            body["factor_id"] = checked(challenge.factors[0], name="challenge.factors", longest=LONGEST_NAME)
        return self._post("/v1/mfa/verify", body, bearer=self.publishable_key)

    def read_tokens(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in, a sign-up or a second factor.

        Raises:
            ApiError: The API said no; the subclass and ``code`` say why.
            ServiceUnavailable: There is no usable answer, or it grants no refresh token.
        """
        grant = _grant(answer)
        if grant is None or grant.refresh_token is None:
            raise refusal(answer)
        return grant

    def read_user(self, answer: Answer) -> User:
        """Read the answer to ``me``.

        Raises:
            ApiError: The API said no; code ``token_expired`` or ``invalid_token``: a fresh token may help.
            ServiceUnavailable: There is no usable answer.
        """
        user = user_in(answer) if _is_success(answer) else None
        if user is None:
            raise refusal(answer)
        return user

    def read_done(self, answer: Answer) -> None:
        """Read an answer that says nothing but yes or no.

        Raises:
            ApiError: The API said no.
            ServiceUnavailable: There is no usable answer.
        """
        if not _is_success(answer):
            raise refusal(answer)

    def is_token_refused(self, answer: Answer) -> bool:
        if not isinstance(answer, ApiResponse) or answer.status != 401:
            return False
        f = read_failure(answer)
        return f is not None and f.code in ("token_expired", "invalid_token")

    def is_own_answer(self, answer: Answer) -> bool:
        return isinstance(answer, ApiResponse) and (
            read_failure(answer) is not None or user_in(answer) is not None
        )

    def probe(self) -> ApiRequest:
        return ApiRequest("GET", "/v1/auth/me", headers=self._headers())

    def second_look(self, access_token: Secret | None) -> ApiRequest:
        return self.probe()

    def is_serving(self, answer: Answer) -> bool:
        return True

    def outcome(self, answer: Answer) -> Outcome:
        """Say what the answer to a refresh means; never raises. ``wire.outcome`` has the table."""
        return outcome(answer, _grant(answer), over=_OVER)

    def _headers(self) -> dict[str, str]:
        return {"X-Tenant-ID": self.tenant_id}

    def _post(self, path: str, body: Mapping[str, object], *, bearer: Secret | None = None) -> ApiRequest:
        return ApiRequest("POST", path, body, bearer, self._headers())


def _credentials(email: str, password: Secret, duration: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "email": checked(email, name="email", longest=LONGEST_EMAIL),
        "password": checked_secret(password, name="password", longest=LONGEST_PASSWORD),
    }
    if duration is not None:
        body["session_options"] = {"duration": duration}
    return body


def _is_success(answer: Answer) -> TypeGuard[ApiResponse]:
    return isinstance(answer, ApiResponse) and 200 <= answer.status < 300  # noqa: PLR2004 - what 2xx means


def _grant(answer: Answer) -> TokenResponse | None:
    return grant_in(answer) if _is_success(answer) else None

"""v1, the documented cloud API: the requests and answers of a session."""

from collections.abc import Mapping

from hellojohn._details import Device
from hellojohn._errors import MfaChallenge
from hellojohn._limits import LONGEST_NAME
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.arguments import (
    checked,
    checked_captcha,
    checked_challenge,
    checked_code,
    checked_email,
    checked_metadata,
    checked_password,
)
from hellojohn._wire.errors import check_done, is_own, required
from hellojohn._wire.failures import read_failure
from hellojohn._wire.outcome import failed_refresh
from hellojohn._wire.reading import Fields, fields
from hellojohn._wire.tokens import read_tokens, success, user
from hellojohn._wire.v1.admin import V1Admin
from hellojohn._wire.v1.codes import CODES, ENDINGS, TOKEN_REFUSED
from hellojohn._wire.v1.links import V1Links
from hellojohn._wire.v1.oauth import V1OAuth
from hellojohn._wire.v1.paths import UNPUBLISHED
from hellojohn._wire.v1.requests import Requests
from hellojohn._wire.v1.second_factors import RECOVERY, V1SecondFactors, as_recovery_code, factor_for
from hellojohn._wire.v1.tokens import signed_in
from hellojohn._wire.values import Answer, ApiRequest, ApiResponse, Outcome, OutcomeKind, TokenResponse


class V1:
    """Builds v1's requests and reads its answers. It implements ``Dialect``."""

    name = "v1"
    ends_sessions = True
    ends_idle_sessions = True
    challenge_ttl: float | None = None

    def __init__(
        self,
        tenant_id: str,
        publishable_key: Secret | None = None,
        secret_key: Secret | None = None,
        *,
        base_url: str = "https://api.hellojohn.dev",
    ) -> None:
        """Speak for one tenant, with the keys that the client has."""
        self._requests = requests = Requests(base_url, tenant_id, publishable_key, secret_key)
        self.second_factors = V1SecondFactors(requests)
        self.links = V1Links(requests)
        self.oauth = V1OAuth(requests)
        self.admin = V1Admin(requests)

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
            body["captcha_token"] = checked_captcha(captcha_token)
        if device_token is not None:
            body["device_token"] = device_token
        return self._requests.public("/v1/auth/sign-in", body, call="auth.sign_in", device=device)

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
        return self._requests.public("/v1/auth/sign-up", body, call="auth.sign_up", device=device)

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh. It carries no ``Authorization``: the refresh token is the credential."""
        body = {"refresh_token": refresh_token}
        return ApiRequest(
            "POST", "/v1/auth/token/refresh", body, headers=self._requests.headers, reads_until_deadline=True
        )

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all sessions of the user."""
        body: dict[str, object] = {"refresh_token": refresh_token}
        if everywhere:
            body["everywhere"] = True
        path = UNPUBLISHED["sign_out"]
        return self._requests.bare("POST", path, body, bearer=access_token, idempotent=True)

    def me(self, access_token: Secret) -> ApiRequest:
        """Build the question who is signed in."""
        return self._requests.bare("GET", "/v1/auth/me", bearer=access_token, idempotent=True)

    def me_after(self, answer: Answer, access_token: Secret) -> ApiRequest | None:
        """Return no request: v1 has one way to ask."""
        return None

    def verify_mfa(
        self,
        challenge: MfaChallenge,
        code: Secret,
        *,
        factor: str | None,
        remember_device: bool = False,
        device: Device | None = None,
    ) -> ApiRequest:
        """Build the answer to a second-factor challenge."""
        code = checked_code(code)
        body: dict[str, object] = {"challenge_id": checked_challenge(challenge)}
        chosen = factor_for(challenge, code, factor)
        body["code"] = as_recovery_code(code) if chosen == RECOVERY else code
        if chosen is not None:
            body["factor_id"] = chosen
        if remember_device:
            body["remember_device"] = True
        return self._requests.public("/v1/mfa/verify", body, call="auth.verify_mfa", device=device)

    def probe(self) -> ApiRequest:
        """Build a question for the user without a token, which HelloJohn refuses in its own words."""
        return self._requests.bare("GET", "/v1/auth/me", idempotent=True)

    def second_look(self, access_token: Secret | None) -> ApiRequest:
        """Build a harmless request. v1 has no doubtful refusals."""
        return self.probe()

    # ---------------------------------------------------------------- answers

    def read_tokens(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in or a second factor."""
        return signed_in(answer)

    def read_sign_up(self, answer: Answer) -> TokenResponse | None:
        """Read the answer to a sign-up, which signs in."""
        return signed_in(answer)

    def read_user(self, answer: Answer, known: User | None = None) -> User:
        """Read the answer to ``me``: a user, or an object that holds one."""
        return required(user(_user_fields(success(answer) or {})), answer, CODES, fixed_path=True)

    def read_done(self, answer: Answer) -> None:
        """Read the answer to a sign-out: any success."""
        check_done(answer, CODES, assumed_path=UNPUBLISHED["sign_out"])

    def outcome(self, answer: Answer) -> Outcome:
        """Return the meaning of an answer to a refresh."""
        tokens = read_tokens(answer)
        if tokens is not None:
            return Outcome(OutcomeKind.SUCCESS, tokens)
        return failed_refresh(answer, CODES, ENDINGS)

    def is_token_refused(self, answer: Answer) -> bool:
        """Return whether an answer to ``me`` means that the token is not good, and a newer one may be."""
        if not isinstance(answer, ApiResponse) or answer.status != 401:  # noqa: PLR2004 - Unauthorized
            return False
        failure = read_failure(answer, CODES)
        return failure is not None and failure.is_in(TOKEN_REFUSED)

    def is_own_answer(self, answer: Answer) -> bool:
        """Return whether HelloJohn answered."""
        return is_own(answer, CODES)

    def is_serving(self, answer: Answer) -> bool:
        """Return whether HelloJohn answered."""
        return self.is_own_answer(answer)


def _credentials(email: str, password: Secret, duration: str | None) -> dict[str, object]:
    body: dict[str, object] = {"email": checked_email(email), "password": checked_password(password)}
    if duration is not None:
        body["session_options"] = {"duration": duration}
    return body


def _user_fields(content: Fields) -> Fields:
    return fields(content.get("user")) or content

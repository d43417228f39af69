"""v2, the open-source server as it answers: the requests and answers of a session.

The server has no end of a session, no idle timeout and no list of sessions: the client keeps the deadlines.
During an outage of its database, the server answers a refresh as if the session had ended.
"""

from collections.abc import Mapping
from dataclasses import replace

from hellojohn._details import Device
from hellojohn._errors import ApiError, MfaChallenge, NotSupported
from hellojohn._models import User
from hellojohn._secret import Secret
from hellojohn._wire.arguments import (
    checked_captcha,
    checked_challenge,
    checked_email,
    checked_metadata,
    checked_password,
)
from hellojohn._wire.errors import check_done, is_own, required
from hellojohn._wire.failures import read_failure
from hellojohn._wire.outcome import failed_refresh
from hellojohn._wire.reading import claims, json_object, text
from hellojohn._wire.tokens import read_tokens, success
from hellojohn._wire.v2.admin import V2Admin
from hellojohn._wire.v2.codes import CODES, ENDINGS, TOKEN_REFUSED
from hellojohn._wire.v2.links import V2Links
from hellojohn._wire.v2.oauth import V2OAuth
from hellojohn._wire.v2.requests import Requests
from hellojohn._wire.v2.second_factors import V2SecondFactors, code_fields, factor_for
from hellojohn._wire.v2.tokens import device_cookie, is_without_tokens, read_user, signed_in, with_known
from hellojohn._wire.values import (
    Answer,
    ApiRequest,
    ApiResponse,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)

_NO_USER = "00000000-0000-0000-0000-000000000000"


class V2:
    """Builds v2's requests and reads its answers. It implements ``Dialect``."""

    name = "v2"
    ends_sessions = False
    ends_idle_sessions = False
    challenge_ttl: float | None = 300.0

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        secret_key: Secret | None = None,
        *,
        base_url: str = "http://localhost:8080",
    ) -> None:
        """Speak for one client of one tenant.

        Args:
            tenant_id: The tenant's slug.
            client_id: The client's id.
            secret_key: An API key of the server, for a back end's requests.
            base_url: The host, without a version.
        """
        self._requests = requests = Requests(base_url, tenant_id, client_id, secret_key)
        self.second_factors = V2SecondFactors(requests)
        self.links = V2Links(requests)
        self.oauth = V2OAuth(requests)
        self.admin = V2Admin(requests)

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
        body: dict[str, object] = {"email": checked_email(email), "password": checked_password(password)}
        if captcha_token is not None:  # the server's only captcha is Turnstile
            body["turnstile_token"] = checked_captcha(captcha_token)
        request = self._requests.client("/v2/auth/login", body, device=device)
        if device_token is None:
            return request
        return replace(request, headers={**request.headers, **device_cookie(device_token)})

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
        """Build a sign-up. ``metadata`` are the tenant's custom fields."""
        for argument, value in (("name", name), ("username", username)):
            if value is not None:
                raise NotSupported(
                    f"{argument}: the open-source server (v2) takes no {argument} at sign-up. Declare a"
                    f' custom field in the tenant and pass metadata={{"{argument}": ...}}.'
                )
        body: dict[str, object] = {"email": checked_email(email), "password": checked_password(password)}
        if metadata is not None:
            body["custom_fields"] = checked_metadata(metadata)
        return self._requests.client("/v2/auth/register", body, device=device)

    def refresh(self, refresh_token: Secret) -> ApiRequest:
        """Build a refresh."""
        body = {**self._requests.names, "refresh_token": refresh_token}
        return ApiRequest(
            "POST", "/v2/auth/refresh", body, headers=self._requests.headers, reads_until_deadline=True
        )

    def sign_out(self, refresh_token: Secret, access_token: Secret, *, everywhere: bool) -> ApiRequest:
        """Build a sign-out of this session, or of all sessions of the user.

        Without a bearer, the server asks for a CSRF token. It accepts any bearer.
        """
        if not everywhere:
            body = {"refresh_token": refresh_token}
            return self._requests.client("/v2/auth/logout", body, bearer=access_token, idempotent=True)
        user_id = text(claims(access_token).get("sub")) or ""
        return self._requests.bare(
            "POST", "/v2/auth/logout-all", {"user_id": user_id}, bearer=access_token, idempotent=True
        )

    def me(self, access_token: Secret) -> ApiRequest:
        """Build the question who is signed in."""
        return self._requests.bare("GET", "/userinfo", bearer=access_token, idempotent=True)

    def me_after(self, answer: Answer, access_token: Secret) -> ApiRequest | None:
        """Ask where the id alone is known: ``/userinfo`` refuses good tokens of tenants with own keys."""
        failure = read_failure(answer, CODES) if isinstance(answer, ApiResponse) else None
        if failure is None or not failure.is_in({"UNAUTHORIZED: token invalid or expired"}):
            return None
        return self._requests.bare("GET", "/v2/me", bearer=access_token, idempotent=True)

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
        body = {"mfa_token": checked_challenge(challenge), **code_fields(code)}
        if remember_device:
            body["remember_device"] = True
        chosen = "totp" if "recovery" in body else factor_for(challenge, factor)
        return self._requests.bare("POST", f"/v2/mfa/{chosen}/challenge", body, device=device)

    def probe(self) -> ApiRequest:
        """Build a question for the user without a token, which HelloJohn refuses in its own words."""
        return self._requests.bare("GET", "/v2/me", idempotent=True)

    def second_look(self, access_token: Secret | None) -> ApiRequest:
        """Build a request that needs the tenant's database and changes nothing."""
        if access_token is not None:
            return self._requests.bare("GET", "/v2/mfa/factors", bearer=access_token, idempotent=True)
        return self._requests.bare("POST", "/v2/auth/logout-all", {"user_id": _NO_USER}, idempotent=True)

    # ---------------------------------------------------------------- answers

    def read_tokens(self, answer: Answer) -> TokenResponse:
        """Read the answer to a sign-in or a second factor."""
        return signed_in(answer)

    def read_sign_up(self, answer: Answer) -> TokenResponse | None:
        """Read the answer to a sign-up; ``None`` when the server leaves the sign-in to the client."""
        if is_without_tokens(answer):
            return None
        if isinstance(answer, ApiResponse) and answer.status == 500:  # noqa: PLR2004 - for a taken address, too
            failure = read_failure(answer, CODES)
            raise ApiError(
                "The server did not sign the user up (status 500). It answers so when there is an account"
                " with this email address already. Let the user sign in, or look into the server's log.",
                status=answer.status,
                code=None if failure is None else failure.shown,
                request_id=None if failure is None else failure.request_id,
            )
        return signed_in(answer)

    def read_user(self, answer: Answer, known: User | None = None) -> User:
        """Read the answer to ``me`` or ``me_after``."""
        shown = required(read_user(success(answer) or {}), answer, CODES, fixed_path=True)
        return with_known(shown, known)

    def read_done(self, answer: Answer) -> None:
        """Read the answer to a sign-out: any success. The server answers 204 for unknown tokens, too."""
        check_done(answer, CODES)

    def outcome(self, answer: Answer) -> Outcome:
        """Return the meaning of an answer to a refresh."""
        tokens = read_tokens(answer)
        if tokens is not None:
            return Outcome(OutcomeKind.SUCCESS, tokens)
        return failed_refresh(answer, CODES, ENDINGS)

    def is_token_refused(self, answer: Answer) -> bool:
        """Return whether an answer means that the token is not good, and a newer one may be.

        ``/userinfo`` refuses good tokens, too. Then ``/v2/me`` is asked, and its answer counts.
        """
        failure = read_failure(answer, CODES) if isinstance(answer, ApiResponse) else None
        return failure is not None and failure.is_in(TOKEN_REFUSED)

    def is_own_answer(self, answer: Answer) -> bool:
        """Return whether HelloJohn answered."""
        return is_own(answer, CODES)

    def is_serving(self, answer: Answer) -> bool:
        """Return whether the answer to ``second_look`` shows that the database is there.

        A server that has closed these routes answers 401, 403 or 404, possibly through a proxy. Then the
        refusal of the refresh has to be believed. A refused token shows nothing, nor does JSON that was cut
        off: it may have been the refusal of a token.
        """
        if isinstance(answer, TransportFailure):
            return False
        if answer.is_success:
            return answer.status == 204 or json_object(answer.body) is not None  # noqa: PLR2004 - logout-all
        if answer.body.startswith(b"{") and json_object(answer.body) is None:
            return False
        return answer.status in (401, 403, 404) and not self.is_token_refused(answer)

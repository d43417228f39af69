"""v2: codes for a second-factor challenge, and the second factors of the signed-in user."""

from functools import partial
from urllib.parse import quote, urlencode

from hellojohn._details import MfaFactor, TotpEnrollment
from hellojohn._errors import ApiError, Conflict, MfaChallenge, ValidationFailed
from hellojohn._limits import LONGEST_EMAIL, LONGEST_NAME
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked, checked_challenge, checked_code, checked_password
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done, required
from hellojohn._wire.failures import read_failure
from hellojohn._wire.reading import Fields, listed, text
from hellojohn._wire.tokens import success
from hellojohn._wire.topics import SignedIn
from hellojohn._wire.v2.codes import CODES
from hellojohn._wire.v2.requests import Body, Requests
from hellojohn._wire.values import Answer, ApiRequest, ApiResponse

_SENT = ("email", "sms")
_FACTORS = ("totp", *_SENT)
_LONGEST_DIGITS = 8
"""A code of an app or a message. A longer one, or one with letters, is a recovery code."""


def code_fields(code: Secret) -> dict[str, object]:
    """Return the field for a code. Recovery codes are sent in another one, in upper case."""
    found = checked_code(code)
    if found.reveal().isdigit() and len(found.reveal()) <= _LONGEST_DIGITS:
        return {"code": found}
    return {"recovery": Secret(found.reveal().replace("-", "").upper())}


def factor_for(challenge: MfaChallenge, factor: str | None) -> str:
    """Return the factor that a code is for: the given one, the preferred one or the first.

    Raises:
        ValidationFailed: The server has no such factor.
    """
    known = [name for name in challenge.factors if name in _FACTORS]
    chosen = factor or challenge.preferred_factor or (known[0] if known else "totp")
    return _known(checked(chosen, name="factor", longest=LONGEST_NAME), _FACTORS)


class V2SecondFactors:
    """Implements ``SecondFactors``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def send_code(self, challenge: MfaChallenge, *, factor: str | None) -> Conversation[None]:
        """Send the code of a factor."""
        offered = [name for name in (challenge.preferred_factor, *challenge.factors) if name in _SENT]
        chosen = factor or (offered[0] if offered else "")
        path = f"/v2/mfa/{_known(checked(chosen, name='factor', longest=LONGEST_NAME), _SENT)}/send"
        request = self._requests.bare("POST", path, {"mfa_token": checked_challenge(challenge)})
        return single(request, partial(check_done, codes=CODES))

    def list_factors(self, who: SignedIn) -> Conversation[tuple[MfaFactor, ...]]:
        """List the user's factors."""
        return single(self._factors(who), _read_factors)

    def enroll_totp(self, who: SignedIn, *, account: str, replace: bool) -> Conversation[TotpEnrollment]:
        """Begin to enroll an authenticator app. The old one stops working before the new one is confirmed."""
        label = checked(account, name="account", longest=LONGEST_EMAIL)
        return self._enroll(self._factors(who), who, label, replace=replace)

    def confirm_totp(
        self,
        who: SignedIn,
        enrollment: TotpEnrollment,
        code: Secret,
    ) -> Conversation[tuple[str, ...]]:
        """Finish an enrolment. Recovery codes come with the first one only."""
        request = self._as_user(who, "totp/verify", {"code": checked_code(code)})
        return single(request, partial(_read_recovery_codes, needed=False))

    def disable_totp(self, who: SignedIn, *, password: Secret, code: Secret) -> Conversation[None]:
        """Remove the authenticator app."""
        body = {"password": checked_password(password), **code_fields(code)}
        return single(self._as_user(who, "totp/disable", body), partial(check_done, codes=CODES))

    def new_recovery_codes(
        self, who: SignedIn, *, password: Secret, code: Secret
    ) -> Conversation[tuple[str, ...]]:
        """Replace the recovery codes."""
        body = {"password": checked_password(password), **code_fields(code)}
        request = self._as_user(who, "recovery/rotate", body)
        return single(request, partial(_read_recovery_codes, needed=True))

    def _enroll(
        self, listing: ApiRequest, who: SignedIn, account: str, *, replace: bool
    ) -> Conversation[TotpEnrollment]:
        factors = _read_factors((yield listing))
        if any(factor.type == "totp" for factor in factors) and not replace:
            raise Conflict(
                "An authenticator app is enrolled already, and a new one ends it at once. Pass replace=True"
                " to replace it."
            )
        answer = yield self._as_user(who, "totp/enroll")
        return _read_enrollment(answer, tenant=self._requests.tenant_id, account=account)

    def _factors(self, who: SignedIn) -> ApiRequest:
        return self._requests.bare("GET", "/v2/mfa/factors", bearer=who.access_token, idempotent=True)

    def _as_user(self, who: SignedIn, path: str, body: Body | None = None) -> ApiRequest:
        return self._requests.bare("POST", f"/v2/mfa/{path}", body, bearer=who.access_token)


def _known(factor: str, allowed: tuple[str, ...]) -> str:
    if factor not in allowed:
        raise ValidationFailed(f"factor must be one of {', '.join(allowed)} on this server.")
    return factor


def _read_factors(answer: Answer) -> tuple[MfaFactor, ...]:
    return required(_factors(success(answer) or {}), answer, CODES)


def _factors(content: Fields) -> tuple[MfaFactor, ...] | None:
    if not isinstance(content.get("available_factors"), list):
        return None
    preferred = content.get("preferred_factor")
    names = filter(None, map(text, listed(content.get("available_factors"))))
    return tuple(MfaFactor(type=name, preferred=name == preferred) for name in names)


def _read_enrollment(answer: Answer, *, tenant: str, account: str) -> TotpEnrollment:
    """Read the secret. The label in the server's own URI names no account, so the URI is made here."""
    failure = read_failure(answer, CODES) if isinstance(answer, ApiResponse) else None
    if failure is not None and failure.code == "crypto_failed":
        raise ApiError(
            "This server has no key for second factors, so that no authenticator app can be enrolled. Set its"
            " key for the encryption of TOTP secrets, or use a later version of the server.",
            status=500,
            code=failure.code,
            request_id=failure.request_id,
        )
    return required(_enrollment(success(answer) or {}, tenant=tenant, account=account), answer, CODES)


def _enrollment(content: Fields, *, tenant: str, account: str) -> TotpEnrollment | None:
    secret = text(content.get("secret_base32"))
    if secret is None:
        return None
    label = quote(f"{tenant}:{account}", safe=":@")
    query = urlencode({"secret": secret, "issuer": tenant, "algorithm": "SHA1", "digits": 6, "period": 30})
    return TotpEnrollment(secret=secret, uri=f"otpauth://totp/{label}?{query}")


def _read_recovery_codes(answer: Answer, *, needed: bool) -> tuple[str, ...]:
    return required(_recovery_codes(success(answer), needed=needed), answer, CODES)


def _recovery_codes(content: Fields | None, *, needed: bool) -> tuple[str, ...] | None:
    if content is None:
        return None
    codes = tuple(filter(None, map(text, listed(content.get("recovery_codes")))))
    return codes if codes or not needed else None

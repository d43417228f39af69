"""v1: codes for a second-factor challenge, and the factors of a user, which need the secret key."""

from hellojohn._details import MfaFactor, TotpEnrollment
from hellojohn._errors import ConfigurationError, Conflict, MfaChallenge, NotFound, NotSupported
from hellojohn._limits import LONGEST_NAME
from hellojohn._secret import Secret
from hellojohn._wire.arguments import checked, checked_challenge, checked_code, checked_id, checked_password
from hellojohn._wire.conversation import Conversation, single
from hellojohn._wire.errors import check_done, required
from hellojohn._wire.reading import Fields, fields, listed, moment, text
from hellojohn._wire.tokens import success
from hellojohn._wire.topics import SignedIn
from hellojohn._wire.v1.codes import CODES
from hellojohn._wire.v1.paths import UNPUBLISHED
from hellojohn._wire.v1.requests import Requests
from hellojohn._wire.values import Answer, ApiRequest

RECOVERY = "backup_codes"
"""The factor that takes recovery codes."""

_GROUP = 4


def as_recovery_code(code: Secret) -> Secret:
    """Return a code in the form in which recovery codes are handed out: ``ABCD-EFGH``."""
    typed = code.reveal().upper()
    if len(typed) == 2 * _GROUP and typed.isalnum():
        typed = f"{typed[:_GROUP]}-{typed[_GROUP:]}"
    return Secret(typed)


def factor_for(challenge: MfaChallenge, code: Secret, factor: str | None) -> str | None:
    """Return the factor that a code is for.

    A code with letters is a recovery code; any other is for the preferred factor or the first one.
    """
    if factor is not None:
        return checked(factor, name="factor", longest=LONGEST_NAME)
    if not code.reveal().isdigit() and RECOVERY in challenge.factors:
        return RECOVERY
    if challenge.preferred_factor is not None:
        return challenge.preferred_factor
    return challenge.factors[0] if challenge.factors else None


class V1SecondFactors:
    """Implements ``SecondFactors``."""

    def __init__(self, requests: Requests) -> None:
        """Build requests with ``requests``."""
        self._requests = requests

    def send_code(self, challenge: MfaChallenge, *, factor: str | None) -> Conversation[None]:
        """Send the code of a factor."""
        path = UNPUBLISHED["send_mfa_code"]
        body: dict[str, object] = {"challenge_id": checked_challenge(challenge)}
        if factor is not None:
            body["factor_id"] = checked(factor, name="factor", longest=LONGEST_NAME)
        request = self._requests.public(path, body, call="auth.send_mfa_code")
        return single(request, lambda answer: check_done(answer, CODES, assumed_path=path))

    def list_factors(self, who: SignedIn) -> Conversation[tuple[MfaFactor, ...]]:
        """List the user's factors."""
        return single(self._factors("GET", who, call="mfa.factors"), _read_factors)

    def enroll_totp(self, who: SignedIn, *, account: str, replace: bool) -> Conversation[TotpEnrollment]:
        """Begin to enroll an authenticator app. The service names the account itself."""
        return self._enroll(self._factors("GET", who, call="mfa.enroll_totp"), who, replace=replace)

    def confirm_totp(
        self, who: SignedIn, enrollment: TotpEnrollment, code: Secret
    ) -> Conversation[tuple[str, ...]]:
        """Finish an enrolment. v1 hands out recovery codes by ``new_recovery_codes`` only."""
        if enrollment.factor_id is None:
            raise ConfigurationError("enrollment must be the TotpEnrollment of mfa.enroll_totp.")
        path = f"{checked_id(enrollment.factor_id, name='enrollment.factor_id')}/confirm"
        request = self._factors("POST", who, path, {"code": checked_code(code)}, call="mfa.confirm_totp")
        return single(request, _confirmed)

    def disable_totp(self, who: SignedIn, *, password: Secret, code: Secret) -> Conversation[None]:
        """Remove the authenticator app. v1 asks a back end for neither password nor code."""
        checked_password(password)
        checked_code(code)
        return self._disable(self._factors("GET", who, call="mfa.disable_totp"), who)

    def new_recovery_codes(
        self, who: SignedIn, *, password: Secret, code: Secret
    ) -> Conversation[tuple[str, ...]]:
        """Replace the recovery codes. v1 asks a back end for neither password nor code."""
        checked_password(password)
        checked_code(code)
        path = f"/v1/users/{checked_id(who.user_id, name='user_id')}/mfa/backup-codes/generate"
        return single(self._server("POST", path, call="mfa.new_recovery_codes"), _read_recovery_codes)

    def _enroll(self, listing: ApiRequest, who: SignedIn, *, replace: bool) -> Conversation[TotpEnrollment]:
        if _totp(_read_factors((yield listing))) is not None and not replace:
            raise Conflict(
                "An authenticator app is enrolled already. Pass replace=True to replace it with a new one."
            )
        answer = yield self._factors("POST", who, None, {"type": "totp"}, call="mfa.enroll_totp")
        return _read_enrollment(answer)

    def _disable(self, listing: ApiRequest, who: SignedIn) -> Conversation[None]:
        factor = _totp(_read_factors((yield listing)))
        if factor is None or factor.id is None:
            raise NotFound("No authenticator app is enrolled.")
        path = checked_id(factor.id, name="factor.id")
        check_done((yield self._factors("DELETE", who, path, call="mfa.disable_totp")), CODES)

    def _factors(
        self,
        method: str,
        who: SignedIn,
        path: str | None = None,
        body: dict[str, object] | None = None,
        *,
        call: str,
    ) -> ApiRequest:
        factors = f"/v1/users/{checked_id(who.user_id, name='user_id')}/mfa/factors"
        return self._server(method, factors if path is None else f"{factors}/{path}", body, call=call)

    def _server(
        self, method: str, path: str, body: dict[str, object] | None = None, *, call: str
    ) -> ApiRequest:
        if self._requests.secret_key is None:
            raise NotSupported(
                f"{call}: the cloud API (v1) publishes this for back ends only. Call it on a server, with"
                " secret_key=... or HELLOJOHN_SECRET_KEY."
            )
        return self._requests.server(method, path, body, call=call, idempotent=method == "GET")


def _totp(factors: tuple[MfaFactor, ...]) -> MfaFactor | None:
    return next((factor for factor in factors if factor.type == "totp" and factor.active), None)


def _read_factors(answer: Answer) -> tuple[MfaFactor, ...]:
    return required(_factors(success(answer) or {}), answer, CODES)


def _factors(content: Fields) -> tuple[MfaFactor, ...] | None:
    if not isinstance(content.get("data"), list):
        return None
    found = (_factor(fields(item)) for item in listed(content.get("data")))
    return tuple(factor for factor in found if factor is not None)


def _factor(content: Fields) -> MfaFactor | None:
    kind = text(content.get("type"))
    if kind is None:
        return None
    return MfaFactor(
        type=kind,
        id=text(content.get("id")),
        name=text(content.get("name")),
        active=content.get("status", "active") == "active",
        created_at=moment(content.get("created_at")),
        last_used_at=moment(content.get("last_used_at")),
    )


def _read_enrollment(answer: Answer) -> TotpEnrollment:
    return required(_enrollment(success(answer) or {}), answer, CODES)


def _enrollment(content: Fields) -> TotpEnrollment | None:
    totp = fields(content.get("totp"))
    secret, uri, factor_id = text(totp.get("secret")), text(totp.get("uri")), text(content.get("factor_id"))
    if secret is None or uri is None or factor_id is None:
        return None
    return TotpEnrollment(secret=secret, uri=uri, factor_id=factor_id)


def _confirmed(answer: Answer) -> tuple[str, ...]:
    check_done(answer, CODES)
    return ()


def _read_recovery_codes(answer: Answer) -> tuple[str, ...]:
    return required(_recovery_codes(success(answer) or {}), answer, CODES)


def _recovery_codes(content: Fields) -> tuple[str, ...] | None:
    return tuple(filter(None, map(text, listed(content.get("codes"))))) or None

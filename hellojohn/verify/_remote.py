"""Asks the service whether a token is valid (v1): it sees a revocation at once. Pure; the caller sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hellojohn._errors import ConfigurationError, NotSupported, TokenInvalid
from hellojohn._secret import Secret
from hellojohn._wire import Answer, ApiRequest, ApiResponse
from hellojohn._wire.errors import read_failure, refusal
from hellojohn._wire.reading import fields, json_object, moment, text
from hellojohn._wire.v1_codes import CODES
from hellojohn.verify._claims import TokenClaims, read_claims
from hellojohn.verify._token_text import payload_of

_PATH = "/v1/sessions/verify"
_NOT_VALID = frozenset(("token_expired", "invalid_token", "session_revoked", "session_expired"))
_NO_KEY = "secret_key is missing: pass secret_key=... or set HELLOJOHN_SECRET_KEY. verify_token needs none."
_V2 = (
    "verify_token_remote: the open-source server (v2) cannot tell whether a token was revoked. Use"
    " verify_token, and revocations.add for sessions and users that your own code ends."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as the service describes it. Times are UTC; A field that the service leaves out is ``None``.

    Attributes:
        id: The session's id.
        user_id: Whose session it is.
        tenant_id: The tenant.
        status: ``active``, ``expired`` or ``revoked``.
        user_agent: The user agent of the sign-in.
        ip_address: The address of the sign-in.
        country: The country of the sign-in.
        device_type: The kind of device of the sign-in.
        created_at: When the user signed in.
        last_active_at: When it was last refreshed.
        expires_at: When it ends.
    """

    id: str
    user_id: str | None = None
    tenant_id: str | None = None
    status: str | None = None
    user_agent: str | None = None
    ip_address: str | None = None
    country: str | None = None
    device_type: str | None = None
    created_at: datetime | None = None
    last_active_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The service's word about a token.

    Attributes:
        valid: Whether the token is valid now.
        session: The session, if the token is valid and the service describes it.
        claims: The token's claims, if it is valid.
    """

    valid: bool
    session: SessionInfo | None = None
    claims: TokenClaims | None = None


NOT_VALID = Verification(valid=False)


def verify_request(api: str, tenant_id: str, secret_key: Secret | None, token: Secret) -> ApiRequest:
    """Build the request.

    Raises:
        NotSupported: The server is the open-source server (v2).
        ConfigurationError: The secret key is missing.
    """
    if api == "v2":
        raise NotSupported(_V2)
    if secret_key is None:
        raise ConfigurationError(_NO_KEY)
    headers = {"X-Tenant-ID": tenant_id}
    return ApiRequest("POST", _PATH, {"token": token}, secret_key, headers, idempotent=True)


def read_verification(answer: Answer, token: Secret) -> Verification:
    """Read the answer about ``token``.

    Raises:
        ApiError: The service refused to answer, such as for a wrong key.
        ServiceUnavailable: No usable answer came.
    """
    document = _document(answer)
    match document.get("valid"):
        case True:
            claims = _claims(document, token)
            if claims is not None:
                return Verification(valid=True, session=read_session(document.get("session")), claims=claims)
        case False:
            return NOT_VALID
        case _:
            failure = read_failure(answer, CODES) if isinstance(answer, ApiResponse) else None
            if failure is not None and failure.is_in(_NOT_VALID):
                return NOT_VALID
    raise refusal(answer, CODES)


def read_session(value: object) -> SessionInfo | None:
    """Read a session object; ``None`` if it has no id."""
    members = fields(value)
    identity = text(members.get("id"))
    if identity is None:
        return None
    return SessionInfo(
        id=identity,
        user_id=text(members.get("user_id")),
        tenant_id=text(members.get("tenant_id")),
        status=text(members.get("status")),
        user_agent=text(members.get("user_agent")),
        ip_address=text(members.get("ip_address")),
        country=text(members.get("country")),
        device_type=text(members.get("device_type")),
        created_at=moment(members.get("created_at")),
        last_active_at=moment(members.get("last_active_at")),
        expires_at=moment(members.get("expires_at")),
    )


def _document(answer: Answer) -> Mapping[str, object]:
    is_success = isinstance(answer, ApiResponse) and answer.status == 200  # noqa: PLR2004 - its one success
    return fields(json_object(answer.body)) if isinstance(answer, ApiResponse) and is_success else {}


def _claims(document: Mapping[str, object], token: Secret) -> TokenClaims | None:
    """Return the claims of the answer, or those of the token, for which the service has vouched."""
    told = fields(document.get("claims"))
    try:
        return read_claims(dict(told) if "sub" in told and "exp" in told else payload_of(token))
    except TokenInvalid:
        return None

"""From an answer that is not the wished-for one to the error to raise. Pure; raises nothing itself.

What a server says is data: its words are cut, stripped of control characters, and dropped when they repeat
a secret of the call. Its ``code`` decides, then the status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from hellojohn._errors import (
    AccountDisabled,
    AccountLocked,
    ApiError,
    Conflict,
    HelloJohnError,
    InvalidCredentials,
    MfaChallenge,
    MfaRequired,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._secret import Secret
from hellojohn._wire._reading import Fields, fields, http_date, json_object, number, text
from hellojohn._wire._types import Answer, ApiResponse, Delivery, TransportFailure

_BY_CODE: Mapping[str, type[ApiError]] = {
    "invalid_credentials": InvalidCredentials,
    "invalid_mfa_code": InvalidCredentials,
    "mfa_required": MfaRequired,
    "account_locked": AccountLocked,
    "account_disabled": AccountDisabled,
    "insufficient_permissions": PermissionDenied,
    "tenant_mismatch": PermissionDenied,
    "cp_admin_required": PermissionDenied,
    "email_already_exists": Conflict,
    "password_too_weak": ValidationFailed,
    "invalid_email": ValidationFailed,
    "rate_limit_exceeded": RateLimited,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    422: ValidationFailed,
    429: RateLimited,
}
_KEYS = "publishable_key (HELLOJOHN_PUBLISHABLE_KEY) and secret_key (HELLOJOHN_SECRET_KEY)"
_ADVICE: Mapping[str, str] = {
    "invalid_publishable_key": "Check publishable_key (HELLOJOHN_PUBLISHABLE_KEY).",
    "invalid_api_key": f"Check {_KEYS}.",
    "missing_token": f"No key or token reached the API: check {_KEYS}, and proxies that drop headers.",
    "mfa_required": "Call auth.verify_mfa(error.challenge, code).",
    "tenant_mismatch": "Check tenant_id (HELLOJOHN_TENANT_ID).",
}
_ADDRESS = "check api_url (HELLOJOHN_API_URL), to which redirects are not followed."

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_LONGEST_MESSAGE = 300
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error's body says.

    Attributes:
        code: What to branch on. It is as the server sent it: never show it.
        shown: The code to show; ``None`` when the server hid a secret in it.
        message: The server's words, safe to show; ``None`` when there are none.
        request_id: What to quote to support.
        challenge: What a second factor must answer.
    """

    code: str = field(repr=False)
    shown: str | None
    message: str | None
    request_id: str | None
    challenge: MfaChallenge | None


def read_failure(reply: ApiResponse) -> Failure | None:
    """Read an error's body in any shape the service has; ``None`` when it is not the service speaking."""
    document = json_object(reply.body) or {}
    told = {**document, **fields(document.get("error"))}
    code = next((code for code in (told.get("code"), told.get("error")) if isinstance(code, str)), "")
    if not _CODE.fullmatch(code):
        return None
    said = told.get("message") or told.get("error_description")
    return Failure(
        code=code,
        shown=code if code in _BY_CODE or not _echoes(code, reply.secrets) else None,
        message=_words(said, reply.secrets),
        request_id=_request_id(told.get("request_id"), reply),
        challenge=_challenge(told, reply.secrets),
    )


def refusal(answer: Answer) -> HelloJohnError:
    """Return what to raise for an answer that is not the wished-for one, an unreadable success among them."""
    if isinstance(answer, TransportFailure):
        return unreachable(answer)
    failure = read_failure(answer)
    match answer.status:
        case 503:
            return unavailable(answer)
        case 401 | 403 if failure is None:
            return _unavailable(f"Somebody between here and HelloJohn answered {answer.status}.")
        case status if 300 <= status < 500:  # noqa: PLR2004 - the API's no, and answers like it
            return _api_error(answer, failure)
        case status if 200 <= status < 300:  # noqa: PLR2004 - a yes that cannot be read
            return _unavailable("HelloJohn's answer cannot be understood.", ambiguous=True)
        case status:
            return _unavailable(f"HelloJohn failed with status {status}.", ambiguous=True)


def unreachable(lost: TransportFailure) -> ServiceUnavailable:
    """Return what to raise when no answer came."""
    return _unavailable(
        f"HelloJohn gave no answer ({lost.detail}).", ambiguous=lost.fault is Delivery.UNKNOWN
    )


def unavailable(reply: ApiResponse) -> ServiceUnavailable:
    """Return what to raise when the service asks for a wait."""
    message = f"HelloJohn cannot serve now (status {reply.status})."
    return _unavailable(message, retry_after=retry_after(reply))


def retry_after(reply: ApiResponse) -> float | None:
    """Read how many seconds to wait, at most a day: the header's number or date, else the body's number.

    A date is measured against the answer's own, never against this machine's clock.
    """
    header = reply.headers.get("retry-after")
    document = json_object(reply.body) or {}
    told = {**document, **fields(document.get("error"))}
    candidates = (number(header), _until(header, reply), number(told.get("retry_after")))
    wait = next((wait for wait in candidates if wait is not None), None)
    return None if wait is None else min(wait, _LONGEST_WAIT)


def _until(header: str | None, reply: ApiResponse) -> float | None:
    then, now = http_date(header), http_date(reply.headers.get("date"))
    return None if then is None or now is None else max((then - now).total_seconds(), 0.0)


def _unavailable(
    happened: str, *, retry_after: float | None = None, ambiguous: bool = False
) -> ServiceUnavailable:
    doubt = " It may have carried out the call all the same." if ambiguous else ""
    message = f"{happened}{doubt} Try again later."
    return ServiceUnavailable(message, retry_after=retry_after, ambiguous=ambiguous)


def _api_error(reply: ApiResponse, failure: Failure | None) -> ApiError:
    kind = _kind(reply.status, failure)
    message = _message(reply.status, failure)
    told: dict[str, Any] = {"status": reply.status, "request_id": _request_id(None, reply)}
    if failure is not None:
        told |= {"code": failure.shown, "request_id": failure.request_id}
    if kind is RateLimited:
        told["retry_after"] = retry_after(reply)
    if kind is MfaRequired and failure is not None:
        told["challenge"] = failure.challenge
    return kind(message, **told)


def _kind(status: int, failure: Failure | None) -> type[ApiError]:
    kind = _BY_CODE.get(failure.code) if failure is not None else None
    if kind is MfaRequired and failure is not None and failure.challenge is None:
        return ApiError
    return kind or _BY_STATUS.get(status, ApiError)


def _message(status: int, failure: Failure | None) -> str:
    if failure is None:
        return f"The answer has status {status} and is none of the HelloJohn API's: {_ADDRESS}"
    words = failure.message or f"The API refused with status {status} ({failure.shown or 'no code'})."
    return f"{words} {_ADVICE.get(failure.code, '')}".rstrip()


def _challenge(told: Fields, secrets: tuple[Secret, ...]) -> MfaChallenge | None:
    challenge_id, factors = text(told.get("challenge_id")), told.get("available_factors")
    if challenge_id is None or _echoes(challenge_id, secrets):
        return None
    listed = cast("list[object]", factors) if isinstance(factors, list) else []
    ids = [text(fields(factor).get("id", factor)) for factor in listed]
    known = (name for name in ids if name is not None and not _echoes(name, secrets))
    return MfaChallenge(challenge_id, tuple(known))


def _request_id(told: object, reply: ApiResponse) -> str | None:
    named = text(told) or reply.headers.get("x-request-id", "")
    return named if _REQUEST_ID.fullmatch(named) and not _echoes(named, reply.secrets) else None


def _words(said: object, secrets: tuple[Secret, ...]) -> str | None:
    if not isinstance(said, str):
        return None
    start = said[: 10 * _LONGEST_MESSAGE]
    words = " ".join("".join(char if char.isprintable() else " " for char in start).split())
    return None if _echoes(said, secrets) or _echoes(words, secrets) else words[:_LONGEST_MESSAGE] or None


def _echoes(said: str, secrets: tuple[Secret, ...]) -> bool:
    return any(secret.reveal() in said for secret in secrets if secret.reveal())

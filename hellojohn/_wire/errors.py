"""Map an answer that is not a success to the error to raise. Nothing here raises.

    answer                                       error
    -------------------------------------------  -----------------------------------------------------------
    none                                         ServiceUnavailable, ambiguous if the request may have arrived
    503                                          ServiceUnavailable with the wait that the service asks for
    3xx or 4xx with an error of HelloJohn's      the ApiError of its code, else of its status
    429 with any other body                      RateLimited
    any other 3xx or 4xx                         ServiceUnavailable: something other than HelloJohn answered
    2xx that cannot be read; all other statuses  ServiceUnavailable, ambiguous

The error of a known code has the SDK's own sentence. The service's words are quoted for other codes:
shortened, without control characters, and left out when they repeat a secret of the request.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from hellojohn._errors import (
    ApiError,
    Conflict,
    HelloJohnError,
    MfaChallenge,
    MfaRequired,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._limits import LONGEST_MESSAGE, LONGEST_RETRY_AFTER
from hellojohn._secret import Secret
from hellojohn._version import __version__
from hellojohn._wire.reading import Fields, fields, http_date, json_object, number, text
from hellojohn._wire.values import Answer, ApiResponse, Delivery, TransportFailure

_BY_STATUS: Mapping[int, type[ApiError]] = {
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    422: ValidationFailed,
    429: RateLimited,
}
# Services behind other gateways spell codes in camel case or as words: those errors are not HelloJohn's.
_CODE = re.compile(r"(?=.{1,64}\Z)(?:[a-z][a-z0-9_.:-]*|[A-Z][A-Z0-9_]*)")
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_FACTORS = frozenset({"totp", "sms", "email", "recovery", "webauthn"})


class Meaning(NamedTuple):
    """What an error code means.

    Attributes:
        error: The error to raise.
        sentence: What to say to the developer or the user.
        quotes: Whether the service's words are added, because they hold facts such as a password rule.
    """

    error: type[ApiError]
    sentence: str
    quotes: bool = False


Codes = Mapping[str, Meaning]
"""The codes of one dialect. ``"code: detail"`` is looked up before ``"code"``."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the body of an error says.

    Attributes:
        code: The code to branch on, as the server sent it. Do not show it.
        detail: What goes with the code, as the server sent it. Do not show it.
        shown: The code to show; ``None`` when it repeats a secret of the request.
        words: The server's words, safe to show; ``None`` when there are none.
        request_id: The id to quote to support.
        challenge: The challenge that a second factor must answer.
        meaning: What the dialect knows of the code.
    """

    code: str = field(repr=False)
    detail: str = field(repr=False)
    shown: str | None
    words: str | None
    request_id: str | None
    challenge: MfaChallenge | None
    meaning: Meaning | None

    def is_in(self, codes: Container[str]) -> bool:
        """Return whether the code, or the code with its detail, is one of ``codes``."""
        return self.key(codes) is not None

    def key(self, codes: Container[str]) -> str | None:
        """Return the entry of ``codes`` for this failure: the one with its detail goes first."""
        return _key(self.code, self.detail, codes)


def read_failure(response: ApiResponse, codes: Codes) -> Failure | None:
    """Read the body of an error in each shape that the service uses; ``None`` when it is not HelloJohn's.

    A code at the top level needs a message beside it, or has to be a known one: other services write
    ``{"error": "unauthorized"}``, too.
    """
    document = json_object(response.body) or {}
    nested = fields(document.get("error"))
    content = {**document, **nested}
    code = next((code for code in (content.get("code"), content.get("error")) if isinstance(code, str)), "")
    said = content.get("message") or content.get("error_description")
    detail = content.get("detail") if isinstance(content.get("detail"), str) else ""
    key = _key(code, str(detail), codes)
    if key is None and not (_CODE.fullmatch(code) and (nested or isinstance(said, str))):
        return None
    secrets = response.secrets
    words = " ".join(filter(None, (_words(said, secrets), _words(detail, secrets))))
    return Failure(
        code=code,
        detail=str(detail),
        shown=code if key is not None or not _echoes(code, secrets) else None,
        words=words or None,
        request_id=_request_id(content.get("request_id"), response),
        challenge=read_challenge(content, secrets),
        meaning=None if key is None else codes[key],
    )


def refusal(answer: Answer, codes: Codes, *, assumed_path: str | None = None) -> HelloJohnError:
    """Return the error to raise for an answer that is not the expected one.

    Args:
        answer: The answer.
        codes: The dialect's error codes.
        assumed_path: The path of the request, if no document of the service names it.
    """
    if isinstance(answer, TransportFailure):
        return unreachable(answer)
    if answer.is_success:
        return _unavailable("HelloJohn's answer cannot be understood.", ambiguous=True)
    match answer.status // 100, answer.status:
        case _, 503:
            return unavailable(answer)
        case 3 | 4, _:
            return _refused(answer, read_failure(answer, codes), assumed_path)
        case _, status:
            return _unavailable(f"HelloJohn failed with status {status}.", ambiguous=True)


def api_error(response: ApiResponse, failure: Failure | None) -> ApiError:
    """Return the error for a refusal by HelloJohn."""
    kind = _kind(response.status, failure)
    facts: dict[str, Any] = {"status": response.status, "request_id": _request_id(None, response)}
    if failure is not None:
        facts |= {"code": failure.shown, "request_id": failure.request_id}
    if kind is RateLimited:
        facts["retry_after"] = retry_after(response)
    if kind is MfaRequired and failure is not None:
        facts["challenge"] = failure.challenge
    return kind(_sentence(response.status, failure), **facts)


def foreign(response: ApiResponse) -> ServiceUnavailable:
    """Return the error for an answer of something other than HelloJohn."""
    return ServiceUnavailable(
        f"Got status {response.status} from something other than HelloJohn, such as a proxy, a captive portal"
        " or a redirect, which is not followed. If it lasts, check api_url (HELLOJOHN_API_URL) and the proxy"
        " settings."
    )


def unreachable(failure: TransportFailure) -> ServiceUnavailable:
    """Return the error for a request without an answer."""
    ambiguous = failure.delivery is Delivery.UNKNOWN
    return _unavailable(f"HelloJohn gave no answer ({failure.detail}).", ambiguous=ambiguous)


def unavailable(response: ApiResponse) -> ServiceUnavailable:
    """Return the error for an answer that asks to wait."""
    message = f"HelloJohn cannot serve now (status {response.status})."
    return _unavailable(message, retry_after=retry_after(response))


def retry_after(response: ApiResponse) -> float | None:
    """Read how many seconds to wait: the header's number or date, else the body's number.

    A date is measured against the answer's own date, because this machine's clock may be wrong.
    """
    header = response.headers.get("retry-after")
    document = json_object(response.body) or {}
    content = {**document, **fields(document.get("error"))}
    candidates = number(header), _until(header, response), number(content.get("retry_after"))
    wait = next((wait for wait in candidates if wait is not None), None)
    return None if wait is None else min(wait, LONGEST_RETRY_AFTER)


def read_challenge(content: Fields, secrets: tuple[Secret, ...]) -> MfaChallenge | None:
    """Read the challenge of a sign-in that needs a second factor."""
    challenge_id, factors = text(content.get("challenge_id")), content.get("available_factors")
    if challenge_id is None:
        return None
    listed = cast("list[object]", factors) if isinstance(factors, list) else []
    ids = [text(fields(factor).get("id", factor)) for factor in listed]
    known = (name for name in ids if name is not None and (name in _FACTORS or not _echoes(name, secrets)))
    return MfaChallenge(challenge_id, tuple(known))


def _key(code: str, detail: str, codes: Container[str]) -> str | None:
    exact = f"{code}: {detail}"
    return exact if exact in codes else code if code in codes else None


def _until(header: str | None, response: ApiResponse) -> float | None:
    then, now = http_date(header), http_date(response.headers.get("date"))
    return None if then is None or now is None else max((then - now).total_seconds(), 0.0)


def _unavailable(
    happened: str, *, retry_after: float | None = None, ambiguous: bool = False
) -> ServiceUnavailable:
    doubt = " It may have carried out the request nevertheless." if ambiguous else ""
    message = f"{happened}{doubt} Try again later."
    return ServiceUnavailable(message, retry_after=retry_after, ambiguous=ambiguous)


def _kind(status: int, failure: Failure | None) -> type[ApiError]:
    meaning = None if failure is None else failure.meaning
    if failure is not None and meaning is not None and meaning.error is MfaRequired and not failure.challenge:
        return ApiError  # without a challenge, a second factor cannot be answered
    return _BY_STATUS.get(status, ApiError) if meaning is None else meaning.error


def _refused(response: ApiResponse, failure: Failure | None, assumed_path: str | None) -> HelloJohnError:
    if failure is None and response.status != 429:  # noqa: PLR2004 - any gateway may limit the rate
        return foreign(response)
    if failure is not None and assumed_path is not None and response.status in (404, 405):
        return _unknown_path(response, failure, assumed_path)
    return api_error(response, failure)


def _unknown_path(response: ApiResponse, failure: Failure, path: str) -> ApiError:
    return ApiError(
        f"The service answered {response.status} at {path}. This path is an assumption of the SDK"
        f" (hellojohn {__version__}): no document of the service names it. Upgrade hellojohn, or report this.",
        status=response.status,
        code=failure.shown,
        request_id=failure.request_id,
    )


def _sentence(status: int, failure: Failure | None) -> str:
    if failure is None:
        return f"The service refused with status {status}."
    if failure.meaning is None:
        return failure.words or f"The service refused with status {status} ({failure.shown or 'no code'})."
    quoted = failure.words if failure.meaning.quotes else None
    return f"{failure.meaning.sentence} The service says: {quoted}" if quoted else failure.meaning.sentence


def _request_id(named: object, response: ApiResponse) -> str | None:
    found = text(named) or response.headers.get("x-request-id", "")
    return found if _REQUEST_ID.fullmatch(found) and not _echoes(found, response.secrets) else None


def _words(said: object, secrets: tuple[Secret, ...]) -> str | None:
    if not isinstance(said, str):
        return None
    start = said[: 10 * LONGEST_MESSAGE]
    words = " ".join("".join(char if char.isprintable() else " " for char in start).split())
    return None if _echoes(said, secrets) or _echoes(words, secrets) else words[:LONGEST_MESSAGE] or None


def _echoes(said: str, secrets: tuple[Secret, ...]) -> bool:
    return any(secret.reveal() in said for secret in secrets if secret.reveal())

"""Map an answer that is not a success to the error to raise.

    answer                                       error
    -------------------------------------------  -----------------------------------------------------------
    none                                         ServiceUnavailable, ambiguous if the request may have arrived
    503                                          ServiceUnavailable with the wait that the service asks for
    407, 408, 421, 425 without a known code      ServiceUnavailable: the connection failed, and not the call
    404, 405 without a known code                ServiceUnavailable: api_url is wrong, if no id is in the path
    3xx or 4xx with an error of HelloJohn's      the ApiError of its code, else of its status
    429 with any other body                      RateLimited
    any other 3xx or 4xx                         ServiceUnavailable: something other than HelloJohn answered
    2xx that cannot be read; all other statuses  ServiceUnavailable, ambiguous

The error of a known code has the SDK's own sentence. For other codes the service's words are quoted.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from hellojohn._errors import (
    ApiError,
    Conflict,
    HelloJohnError,
    MfaRequired,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
    ValidationFailed,
)
from hellojohn._limits import LONGEST_RETRY_AFTER
from hellojohn._version import __version__
from hellojohn._wire.failures import Codes, Failure, Meaning, read_failure, read_request_id
from hellojohn._wire.reading import fields, http_date, json_object, number
from hellojohn._wire.tokens import success
from hellojohn._wire.values import Answer, ApiResponse, Delivery, TransportFailure

T = TypeVar("T")

_BY_STATUS: Mapping[int, type[ApiError]] = {
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    422: ValidationFailed,
    429: RateLimited,
}
_ABOUT_THE_INPUT = frozenset({400, 401, 410})
_ABOUT_THE_PATH = frozenset({404, 405})
_ABOUT_THE_CONNECTION = frozenset({407, 408, 421, 425})


def is_own(answer: Answer, codes: Codes) -> bool:
    """Return whether the answer to a call with a fixed path shows that HelloJohn is at this address."""
    if not isinstance(answer, ApiResponse) or answer.status in _ABOUT_THE_PATH:
        return False
    return read_failure(answer, codes) is not None or bool(success(answer))


def check_done(
    answer: Answer,
    codes: Codes,
    *,
    fixed_path: bool = False,
    assumed_path: str | None = None,
    otherwise: Meaning | None = None,
) -> None:
    """Accept any success.

    Raises:
        HelloJohnError: The answer is not one; ``refusal`` has the arguments.
    """
    if not (isinstance(answer, ApiResponse) and answer.is_success):
        raise refusal(answer, codes, fixed_path=fixed_path, assumed_path=assumed_path, otherwise=otherwise)


def required(found: T | None, answer: Answer, codes: Codes, *, fixed_path: bool = False) -> T:
    """Return the values that were read from an answer.

    The content of the answer is read in the expression of the argument: a local variable with it would show
    in the traceback of the error.

    Raises:
        HelloJohnError: Nothing could be read.
    """
    if found is None:
        raise refusal(answer, codes, fixed_path=fixed_path)
    return found


def refusal(
    answer: Answer,
    codes: Codes,
    *,
    fixed_path: bool = False,
    assumed_path: str | None = None,
    otherwise: Meaning | None = None,
) -> HelloJohnError:
    """Return the error to raise for an answer that is not the expected one. It does not raise.

    Args:
        answer: The answer.
        codes: The dialect's error codes.
        fixed_path: Whether each HelloJohn has the path of the request, because no id is in it.
        assumed_path: The path of the request, if no document of the service names it.
        otherwise: The meaning of an unknown code with status 400, 401 or 410.
    """
    if isinstance(answer, TransportFailure):
        return unreachable(answer)
    if answer.is_success:
        return _unavailable("HelloJohn's answer cannot be understood.", ambiguous=True)
    match answer.status // 100, answer.status:
        case _, 503:
            return unavailable(answer, codes)
        case 3 | 4, _:
            return _refused(answer, codes, assumed_path, otherwise, fixed_path=fixed_path)
        case _, status:
            return _unavailable(f"HelloJohn failed with status {status}.", ambiguous=True)


def unreachable(failure: TransportFailure) -> ServiceUnavailable:
    """Return the error for a request without an answer."""
    ambiguous = failure.delivery is Delivery.UNKNOWN
    return _unavailable(f"HelloJohn gave no answer ({failure.detail}).", ambiguous=ambiguous)


def unavailable(response: ApiResponse, codes: Codes) -> ServiceUnavailable:
    """Return the error for an answer that asks to wait."""
    message = f"HelloJohn cannot serve now (status {response.status})."
    return _unavailable(message, retry_after=retry_after(response, codes))


def retry_after(response: ApiResponse, codes: Codes) -> float | None:
    """Read how many seconds to wait: the header's number or date, else the body's number.

    A date is measured against the answer's own date, because this machine's clock may be wrong.
    """
    header = response.headers.get("retry-after")
    document = json_object(response.body) or {}
    content = {**document, **fields(document.get("error"))}
    candidates = number(header), _until(header, response), number(content.get("retry_after"))
    wait = next((wait for wait in candidates if wait is not None), None)
    return None if wait is None else min(max(wait, codes.shortest_wait), LONGEST_RETRY_AFTER)


def _refused(
    response: ApiResponse,
    codes: Codes,
    assumed_path: str | None,
    otherwise: Meaning | None,
    *,
    fixed_path: bool,
) -> HelloJohnError:
    failure, status = read_failure(response, codes), response.status
    if failure is None:  # any gateway may limit the rate
        return _api_error(response, None, codes) if status == 429 else _foreign(response)  # noqa: PLR2004
    if assumed_path is not None and status in _ABOUT_THE_PATH:
        return _unknown_path(response, failure, assumed_path)
    if failure.meaning is None and status in _ABOUT_THE_CONNECTION:
        return _foreign(response)
    if failure.meaning is None and status in _ABOUT_THE_PATH and fixed_path:
        return _nothing_there(status, failure)
    if failure.meaning is None and status in _ABOUT_THE_INPUT:
        failure = replace(failure, meaning=otherwise)
    return _api_error(response, failure, codes)


def _api_error(response: ApiResponse, failure: Failure | None, codes: Codes) -> ApiError:
    kind = _kind(response.status, failure)
    facts: dict[str, Any] = {"status": response.status, "request_id": read_request_id(None, response)}
    if failure is not None:
        facts |= {"code": failure.shown, "request_id": failure.request_id}
    if kind is RateLimited:
        facts["retry_after"] = retry_after(response, codes)
    if kind is MfaRequired and failure is not None:
        facts["challenge"] = failure.challenge
    return kind(_sentence(response.status, failure), **facts)


def _foreign(response: ApiResponse) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Got status {response.status} from something other than HelloJohn, such as a proxy, a captive portal"
        " or a redirect, which is not followed. If it lasts, check api_url (HELLOJOHN_API_URL) and the proxy"
        " settings."
    )


def _nothing_there(status: int, failure: Failure) -> ServiceUnavailable:
    said = f": {failure.words}" if failure.words else ""
    return ServiceUnavailable(
        f"HelloJohn has nothing at the address of this call (status {status}{said}). Check api_url"
        " (HELLOJOHN_API_URL), which may have a wrong path, and api."
    )


def _unknown_path(response: ApiResponse, failure: Failure, path: str) -> ApiError:
    return ApiError(
        f"The service answered {response.status} at {path}. This path is an assumption of the SDK (hellojohn"
        f" {__version__}): no document of the service names it. Upgrade hellojohn, or report this.",
        status=response.status,
        code=failure.shown,
        request_id=failure.request_id,
    )


def _unavailable(
    happened: str, *, retry_after: float | None = None, ambiguous: bool = False
) -> ServiceUnavailable:
    doubt = " It may have carried out the request nevertheless." if ambiguous else ""
    message = f"{happened}{doubt} Try again later."
    return ServiceUnavailable(message, retry_after=retry_after, ambiguous=ambiguous)


def _kind(status: int, failure: Failure | None) -> type[ApiError]:
    meaning = None if failure is None else failure.meaning
    if meaning is None:
        return _BY_STATUS.get(status, ApiError)
    if meaning.error is MfaRequired and (failure is None or failure.challenge is None):
        return ApiError  # without a challenge, a second factor cannot be answered
    return meaning.error


def _sentence(status: int, failure: Failure | None) -> str:
    if failure is None:
        return f"The service refused with status {status}."
    if failure.meaning is None:
        return failure.words or f"The service refused with status {status} ({failure.shown or 'no code'})."
    quoted = failure.words if failure.meaning.quotes else None
    return f"{failure.meaning.sentence} The service says: {quoted}" if quoted else failure.meaning.sentence


def _until(header: str | None, response: ApiResponse) -> float | None:
    then, now = http_date(header), http_date(response.headers.get("date"))
    return None if then is None or now is None else max((then - now).total_seconds(), 0.0)

"""The meaning of an answer to a refresh: one table, read from the top. Nothing here raises or acts.

    answer                                             outcome            ask again
    -------------------------------------------------  -----------------  -----------------------------------
    2xx with readable tokens                           success
    none, and nothing was sent                         not sent
    none after sending                                 unknown            yes
    429, 503                                           retry later
    2xx that cannot be read                            unknown            no
    504: the service behind the gateway is working on  unknown            no
    any other 5xx                                      unknown            yes
    1xx, 6xx and more                                  unknown            no
    3xx or 4xx whose body is not HelloJohn's           foreign response
    404, 405, 407, 408, 421, 425 without a known code  foreign response
    4xx with a code that ends a session, in doubt      doubtful end
    4xx with any other code that ends a session        session ended
    any other 3xx or 4xx                               misconfigured

Only the codes that the dialect lists end a session. An unknown code ends nothing, nor does a listed one with
another status.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hellojohn._errors import ExpiryReason, ServiceUnavailable
from hellojohn._wire.errors import refusal, retry_after, unavailable
from hellojohn._wire.failures import Codes, Failure, read_failure
from hellojohn._wire.values import (
    Answer,
    ApiResponse,
    Delivery,
    Outcome,
    OutcomeKind,
    TransportFailure,
)


class Ending(NamedTuple):
    """The meaning of a code that ends a session.

    Attributes:
        reason: Why the session is over.
        token_was_used: Whether the service may mean that the token was presented before.
        doubtful: Whether the service says the same during an outage.
    """

    reason: ExpiryReason
    token_was_used: bool = False
    doubtful: bool = False


Endings = Mapping[str, Ending]
"""The codes of one dialect that end a session. ``"code: detail"`` is looked up before ``"code"``."""


def failed_refresh(answer: Answer, codes: Codes, endings: Endings) -> Outcome:
    """Classify an answer to a refresh that has no readable tokens.

    Args:
        answer: The answer.
        codes: The dialect's error codes.
        endings: The codes that end a session.
    """
    if isinstance(answer, TransportFailure):
        kind = OutcomeKind.NOT_SENT if answer.delivery is Delivery.NOT_SENT else OutcomeKind.UNKNOWN
        return Outcome(kind, error=refusal(answer, codes), ask_again=kind is OutcomeKind.UNKNOWN)
    failure = read_failure(answer, codes)
    code = None if failure is None else failure.shown
    match answer.status // 100, answer.status:
        case _, 429 | 503:
            wait = retry_after(answer, codes)
            return Outcome(
                OutcomeKind.RETRY_LATER, code=code, retry_after=wait, error=unavailable(answer, codes)
            )
        case 3 | 4, _:
            return _refused(answer, failure, codes, endings)
        case hundred, status:
            again = hundred == 5 and status != 504  # noqa: PLR2004 - the table above
            return Outcome(OutcomeKind.UNKNOWN, code=code, error=refusal(answer, codes), ask_again=again)


def _refused(answer: ApiResponse, failure: Failure | None, codes: Codes, endings: Endings) -> Outcome:
    error = refusal(answer, codes, fixed_path=True)
    if failure is None:
        return Outcome(OutcomeKind.FOREIGN_RESPONSE, error=error)
    key = failure.key_in(endings) if answer.status // 100 == 4 else None  # noqa: PLR2004 - the table above
    if key is None:
        foreign = isinstance(error, ServiceUnavailable)
        kind = OutcomeKind.FOREIGN_RESPONSE if foreign else OutcomeKind.MISCONFIGURED
        return Outcome(kind, code=failure.shown, error=error)
    ending = endings[key]
    return Outcome(
        OutcomeKind.DOUBTFUL_END if ending.doubtful else OutcomeKind.SESSION_ENDED,
        reason=ending.reason,
        code=failure.code,
        error=_in_doubt() if ending.doubtful else None,
        token_was_used=ending.token_was_used,
    )


def _in_doubt() -> ServiceUnavailable:
    return ServiceUnavailable(
        "HelloJohn refused the refresh with an answer that it also gives during an outage. Try again later."
    )

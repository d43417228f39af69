"""What an answer to a refresh means: one table, and nothing that acts on it. Pure; never raises.

answer                                             outcome
-------------------------------------------------  -------------
2xx with a readable body                           done
no answer, and nothing was sent                    not sent
429, 503                                           later
no answer after sending; 2xx that cannot be read;  unknown
any other 5xx, 1xx
4xx with a code that ends a session                over
401 or 403 whose body is no error of HelloJohn's   not ours
any other 3xx or 4xx                               misconfigured

Only *over* ends a session, and only the codes that the dialect lists mean it: a code nobody knows, or one of
those beside a 5xx or a 429, ends nothing.
"""

from collections.abc import Mapping

from hellojohn._errors import ExpiryReason
from hellojohn._wire._types import (
    Answer,
    ApiResponse,
    Delivery,
    Outcome,
    OutcomeKind,
    TokenResponse,
    TransportFailure,
)
from hellojohn._wire.errors import read_failure, refusal, retry_after, unavailable

__all__ = ["Outcome", "OutcomeKind", "outcome"]


def outcome(answer: Answer, grant: TokenResponse | None, *, over: Mapping[str, ExpiryReason]) -> Outcome:
    """Classify the answer to a refresh.

    Args:
        answer: The answer.
        grant: What could be read from it, if anything.
        over: The codes that end a session.
    """
    if isinstance(answer, TransportFailure):
        kind = OutcomeKind.NOT_SENT if answer.fault is Delivery.NOT_SENT else OutcomeKind.UNKNOWN
        return Outcome(kind, error=refusal(answer), ask_again=kind is OutcomeKind.UNKNOWN)
    failure = read_failure(answer)
    code, shown = (None, None) if failure is None else (failure.code, failure.shown)
    match _kind(answer, grant, code, over):
        case OutcomeKind.SUCCESS as kind:
            return Outcome(kind, tokens=grant)
        case OutcomeKind.SESSION_ENDED as kind:
            return Outcome(kind, reason=over[code or ""], code=code)
        case OutcomeKind.RETRY_LATER as kind:
            wait = retry_after(answer)
            return Outcome(kind, code=shown, retry_after=wait, error=unavailable(answer))
        case kind:
            again = kind is OutcomeKind.UNKNOWN and answer.status >= 500 and answer.status != 504
            return Outcome(kind, code=shown, error=refusal(answer), ask_again=again)


def _kind(
    reply: ApiResponse, grant: TokenResponse | None, code: str | None, over: Mapping[str, ExpiryReason]
) -> OutcomeKind:
    match reply.status // 100, reply.status:
        case 2, _:
            return OutcomeKind.UNKNOWN if grant is None else OutcomeKind.SUCCESS
        case _, 429 | 503:
            return OutcomeKind.RETRY_LATER
        case 4, _ if code in over:
            return OutcomeKind.SESSION_ENDED
        case 3 | 4, _ if code is None:
            return OutcomeKind.FOREIGN_RESPONSE
        case 3 | 4, _:
            return OutcomeKind.MISCONFIGURED
        case _:
            return OutcomeKind.UNKNOWN

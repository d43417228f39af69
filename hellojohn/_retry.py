"""How long to keep asking for one refresh: tenacity's machinery, our rules, time injected.

    outcome      again?
    -----------  --------------------------------------------------------------------------------
    not sent     yes, after a jittered backoff
    later        yes, after the wait the service asked for (a backoff if it named none)
    unknown      once, at once: within a grace window it recovers, and without one waiting is no help
    all others   no

It ends after four attempts, when the next wait would pass the deadline, or when nobody wants the result.
"""

import random
from collections.abc import Callable

from tenacity import RetryCallState, Retrying
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from hellojohn._timing import Timing
from hellojohn._wire import Outcome, OutcomeKind

_ATTEMPTS = 4
_FIRST_BACKOFF = 0.2


class Attempts:
    """The attempts of one refresh.

    Attributes:
        ambiguous: Whether one of them may have been carried out without our hearing of it.
    """

    def __init__(self, timing: Timing, *, deadline: float, wanted: Callable[[], bool]) -> None:
        """Begin at the timing's present moment; ``deadline`` is in seconds from now."""
        self._timing = timing
        self._ends_at = timing.monotonic() + deadline
        self._wanted = wanted
        self._unknown = 0
        self.ambiguous = False

    def make(self, attempt: Callable[[float], Outcome]) -> Outcome:
        """Call ``attempt`` with the seconds that are left, until an outcome is final."""
        retrying = Retrying(
            retry=_WorthAnother(self),
            wait=_Backoff(),
            stop=_OutOfTime(self),
            sleep=self._timing.sleep,
            retry_error_callback=_last_outcome,
        )
        return retrying(lambda: self._observe(attempt(self.left())))

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self._ends_at - self._timing.monotonic()

    def wanted(self) -> bool:
        """Return whether anybody still wants the result."""
        return self._wanted()

    def may_repeat(self, outcome: Outcome) -> bool:
        """Look the outcome up in the table."""
        match outcome.kind:
            case OutcomeKind.NOT_SENT | OutcomeKind.RETRY_LATER:
                return True
            case OutcomeKind.UNKNOWN:
                return self._unknown == 1
            case _:
                return False

    def _observe(self, outcome: Outcome) -> Outcome:
        if outcome.kind is OutcomeKind.UNKNOWN:
            self._unknown += 1
            self.ambiguous = True
        return outcome


class _WorthAnother(retry_base):
    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._attempts.may_repeat(_last_outcome(retry_state))


class _Backoff(wait_base):
    def __call__(self, retry_state: RetryCallState) -> float:
        outcome = _last_outcome(retry_state)
        if outcome.kind is OutcomeKind.UNKNOWN:
            return 0.0
        if outcome.retry_after is not None:
            return outcome.retry_after
        longest = _FIRST_BACKOFF * 2.0**retry_state.attempt_number
        return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, guards nothing


class _OutOfTime(stop_base):
    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def __call__(self, retry_state: RetryCallState) -> bool:
        spent = retry_state.attempt_number >= _ATTEMPTS
        late = retry_state.upcoming_sleep >= self._attempts.left()
        return spent or late or not self._attempts.wanted()


def _last_outcome(retry_state: RetryCallState) -> Outcome:
    assert retry_state.outcome is not None  # noqa: S101 - tenacity asks only after an attempt
    outcome: Outcome = retry_state.outcome.result()
    return outcome

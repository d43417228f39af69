"""How often one refresh is sent: tenacity runs the attempts, this module has the rules. Time is injected.

    outcome               again?
    --------------------  ----------------------------------------------------------------------------
    not sent              after a backoff with a jitter
    retry later           after the wait that the service asked for, or a backoff if it named none
    unknown, ``ask_again``  once, after REPEAT_PAUSE: the first request may still be at work
    all others            no

The attempts end after REFRESH_ATTEMPTS, when the next wait would pass the deadline, or when the result is not
wanted any more.
"""

import random
from collections.abc import Callable
from typing import Any

from hellojohn._clock import Timing
from hellojohn._limits import FIRST_BACKOFF, REFRESH_ATTEMPTS, REPEAT_PAUSE
from hellojohn._loading import loading
from hellojohn._wire import Outcome, OutcomeKind


class Attempts:
    """The attempts of one refresh.

    Attributes:
        ambiguous: Whether the service may have carried out one of them although its answer was lost.
    """

    __slots__ = ("_attempt", "_unknown", "ambiguous", "left", "wanted")

    def __init__(
        self, attempt: Callable[[], Outcome], *, left: Callable[[], float], wanted: Callable[[], bool]
    ) -> None:
        """Prepare them.

        Args:
            attempt: Sends the refresh once.
            left: Returns the seconds until the deadline.
            wanted: Returns whether the result still matters.
        """
        self._attempt = attempt
        self._unknown = 0
        self.left: Callable[[], float] = left
        self.wanted: Callable[[], bool] = wanted
        self.ambiguous: bool = False

    def once(self) -> Outcome:
        """Make one attempt."""
        outcome = self._attempt()
        if outcome.kind is OutcomeKind.UNKNOWN:
            self._unknown += 1
            self.ambiguous = True
        return outcome

    def repeats(self, outcome: Outcome) -> bool:
        """Return whether the table allows another attempt."""
        if outcome.kind in (OutcomeKind.NOT_SENT, OutcomeKind.RETRY_LATER):
            return True
        return outcome.kind is OutcomeKind.UNKNOWN and outcome.ask_again and self._unknown == 1

    def ends(self, number: int, wait: float) -> bool:
        """Return whether this attempt is the last one. The next one would come after ``wait`` seconds."""
        return number >= REFRESH_ATTEMPTS or wait >= self.left() or not self.wanted()


def pause(outcome: Outcome, number: int) -> float:
    """Return the seconds to wait after the attempt with this number."""
    if outcome.kind is OutcomeKind.UNKNOWN:
        return REPEAT_PAUSE
    if outcome.retry_after is not None:
        return outcome.retry_after
    longest = FIRST_BACKOFF * 2.0**number
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, guards nothing


class Retrier:
    """Runs attempts with tenacity. One instance serves all refreshes of a client, on any thread."""

    def __init__(self, timing: Timing) -> None:
        """Take the clock whose ``sleep`` waits between attempts. tenacity is loaded by ``prepare``."""
        self._timing = timing
        self._retrying: Any = None

    def prepare(self) -> None:
        """Load tenacity, so that nothing has to be imported once a refresh was sent."""
        if self._retrying is None:
            with loading:
                from tenacity import Retrying  # noqa: PLC0415 - only a client that refreshes needs it

            self._retrying = Retrying(
                retry=lambda state: _attempts(state).repeats(_outcome(state)),
                wait=lambda state: pause(_outcome(state), state.attempt_number),
                stop=lambda state: _attempts(state).ends(state.attempt_number, state.upcoming_sleep),
                sleep=self._timing.sleep,
                retry_error_callback=_outcome,
            )

    def run(self, attempts: Attempts) -> Outcome:
        """Make attempts until an outcome is final, and return it."""
        self.prepare()
        try:
            outcome: Outcome = self._retrying(Attempts.once, attempts)
            return outcome
        finally:
            # tenacity keeps the last call in a thread-local: a resting thread must not keep a session alive.
            self._retrying.iter_state.reset()


def _attempts(state: Any) -> Attempts:  # noqa: ANN401 - tenacity's RetryCallState
    attempts: Attempts = state.args[0]
    return attempts


def _outcome(state: Any) -> Outcome:  # noqa: ANN401 - the same
    outcome: Outcome = state.outcome.result()
    return outcome

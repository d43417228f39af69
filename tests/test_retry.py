"""The attempts of one refresh: how many, how long apart, and when they end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hellojohn._errors import ServiceUnavailable
from hellojohn._session.retry import Attempts
from hellojohn._wire import Outcome, OutcomeKind
from tests.engine.rig import VirtualTime

NOT_SENT = Outcome(OutcomeKind.NOT_SENT, error=ServiceUnavailable())
UNKNOWN = Outcome(OutcomeKind.UNKNOWN, error=ServiceUnavailable())
FINAL = [
    OutcomeKind.SUCCESS,
    OutcomeKind.SESSION_ENDED,
    OutcomeKind.MISCONFIGURED,
    OutcomeKind.FOREIGN_RESPONSE,
]


def _later(wait: float | None) -> Outcome:
    return Outcome(OutcomeKind.RETRY_LATER, retry_after=wait, error=ServiceUnavailable())


class Trial:
    """Attempts on a virtual time, each of which takes a second."""

    def __init__(
        self, *outcomes: Outcome, deadline: float = 20.0, wanted: int = 99, takes: float = 1.0
    ) -> None:
        self.time = VirtualTime()
        self.given: list[float] = []
        self._outcomes = list(outcomes)
        self._wanted = wanted
        self._takes = takes
        self.attempts = Attempts(
            self.time.timing, deadline=deadline, wanted=lambda: len(self.given) < self._wanted
        )
        self.last = self.attempts.make(self._attempt)

    def _attempt(self, seconds: float) -> Outcome:
        self.given.append(seconds)
        self.time.now += self._takes
        return self._outcomes.pop(0)

    @property
    def count(self) -> int:
        """How many attempts there were."""
        return len(self.given)


@pytest.mark.parametrize("kind", FINAL)
def test_a_final_outcome_is_the_last_attempt(kind):
    """What the service has decided is not asked again."""
    trial = Trial(Outcome(kind), NOT_SENT)
    assert (trial.count, trial.last.kind, trial.attempts.ambiguous) == (1, kind, False)


def test_not_sent_is_tried_four_times_with_growing_backoff():
    """Half of each wait is by chance, so that clients do not come back together."""
    trial = Trial(*[NOT_SENT] * 9)
    assert trial.count == 4
    for slept, longest in zip(trial.time.slept, (0.4, 0.8, 1.6), strict=True):
        assert longest / 2 <= slept <= longest
    assert not trial.attempts.ambiguous


def test_backoffs_differ():
    """A thousand clients of one outage spread out."""
    assert len({Trial(*[NOT_SENT] * 4).time.slept[0] for _ in range(20)}) > 10


def test_later_waits_for_as_long_as_it_was_asked_to():
    """To the second, and no backoff on top."""
    trial = Trial(_later(5.0), _later(0.0), Outcome(OutcomeKind.SUCCESS))
    assert (trial.count, trial.time.slept, trial.last.kind) == (3, [5.0, 0.0], OutcomeKind.SUCCESS)


def test_later_without_a_wait_backs_off():
    """Nobody said how long."""
    trial = Trial(_later(None), Outcome(OutcomeKind.SUCCESS))
    assert 0.2 <= trial.time.slept[0] <= 0.4


@pytest.mark.parametrize("wait", [19.0, 20.0, 90.0, 86_400.0])
def test_a_wait_that_would_pass_the_deadline_ends_it(wait):
    """The caller is told to come back, and the store's lock is not held for it."""
    trial = Trial(_later(wait), NOT_SENT)
    assert (trial.count, trial.time.slept, trial.last.retry_after) == (1, [], wait)


def test_a_wait_that_just_fits_is_waited_for():
    """One attempt of a second, 18.9 seconds of waiting, and a tenth of a second left."""
    trial = Trial(_later(18.9), Outcome(OutcomeKind.SUCCESS))
    assert trial.count == 2
    assert trial.given[1] == pytest.approx(0.1)


def test_unknown_is_tried_once_more_at_once_and_stays_in_doubt():
    """A second unknown outcome is the last."""
    trial = Trial(UNKNOWN, UNKNOWN, NOT_SENT)
    assert (trial.count, trial.time.slept) == (2, [0.0])
    assert trial.attempts.ambiguous


@pytest.mark.parametrize("between", [NOT_SENT, _later(1.0)])
def test_unknown_twice_is_enough_whatever_came_between(between):
    """The token may be presented once more after a doubt, not again and again."""
    trial = Trial(UNKNOWN, between, UNKNOWN, NOT_SENT)
    assert (trial.count, trial.last.kind) == (3, OutcomeKind.UNKNOWN)


def test_a_doubt_stays_whatever_comes_after_it():
    """That the next attempt was not sent does not tell what became of the first."""
    trial = Trial(UNKNOWN, NOT_SENT, Outcome(OutcomeKind.SESSION_ENDED))
    assert trial.attempts.ambiguous


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_ends_when_nobody_wants_the_result(count):
    """A sign-out, or the end of the interpreter."""
    assert Trial(*[NOT_SENT] * 9, wanted=count).count == count


def test_each_attempt_is_given_the_time_that_is_left():
    """The last one ends with the deadline."""
    trial = Trial(_later(2.0), _later(3.0), Outcome(OutcomeKind.SUCCESS))
    assert trial.given == [20.0, 17.0, 13.0]


def test_an_error_of_the_attempt_itself_is_no_outcome():
    """A client that cannot be built is not tried four times."""
    time = VirtualTime()
    attempts = Attempts(time.timing, deadline=20, wanted=lambda: True)

    def broken(_seconds: float) -> Outcome:
        raise ValueError("no certificate")

    with pytest.raises(ValueError, match="certificate"):
        attempts.make(broken)
    assert time.slept == []


outcomes = st.lists(
    st.sampled_from(
        [NOT_SENT, UNKNOWN, _later(None), _later(0.0), _later(7.0), Outcome(OutcomeKind.SUCCESS)]
    ),
    min_size=9,
    max_size=9,
)


@given(outcomes, st.floats(0.1, 60), st.integers(1, 9), st.floats(0, 15))
def test_it_always_ends_in_time(steps, deadline, wanted, takes):
    """Four attempts at most, no sleep beyond the deadline, and no third unknown outcome."""
    trial = Trial(*steps, deadline=deadline, wanted=wanted, takes=takes)
    began = trial.time.now - sum(trial.time.slept) - takes * trial.count
    assert trial.count <= min(4, wanted)
    assert trial.time.now - began <= deadline + takes
    assert sum(step is UNKNOWN for step in steps[: trial.count]) <= 2
    assert trial.last is steps[trial.count - 1]

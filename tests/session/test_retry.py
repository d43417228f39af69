"""How often a refresh is sent, and what tenacity leaves behind."""

import gc
import threading
import weakref

import pytest

from hellojohn._clock import Timing
from hellojohn._session.retry import Attempts, Retrier, pause
from hellojohn._wire import Outcome, OutcomeKind

KINDS = OutcomeKind


def attempts(*outcomes: Outcome, left: float = 1_000.0, wanted: bool = True) -> tuple[Attempts, list[float]]:
    """Return attempts with these outcomes, and the pauses between them."""
    script = list(outcomes)
    return Attempts(lambda: script.pop(0), left=lambda: left, wanted=lambda: wanted), []


def run(
    *outcomes: Outcome, left: float = 1_000.0, wanted: bool = True
) -> tuple[Outcome, list[float], Attempts]:
    """Run attempts; return the final outcome, the pauses and the attempts."""
    made, slept = attempts(*outcomes, left=left, wanted=wanted)
    return Retrier(Timing(sleep=slept.append)).run(made), slept, made


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in (KINDS.NOT_SENT, KINDS.RETRY_LATER, KINDS.UNKNOWN)]
)
def test_final_outcomes(kind: OutcomeKind) -> None:
    """A success, an end and everything that another attempt cannot change are final at once."""
    outcome, slept, made = run(Outcome(kind))
    assert (outcome.kind, slept, made.ambiguous) == (kind, [], False)


def test_four_attempts_at_most() -> None:
    """A request that cannot be sent is tried four times, with growing pauses that are spread."""
    outcome, slept, _ = run(*[Outcome(KINDS.NOT_SENT)] * 9)
    assert outcome.kind is KINDS.NOT_SENT
    assert [low <= pause <= 2 * low for low, pause in zip((0.2, 0.4, 0.8), slept, strict=True)] == [True] * 3


def test_unknown_is_repeated_once() -> None:
    """A lost answer is asked for once more after a second, and the attempts are ambiguous."""
    again = Outcome(KINDS.UNKNOWN, ask_again=True)
    outcome, slept, made = run(again, again, again)
    assert (outcome, slept, made.ambiguous) == (again, [1.0], True)


def test_unknown_that_must_not_be_repeated() -> None:
    """An unknown outcome behind which the service may still be at work is final."""
    outcome, slept, made = run(Outcome(KINDS.UNKNOWN))
    assert (outcome.kind, slept, made.ambiguous) == (KINDS.UNKNOWN, [], True)


def test_wait_that_would_pass_the_deadline() -> None:
    """A wait that does not fit is not begun."""
    outcome, slept, _ = run(Outcome(KINDS.RETRY_LATER, retry_after=30.0), left=20.0)
    assert (outcome.retry_after, slept) == (30.0, [])


def test_unwanted_result_is_not_tried_for_again() -> None:
    """A refresh that a sign-out has overtaken is not sent again."""
    assert run(Outcome(KINDS.NOT_SENT), wanted=False)[1] == []


def test_pause_follows_the_services_wish() -> None:
    """A wait that the service names is kept exactly, also zero."""
    assert pause(Outcome(KINDS.RETRY_LATER, retry_after=0.0), 1) == 0.0
    assert pause(Outcome(KINDS.RETRY_LATER, retry_after=7.0), 3) == 7.0


def test_no_cyclic_garbage_is_left() -> None:
    """A refresh leaves nothing to the garbage collector, and a resting thread keeps no attempts alive."""
    retrier = Retrier(Timing(sleep=lambda seconds: None))
    retrier.prepare()
    retrier.run(attempts(Outcome(KINDS.SUCCESS))[0])
    gc.collect()
    gc.disable()
    try:
        for outcome in (Outcome(KINDS.SUCCESS), Outcome(KINDS.NOT_SENT)):
            gone = weakref.ref(made := _Weak(lambda it=outcome: it, left=lambda: 0.0, wanted=lambda: True))
            retrier.run(made)
            del made
            assert gone() is None
    finally:
        gc.enable()


class _Weak(Attempts):
    """Attempts that can be referred to weakly."""

    __slots__ = ("__weakref__",)


def test_one_retrier_serves_many_threads() -> None:
    """Refreshes on several threads do not disturb each other's attempts."""
    retrier = Retrier(Timing(sleep=lambda seconds: None))
    results: list[OutcomeKind] = []

    def work(number: int) -> None:
        kind = list(KINDS)[number % 2]
        made, _ = attempts(*[Outcome(KINDS.NOT_SENT)] * (number % 3), *[Outcome(kind)] * 4)
        results.append(retrier.run(made).kind)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 30

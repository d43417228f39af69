"""Processes that share a session refresh it once (invariant 1), on real stores."""

import pytest

from hellojohn._limits import LONGEST_STORM
from tests.counts import count
from tests.processes.fleet import fleet

PROCESSES = 8
ROUNDS = count(200, share=20)
TWO_HOURS = 7_200.0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cause", ["expiry", "refusal"])
def test_processes_refresh_a_shared_session_once(world, emulator, cause, report):
    """At most one request with a given refresh token is in flight, across processes that share a store."""

    def refuse():
        world.clock.advance(LONGEST_STORM + 1)
        emulator.reject_access_tokens()

    age = {"expiry": lambda: world.clock.advance(TWO_HOURS), "refusal": refuse}[cause]
    with fleet(world, PROCESSES) as processes:
        assert processes.send_all() == [200] * PROCESSES
        for done in range(1, ROUNDS + 1):
            age()
            assert processes.send_all() == [200] * PROCESSES
            assert (emulator.rotations, emulator.reuses) == (done, 0)
    report(
        f"{PROCESSES} processes x {ROUNDS} times {cause}, {world.place.kind} store:"
        f" {emulator.rotations} refreshes, {emulator.reuses} reused tokens, 0 callers failed"
    )

"""What a kill at any moment around a refresh may cost: invariants 2 and 3, over real stores and signals."""

import json
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import httpx
import pytest

from hellojohn import ExpiryReason, ServiceUnavailable, SessionExpired
from hellojohn.emulator import Emulator
from tests.counts import count
from tests.processes.conftest import DEMO
from tests.processes.dying import refresh_and_die, refresh_until_killed
from tests.processes.fleet import CHILDREN, PATIENCE, World

T = TypeVar("T")

KILLS = count(1_000)
A_TOKENS_LIFE = 3_601.0
LONGEST_REFRESH = 0.03


class Aftermath:
    """Looks at the session after each kill, from a process that lives."""

    def __init__(self, world: World, emulator: Emulator) -> None:
        self._world = world
        self._emulator = emulator
        self.survived = 0
        self.lost = 0

    def after(self, kill: Callable[[], None]) -> None:
        """Carry out ``kill`` and check that the session is as good as the service's and the store's word."""
        rotations, generation = self._emulator.rotations, self._generation()
        kill()
        self._let_the_service_finish()
        rotated = self._emulator.rotations - rotations
        saved = self._generation() - generation
        assert 0 <= saved <= rotated <= 1
        if rotated == saved:
            self._expect_alive()
        else:
            self._expect_unknown_outcome()

    def _expect_alive(self) -> None:
        with self._world.client() as hj, hj.client(base_url=self._world.url) as api:
            assert _patiently(lambda: api.get("/resource").status_code) == httpx.codes.OK
        self.survived += 1

    def _expect_unknown_outcome(self) -> None:
        with self._world.client() as hj:
            with hj.client(base_url=self._world.url) as api, pytest.raises(SessionExpired) as expired:
                _patiently(lambda: api.get("/resource"))
            assert expired.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN
            hj.auth.sign_in(*DEMO, remember_me=True)
        self.lost += 1

    def _generation(self) -> int:
        with self._world.client() as hj:
            text = self._world.place.store().load(hj._account.key)
        assert text is not None, "the store is empty"
        return json.loads(text)["generation"]

    def _let_the_service_finish(self) -> None:
        """Requests that arrived before the kill are carried out; these come after them."""
        for _ in range(3):
            httpx.get(f"{self._world.url}/resource", timeout=60)


@pytest.fixture
def aftermath(world, emulator) -> Aftermath:
    """Return who looks after."""
    return Aftermath(world, emulator)


@pytest.mark.timeout(1_800)
def test_a_kill_at_any_step_loses_only_what_was_rotated_and_not_yet_saved(world, aftermath, report):
    """A refresh token the server issued is stored before its access token is used; no signal loses it."""
    steps = _all_steps(world)
    for number in range(KILLS // 2):
        aftermath.after(partial(_killed_at_step, world, 1 + number % len(steps)))
    report(_told(world, aftermath, f"{KILLS // 2} kills at {len(steps)} named steps"))
    assert aftermath.survived


@pytest.mark.timeout(1_800)
def test_a_kill_at_a_random_moment_loses_only_what_was_rotated_and_not_yet_saved(world, aftermath, report):
    """The same at moments that nobody chose."""
    chance = random.Random(2026)
    for _ in range(KILLS - KILLS // 2):
        aftermath.after(partial(_killed_after, world, chance.uniform(0, LONGEST_REFRESH)))
    report(_told(world, aftermath, f"{KILLS - KILLS // 2} kills at random moments"))
    assert aftermath.survived


def _patiently(call: Callable[[], T]) -> T:
    """Try again while the service is said to be unavailable: a loaded machine may outlast a short lease."""
    for _ in range(20):
        try:
            return call()
        except ServiceUnavailable:
            time.sleep(0.1)
    return call()


def _all_steps(world: World) -> list[str]:
    ours, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=refresh_and_die, args=(world, 0, theirs))
    child.start()
    child.join(PATIENCE)
    steps = ours.recv()
    assert {"after lock", "before send", "after answer", "before save", "after save"} <= set(steps)
    return steps


def _killed_at_step(world: World, deadly: int) -> None:
    world.clock.advance(A_TOKENS_LIFE)
    _, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=refresh_and_die, args=(world, deadly, theirs))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL


def _killed_after(world: World, seconds: float) -> None:
    world.clock.advance(A_TOKENS_LIFE)
    ours, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=refresh_until_killed, args=(world, theirs))
    child.start()
    assert ours.poll(PATIENCE)
    time.sleep(seconds)  # the moment of the kill is the test's input: any will do
    child.kill()
    child.join(PATIENCE)


def _told(world: World, aftermath: Aftermath, what: str) -> str:
    return (
        f"{what}, {world.place.kind} store: {aftermath.survived} sessions survived, {aftermath.lost} had been"
        " rotated and not yet saved and said refresh_outcome_unknown, 0 otherwise"
    )

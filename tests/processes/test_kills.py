"""A process is killed during a refresh: only a token pair that was not saved yet may be lost."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TypeVar

import httpx
import pytest

from hellojohn import ExpiryReason, ServiceUnavailable, SessionExpired
from hellojohn.emulator import Emulator
from tests.counts import count
from tests.processes.conftest import DEMO, DURABLE
from tests.processes.dying import refresh_and_die, refresh_until_killed
from tests.processes.fleet import CHILDREN, PATIENCE, World

T = TypeVar("T")

ROUNDS = count(25, share=25)
"""How often a process is killed at each step."""
RANDOM_KILLS = count(500, share=25)
A_TOKENS_LIFE = 3_601.0
LONGEST_REFRESH = 0.03


class Witness:
    """Checks the session after each kill, from a process that lives.

    Attributes:
        emulator: The service.
        survived: After how many kills the session went on.
        lost: After how many kills it had been rotated and not yet saved.
    """

    def __init__(self, world: World, emulator: Emulator, web: httpx.Client) -> None:
        self._world = world
        self.emulator = emulator
        self._web = web
        self.survived = 0
        self.lost = 0

    def check(self, kill: Callable[[], None]) -> None:
        """Carry out ``kill``. Then compare the service's rotations with the generation in the store."""
        rotations, generation = self.emulator.rotations, self._generation()
        kill()
        self._let_the_service_finish()
        rotated = self.emulator.rotations - rotations
        saved = self._generation() - generation
        assert 0 <= saved <= rotated <= 1
        if rotated == saved:
            self._expect_alive()
        else:
            self._expect_unknown_outcome()

    def _expect_alive(self) -> None:
        with self._world.client() as hj:
            auth = hj.httpx_auth(origins=[self._world.url])
            answer = _patiently(lambda: self._web.get("/resource", auth=auth))
        assert answer.status_code == httpx.codes.OK
        self.survived += 1

    def _expect_unknown_outcome(self) -> None:
        with self._world.client() as hj:
            with pytest.raises(SessionExpired) as expired:
                _patiently(hj.auth.refresh)
            assert expired.value.reason is ExpiryReason.REFRESH_OUTCOME_UNKNOWN
            hj.auth.sign_in(*DEMO, remember_me=True)
        self.lost += 1

    def _generation(self) -> int:
        with self._world.client() as hj:
            text = self._world.place.store().load(hj._account.key)
        assert text is not None, "the store is empty"
        return json.loads(text)["generation"]

    def _let_the_service_finish(self) -> None:
        """Send requests, which the service answers after those that arrived before the kill."""
        answered = 0
        for _ in range(6):
            with suppress(httpx.TimeoutException):  # a busy machine may keep one waiting for long
                self._web.get("/resource", timeout=PATIENCE / 2)
                answered += 1
            if answered == 3:
                return
        pytest.fail("the service does not answer")


@pytest.fixture
def witness(world, emulator) -> Iterator[Witness]:
    """Return a witness with its connections."""
    with httpx.Client(base_url=world.url, timeout=PATIENCE, verify=False) as web:
        yield Witness(world, emulator, web)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("place", [*DURABLE, "file-v2"], indirect=True)
def test_a_kill_at_any_step_loses_only_an_unsaved_pair(world, witness, report):
    """A refresh token the server issued is stored before its access token is used; no signal loses it."""
    steps = _all_steps(world)
    for number in range(1, len(steps) + 1):
        for _ in range(ROUNDS):
            witness.check(partial(_kill_at_step, world, number))
    report(_summary(world, witness, f"{ROUNDS} kills at each of {len(steps)} named steps"))
    assert witness.survived


@pytest.mark.timeout(1_800)
def test_a_kill_at_a_random_moment_loses_only_an_unsaved_pair(world, witness, report):
    """A kill between two named steps does no more harm than a kill at one of them."""
    chance = random.Random(2026)
    for _ in range(RANDOM_KILLS):
        witness.check(partial(_kill_after, world, chance.uniform(0, LONGEST_REFRESH)))
    report(_summary(world, witness, f"{RANDOM_KILLS} kills at random moments"))
    assert witness.survived


def _patiently(call: Callable[[], T]) -> T:
    """Try again after ``ServiceUnavailable``: on a loaded machine, a refresh may outlast its short lease."""
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
    assert ours.poll(), "the refresh failed"
    steps = ours.recv()
    assert {"after lock", "before send", "after answer", "before save", "after save"} <= set(steps)
    return steps


def _kill_at_step(world: World, deadly: int) -> None:
    world.clock.advance(A_TOKENS_LIFE)
    _, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=refresh_and_die, args=(world, deadly, theirs))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL


def _kill_after(world: World, seconds: float) -> None:
    world.clock.advance(A_TOKENS_LIFE)
    ours, theirs = CHILDREN.Pipe()
    child = CHILDREN.Process(target=refresh_until_killed, args=(world, theirs))
    child.start()
    assert ours.poll(PATIENCE)
    time.sleep(seconds)  # any moment will do: the checks hold for all of them
    child.kill()
    child.join(PATIENCE)


def _summary(world: World, witness: Witness, what: str) -> str:
    return (
        f"{what}, {world.place.kind} store, {witness.emulator.api}: {witness.survived} sessions survived,"
        f" {witness.lost} had been rotated and not yet saved and raised refresh_outcome_unknown,"
        " 0 ended otherwise"
    )

"""``hellojohn demo``: the main job end to end, with each step explained and checked.

Everything is real but the time: sockets, threads, files, a second process. The emulator's clock is moved, so
that nothing has to be waited for.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console

from hellojohn import AuthEvent, FileStore, HelloJohn
from hellojohn.cli._narrator import ClaimFailedError, Narrator
from hellojohn.cli._steps import STEPS, Stage
from hellojohn.emulator import Emulator
from hellojohn.testing._settings import settings_for


def play(console: Console, *, pause: float) -> bool:
    """Play every step; return whether every claim held.

    Args:
        console: Where to print.
        pause: Seconds before each step, for reading.
    """
    tell = Narrator(console, pause=pause)
    began = time.monotonic()
    tell.title("One session, from sign-in to its end, against an emulator on this machine")
    with _stage(tell) as stage:
        held = all(_holds(number, stage) for number in range(1, len(STEPS) + 1))
        if held:
            took = time.monotonic() - began
            tell.title(f"All held: one sign-in, a month, {stage.emulator.rotations} refreshes, {took:.1f} s.")
            tell.prose("Next: `hellojohn emulator` runs the service for an app of your own.")
    return held


def _holds(number: int, stage: Stage) -> bool:
    title, step = STEPS[number - 1]
    stage.tell.title(f"{number}. {title}")
    try:
        step(stage)
    except Exception as error:  # noqa: BLE001 - any error means that the step has failed
        kind = "Not so" if isinstance(error, ClaimFailedError) else type(error).__name__
        stage.tell.failure(f"{kind}: {error}")
        stage.tell.title(f"The demo failed at step {number} of {len(STEPS)}.")
        return False
    return True


@contextmanager
def _stage(tell: Narrator) -> Generator[Stage]:
    """Set up a service, a client whose sessions are in files, and the app's client of its API."""
    events: SimpleQueue[AuthEvent] = SimpleQueue()
    statuses: list[int] = []

    def note(response: httpx.Response) -> None:
        statuses.append(response.status_code)

    with TemporaryDirectory(prefix="hellojohn-demo-") as folder, Emulator() as emulator:
        path = Path(folder) / "sessions"
        with (
            HelloJohn(**settings_for(emulator), store=FileStore(path)) as hj,
            httpx.Client(base_url=emulator.url, trust_env=False) as client,
        ):
            hj.on(events.put)
            client.event_hooks = {"response": [note]}
            yield Stage(tell, emulator, path, hj, hj.wrap(client), statuses, events)

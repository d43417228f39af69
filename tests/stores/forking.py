"""Runs a function in a forked child and brings back its result. POSIX only."""

import os
import select
import signal
import warnings
from collections.abc import Callable

PATIENCE = 20.0


def in_forked_child(action: Callable[[], str]) -> str:
    """Return the result of ``action`` in a forked child, or the name and the message of its error.

    A child that hangs is killed, and fails the test.
    """
    outcome, child_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is under test
        pid = os.fork()
    if pid == 0:
        try:
            os.write(child_end, _outcome_of(action).encode())
        finally:
            os._exit(0)
    os.close(child_end)
    answered = select.select([outcome], [], [], PATIENCE)[0]
    text = os.read(outcome, 65_536).decode() if answered else ""
    os.close(outcome)
    if not answered:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert answered, "the forked child hangs"
    return text


def _outcome_of(action: Callable[[], str]) -> str:
    try:
        return action()
    except BaseException as error:  # noqa: BLE001 - reported to the parent, which asserts on it
        return f"{type(error).__name__}: {error}"

"""The tasks of the child processes of ``TokenStoreContract``. Few imports: each child loads this module."""

import pickle
import sys
from collections.abc import Callable

from hellojohn.stores import TokenStore


def stamped(number: int) -> str:
    """Return a text that shows its number in every field, and whose length depends on the number."""
    return f"{number:08d}-\N{LATIN SMALL LETTER E WITH ACUTE} " * (50 + number % 7 * 100)


def is_whole(text: str) -> bool:
    """Return whether ``text`` is all of one text that ``stamped`` made."""
    return text[:8].isdigit() and text == stamped(int(text[:8]))


def count_up(store: TokenStore, key: str, rounds: int) -> None:
    """Add ``rounds`` to the number under ``key``, one at a time, each under the lock."""
    for _ in range(rounds):
        with store.lock(key, 60):
            store.save(key, str(int(store.load(key) or "0") + 1))


def count_up_on_signal(store: TokenStore, key: str, rounds: int) -> None:
    """Wait for a signal, so that several children begin at once, and count up."""
    report_and_wait()
    count_up(store, key, rounds)


def write_stamped(store: TokenStore, key: str, rounds: int) -> None:
    """Save one stamped text after the other, and report after the first."""
    store.save(key, stamped(0))
    report_and_wait()
    for number in range(1, rounds):
        store.save(key, stamped(number))


def hold(store: TokenStore, key: str) -> None:
    """Take the lock, report, and hold the lock until the process is killed."""
    with store.lock(key, 60):
        report_and_wait()


def report_and_wait() -> None:
    """Report to the parent that this point is reached, and wait for its signal."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.readline()


def main() -> None:
    """Do the task that the parent has pickled."""
    task: Callable[..., None]
    recipe: Callable[[], TokenStore]
    task, recipe, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - the parent is our own test
    task(recipe(), *arguments)


if __name__ == "__main__":
    main()

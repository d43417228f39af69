"""What a child process does to a store while ``TokenStoreContract`` watches. Light: each child loads it."""

import pickle
import sys
from collections.abc import Callable

from hellojohn.stores import TokenStore


def stamped(number: int) -> str:
    """Return a text that shows its number in every field, of a length that depends on it."""
    return f"{number:08d}-\N{LATIN SMALL LETTER E WITH ACUTE} " * (50 + number % 7 * 100)


def is_whole(text: str) -> bool:
    """Return whether ``text`` is one that ``stamped`` made, all of it."""
    return text[:8].isdigit() and text == stamped(int(text[:8]))


def count_up(store: TokenStore, key: str, rounds: int) -> None:
    """Add ``rounds`` to the number under ``key``, one at a time, each under the lock."""
    for _ in range(rounds):
        with store.lock(key, 60):
            store.save(key, str(int(store.load(key) or "0") + 1))


def count_up_when_told(store: TokenStore, key: str, rounds: int) -> None:
    """Wait for a word, so that several children begin at once; count up."""
    report_and_wait()
    count_up(store, key, rounds)


def write_stamped(store: TokenStore, key: str, rounds: int) -> None:
    """Save one stamped text after the other, and say so after the first."""
    store.save(key, stamped(0))
    report_and_wait()
    for number in range(1, rounds):
        store.save(key, stamped(number))


def hold(store: TokenStore, key: str) -> None:
    """Take the lock, say so, and never let go."""
    with store.lock(key, 60):
        report_and_wait()


def report_and_wait() -> None:
    """Tell the parent that this point is reached, and wait for its word."""
    sys.stdout.write("here\n")
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

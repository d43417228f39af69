"""Clears the frames of errors, which hold the request and its secrets. Pure; imports nothing of the package.

Python 3.13 leaves an error that passes through a generator's context manager in a cycle with its frame.
Frames lead to their callers, so that the request stays in memory until the collector comes, even if the error
was handled far below.
"""

import traceback
from types import TracebackType


def forget(error: BaseException | None) -> None:
    """Clear the frames of an error and of all errors that led to it, except those that still run."""
    if error is not None:
        traceback.clear_frames(error.__traceback__)
        forget(error.__cause__)
        if error.__context__ is not error.__cause__:
            forget(error.__context__)


class Forgetting:
    """A context manager that clears the frames of an error that passes through it."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the error pass."""
        forget(error)

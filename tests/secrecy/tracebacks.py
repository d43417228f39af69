"""What an error shows: itself, its causes, and the local variables of our frames and the HTTP library's."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx
import httpx2

import hellojohn
from tests.secrecy.markers import leaks
from tests.secrecy.walk import attributes, exposed

JUDGED = [str(Path(module.__file__).parent) for module in (hellojohn, httpx, httpx2)]
"""The frames of a test are left out: they hold the secrets."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop()
        if id(error) not in seen:
            seen.add(id(error))
            yield error
            others = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
            waiting += [other for other in others if other is not None]


def exposed_by(error: BaseException) -> list[str]:
    """Return every place at which an error shows a secret."""
    found = []
    for link in chain(error):
        name = type(link).__name__
        texts = [
            str(link),
            repr(link),
            repr(link.args),
            repr(attributes(link)),
            *getattr(link, "__notes__", []),
        ]
        found += [f"{name} itself: {leak}" for text in texts for leak in leaks(text)]
        found += exposed(link)
        found += [f"{name} in {where}" for where in _frames(link)]
    return found


def judged(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of the package and the HTTP libraries, with their local variables as text."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [frame for frame in shown.stack if frame.filename.startswith(tuple(JUDGED))]


def _frames(error: BaseException) -> Iterator[str]:
    for frame in judged(error):
        for name, text in (frame.locals or {}).items():
            for leak in leaks(text):
                yield f"{frame.filename}:{frame.lineno} {frame.name}, {name}: {leak}"

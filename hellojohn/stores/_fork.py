"""Tells objects that they woke up in a forked child. Knows no store; imports nothing of the package."""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Thing = TypeVar("Thing")

_watching: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def watch_forks(thing: Thing, tell: Callable[[Thing], None]) -> None:
    """Call ``tell(thing)`` in every child forked from now on, before any code of the program runs there.

    Args:
        thing: Held weakly.
        tell: Must not hold ``thing`` itself: a plain function, not a bound method.
    """
    _watching[thing] = tell


def _tell_child() -> None:
    for thing, tell in tuple(_watching.items()):
        tell(thing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_child)

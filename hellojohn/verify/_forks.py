"""Resets objects in a forked child: locks may be held there by threads that exist in the parent only."""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Thing = TypeVar("Thing")

_watching: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def watch_forks(thing: Thing, reset: Callable[[Thing], None]) -> None:
    """Call ``reset(thing)`` in every child forked from now on, before the program's own code runs there.

    Args:
        thing: Held weakly.
        reset: A plain function, not a bound method: it must not hold ``thing``.
    """
    _watching[thing] = reset


def _reset_all() -> None:
    for thing, reset in tuple(_watching.items()):
        reset(thing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)

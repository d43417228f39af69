"""Checks that something looks like a token store, where it is handed over and not where it first fails."""

import math
from inspect import iscoroutinefunction
from typing import Any

from hellojohn._errors import ConfigurationError
from hellojohn.stores._protocol import TokenStore


def check_store(store: Any, name: str = "store") -> TokenStore:  # noqa: ANN401 - anything may come, that is why it is checked
    """Return ``store``, the argument ``name``, if it looks like a token store.

    Raises:
        ConfigurationError: It lacks a method, has an asynchronous one, or its lease is no time in seconds.
    """
    problem = _problem_of(store)
    if problem is not None:
        raise ConfigurationError(f"{name} must be a TokenStore, such as FileStore(): {problem}.")
    found: TokenStore = store
    return found


def _problem_of(store: object) -> str | None:
    if isinstance(store, type):
        return "an instance, not the class"
    for name in ("load", "save", "delete", "lock"):
        method = getattr(store, name, None)
        if not callable(method):
            return f"it has no {name}()"
        if iscoroutinefunction(method):
            return f"its {name}() is asynchronous, and the SDK calls it on threads of its own"
    lease = getattr(store, "lease", None)
    if lease is None or is_seconds(lease):
        return None
    return f"its lease is a number of seconds, such as 30.0, or None, not {lease!r}"


def is_seconds(value: object) -> bool:
    """Return whether ``value`` is a time in seconds: a number, finite and more than none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
